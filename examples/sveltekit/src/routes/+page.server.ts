import { summarize } from '../../../story/shop.ts'
import type { PageServerLoad } from './$types'

export const load: PageServerLoad = async ({ locals }) => ({
  summary: summarize(await locals.session()),
})
