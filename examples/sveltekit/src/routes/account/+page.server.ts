import { redirect } from '@sveltejs/kit'
import { summarize } from '../../../../story/shop.ts'
import type { PageServerLoad } from './$types'

export const load: PageServerLoad = async ({ locals }) => {
  const session = await locals.session()
  if (session.subject === null) redirect(303, '/')
  return { summary: summarize(session) }
}
