/** What runs in Next's proxy, before its pages: renews sessions, protects routes. */
import { type NextRequest, NextResponse } from 'next/server.js'
import { StoreUnavailableError } from '../errors.ts'
import type { SessionData } from '../session/session.ts'
import type { Sessions } from '../session/sessions.ts'
import { markResponse } from '../transport/response.ts'
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
      const answer = absolute(await handler(request), request)
      const isAhead = PREFETCH.some((name) => request.headers.has(name))
      const flash = await sealFlash(sessions, request, isAhead)
      const marks = isAhead ? null : await sessions.commit(request, new Response(null))
      const setCookie = marks?.headers.getSetCookie() ?? []
      const mark = (response: Response): Response =>
        !marks || marks.headers.has('vary')
          ? markResponse(response, setCookie, ['Cookie', 'set-cookie'])
          : response
      const sent = headersAfter(answer, request)
      if (!flash && !setCookie.length && !sent.has(FLASH)) {
        return mark(answer ?? NextResponse.next())
      }
      sent.delete(FLASH)
      if (flash) sent.set(FLASH, flash)
      if (setCookie.length) sent.set('cookie', cookieAfter(sent, setCookie))
      return mark(goOn(answer, sent))
    } catch (error) {
      if (error instanceof StoreUnavailableError) return error.getResponse()
      throw error
    }
  }
}

/** Next takes no redirect to a path, which is what guards answer. */
function absolute(answer: Response | null | undefined, { url }: NextRequest): Response | undefined {
  const location = answer?.headers.get('location')
  if (!answer || !location?.startsWith('/')) return answer ?? undefined
  const copy = new Response(answer.body, answer)
  copy.headers.set('location', String(new URL(location, url)))
  return copy
}

/** The request's headers, as its handler has changed them. */
function headersAfter(answer: Response | undefined, { headers }: NextRequest): Headers {
  const names = answer?.headers.get(OVERRIDE)?.split(',').filter(Boolean)
  if (!answer || !names) return new Headers(headers)
  return new Headers(names.map((name) => [name, answer.headers.get(OVERRIDDEN + name) ?? '']))
}

/** Goes on with these request headers, unless the handler has answered. */
function goOn(answer: Response | undefined, headers: Headers): Response {
  const next = NextResponse.next({ request: { headers } })
  if (!answer) return next
  if (answer.headers.has('x-middleware-next') || answer.headers.has('x-middleware-rewrite')) {
    for (const [name, value] of next.headers) {
      if (name === OVERRIDE || name.startsWith(OVERRIDDEN)) answer.headers.set(name, value)
    }
  }
  return answer
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
