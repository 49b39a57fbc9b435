import { redirect } from '@sveltejs/kit'
import type { Actions } from './$types'

export const actions: Actions = {
  default: async ({ locals, request }) => {
    const session = await locals.session()
    const name = String((await request.formData()).get('name'))
    session.login(name)
    session.flash('notice', `Welcome, ${name}`)
    redirect(303, '/account')
  },
}
