import { redirect } from 'react-router'
import { getSession } from '../sessions.server.ts'
import type { Route } from './+types/cart.ts'

export async function action({ request, context }: Route.ActionArgs) {
  const session = await getSession(context)
  const item = String((await request.formData()).get('item'))
  session.update('cart', (cart = []) => [...cart, item])
  session.flash('notice', `${item} is in your cart`)
  return redirect('/', 303)
}
