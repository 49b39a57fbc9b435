/**
 * Sessions for Next.js 16, App Router.
 *
 * @module
 * @example
 * // lib/session.ts
 * import { createSessions } from 'sojourn'
 * import * as next from 'sojourn/next'
 *
 * export const sessions = createSessions({ secret: process.env.SESSION_SECRET })
 * export const proxy = next.sessionProxy(sessions)
 * export const getSession = () => next.getSession(sessions)
 * export const withSession = next.withSession(sessions)
 * export const handler = next.handler(sessions)
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
 * export const POST = handler(async (request) => {
 *   ;(await sessions.get(request)).destroy()
 *   return new Response(null, { status: 303, headers: { location: '/' } })
 * })
 */
import { refresh } from 'next/cache.js'
import { cookies, headers } from 'next/headers.js'
import { type NextRequest, NextResponse } from 'next/server.js'
import * as React from 'react'
import { expectArgument, expectSessions, refuseUnless } from '../check.ts'
import { SessionError } from '../errors.ts'
import { draftOf, getDraft, instanceOf, openedOf } from '../session/instances.ts'
import type { Session, SessionData } from '../session/session.ts'
import type { Sessions } from '../session/sessions.ts'
import { FLASH, openFlash } from './next-flash.ts'
import { checkSession, type PageRequirements } from './next-guard.ts'
import { cookieHeader, open, type ReadonlySession, untilRequest } from './next-request.ts'
import { isAnswered, queueUse } from './next-uses.ts'

export type { PageRequirements } from './next-guard.ts'
export { type ProxyHandler, sessionProxy } from './next-proxy.ts'
export type { ReadonlySession } from './next-request.ts'

let openOnce: typeof open | undefined

/**
 * The session, read-only, in a server component; in actions and route handlers too. All components
 * of one request share one read.
 *
 * @throws {@link SessionError} outside of a request; as `sessions.get`.
 */
export async function getSession<D extends SessionData, Data extends object = Partial<D>>(
  sessions: Sessions<D, Data>,
): Promise<ReadonlySession<D, Data>> {
  await untilRequest()
  // Once per request where React renders on the server; elsewhere there is no `cache`.
  openOnce ??= React.cache?.(open) ?? open
  const session = await openOnce(sessions, await cookieHeader())
  const flash = await openFlash(sessions, session, (await headers()).get(FLASH))
  const get = (_: object, name: string | symbol): unknown => {
    if (name === 'flash') {
      return (key: string, ...value: unknown[]) => (value.length ? refuseChange() : flash(key))
    }
    const value = session[name as keyof typeof session]
    if (typeof value !== 'function') return value
    // Every other method of a session writes.
    const reads = name === 'get' || name === 'has' || name in Object.prototype
    return reads ? value.bind(session) : refuseChange
  }
  // Its prototype is that of the session: React refuses to pass it to a client component, where a
  // plain object would arrive empty.
  return new Proxy<ReadonlySession<D, Data>>(session, { get, set: refuseChange })
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
  const factors = instanceOf(sessions)?.options.factors
  return await checkSession(() => getSession(sessions), requirements, factors)
}

/**
 * Makes what writes in server actions, and in route handlers: gives the session to a function and
 * saves it into Next's cookies; after an action the page shows it at once. When the function throws
 * nothing is saved, `redirect()` apart. Await it: what an action does not wait for cannot be saved.
 *
 * Calls of one request are queued. A call inside of another, or inside of {@link handler}, gets the
 * same session, which is saved once, when the outer one ends.
 *
 * A response of a route handler that calls this is not kept from caches, as no response is at hand
 * here: wrap the route handler in {@link handler}.
 *
 * @throws as `sessions.save`; {@link SessionError} in a server component; TypeError at once for
 * sessions whose `transport` is a header.
 */
export function withSession<D extends SessionData, Data extends object = Partial<D>>(
  sessions: Sessions<D, Data>,
): <T>(fn: (session: Session<D, Data>) => T | Promise<T>) => Promise<T> {
  expectSessions(sessions)
  const { transport } = instanceOf(sessions).options
  refuseUnless(transport === 'cookie', 'transport', '"cookie" for withSession()', transport)
  return async (fn) => {
    expectArgument(typeof fn === 'function', 'fn', 'a function', fn)
    return await queueUse(sessions, fn, async (share) => {
      const session = await open(sessions, await cookieHeader(), true)
      const commit = async (): Promise<void> => {
        refuseClear(session)
        const changed = getDraft(session).operations.length > 0
        const setCookie = await withOffer(session, await sessions.save(session))
        await setCookies(setCookie)
        try {
          // A cookie makes Next render the page again; what only the store has seen does not.
          if (changed && !setCookie.length) refresh()
        } catch {
          // In a route handler, which has no page.
        }
      }
      try {
        const result = await share(
          () => session,
          () => fn(session),
        )
        await commit()
        return result
      } catch (error) {
        if (isRedirect(error)) await commit()
        throw error
      }
    })
  }
}

/**
 * Makes what wraps route handlers: as `sessions.handler`, which saves the session of the request and
 * keeps caches from the response, but Next's `redirect()` saves too, as in {@link withSession}. After
 * `notFound()`, or any other error, nothing is saved. Next redirects with 307 here, which repeats a
 * form: after a POST return a response of 303.
 *
 * @example
 * // lib/session.ts
 * export const handler = next.handler(sessions)
 *
 * // app/sign-in/callback/route.ts
 * export const GET = handler(async (request) => {
 *   const session = await sessions.get(request)
 *   session.login(await userOf(request.nextUrl.searchParams.get('code')))
 *   redirect('/account')
 * })
 */
export function handler<D extends SessionData, Data extends object = Partial<D>>(
  sessions: Sessions<D, Data>,
): <A extends unknown[]>(
  fn: (request: NextRequest, ...rest: A) => Response | Promise<Response>,
) => (request: NextRequest, ...rest: A) => Promise<Response> {
  expectSessions(sessions)
  return (fn) => {
    expectArgument(typeof fn === 'function', 'fn', 'a function', fn)
    return sessions.handler(async (request, ...rest) => {
      const run = () => fn(request as NextRequest, ...rest)
      try {
        return await queueUse(sessions, run, (share) => share(() => sessions.get(request), run))
      } catch (error) {
        if (isRedirect(error)) {
          const session = await openedOf(sessions, request)
          refuseClear(session)
          const { headers } = await sessions.commit(request, new Response())
          await setCookies(await withOffer(session, headers.getSetCookie()))
        }
        throw error
      }
    })
  }
}

/** Adds the cookie by which the next response asks for a key (`deviceBound`): Next sets no header here. */
async function withOffer(
  session: object | null | undefined,
  values: readonly string[],
): Promise<readonly string[]> {
  const { device } = draftOf(Object(session))?.[0] ?? {}
  return device ? (await device.finish(new Response(), values, true))[1] : values
}

const isRedirect = (error: unknown): boolean =>
  String(Object(error).digest).startsWith('NEXT_REDIRECT')

async function setCookies(setCookie: readonly string[]): Promise<void> {
  const jar = await cookies()
  const headers = setCookie.map((line): [string, string] => ['set-cookie', line])
  try {
    // After an action that has changed nothing by its end, Next drops cookies without a word.
    if (setCookie.length && (await isAnswered())) throw new Error()
    for (const one of new NextResponse(null, { headers }).cookies.getAll()) {
      // Next's parser leaves out an empty value and an age of 0.
      jar.set(one.value ? one : { ...one, value: '', maxAge: 0 })
    }
  } catch {
    throw new SessionError(
      'Cannot save session in a server component, in after(), or after the action ended: await withSession() in a server action or route handler',
      READ_ONLY,
    )
  }
}

/** Next lets nobody set a header beside its own response of an action or a redirect. */
function refuseClear(session: object | null | undefined): void {
  if (!session || !getDraft(session).clearsSite) return
  throw new SessionError(
    'Cannot send Clear-Site-Data here: call destroy({ clear }) in a route handler wrapped in handler(), and return a Response of 303 instead of redirect()',
  )
}

const READ_ONLY = { code: 'ERR_SESSION_READ_ONLY' } as const

function refuseChange(): never {
  throw new SessionError(
    'Cannot change session: getSession() is read-only; call withSession() in a server action or route handler',
    READ_ONLY,
  )
}
