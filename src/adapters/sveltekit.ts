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
import type { Session, SessionData } from '../session/session.ts'
import type { Sessions } from '../session/sessions.ts'
import { createScope } from './scope.ts'

/** The members that the hook adds to `event.locals`. */
export interface SessionLocals<
  D extends SessionData = SessionData,
  Data extends object = Partial<D>,
> {
  /**
   * The session of this request; nothing is read before it is called.
   *
   * @throws SessionCommittedError when it is first called after the response has begun, in a
   * promise that a `load` function did not await.
   */
  session: () => Promise<Session<D, Data>>
}

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
