export default defineEventHandler(async (event) => {
  const session = await event.node.req.session()
  const { item } = await readBody<{ item: string }>(event)
  session.update('cart', (cart = []) => [...cart, item])
  session.flash('notice', `${item} is in your cart`)
  await sendRedirect(event, '/', 303)
})
