/** What runs in Next's proxy, before its pages: renews sessions, protects routes. */
import { type NextRequest, NextResponse } from 'next/server.js'
import { StoreUnavailableError } from '../errors.ts'
import type { SessionData } from '../session/session.ts'
import type { Sessions } from '../session/sessions.ts'
import { FLASH, sealFlash } from './next-flash.ts'
import { replaceCookies } from './next-request.ts'

/** What a proxy answers itself; nothing: go on. */
export type ProxyHandler = (
  request: NextRequest,
) => Response | undefined | null | Promise<Response | undefined | null>

/** The first is seen only with `skipProxyUrlNormalize` in next.config: Next hides it from its proxy. */
const PREFETCH = ['next-router-prefetch', 'x-middleware-prefetch']
const OVERRIDE = 'x-middleware-override-headers'
const OVERRIDDEN = 'x-middleware-request-'

/**
 * Makes what `proxy.ts` (Node) or `middleware.ts` (edge) exports: opens the session of requests that
 * have one, renews it, and hands what changed to the server components of the same request.
 *
 * @param handler Protects routes: returns a response, or nothing to go on. It may use and change the
 * session by `sessions.get(request)`; what it changed is committed, unless the page is only fetched
 * ahead.
 */
export function sessionProxy<D extends SessionData>(
  sessions: Sessions<D>,
  handler: ProxyHandler = () => undefined,
): (request: NextRequest) => Promise<Response> {
  return async (request) => {
    try {
      const answer = ownAnswer(await handler(request), request)
      const isAhead = PREFETCH.some((name) => request.headers.has(name))
      const goesOn = ['x-middleware-next', 'x-middleware-rewrite'].some((name) =>
        answer.headers.has(name),
      )
      // No page is shown behind an answer, such as that of a guard during an outage.
      const flash = goesOn ? await sealFlash(sessions, request, isAhead) : null
      const before = answer.headers.getSetCookie().length
      const response = await sessions.commit(request, answer, { save: !isAhead })
      const { headers } = response
      const setCookie = headers.getSetCookie().slice(before)
      const sent = headersAfter(headers, request)
      if (goesOn && (flash || setCookie.length || sent.has(FLASH))) {
        sent.delete(FLASH)
        if (flash) sent.set(FLASH, flash)
        if (setCookie.length) sent.set('cookie', cookieAfter(sent, setCookie))
        sendOn(headers, sent)
      }
      return response
    } catch (error) {
      if (error instanceof StoreUnavailableError) return error.getResponse()
      throw error
    }
  }
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

/** Has Next go on with these request headers. */
function sendOn(answer: Headers, headers: Headers): void {
  const next = NextResponse.next({ request: { headers } })
  for (const [name, value] of next.headers) {
    if (name === OVERRIDE || name.startsWith(OVERRIDDEN)) answer.set(name, value)
  }
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
