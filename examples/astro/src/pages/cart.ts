import type { APIRoute } from 'astro'

export const POST: APIRoute = async ({ locals, request, redirect }) => {
  const session = await locals.session()
  const item = String((await request.formData()).get('item'))
  session.update('cart', (cart = []) => [...cart, item])
  session.flash('notice', `${item} is in your cart`)
  return redirect('/', 303)
}
