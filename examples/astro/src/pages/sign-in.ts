import type { APIRoute } from 'astro'

export const POST: APIRoute = async ({ locals, request, redirect }) => {
  const session = await locals.session()
  const name = String((await request.formData()).get('name'))
  session.login(name)
  session.flash('notice', `Welcome, ${name}`)
  return redirect('/account', 303)
}
