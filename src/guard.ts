/**
 * Who may see a page: signed in, lately enough, and allowed to.
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
import { applyRules, flagRule, functionRule, MAX_TIMEOUT, numberRule, type Rule } from './check.ts'
import { StoreUnavailableError } from './errors.ts'
import type { Session, SessionData } from './session.ts'
import type { Sessions } from './sessions.ts'

/** What a session has to be. */
export interface Requirements<D extends SessionData = SessionData> {
  /** Somebody has signed in. `false`: any live session will do. (default: `true`) */
  subject?: boolean
  /** Seconds since the last `login`: step-up for what matters more. (default: any time) */
  freshWithin?: number
  /**
   * Who is not signed in, or not lately enough: the path of the page to sign in on, to which browsers
   * are redirected with the way back in `returnTo`, and which everybody may see; or a function that
   * answers. (default: 401)
   */
  onMissing?: string | ((request: Request) => Response | Promise<Response>)
  /** Who may go on; everybody else gets 403. (default: everybody) */
  allow?: (session: Session<D>) => boolean | Promise<boolean>
}

/** Says no, or `null`. */
export type Guard = (request: Request) => Promise<Response | null>

const RETURN_TO = 'returnTo'
/**
 * A path of this site: what a browser could take for another host is none, nor what becomes one when
 * its dots are resolved (`/.//host`) and somebody redirects to the outcome.
 */
const isPath = (value: unknown): boolean =>
  typeof value === 'string' && /^\/(?!\/)[!-[\]-~]*$/.test(value) && !pathOf(value).startsWith('//')

/**
 * Routers in a browser fetch a page's data in place of the page. Those of React Router and SvelteKit
 * do so under another path; Next's sends this header, and hides the others from its proxy.
 */
const ROUTER_DATA = /(?:(?<=\/)_(?:root)?)?\.data$|\/__data\.json$/
const ROUTER_HEADER = 'next-url'
const ROUTER_PARAMS = ['_routes', '_rsc', 'x-sveltekit-invalidated', 'x-sveltekit-trailing-slash']

const pathOf = (url: string): string => new URL(url, 'http://localhost').pathname

const RULES: Record<string, Rule> = {
  subject: flagRule(true),
  freshWithin: numberRule(undefined, 1, MAX_TIMEOUT),
  onMissing: [
    undefined,
    'a path such as "/login", or a function',
    (value: unknown) => typeof value === 'function' || isPath(value),
  ],
  allow: functionRule(),
}

/**
 * Checks requests before they are answered. The guard returns `null` for who may go on, or
 *
 * - 503 with `Retry-After` when the store could not be asked: nobody is sent to sign in because of
 *   an outage;
 * - 303 to `onMissing` for a browser that shows pages, with the way back in `returnTo`; for the routers
 *   of Next.js, React Router and SvelteKit too;
 * - 401 for everything else that is not signed in, or not lately enough;
 * - 403 for who is not allowed to.
 *
 * @throws TypeError or RangeError naming the option that is wrong.
 */
export function requireSession<D extends SessionData>(
  sessions: Pick<Sessions<D>, 'get'>,
  requirements: Requirements<D> = {},
  now: () => number = () => Date.now(),
): Guard {
  const check = createCheck(requirements, now)
  return async (request) => check(request, await sessions.get(request))
}

/** The same for adapters, which have the session already. */
export function createCheck<D extends SessionData>(
  requirements: Requirements<D>,
  now: () => number = () => Date.now(),
): (request: Request, session: Session<D>) => Promise<Response | null> {
  const { subject, freshWithin, onMissing, allow } = applyRules<Requirements<D>>(
    'requireSession.',
    RULES,
    requirements,
  )
  const isThere = (session: Session<D>): boolean => {
    const { authenticatedAt, data, status } = session
    // While the store is down an empty one is one of which nothing is known.
    const isLive = status === 'active' || (status === 'degraded' && Object.keys(data).length > 0)
    if (subject ? session.subject === null : !isLive) return false
    return !freshWithin || (authenticatedAt ?? 0) > now() - freshWithin * 1000
  }
  return async (request, session) => {
    if (!isThere(session)) {
      // Else everybody would be sent there from there, for ever.
      if (typeof onMissing === 'string' && pathOf(request.url) === pathOf(onMissing)) return null
      if (session.status === 'degraded' && session.subject === null) {
        return new StoreUnavailableError('').getResponse()
      }
      if (typeof onMissing === 'function') return await onMissing(request)
      const page = onMissing && pageOf(request)
      if (page) return redirect(page, onMissing)
      return refusal(401, 'Unauthorized')
    }
    return !allow || (await allow(session)) ? null : refusal(403, 'Forbidden')
  }
}

/**
 * Where to go after signing in: the path in `returnTo`, as {@link requireSession} put it there.
 * Never another site, whatever the query says.
 *
 * @param fallback A path, for when there is none. (default: `/`)
 */
export function returnPath(request: Request, fallback = '/'): string {
  const path = new URL(request.url).searchParams.get(RETURN_TO)
  return isPath(path) ? (path as string) : fallback
}

function redirect(url: string, to: string): Response {
  const { pathname, search } = new URL(url)
  const back = pathname + search
  const query = isPath(back)
    ? `${to.includes('?') ? '&' : '?'}${RETURN_TO}=${encodeURIComponent(back)}`
    : ''
  return new Response(null, {
    status: 303,
    headers: { location: to + query, 'cache-control': 'no-store' },
  })
}

/** The page that a browser is on its way to; `null` for scripts, and for forms. */
function pageOf({ headers, method, url }: Request): string | null {
  if (!/^(GET|HEAD)$/.test(method)) return null
  const page = new URL(url)
  page.pathname = page.pathname.replace(ROUTER_DATA, '')
  if (page.href === url && !headers.has(ROUTER_HEADER)) {
    return (headers.get('accept') ?? '').includes('text/html') ? url : null
  }
  for (const name of ROUTER_PARAMS) page.searchParams.delete(name)
  return page.href
}

function refusal(status: number, text: string): Response {
  return new Response(text, { status, headers: { 'cache-control': 'no-store' } })
}
