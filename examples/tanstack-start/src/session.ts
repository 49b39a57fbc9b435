import { createMiddleware } from '@tanstack/react-start'
import { sessions } from './sessions.server.ts'

/** Gives pages, server routes and server functions `context.session()`, and commits with the response. */
export const session = createMiddleware().server(async ({ request, next }) => {
  const result = await next({ context: { session: () => sessions.get(request) } })
  return { ...result, response: await sessions.commit(request, result.response) }
})
