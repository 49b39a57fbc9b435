/**
 * Every adapter under one interface, each with the real framework, in this process. What needs a
 * build before it runs (Nitro, Nuxt, SvelteKit's and Astro's pages) is asked over HTTP in
 * `test/examples`.
 */
import '../support/next-scope.ts'
import { sequence } from 'astro/middleware'
import { Elysia } from 'elysia'
import express from 'express'
import Fastify from 'fastify'
import { H3, toResponse } from 'h3'
import { createApp, fromWebHandler, toWebHandler } from 'h3-v1'
import { Hono } from 'hono'
import inject, { type DispatchFunc } from 'light-my-request'
import { NextRequest } from 'next/server.js'
import { createRequestHandler, type ServerBuild } from 'react-router'
import { sessionMiddleware } from '../../src/adapters/astro.ts'
import { session } from '../../src/adapters/hono.ts'
import { handler } from '../../src/adapters/next.ts'
import { sessionProxy } from '../../src/adapters/next-proxy.ts'
import {
  session as expressSession,
  requestOf,
  requireSession,
  requireSessionHook,
  type SessionRequest,
  sojourn,
} from '../../src/adapters/node.ts'
import { createSessionMiddleware } from '../../src/adapters/react-router.ts'
import { sessionHandle } from '../../src/adapters/sveltekit.ts'
import { type WorkerContext, withSessions } from '../../src/adapters/workers.ts'
import type { Requirements } from '../../src/guard/guard.ts'
import type { Session, Sessions } from '../../src/index.ts'
import { runInNext } from '../support/next-scope.ts'

/** What a page or an endpoint has at hand, whatever the framework calls it. */
export interface Visit {
  readonly request: Request
  /** The session, as this adapter hands it out. */
  session(): Promise<Session>
}

export type Route = (visit: Visit) => Response | Promise<Response>

/** Serves pages with sessions, as an application of this framework does. */
export interface Adapter {
  readonly name: string
  /**
   * Answers every path with `route`.
   *
   * @param guard Requirements, for adapters with a guard of their own.
   */
  serve(
    sessions: Sessions,
    route: Route,
    guard?: Requirements,
  ): (request: Request) => Promise<Response>
  /** The adapter has a guard of its own, as `sojourn/guard` cannot open its sessions. */
  readonly guards?: true
  /** The framework itself answers what a route throws. (default: the caller gets the error) */
  readonly catches?: boolean
}

// Its types would bring those of Vite into every test.
const kit = await import('@sveltejs/kit/hooks' as string)
const { with_request_store } = await import('@sveltejs/kit/internal/server' as string)

const context: WorkerContext = { waitUntil: () => {}, passThroughOnException: () => {} }

const visitOf = (sessions: Sessions, request: Request): Visit => ({
  request,
  session: () => sessions.get(request),
})

const fetchHandler: Adapter = {
  name: 'a fetch handler',
  serve: (sessions, route) => sessions.handler((request) => route(visitOf(sessions, request))),
}

const workers: Adapter = {
  name: 'Workers',
  serve(sessions, route) {
    const worker = withSessions(
      () => ({ secret: 'of sessions that this route does not use' }),
      // The sessions of the test, whose options are not known here.
      (request) => fetchHandler.serve(sessions, route)(request),
    )
    return (request) => worker.fetch(request, {}, context)
  },
}

const hono: Adapter = {
  name: 'Hono',
  catches: true,
  serve(sessions, route) {
    const app = new Hono()
      .use(session(sessions))
      .all('*', (c) => route({ request: c.req.raw, session: c.var.session }))
      .onError((error, c) => c.text(error.message, 500))
    return async (request) => app.fetch(request, {})
  },
}

const reactRouter: Adapter = {
  name: 'React Router',
  catches: true,
  serve(sessions, route) {
    const [middleware, getSession] = createSessionMiddleware(sessions)
    const answer = ({ context, request }: { context: never; request: Request }) =>
      route({ request, session: () => getSession(context) })
    const build = {
      entry: {
        module: {
          default: async (_: Request, status: number, headers: Headers) =>
            new Response('a page', { status, headers }),
          handleError: () => {},
        },
      },
      routes: {
        root: { id: 'root', module: { middleware: [middleware] } },
        all: { id: 'all', parentId: 'root', path: '*', module: { loader: answer, action: answer } },
      },
      assets: {
        routes: {
          root: { id: 'root', hasLoader: false },
          all: { id: 'all', parentId: 'root', hasLoader: true, hasAction: true },
        },
        entry: { imports: [], module: '' },
        url: '',
        version: '1',
      },
      publicPath: '/',
      assetsBuildDirectory: '',
      future: { v8_middleware: true },
      ssr: true,
      isSpaMode: false,
      prerender: [],
      routeDiscovery: { mode: 'initial' },
    }
    return createRequestHandler(build as unknown as ServerBuild, 'production')
  },
}

const svelteKit: Adapter = {
  name: 'SvelteKit',
  serve(sessions, route) {
    type Next = { event: object; resolve: (event: object) => unknown }
    const last = ({ event, resolve }: Next) => resolve(event)
    const handle = kit.sequence(sessionHandle(sessions), last)
    return async (request) => {
      const event = { request, url: new URL(request.url), locals: {} as Visit }
      const span = { setAttribute: () => {} }
      const state = {
        tracing: { record_span: ({ fn }: { fn: (span: object) => unknown }) => fn(span) },
      }
      const resolve = ({ locals }: typeof event) => route({ request, session: locals.session })
      return with_request_store({ event, state }, () => handle({ event, resolve }))
    }
  },
}

const astro: Adapter = {
  name: 'Astro',
  serve(sessions, route) {
    const onRequest = sequence(sessionMiddleware(sessions) as never, (_, next) => next())
    return async (request) => {
      const locals = {} as Visit
      const context = { request, url: new URL(request.url), locals }
      const page = async () => route({ request, session: locals.session })
      return (await onRequest(context as never, page)) as Response
    }
  },
}

const h3: Adapter = {
  name: 'h3',
  catches: true,
  serve(sessions, route) {
    const app = new H3({ silent: true })
      .use((event, next) =>
        sessions.handler(async () => toResponse(await next(), event))(event.req),
      )
      .all('/**', ({ req }) => route(visitOf(sessions, req as Request)))
    return async (request) => app.fetch(request)
  },
}

const h3v1: Adapter = {
  name: 'h3 1',
  catches: true,
  serve: (sessions, route) =>
    toWebHandler(createApp().use(fromWebHandler(fetchHandler.serve(sessions, route)))),
}

const elysia: Adapter = {
  name: 'Elysia',
  catches: true,
  serve(sessions, route) {
    const app = new Elysia({ aot: false }).all('/*', ({ request }) =>
      route(visitOf(sessions, request)),
    )
    return sessions.handler(app.fetch)
  },
}

const nextHandler: Adapter = {
  name: "Next's route handlers",
  serve(sessions, route) {
    const handle = handler(sessions)((request) => route(visitOf(sessions, request)))
    return (request) => runInNext(request, handle)
  },
}

const nextProxy: Adapter = {
  name: "Next's proxy",
  serve(sessions, route) {
    const proxy = sessionProxy(sessions, (request) => route(visitOf(sessions, request)))
    return (request) => proxy(new NextRequest(request))
  },
}

/** Asks a server of Node in this process, as a proxy that ends TLS would. */
async function askNode(dispatch: DispatchFunc, request: Request): Promise<Response> {
  const { pathname, search, host } = new URL(request.url)
  const answer = await inject(dispatch, {
    method: request.method as 'GET',
    url: pathname + search,
    headers: { ...Object.fromEntries(request.headers), host, 'x-forwarded-proto': 'https' },
    payload: Buffer.from(await request.arrayBuffer()),
  })
  const headers = new Headers()
  for (const [name, value] of Object.entries(answer.headers)) {
    for (const one of [value ?? []].flat()) headers.append(name, String(one))
  }
  const isEmpty = [204, 304].includes(answer.statusCode)
  return new Response(isEmpty ? null : answer.payload, { status: answer.statusCode, headers })
}

const expressAdapter: Adapter = {
  name: 'Express',
  catches: true,
  guards: true,
  serve(sessions, route, guard) {
    const app = express().set('trust proxy', true).set('env', 'test').use(expressSession(sessions))
    if (guard) app.use(requireSession(guard))
    app.use(async (req, res) => {
      const { session } = req as unknown as SessionRequest
      const { status, headers, body } = await route({ request: requestOf(req), session })
      res.writeHead(status, [...headers].flat() as never)
      if (!body) return void res.end()
      for await (const chunk of body) res.write(chunk)
      res.end()
    })
    return (request) => askNode(app as unknown as DispatchFunc, request)
  },
}

const fastify: Adapter = {
  name: 'Fastify',
  catches: true,
  guards: true,
  serve(sessions, route, guard) {
    const app = Fastify({ trustProxy: true })
    app.register(sojourn, { sessions })
    if (guard) app.addHook('preHandler', requireSessionHook(guard))
    app.all('*', async (request) => {
      const { session } = request as unknown as SessionRequest
      return route({ request: requestOf(request), session })
    })
    const ready = app.ready()
    return async (request) => {
      await ready
      return askNode((req, res) => void app.routing(req as never, res as never), request)
    }
  },
}

export const adapters: readonly Adapter[] = [
  fetchHandler,
  workers,
  hono,
  reactRouter,
  svelteKit,
  astro,
  h3,
  h3v1,
  elysia,
  nextHandler,
  nextProxy,
  expressAdapter,
  fastify,
]
