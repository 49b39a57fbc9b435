import { handler, seeOther, sessions } from '../../lib/session.ts'

/** A route handler is a fetch handler: `handler` saves the session that it uses. */
export const POST = handler(async (request) => {
  const session = await sessions.get(request)
  const item = String((await request.formData()).get('item'))
  session.update('cart', (cart = []) => [...cart, item])
  session.flash('notice', `${item} is in your cart`)
  return seeOther('/')
})
