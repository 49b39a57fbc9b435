/** The session of the request that Next is answering, wherever its code runs. */
import { parseCookie } from 'cookie'
import { cookies, headers } from 'next/headers.js'
import { connection, NextRequest } from 'next/server.js'
import { SessionError } from '../errors.ts'
import type { FlashOf, Session, SessionData } from '../session/session.ts'
import type { Sessions } from '../session/sessions.ts'

/** A session as server components see it: everything but the methods that write. */
export type ReadonlySession<
  D extends SessionData = SessionData,
  Data extends object = Partial<D>,
> = Pick<
  Session<D, Data>,
  | 'id'
  | 'rotationId'
  | 'status'
  | 'data'
  | 'createdAt'
  | 'expiresAt'
  | 'subject'
  | 'authenticatedAt'
  | 'factors'
  | 'actor'
  | 'tags'
  | 'bound'
  | 'get'
  | 'has'
> & {
  /** Reads a value that the last request left; `sessionProxy` sees to it that only once. */
  flash<K extends string>(key: K): FlashOf<K>
}

/** The types of forms that Next takes for an action. */
const FORM = /^(?:multipart\/form-data|application\/x-www-form-urlencoded)/i

/**
 * Opens it from the request's headers, with these cookies.
 *
 * Next tells nobody the method, and what a copied cookie may do depends on it (`deviceBound`): actions, which their headers
 * name, and whatever `writes` count as a POST.
 */
export async function open<D extends SessionData, Data extends object>(
  sessions: Sessions<D, Data>,
  cookie: string,
  writes = false,
): Promise<Session<D, Data>> {
  const sent = new Headers(await headers())
  sent.set('cookie', cookie)
  const isAction = sent.has('next-action') || FORM.test(sent.get('content-type') ?? '')
  const method = writes || isAction ? 'POST' : 'GET'
  return await sessions.get(new Request('http://localhost', { method, headers: sent }))
}

/**
 * Returns the `Cookie` header that the browser sent, with what an action or a route handler of this
 * request has set or removed since in place of it.
 *
 * Next hands cookies out decoded, and of two cookies of one name only the last. Whoever chooses the
 * value of any cookie could end it early with an encoded `;` and add a session cookie of their own, so
 * nothing but the raw header and what this request itself has set counts.
 */
export async function cookieHeader(): Promise<string> {
  // Before cookies(), which writes the header again where the proxy has set a cookie.
  const sent = (await requestHeaders()).get('cookie') ?? ''
  const seen = new NextRequest('http://localhost', { headers: { cookie: sent } }).cookies
  const set = (await cookies())
    .getAll()
    .filter(({ name, value }) => /^[^\s;=]+$/.test(name) && seen.get(name)?.value !== value)
    .map(({ name, value }) => [name, encodeURIComponent(value)] as const)
  return replaceCookies(sent, set)
}

/** Returns the request's headers. */
export async function requestHeaders(): Promise<Awaited<ReturnType<typeof headers>>> {
  try {
    return await headers()
  } catch (error) {
    if (!isOutside(error)) throw error
    throw new SessionError(
      'There is no request: call getSession() and withSession() in a server component, server action or route handler, not as a module loads',
    )
  }
}

/**
 * Resolves when there is a request: with `cacheComponents` Next renders ahead with the headers of one,
 * but refuses the time of day there, which every session asks for.
 */
export async function untilRequest(): Promise<void> {
  try {
    await connection()
  } catch (error) {
    // Whoever asks for the headers next says it better.
    if (!isOutside(error)) throw error
  }
}

/** Next throws for purposes of its own too. */
const isOutside = (error: unknown): boolean =>
  String(Object(error).message).includes('outside a request scope')

const AS_SENT = { decode: (value: string): string => value }

/** Replaces cookies of a `Cookie` header, and removes those whose new value is empty. */
export function replaceCookies(
  header: string,
  changes: Iterable<readonly [name: string, value: string]>,
): string {
  const changed = new Map(changes)
  if (!changed.size) return header
  // A name is what the parser of the session takes for one. Were other blanks cut off, as trim() does,
  // a subdomain could set a `__Host-` cookie: browsers take one with a no-break space in front.
  const nameOf = (pair: string): string | undefined => Object.keys(parseCookie(pair, AS_SENT))[0]
  const isKept = (pair: string): boolean => pair !== '' && !changed.has(nameOf(pair) ?? '')
  const kept = header.split(/; ?/).filter(isKept)
  const added = [...changed].filter(([, value]) => value).map((pair) => pair.join('='))
  return [...kept, ...added].join('; ')
}
