export default defineEventHandler(async (event) => {
  await withSession(event, (session) => session.destroy())
  await sendRedirect(event, '/', 303)
})
