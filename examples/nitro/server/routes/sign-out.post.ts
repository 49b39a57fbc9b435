import { defineHandler, redirect } from 'nitro/h3'
import { sessions } from '../lib/sessions.ts'

export default defineHandler(async ({ req }) => {
  ;(await sessions.get(req)).destroy()
  return redirect('/', 303)
})
