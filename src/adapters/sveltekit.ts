/**
 * Sessions for SvelteKit: a `handle` hook, and `locals.session()`.
 *
 * @module
 * @example
 * // src/hooks.server.ts
 * import { sessionHandle } from 'sojourn/sveltekit'
 *
 * export const handle = sessionHandle(sessions)
 *
 * // src/app.d.ts
 * import type { SessionLocals } from 'sojourn/sveltekit'
 *
 * declare global {
 *   namespace App {
 *     interface Locals extends SessionLocals<{ cart: string[] }> {}
 *   }
 * }
 */
import { expectSessions } from '../check.ts'
import type { SessionData } from '../session/session.ts'
import type { Sessions } from '../session/sessions.ts'
import { createScope, type SessionLocals } from './scope.ts'

export type { SessionLocals } from './scope.ts'

/** The members of a `RequestEvent` that the hook uses. */
export interface SessionEventLike {
  readonly request: Request
  readonly locals: object
}

/** A `Handle` of SvelteKit; `sequence` takes it too. */
export type SessionHandle = <E extends SessionEventLike>(input: {
  event: E
  resolve: (event: E) => Response | Promise<Response>
}) => Promise<Response>

/**
 * Makes the `handle` hook that gives every `load`, action and endpoint `locals.session()` and
 * commits it with the response. Responses of 500 and above save nothing.
 */
export function sessionHandle<D extends SessionData>(sessions: Sessions<D>): SessionHandle {
  expectSessions(sessions)
  return ({ event, resolve }) => {
    const locals = event.locals as Partial<SessionLocals<D>>
    if (locals.session) {
      throw new TypeError(
        '`locals.session` is taken: keep one sessionHandle in src/hooks.server.ts',
      )
    }
    const scope = createScope(sessions, event.request, 'and await it before `load` returns')
    locals.session = scope.open
    return scope.answer(() => resolve(event))
  }
}
