import { redirect } from '@sveltejs/kit'
import type { RequestHandler } from './$types'

export const POST: RequestHandler = async ({ locals }) => {
  const session = await locals.session()
  session.destroy()
  redirect(303, '/')
}
