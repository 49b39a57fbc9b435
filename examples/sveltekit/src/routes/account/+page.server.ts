import { summarize } from '../../../../story/shop.ts'
import type { PageServerLoad } from './$types'

/** For who is signed in; `src/hooks.server.ts` turns everybody else away. */
export const load: PageServerLoad = async ({ locals }) => ({
  summary: summarize(await locals.session()),
})
