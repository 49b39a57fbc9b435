import { defineHandler } from 'nitro/h3'
import { summarize } from '../../../story/shop.ts'
import { guard, sessions } from '../lib/sessions.ts'

export default defineHandler(
  async ({ req }) => (await guard(req)) ?? summarize(await sessions.get(req)),
)
