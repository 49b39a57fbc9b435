import { summarize } from '../../../story/shop.ts'

/** What pages show of the session; who has not signed in has no account to see. */
export default defineEventHandler(async (event) => {
  if (event.method !== 'GET' || !['/', '/account'].includes(event.path)) return
  const session = await event.node.req.session()
  event.context.summary = summarize(session)
  if (event.path === '/account' && session.subject === null) await sendRedirect(event, '/', 303)
})
