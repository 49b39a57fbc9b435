import { redirect } from 'react-router'
import type { Route } from './+types/cart.ts'
import { commitSession, getSession } from './sessions.server.ts'

export async function action({ request }: Route.ActionArgs) {
  const session = await getSession(request.headers.get('cookie'))
  const item = String((await request.formData()).get('item'))
  session.sojourn.update('cart', (cart = []) => [...cart, item])
  session.flash('notice', `${item} is in your cart`)
  return redirect('/', { status: 303, headers: { 'set-cookie': await commitSession(session) } })
}
