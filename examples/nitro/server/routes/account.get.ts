import { defineHandler, redirect } from 'nitro/h3'
import { summarize } from '../../../story/shop.ts'
import { sessions } from '../lib/sessions.ts'

export default defineHandler(async ({ req }) => {
  const session = await sessions.get(req)
  return session.subject === null ? redirect('/', 303) : summarize(session)
})
