import { redirect } from '@sveltejs/kit'
import type { Actions } from './$types'

export const actions: Actions = {
  default: async ({ locals, request }) => {
    const session = await locals.session()
    const item = String((await request.formData()).get('item'))
    session.update('cart', (cart = []) => [...cart, item])
    session.flash('notice', `${item} is in your cart`)
    redirect(303, '/')
  },
}
