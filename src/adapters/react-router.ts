/**
 * Sessions for React Router 7.9 and newer, and what is left of Remix in it.
 *
 * A document request that runs an action hands another `Request` to its loaders, so the session
 * hangs on the router's `context` instead.
 *
 * @module
 * @example
 * // app/sessions.server.ts
 * import { createSessionMiddleware } from 'sojourn/react-router'
 *
 * export const [sessionMiddleware, getSession] = createSessionMiddleware(sessions)
 *
 * // app/root.tsx
 * export const middleware = [sessionMiddleware]
 *
 * // app/routes/account.tsx
 * export async function loader({ context }: Route.LoaderArgs) {
 *   const session = await getSession(context)
 *   return { name: session.subject }
 * }
 */
import type {
  MiddlewareFunction,
  Session as ReactRouterSession,
  RouterContextProvider,
  SessionStorage,
} from 'react-router'
import { refuseUnless } from '../check.ts'
import type { Session, SessionData } from '../session.ts'
import type { Sessions } from '../sessions.ts'
import { createScope, type SessionScope } from './scope.ts'

/** The `context` that middleware, loaders and actions are given. */
export type RouterContext = Readonly<RouterContextProvider>

/**
 * Makes a middleware that commits the session with every response, and the function that reads it
 * in loaders, actions and other middleware. Responses of 500 and above save nothing.
 *
 * The function throws when the middleware did not run, and when the session is opened only after
 * the response has begun (in a promise that a loader did not await).
 */
export function createSessionMiddleware<D extends SessionData>(
  sessions: Sessions<D>,
): [
  sessionMiddleware: MiddlewareFunction<Response>,
  getSession: (context: RouterContext) => Promise<Session<D>>,
] {
  const scopes = new WeakMap<RouterContext, SessionScope<D>>()
  return [
    ({ request, context }, next) => {
      if (scopes.has(context)) {
        throw new Error(
          'The session middleware runs twice: keep it in the `middleware` of app/root.tsx only',
        )
      }
      const scope = createScope(sessions, request, 'in a loader, before it returns')
      scopes.set(context, scope)
      return scope.answer(next)
    },
    async (context) => {
      const scope = scopes.get(context)
      if (scope) return scope.open()
      throw new Error(
        'Cannot open session: its middleware did not run; add it to `export const middleware` in app/root.tsx',
      )
    },
  ]
}

/** A session as React Router's own storages hand it out. */
export interface StorageSession<D extends SessionData, F> extends ReactRouterSession<D, F> {
  /** Everything else: `login`, `regenerate`, `update`, `subject`, `status`. */
  readonly sojourn: Session<D>
}

/** Stands in for `createCookieSessionStorage` and its like. */
export interface SojournSessionStorage<D extends SessionData, F> extends SessionStorage<D, F> {
  getSession: (cookieHeader?: string | null) => Promise<StorageSession<D, F>>
}

/** The `Set-Cookie` of a part of a session, without which the others do not open. */
const CHUNK = /^[^=]+\.[1-3]=[^;]/

/**
 * Makes a `SessionStorage`, for applications that have one.
 *
 * `commitSession` and `destroySession` return one `Set-Cookie` value, or `''` when there is nothing
 * to say to the browser. A flash value goes with the next request that commits, read or not.
 *
 * @throws TypeError from `commitSession` when it is given cookie options, or a session of another
 * storage; RangeError when the session needs more than one cookie.
 */
export function createSessionStorage<D extends SessionData, F = D>(
  sessions: Sessions<D>,
): SojournSessionStorage<D, F> {
  const commit = async (session: object, options?: object): Promise<string> => {
    refuseUnless(!options, 'options', 'absent: they are those of createSessions', options)
    const { sojourn } = session as StorageSession<D, F>
    const values = await sessions.save(sojourn ?? session)
    // What else there is to say (that a cookie is of no use any more) is said again next time.
    const more = values.slice(1).filter((one) => CHUNK.test(one)).length
    refuseUnless(!more, 'cookie.maxChunks', '1 for a SessionStorage', more + 1, RangeError)
    return values[0] ?? ''
  }
  return {
    getSession: async (header = null) => toStorageSession(await sessions.open(header)),
    commitSession: commit,
    destroySession(session, options) {
      ;(session as StorageSession<D, F>).sojourn.destroy()
      return commit(session, options)
    },
  }
}

function toStorageSession<D extends SessionData, F>(session: Session<D>): StorageSession<D, F> {
  const seen: Record<string, unknown> = Object.create(null)
  const peek = (name: string): unknown => (seen[name] ??= session.flash(name))
  const view = {
    sojourn: session,
    get id() {
      return session.id
    },
    get data() {
      return session.data
    },
    has: (name: string) => session.has(name) || peek(name) !== undefined,
    get(name: string) {
      if (session.has(name)) return session.get(name)
      const value = peek(name)
      delete seen[name]
      return value
    },
    set: (name: string, value: D[string]) => session.set(name, value),
    unset: (name: string) => session.unset(name),
    flash: (name: string, value: unknown) => session.flash(name, value),
  }
  return view as unknown as StorageSession<D, F>
}
