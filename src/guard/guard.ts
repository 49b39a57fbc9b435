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
import { applyRules, flagRule, functionRule, MAX_TIMEOUT, numberRule, type Rule } from '../check.ts'
import { StoreUnavailableError } from '../errors.ts'
import type { Session, SessionData } from '../session/session.ts'
import type { Sessions } from '../session/sessions.ts'
import { isPath, isSamePage, pageOf, redirect } from './return-path.ts'

export { refuseCrossSite } from './cross-site.ts'
export { returnPath } from './return-path.ts'

/** Requirements on a session. */
export interface Requirements<D extends SessionData = SessionData> {
  /** Somebody has signed in. `false`: any live session will do. (default: `true`) */
  subject?: boolean
  /** Seconds since the last `login`: step-up for what matters more. (default: any time) */
  freshWithin?: number
  /**
   * The answer to a visitor who is not signed in, or not lately enough: the path of the page to sign in on, to which browsers
   * are redirected with the way back in `returnTo`, and which everybody may see, with a slash at its
   * end and without; or a function that answers, and may write to the session. (default: 401)
   */
  onMissing?: string | ((request: Request) => Response | Promise<Response>)
  /**
   * Answers while the store is down and nobody can tell who is signed in; `error.getResponse()` is
   * the default. (default: 503 with `Retry-After`; in Hono the error is thrown, so that `app.onError`
   * gets it)
   */
  onUnavailable?: (request: Request, error: StoreUnavailableError) => Response | Promise<Response>
  /** Returns whether a session may go on; everybody else gets 403. (default: everybody may) */
  allow?: (session: Session<D>) => boolean | Promise<boolean>
}

/** Says no, or `null`. */
export type Guard = (request: Request) => Promise<Response | null>

const RULES: Record<string, Rule> = {
  subject: flagRule(true),
  freshWithin: numberRule(undefined, 1, MAX_TIMEOUT),
  onMissing: [
    undefined,
    'a path such as "/login", or a function',
    (value: unknown) => typeof value === 'function' || isPath(value),
  ],
  onUnavailable: functionRule((_: Request, error: StoreUnavailableError) => error.getResponse()),
  allow: functionRule(),
}

/**
 * Checks requests before they are answered. The guard returns `null` for who may go on, or
 *
 * - 503 with `Retry-After` when the store could not be asked: nobody is sent to sign in because of
 *   an outage;
 * - 303 to `onMissing` for a browser that shows pages, with the way back in `returnTo`; for the routers
 *   of Next.js, React Router and SvelteKit too, and for a form, back to the page that it is on;
 * - 401 for everything else that is not signed in, or not lately enough;
 * - 403 for who is not allowed to.
 *
 * A preflight (`OPTIONS` with `Access-Control-Request-Method`) never has cookies, so it gets 401 too:
 * what answers preflights comes before the guard. Letting them through would let everybody through
 * who sends such a header to a page that does not check the method.
 *
 * @throws TypeError or RangeError naming the option that is wrong.
 */
export function requireSession<D extends SessionData>(
  sessions: Pick<Sessions<D>, 'get'>,
  requirements: Requirements<D> = {},
  now: () => number = () => Date.now(),
): Guard {
  const check = createCheck(requirements, now)
  return (request) => check(request, () => sessions.get(request))
}

/** Makes the check of {@link requireSession} for adapters, which open the session in their own way. */
export function createCheck<D extends SessionData>(
  requirements: Requirements<D>,
  now: () => number = () => Date.now(),
): (request: Request, open: () => Promise<Session<D>>) => Promise<Response | null> {
  const { subject, freshWithin, onMissing, onUnavailable, allow } = applyRules<
    Requirements<D> & Required<Pick<Requirements<D>, 'onUnavailable'>>
  >('requireSession.', RULES, requirements)
  const isThere = (session: Session<D>): boolean => {
    const { authenticatedAt, data, status } = session
    // While the store is down an empty one is one of which nothing is known.
    const isLive = status === 'active' || (status === 'degraded' && Object.keys(data).length > 0)
    if (subject ? session.subject === null : !isLive) return false
    return !freshWithin || (authenticatedAt ?? 0) > now() - freshWithin * 1000
  }
  return async (request, open) => {
    // Avoids a redirect loop on the sign-in page.
    if (typeof onMissing === 'string' && isSamePage(request.url, onMissing)) return null
    let session: Session<D>
    try {
      session = await open()
    } catch (error) {
      if (error instanceof StoreUnavailableError) return await onUnavailable(request, error)
      throw error
    }
    if (isThere(session)) {
      return !allow || (await allow(session)) ? null : refusal(403, 'Forbidden')
    }
    if (session.status === 'degraded' && session.subject === null) {
      const message = 'Cannot tell who is signed in: the store failed'
      return await onUnavailable(request, new StoreUnavailableError(message))
    }
    if (typeof onMissing === 'function') return await onMissing(request)
    const page = onMissing ? pageOf(request) : null
    if (onMissing && page !== null) return redirect(page, onMissing)
    return refusal(401, 'Unauthorized')
  }
}

function refusal(status: number, text: string): Response {
  return new Response(text, { status, headers: { 'cache-control': 'no-store' } })
}
