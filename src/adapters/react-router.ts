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
import type { MiddlewareFunction, RouterContextProvider } from 'react-router'
import { expectSessions } from '../check.ts'
import type { Session, SessionData } from '../session/session.ts'
import type { Sessions } from '../session/sessions.ts'
import { createScope, type SessionScope } from './scope.ts'

export {
  createSessionStorage,
  type SojournSessionStorage,
  type StorageSession,
} from './react-router-storage.ts'

/** The `context` that middleware, loaders and actions are given. */
export type RouterContext = Readonly<RouterContextProvider>

/**
 * Makes a middleware that commits the session with every response, and the function that reads it
 * in loaders, actions and other middleware. Responses of 500 and above save nothing.
 *
 * The function throws when the middleware did not run, and when the session is opened only after
 * the response has begun (in a promise that a loader did not await).
 */
export function createSessionMiddleware<D extends SessionData, Data extends object = Partial<D>>(
  sessions: Sessions<D, Data>,
): [
  sessionMiddleware: MiddlewareFunction<Response>,
  getSession: (context: RouterContext) => Promise<Session<D, Data>>,
] {
  expectSessions(sessions)
  const scopes = new WeakMap<RouterContext, SessionScope<D, Data>>()
  return [
    ({ request, context }, next) => {
      if (scopes.has(context)) {
        throw new TypeError('The session middleware runs twice: keep it in app/root.tsx only')
      }
      const scope = createScope(sessions, request, 'in a loader, before it returns')
      scopes.set(context, scope)
      return scope.answer(next)
    },
    async (context) => {
      const scope = scopes.get(context)
      if (scope) return scope.open()
      throw new TypeError(
        'The session middleware did not run: add it to `middleware` in app/root.tsx',
      )
    },
  ]
}
