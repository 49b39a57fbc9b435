/** Sends strangers home from the pages that name it, however their address is spelled. */
export default defineNuxtRouteMiddleware(() => {
  const user = useState('user', () => useRequestEvent()?.context.user)
  if (!user.value) return navigateTo('/')
})
