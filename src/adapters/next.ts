/**
 * Sessions for Next.js 16, App Router.
 *
 * @module
 * @example
 * // lib/session.ts
 * import { createSessions } from 'sojourn'
 * import * as next from 'sojourn/next'
 *
 * export const sessions = createSessions({ secret: process.env.SESSION_SECRET! })
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
 * // a server action
 * await withSession((session) => session.login(name))
 *
 * // app/sign-out/route.ts
 * export const POST = sessions.handler(async (request) => {
 *   ;(await sessions.get(request)).destroy()
 *   return new Response(null, { status: 303, headers: { location: '/' } })
 * })
 */
import { parseSetCookie } from 'cookie'
import { refresh } from 'next/cache.js'
import { cookies, headers } from 'next/headers.js'
import * as React from 'react'
import { refuseUnless } from '../check.ts'
import { SessionError } from '../errors.ts'
import { getDraft, type Session, type SessionData } from '../session/session.ts'
import { instanceOf, type Sessions } from '../session/sessions.ts'
import { FLASH, openFlash } from './next-flash.ts'
import { checkSession, type PageRequirements } from './next-guard.ts'
import { cookieHeader, open } from './next-request.ts'

export type { PageRequirements } from './next-guard.ts'
export { type ProxyHandler, sessionProxy } from './next-proxy.ts'

/** What server components see of a session: everything, and nothing that writes. */
export type ReadonlySession<
  D extends SessionData = SessionData,
  Data extends object = Partial<D>,
> = Pick<
  Session<D, Data>,
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

// Once per request where React renders on the server; elsewhere there is no `cache`.
const openOnce: typeof open = React.cache?.(open) ?? open

/**
 * The session, read-only, in a server component; in actions and route handlers too. All components
 * of one request share one read.
 *
 * @throws {@link SessionError} outside of a request; as `sessions.get`.
 */
export async function getSession<D extends SessionData, Data extends object = Partial<D>>(
  sessions: Sessions<D, Data>,
): Promise<ReadonlySession<D, Data>> {
  const session = await openOnce(sessions, await cookieHeader())
  const flash = await openFlash(sessions, session, (await headers()).get(FLASH))
  const refuse = (): never => refuseWrite('change')
  const view: Record<string, unknown> = {
    flash: (key: string, ...value: unknown[]) => (value.length ? refuse() : flash(key)),
  }
  for (const name of ['set', 'unset', 'update', 'login', 'regenerate', 'destroy', 'once']) {
    view[name] = refuse
  }
  const get = (_: object, name: string): unknown => {
    const value = view[name] ?? session[name as keyof typeof session]
    return typeof value === 'function' ? value.bind(session) : value
  }
  return new Proxy({}, { get }) as ReadonlySession<D, Data>
}

/**
 * The session of a page or an action that is not for everybody: as {@link getSession}, but who does
 * not meet the requirements is sent away. A proxy can be missed by a matcher, or by an action called
 * from another page: this cannot.
 *
 * @throws what `onMissing` throws, such as Next's `redirect()`; {@link SessionNotFoundError} without
 * it; {@link SessionError} when `allow` says no; {@link StoreUnavailableError} when the store could not
 * be asked: nobody is sent to sign in because of an outage.
 *
 * @example
 * export default async function Account() {
 *   const session = await requireSession(sessions, { onMissing: () => redirect('/sign-in') })
 *   return <p>Hello {session.subject}</p>
 * }
 */
export async function requireSession<D extends SessionData, Data extends object = Partial<D>>(
  sessions: Sessions<D, Data>,
  requirements: PageRequirements<D> = {},
): Promise<ReadonlySession<D, Data>> {
  return await checkSession(() => getSession(sessions), requirements)
}

/**
 * Makes what writes in server actions, and in route handlers: gives the session to a function and
 * saves it into Next's cookies; after an action the page shows it at once. When the function throws
 * nothing is saved, `redirect()` apart.
 *
 * A route handler may be `sessions.handler(...)` as well, which answers 503 when the store fails and
 * keeps caches away; Next's `redirect()` throws there, so return a `Response`.
 *
 * Calls of one request go one after the other: each saves a session of its own.
 *
 * @throws as `sessions.save`; {@link SessionError} in a server component; TypeError at once for
 * sessions whose `transport` is a header.
 */
export function withSession<D extends SessionData, Data extends object = Partial<D>>(
  sessions: Sessions<D, Data>,
): <T>(fn: (session: Session<D, Data>) => T | Promise<T>) => Promise<T> {
  const { transport } = instanceOf(sessions).options
  refuseUnless(transport === 'cookie', 'transport', '"cookie" for withSession()', transport)
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

async function save<D extends SessionData, Data extends object>(
  sessions: Sessions<D, Data>,
  session: Session<D, Data>,
) {
  const jar = await cookies()
  const changed = getDraft(session).operations.length > 0
  const setCookie = await sessions.save(session)
  try {
    for (const one of setCookie) jar.set(parseSetCookie(one) as never)
  } catch {
    refuseWrite('save')
  }
  try {
    // A cookie makes Next render the page again; what only the store has seen does not.
    if (changed && !setCookie.length) refresh()
  } catch {
    // In a route handler, which has no page.
  }
}

function refuseWrite(what: 'change' | 'save'): never {
  throw new SessionError(
    `Cannot ${what} session in a server component or after(): call withSession() in a server action or route handler`,
    { code: 'ERR_SESSION_READ_ONLY' },
  )
}
