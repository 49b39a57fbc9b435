import { defineHandler, redirect } from 'nitro/h3'
import { sessions } from '../lib/sessions.ts'

export default defineHandler(async ({ req }) => {
  const session = await sessions.get(req)
  const item = String((await req.formData()).get('item'))
  session.update('cart', (cart = []) => [...cart, item])
  session.flash('notice', `${item} is in your cart`)
  return redirect('/', 303)
})
