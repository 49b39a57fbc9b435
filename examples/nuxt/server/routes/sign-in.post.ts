export default defineEventHandler(async (event) => {
  const session = await event.node.req.session()
  const { name } = await readBody<{ name: string }>(event)
  session.login(name)
  session.flash('notice', `Welcome, ${name}`)
  await sendRedirect(event, '/account', 303)
})
