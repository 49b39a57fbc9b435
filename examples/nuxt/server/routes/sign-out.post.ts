export default defineEventHandler(async (event) => {
  const session = await event.node.req.session()
  session.destroy()
  await sendRedirect(event, '/', 303)
})
