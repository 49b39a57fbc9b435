/**
 * Sessions for Next.js 16, App Router.
 *
 * @module
 * @example
 * // lib/session.ts
 * import { createSessions } from 'sojourn'
 * import * as next from 'sojourn/next'
 *
 * const sessions = createSessions({ secret: process.env.SESSION_SECRET! })
 * export const proxy = next.sessionProxy(sessions)
 * export const getSession = () => next.getSession(sessions)
 * export const withSession = next.withSession(sessions)
 *
 * // proxy.ts (or middleware.ts, with the name `middleware`)
 * export { proxy } from './lib/session'
 *
 * // app/page.tsx
 * const session = await getSession()
 *
 * // a server action or a route handler
 * await withSession((session) => session.login(name))
 */
import { parseSetCookie } from 'cookie'
import { cookies, headers } from 'next/headers.js'
import { type NextRequest, NextResponse } from 'next/server.js'
import * as React from 'react'
import { SessionError, StoreUnavailableError } from '../errors.ts'
import { markResponse } from '../response.ts'
import type { Session, SessionData } from '../session.ts'
import type { Sessions } from '../sessions.ts'
import { openFlash, sealFlash } from './next-flash.ts'

/** What server components see of a session: everything, and nothing that writes. */
export type ReadonlySession<D extends SessionData = SessionData> = Pick<
  Session<D>,
  | 'id'
  | 'status'
  | 'data'
  | 'createdAt'
  | 'expiresAt'
  | 'subject'
  | 'authenticatedAt'
  | 'get'
  | 'has'
> & {
  /** Reads a value that the last request left; {@link sessionProxy} sees to it that only once. */
  flash(key: string): unknown
}

/** What a proxy answers itself; nothing: go on. */
export type ProxyHandler = (
  request: NextRequest,
) => Response | undefined | Promise<Response | undefined>

/** Carries flash to the components of the same request. Inbound ones are stripped. */
const FLASH = 'x-sojourn-flash'
const PREFETCH = ['next-router-prefetch', 'x-middleware-prefetch']
const OVERRIDE = /^x-middleware-(override-headers|request-)/

/**
 * Makes what `proxy.ts` (Node) or `middleware.ts` (edge) exports: opens the session of requests that
 * have one, renews it, and hands what changed to the server components of the same request.
 *
 * @param handler Protects routes: returns a response, or nothing to go on. It may use and change the
 * session by `sessions.get(request)`; what it changed is committed.
 */
export function sessionProxy<D extends SessionData>(
  sessions: Sessions<D>,
  handler: ProxyHandler = () => undefined,
): (request: NextRequest) => Promise<Response> {
  return async (request) => {
    try {
      const answer = absolute(await handler(request), request)
      // What is only fetched ahead shows nobody anything yet.
      const isAhead = PREFETCH.some((name) => request.headers.has(name))
      const flash = isAhead ? null : await sealFlash(sessions, request)
      const marks = await sessions.commit(request, new Response(null))
      const setCookie = marks.headers.getSetCookie()
      const mark = (response: Response): Response =>
        marks.headers.has('vary')
          ? markResponse(response, setCookie, ['Cookie', 'set-cookie'])
          : response
      if (!flash && !setCookie.length && !request.headers.has(FLASH)) {
        return mark(answer ?? NextResponse.next())
      }
      const changed = new Headers(request.headers)
      changed.delete(FLASH)
      if (flash) changed.set(FLASH, flash)
      if (setCookie.length) changed.set('cookie', cookieAfter(request, setCookie))
      return mark(withHeaders(answer, changed))
    } catch (error) {
      if (error instanceof StoreUnavailableError) return error.getResponse()
      throw error
    }
  }
}

/** Next takes no redirect to a path, which is what guards answer. */
function absolute(answer: Response | undefined, { url }: NextRequest): Response | undefined {
  const location = answer?.headers.get('location')
  if (!answer || !location?.startsWith('/')) return answer
  const copy = new Response(answer.body, answer)
  copy.headers.set('location', String(new URL(location, url)))
  return copy
}

/** Goes on with changed request headers, unless the handler has answered. */
function withHeaders(answer: Response | undefined, changed: Headers): Response {
  const next = NextResponse.next({ request: { headers: changed } })
  const response = answer ?? next
  const goesOn = ['x-middleware-next', 'x-middleware-rewrite'].some((name) =>
    response.headers.has(name),
  )
  if (answer && goesOn) {
    for (const [name, value] of next.headers) {
      if (OVERRIDE.test(name)) answer.headers.set(name, value)
    }
  }
  return response
}

/** What the browser will send next. */
function cookieAfter({ cookies }: NextRequest, setCookie: readonly string[]): string {
  const jar = new Map(cookies.getAll().map(({ name, value }) => [name, value]))
  for (const { name, value = '', maxAge } of setCookie.map((one) => parseSetCookie(one))) {
    if (maxAge === 0) jar.delete(name)
    else jar.set(name, value)
  }
  return [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
}

/** By the headers of the request, so that `binding` holds; `cookie`: as it is now. */
async function open<D extends SessionData>(
  sessions: Sessions<D>,
  cookie: string,
): Promise<Session<D>> {
  const sent = new Headers(await headers())
  sent.set('cookie', cookie)
  return sessions.get(new Request('https://next.invalid', { headers: sent }))
}
// Once per request where React renders on the server; elsewhere there is no `cache`.
const openOnce: typeof open = React.cache?.(open) ?? open

/**
 * The session, read-only, in a server component; in actions and route handlers too. All components
 * of one request share one read.
 *
 * @throws {@link SessionError} outside of a request; as `sessions.open`.
 */
export async function getSession<D extends SessionData>(
  sessions: Sessions<D>,
): Promise<ReadonlySession<D>> {
  const session = await openOnce(sessions, await cookieHeader())
  const flash = await openFlash(sessions, session, (await headers()).get(FLASH))
  const refuse = (): never => {
    throw new SessionError(
      'Cannot change session in a server component: call withSession() in a server action or route handler',
      { code: 'ERR_SESSION_READ_ONLY' },
    )
  }
  const view: Record<string, unknown> = {
    flash: (key: string) => (Object.hasOwn(flash, key) ? flash[key] : undefined),
  }
  for (const name of ['set', 'unset', 'update', 'login', 'regenerate', 'destroy', 'once']) {
    view[name] = refuse
  }
  const get = (_: object, name: string): unknown => {
    const value = view[name] ?? session[name as keyof typeof session]
    return typeof value === 'function' && !view[name] ? value.bind(session) : value
  }
  return new Proxy({}, { get }) as ReadonlySession<D>
}

/**
 * Makes what writes in server actions and route handlers: gives the session to a function and saves
 * it into Next's cookies. When the function throws nothing is saved, `redirect()` apart.
 *
 * @throws as `sessions.save`; {@link SessionError} in a server component.
 */
export function withSession<D extends SessionData>(
  sessions: Sessions<D>,
): <T>(fn: (session: Session<D>) => T | Promise<T>) => Promise<T> {
  return async (fn) => {
    const session = await open(sessions, await cookieHeader())
    try {
      const result = await fn(session)
      await save(sessions, session)
      return result
    } catch (error) {
      if (String(Object(error).digest).startsWith('NEXT_REDIRECT')) await save(sessions, session)
      throw error
    }
  }
}

async function save<D extends SessionData>(sessions: Sessions<D>, session: Session<D>) {
  const jar = await cookies()
  for (const one of (await sessions.save(session)).map((line) => parseSetCookie(line))) {
    try {
      jar.set(one as never)
    } catch {
      throw new SessionError(
        'Cannot save session in a server component: call withSession() in a server action or route handler',
        { code: 'ERR_SESSION_READ_ONLY' },
      )
    }
  }
}

/** As it is now: what an action has set is in it. */
async function cookieHeader(): Promise<string> {
  try {
    return (await cookies())
      .getAll()
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ')
  } catch (error) {
    // Next throws for purposes of its own too.
    if (!String(Object(error).message).includes('outside a request scope')) throw error
    throw new SessionError(
      'There is no request: call getSession() and withSession() in a server component, server action or route handler, not at the top of a module',
    )
  }
}
