import { handler, seeOther, sessions } from '../../lib/session.ts'

export const POST = handler(async (request) => {
  ;(await sessions.get(request)).destroy()
  return seeOther('/')
})
