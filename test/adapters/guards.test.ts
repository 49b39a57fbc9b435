import { H3, toResponse } from 'h3'
import { Hono } from 'hono'
import { sessionMiddleware } from '../../src/adapters/astro.ts'
import * as hono from '../../src/adapters/hono.ts'
import { createSessionMiddleware } from '../../src/adapters/react-router.ts'
import { sessionHandle } from '../../src/adapters/sveltekit.ts'
import { requireSession } from '../../src/guard/guard.ts'
import { type CreateGuarded, testGuards } from './guarded.ts'

const adapters: Record<string, CreateGuarded> = {
  'sessions.handler'(sessions, requirements, page) {
    const guard = requireSession(sessions, requirements)
    return sessions.handler(async (request) => (await guard(request)) ?? page(request))
  },

  Hono(sessions, requirements, page) {
    const app = new Hono()
      .use(hono.session(sessions))
      .use(hono.requireSession(requirements))
      .all('*', (c) => page(c.req.raw))
    return async (request) => app.fetch(request)
  },

  SvelteKit(sessions, requirements, page) {
    const guard = requireSession(sessions, requirements)
    const handle = sessionHandle(sessions)
    return (request) =>
      handle({
        event: { request, locals: {} },
        resolve: async (event) => (await guard(event.request)) ?? page(event.request),
      })
  },

  Astro(sessions, requirements, page) {
    const guard = requireSession(sessions, requirements)
    const onRequest = sessionMiddleware(sessions)
    return (request) =>
      onRequest({ request, locals: {} }, async () => (await guard(request)) ?? page(request))
  },

  'React Router'(sessions, requirements, page) {
    const guard = requireSession(sessions, requirements)
    const [middleware] = createSessionMiddleware(sessions)
    return async (request) => {
      const args = { request, context: {} as never, params: {} }
      const next = async () => (await guard(request)) ?? page(request)
      return (await middleware(args as never, next)) as Response
    }
  },

  h3(sessions, requirements, page) {
    const guard = requireSession(sessions, requirements)
    const app = new H3()
      .use((event, next) =>
        sessions.handler(async () => toResponse(await next(), event))(event.req),
      )
      .use(async ({ req }) => (await guard(req)) ?? undefined)
      .all('/**', ({ req }) => page(req))
    return async (request) => app.fetch(request)
  },
}

for (const [name, create] of Object.entries(adapters)) testGuards(name, create)
