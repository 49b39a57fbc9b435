/**
 * Sessions for Astro: a middleware, and `locals.session()`.
 *
 * Not to be taken for `Astro.session`, which is Astro's own.
 *
 * @module
 * @example
 * // src/middleware.ts
 * import { sessionMiddleware } from 'sojourn/astro'
 *
 * export const onRequest = sessionMiddleware(sessions)
 *
 * // src/env.d.ts
 * import type { SessionLocals } from 'sojourn/astro'
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

/** The members that the middleware adds to `locals`. */
export interface SessionLocals<
  D extends SessionData = SessionData,
  Data extends object = Partial<D>,
> {
  /**
   * The session of this request; nothing is read before it is called.
   *
   * Astro streams: a page's own frontmatter runs before the response begins, that of the components
   * in it after. So call it in the page first; its components may then read the session too.
   *
   * @throws SessionCommittedError when it is first called after the response has begun.
   */
  session: () => Promise<Session<D, Data>>
}

/** The members of an `APIContext` that the middleware uses. */
export interface AstroContextLike {
  readonly request: Request
  readonly locals: object
}

/** A `MiddlewareHandler` of Astro; `sequence` takes it too. */
export type SessionMiddleware = (
  context: AstroContextLike,
  next: () => Promise<Response>,
) => Promise<Response>

/**
 * Makes the `onRequest` middleware that gives every page, endpoint and action `locals.session()`
 * and commits it with the response. Responses of 500 and above save nothing.
 */
export function sessionMiddleware<D extends SessionData>(sessions: Sessions<D>): SessionMiddleware {
  expectSessions(sessions)
  const underWay = new WeakSet<object>()
  return async ({ request, locals }, next) => {
    // A rewrite runs the middleware again, inside; the session belongs to the request outside.
    if (underWay.has(locals)) return next()
    const place = 'in the frontmatter of the page in src/pages, not only in a component'
    const scope = createScope(sessions, request, place)
    ;(locals as SessionLocals<D>).session = scope.open
    underWay.add(locals)
    try {
      return await scope.answer(next)
    } finally {
      underWay.delete(locals)
    }
  }
}
