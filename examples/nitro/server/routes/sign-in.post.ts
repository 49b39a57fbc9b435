import { defineHandler, redirect } from 'nitro/h3'
import { sessions } from '../lib/sessions.ts'

export default defineHandler(async ({ req }) => {
  const session = await sessions.get(req)
  const name = String((await req.formData()).get('name'))
  session.login(name)
  session.flash('notice', `Welcome, ${name}`)
  return redirect('/account', 303)
})
