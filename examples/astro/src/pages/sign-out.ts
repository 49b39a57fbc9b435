import type { APIRoute } from 'astro'

export const POST: APIRoute = async ({ locals, redirect }) => {
  const session = await locals.session()
  session.destroy()
  return redirect('/', 303)
}
