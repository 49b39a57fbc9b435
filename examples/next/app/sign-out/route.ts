import { seeOther, sessions } from '../../lib/session.ts'

export const POST = sessions.handler(async (request) => {
  ;(await sessions.get(request)).destroy()
  return seeOther('/')
})
