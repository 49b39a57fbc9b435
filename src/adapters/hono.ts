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
import { createCheck, type Requirements, rethrow } from '../guard/requirements.ts'
import { background, instanceOf, nameOf } from '../session/instances.ts'
import type { Session, SessionData } from '../session/session.ts'
import type { Sessions } from '../session/sessions.ts'
import { oncePerEnv } from './once-per-env.ts'

/** The variables that the middleware adds to the context. */
export interface SessionVariables<
  D extends SessionData = SessionData,
  Data extends object = Partial<D>,
> {
  /** The session of this request; nothing is read before it is called. */
  session: () => Promise<Session<D, Data>>
  /** The sessions themselves: `list`, `revokeAll`, `health`. */
  sessions: Sessions<D, Data>
}

/** Headers of a page that the page of an error has too. */
const KEPT = /^(access-control|set-cookie|vary)/
/** The key under which a context lists the cookie names of the middlewares that have run. */
const RUNS = 'sojourn' as never

/**
 * Gives every handler behind it `c.var.session()` and commits the session with the response, be it
 * a page, a stream or a redirect. When a handler throws, or answers with 500 or above, nothing is
 * saved; `app.onError` then sees the session as it was before and cannot change it. What `app.mount`
 * calls gets a `Request` of its own: there wrap it in `sessions.handler`.
 *
 * @param sessions The sessions, or a function of the context for what only `c.env` knows: it is
 * called once in a process, and again where what it read of `c.env` differs. One that reads anything
 * else of the context is called for each request.
 *
 * @example
 * app.use(session((c: Context<{ Bindings: Env }>) => createSessions({ secret: c.env.SECRET })))
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
    const current = resolve(c as Context)
    expectSessions(current)
    const request = c.req.raw
    const own = await instanceOf(current)?.route?.(request)
    if (own) return own
    noteRun(c, current)
    c.set('sessions', current)
    c.set('session', createOpener(c, current, request))
    await next()
    keepBusy(c, request)
    // No handler has answered: Hono's own error says so, and a response of ours would hide it.
    if (!c.finalized) return void (await current.commit(request, new Response(), { save: false }))
    const commit = async (save?: false): Promise<void> => {
      const response = await current.commit(request, c.res, save === false ? { save } : {})
      // Hono merges the headers of the response it replaces into the new one, unless there is none.
      c.res = undefined
      c.res = response
    }
    try {
      await commit(c.error && false)
    } catch (error) {
      // What `app.onError` answers goes out with the headers of this response: not with those of the page that is not sent.
      const headers = [...c.res.headers].filter(([name]) => KEPT.test(name))
      headers.push(['cache-control', 'no-store'])
      c.res = undefined
      c.res = new Response(null, { headers })
      await commit(false)
      throw error
    }
    return undefined
  }
}

/** Lets Workers finish what the session has begun and does not wait for. */
function keepBusy(c: Context, request: Request): void {
  const begun = background.get(request)
  try {
    if (begun) c.executionCtx.waitUntil(begun)
  } catch {
    // Other runtimes have no such context, and end nothing.
  }
}

/** Refuses a second middleware that would overwrite the cookie of the first. */
function noteRun(c: Context, sessions: object): void {
  const names: unknown[] = c.get(RUNS) ?? []
  const name = nameOf(sessions)
  if (names.includes(name)) {
    throw new TypeError(
      'session() runs twice on this route, for one cookie name: keep one, or give each createSessions its own cookie.name',
    )
  }
  c.set(RUNS, [...names, name] as never)
}

/**
 * Opens the session of a request, and keeps caches between here and the handler from its page.
 *
 * @param request The one that is committed: `c.req.raw` may be another by then, as `bodyLimit()` has it.
 */
function createOpener<D extends SessionData, Data extends object>(
  c: Context,
  sessions: Sessions<D, Data>,
  request: Request,
): () => Promise<Session<D, Data>> {
  const { carrier: [vary] = ['Cookie'], reopen } = instanceOf(sessions) ?? {}
  let stored: Promise<Session<D, Data>> | undefined
  let isMarked = false
  return async () => {
    if (c.error && reopen) {
      stored ??= reopen(request) as Promise<Session<D, Data>>
      return stored
    }
    const session = await sessions.get(request)
    if (isMarked || c.finalized) return session
    isMarked = true
    c.header('vary', vary, { append: true })
    if (session.status !== 'new') c.header('cache-control', 'private', { append: true })
    return session
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
  const check = createCheck(requirements, undefined, rethrow)
  return async (c, next) => {
    if (!c.var.session)
      throw new TypeError('requireSession() needs app.use(session(...)) before it')
    const refusal = await check(c.req.raw, c.var.session)
    if (refusal) return refusal
    await next()
    return undefined
  }
}
