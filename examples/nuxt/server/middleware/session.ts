import { summarize } from '../../../story/shop.ts'

/** What pages show of the session; who has not signed in has no account to see. */
export default defineEventHandler(async (event) => {
  if (event.method !== 'GET' || !['/', '/account'].includes(event.path)) return
  const subject = await withSession(event, (session) => {
    event.context.summary = summarize(session)
    return session.subject
  })
  if (event.path === '/account' && subject === null) await sendRedirect(event, '/', 303)
})
