/**
 * Sessions for Hono.
 *
 * @module
 * @example
 * import { Hono } from 'hono'
 * import { session } from 'sojourn/hono'
 *
 * const app = new Hono().use(session(sessions)).get('/', async (c) => {
 *   const current = await c.var.session()
 *   return c.text(`Hello ${current.subject ?? 'stranger'}`)
 * })
 */
import type { Context, Env, MiddlewareHandler } from 'hono'
import { expectSessions } from '../check.ts'
import { createCheck, type Requirements } from '../guard/guard.ts'
import type { Session, SessionData } from '../session/session.ts'
import type { Sessions } from '../session/sessions.ts'

/** What the middleware adds to the context. */
export interface SessionVariables<
  D extends SessionData = SessionData,
  Data extends object = Partial<D>,
> {
  /** The session of this request; nothing is read before it is called. */
  session: () => Promise<Session<D, Data>>
}

/** Where a context notes whose middleware has run. */
const RUNS = 'sojourn'

/**
 * Gives every handler behind it `c.var.session()` and commits the session with the response, be it
 * a page, a stream or a redirect. When a handler throws nothing is saved, but the page of the error
 * varies by the cookie. What `app.mount` calls gets a `Request` of its own: there wrap it in
 * `sessions.handler`.
 *
 * @param sessions The sessions, or a function of the context for what only `c.env` knows: it is
 * called once for each `c.env`, that is once per isolate.
 */
export function session<
  D extends SessionData,
  // biome-ignore lint/suspicious/noExplicitAny: TypeScript does not infer E from the app; a function that wants a typed `c.env` says `(c: Context<{ Bindings: Env }>)`.
  E extends Env = any,
  Data extends object = Partial<D>,
>(
  sessions: Sessions<D, Data> | ((c: Context<E>) => Sessions<D, Data>),
): MiddlewareHandler<{ Variables: SessionVariables<D, Data> }> {
  if (typeof sessions !== 'function') expectSessions(sessions)
  const resolve = typeof sessions === 'function' ? oncePerEnv(sessions) : () => sessions
  return async (c, next) => {
    const current = resolve(c as unknown as Context<E>)
    const request = c.req.raw
    if (c.get(RUNS as never) === current) {
      throw new TypeError('session() runs twice on this route: keep one app.use(session(sessions))')
    }
    c.set(RUNS as never, current as never)
    c.set('session', () => current.get(request))
    await next()
    const response = await current.commit(request, c.res, { save: !c.error })
    if (response === c.res) return
    // Hono merges the headers of the response it replaces into the new one, unless there is none.
    c.res = undefined
    c.res = response
  }
}

/**
 * Lets only those sessions through that meet the requirements; see `requireSession` of
 * `sojourn/guard` for what the others are answered. Comes after {@link session}, and after `cors()`,
 * which answers preflights. While the store is down it throws {@link StoreUnavailableError}, which
 * `app.onError` gets, and which Hono answers with 503 by itself.
 *
 * @example
 * app.use('/account/*', requireSession({ onMissing: '/login' }))
 */
export function requireSession<D extends SessionData>(
  requirements: Requirements<D> = {},
): MiddlewareHandler<{ Variables: SessionVariables<D> }> {
  const onUnavailable = (_: Request, error: Error): never => {
    throw error
  }
  const check = createCheck({ onUnavailable, ...requirements })
  return async (c, next) => {
    if (!c.var.session)
      throw new TypeError('requireSession() needs app.use(session(...)) before it')
    const refusal = await check(c.req.raw, c.var.session)
    if (refusal) return refusal
    await next()
    return undefined
  }
}

function oncePerEnv<D extends SessionData, Data extends object, E extends Env>(
  create: (c: Context<E>) => Sessions<D, Data>,
): (c: Context<E>) => Sessions<D, Data> {
  const known = new WeakMap<object, Sessions<D, Data>>()
  const none = {}
  return (c) => {
    const env: object = c.env ?? none
    const sessions = known.get(env) ?? create(c)
    expectSessions(sessions)
    known.set(env, sessions)
    return sessions
  }
}
