/** Next's proxy, which runs before its pages: renews sessions, protects routes. */
import { type NextRequest, NextResponse } from 'next/server.js'
import { expectArgument, expectSessions } from '../check.ts'
import { getDraft, instanceOf, openedOf } from '../session/instances.ts'
import { isChanged } from '../session/operations.ts'
import type { SessionData } from '../session/session.ts'
import type { Sessions } from '../session/sessions.ts'
import { isUnseen } from '../session/unseen.ts'
import { unavailableAnswer } from '../transport/response.ts'
import { FLASH, sealFlash } from './next-flash.ts'
import { replaceCookies } from './next-request.ts'

/** Returns a response of the proxy itself, or nothing to go on. */
export type ProxyHandler = (
  request: NextRequest,
) => Response | undefined | null | Promise<Response | undefined | null>

/**
 * Requests of no page that somebody looks at. The first is seen only with `skipProxyUrlNormalize` in next.config:
 * Next hides it from its proxy. The last is of `sojourn/client`, and must not keep a page that is left open signed in.
 */
const PREFETCH = ['next-router-prefetch', 'x-middleware-prefetch', 'sojourn-status']
/** Files of the build and images, which are everybody's. */
const ASSET = /^\/_next\/(static|image)(\/|$)/
const OVERRIDE = 'x-middleware-override-headers'
const OVERRIDDEN = 'x-middleware-request-'

/**
 * Makes what `proxy.ts` (Node) or `middleware.ts` (edge) exports: opens the session of every GET
 * request that has one, renews it, and hands what changed to the server components of the same
 * request. After other requests, such as those of forms, the action or route handler saves.
 *
 * Requests for `/_next/static` and `/_next/image` pass unopened, and unseen by `handler`.
 *
 * @param handler Protects routes: returns a response, or nothing to go on. It may use and change the
 * session by `sessions.get(request)`; what it changed is committed, unless the page is only fetched
 * ahead.
 */
export function sessionProxy<D extends SessionData>(
  sessions: Sessions<D>,
  handler: ProxyHandler = () => undefined,
): (request: NextRequest) => Promise<Response> {
  expectSessions(sessions)
  expectArgument(typeof handler === 'function', 'handler', 'a function', handler)
  return async (request) => {
    if (ASSET.test(request.nextUrl.pathname)) return NextResponse.next()
    const isPage = request.method === 'GET'
    const isEarly =
      (isPage && isUnseen(request)) || PREFETCH.some((name) => request.headers.has(name))
    try {
      const own = await instanceOf(sessions)?.route?.(request)
      if (own) return own
      const answer = ownAnswer(await handler(request), request)
      const goesOn = ['x-middleware-next', 'x-middleware-rewrite'].some((name) =>
        answer.headers.has(name),
      )
      // Sealing flash opens the session of every page, so that the commit below renews it and removes its flash.
      // No page is shown behind an answer, such as that of a guard during an outage.
      const flash = goesOn && isPage ? await sealFlash(sessions, request, isEarly) : null
      const before = answer.headers.getSetCookie().length
      const cacheControl = answer.headers.get('cache-control')
      const save = isPage || (await hasChanged(sessions, request))
      const response = await sessions.commit(request, answer, {
        save: save && !isEarly && answer.status < 500,
      })
      const { headers } = response
      const setCookie = headers.getSetCookie().slice(before)
      if (goesOn && !setCookie.length) {
        // What the proxy says wins over the page, which knows better: Next's own is stricter.
        headers.delete('cache-control')
        if (cacheControl) headers.set('cache-control', cacheControl)
      }
      const sent = headersAfter(headers, request)
      if (goesOn && (flash || setCookie.length || sent.has(FLASH))) {
        sent.delete(FLASH)
        if (flash) sent.set(FLASH, flash)
        if (setCookie.length) sent.set('cookie', cookieAfter(sent, setCookie))
        sendOn(headers, sent)
      }
      return response
    } catch (error) {
      return unavailableAnswer(error)
    }
  }
}

async function hasChanged(sessions: object, request: Request): Promise<boolean> {
  const session = await openedOf(sessions, request)
  return Boolean(session && isChanged(getDraft(session)))
}

/**
 * Copies what the handler answered: it may be one object for all requests, such as a redirect that a
 * module makes once. Next takes no redirect to a path, which is what guards answer.
 */
function ownAnswer(answer: Response | null | undefined, { url }: NextRequest): Response {
  if (!answer) return NextResponse.next()
  const own = new Response(answer.body, answer)
  const location = own.headers.get('location')
  if (location?.startsWith('/')) own.headers.set('location', String(new URL(location, url)))
  return own
}

/** Returns the request's headers, as its handler has changed them. */
function headersAfter(answer: Headers, { headers }: NextRequest): Headers {
  const names = answer.get(OVERRIDE)?.split(',').filter(Boolean)
  return new Headers(names?.map((name) => [name, answer.get(OVERRIDDEN + name) ?? '']) ?? headers)
}

/** Has Next go on with these request headers, as `NextResponse.next({ request })` does. */
function sendOn(answer: Headers, headers: Headers): void {
  for (const [name, value] of headers) answer.set(OVERRIDDEN + name, value)
  answer.set(OVERRIDE, [...headers.keys()].join())
}

/** Returns the `Cookie` header that the browser will send next. */
function cookieAfter(sent: Headers, setCookie: readonly string[]): string {
  // Of a cookie that is removed the value is empty.
  const pairs = setCookie.map((line) => {
    const [, name = '', value = ''] = /^([^=]*)=([^;]*)/.exec(line) ?? []
    return [name, value] as const
  })
  return replaceCookies(sent.get('cookie') ?? '', pairs)
}
