import { handler, seeOther, sessions } from '../../lib/session.ts'

export const POST = handler(async (request) => {
  const session = await sessions.get(request)
  const name = String((await request.formData()).get('name'))
  session.login(name)
  session.flash('notice', `Welcome, ${name}`)
  return seeOther('/account')
})
