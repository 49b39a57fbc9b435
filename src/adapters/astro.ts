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
import type { SessionData } from '../session/session.ts'
import type { Sessions } from '../session/sessions.ts'
import { createScope, type SessionLocals } from './scope.ts'

export type { SessionLocals } from './scope.ts'

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
