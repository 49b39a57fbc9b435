import { summarize } from '../../../story/shop.ts'

/** What pages show of the session, and who has signed in. Which page it is only their own router knows. */
export default defineEventHandler(async (event) => {
  if (event.method !== 'GET' || !event.headers.get('accept')?.includes('text/html')) return
  const session = await event.node.req.session()
  event.context.summary = summarize(session)
  event.context.user = session.subject
})
