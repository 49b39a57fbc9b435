/**
 * Guards for pages: visitors who are signed in, lately enough, and allowed to see them.
 *
 * @module
 * @example
 * import { requireSession, returnPath } from 'sojourn/guard'
 *
 * const guard = requireSession(sessions, { onMissing: '/login' })
 * export default {
 *   fetch: sessions.handler(async (request) => (await guard(request)) ?? page(request)),
 * }
 */
import { expectArgument, expectSessions, isObject } from '../check.ts'
import { instanceOf } from '../session/instances.ts'
import type { SessionData } from '../session/session.ts'
import type { Sessions } from '../session/sessions.ts'
import { createCheck, type Requirements } from './requirements.ts'

export { refuseCrossSite } from './cross-site.ts'
export type { AnswerMissing, Requirements } from './requirements.ts'
export { returnPath } from './return-path.ts'

/** Checks a request: the response that refuses it, or `null` for who may go on. */
export type Guard = (request: Request) => Promise<Response | null>

/**
 * Checks requests before they are answered. The guard returns `null` for who may go on, or
 *
 * - 503 with `Retry-After` when the store could not be asked: nobody is sent to sign in because of
 *   an outage;
 * - 303 to `onMissing` for a browser that shows pages, with the way back in `returnTo`; for the routers
 *   of Next.js, React Router and SvelteKit too, and for a form, back to the page that it is on;
 * - 303 to `onStepUp` for a browser of a user who has not proven the factors, in the same way;
 * - 401 for everything else that is not signed in, not lately enough, or not from the device (`bound`). To somebody who is signed in `WWW-Authenticate`
 *   says what is missing, in the words of {@link https://www.rfc-editor.org/rfc/rfc9470#section-3 RFC 9470, 3}:
 *   `error="insufficient_user_authentication"`, `max_age` in seconds, and the names of the `factors`;
 * - 403 for who is not allowed to, with `actor: false` whoever acts for somebody else.
 *
 * A preflight (`OPTIONS` with `Access-Control-Request-Method`) never has cookies, so it gets 401 too:
 * what answers preflights comes before the guard. Letting them through would let everybody through
 * who sends such a header to a page that does not check the method.
 *
 * Times are by the clock of the sessions, their option `now`.
 *
 * @throws TypeError or RangeError naming the option that is wrong.
 */
export function requireSession<D extends SessionData>(
  sessions: Pick<Sessions<D>, 'get'>,
  requirements: Requirements<D> = {},
): Guard {
  expectSessions(sessions)
  const check = createCheck(requirements, instanceOf(sessions)?.options.factors)
  return async (request) => {
    expectArgument(isObject(request), 'request', 'a Request', request)
    return await check(request, () => sessions.get(request))
  }
}
