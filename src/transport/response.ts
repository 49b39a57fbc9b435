/** Puts a session's cookies on a response. The response that the application returned stays as it was. */
import { type SessionConflictError, SessionError, type StoreUnavailableError } from '../errors.ts'

/** The headers in which a session comes and goes. */
export type Carrier = readonly [request: string, response: string]

/** A mark of what an adapter gives in place of a `Response`: the head of one answer, which nobody sends twice. */
export interface OwnHead {
  readonly isOwn: true
}

/**
 * Returns a response with the `Set-Cookie` values, `Vary` and `Cache-Control` of a session.
 *
 * An application may make a response once and return it to everybody, so the headers go on a copy.
 * A page without a new cookie is marked in place: its body can be sent once only, and copying costs
 * it the fast paths that servers have for texts.
 *
 * @param isPrivate The response may show what is in the session of one visitor.
 */
export function markResponse(
  response: Response,
  values: readonly string[],
  carrier: Carrier,
  isPrivate = false,
): Response {
  const { headers, ok, status } = response
  const isHandshake = status < 200
  // Asked once for all: each question on its own takes as long.
  const there = Object.fromEntries(headers)
  // To ask for the body itself would cost as much as copying it.
  const isEmpty = status === 204 || there['content-length'] === '0'
  const isPage = ok && !isEmpty && there['content-type'] !== undefined
  const isOwn = isHandshake || 'isOwn' in response
  if (isOwn || (isPage && !values.length)) {
    try {
      mark(headers, there, values, carrier, isPrivate)
      return response
    } catch {
      // From `fetch`, that of a Durable Object too: immutable, except on Bun.
    }
  }
  let copy: Response
  try {
    copy = new Response(response.body, response)
  } catch (error) {
    // Only Workers and Deno rebuild a 101 (WebSocket), nobody a network error; neither is a page to cache.
    if (isHandshake) return response
    throw error
  }
  mark(copy.headers, there, values, carrier, isPrivate)
  return copy
}

/** Headers that CDNs put above `Cache-Control` (RFC 9213; Akamai, Fastly, LiteSpeed, nginx). */
export const CDN_HEADER: RegExp =
  /(?:cdn-cache|surrogate|edge|litespeed-cache)-control$|^x-accel-expires$/
const REPLACED = /^(?:public|private|s-maxage=.*|proxy-revalidate|must-understand)$/i
/** Directives with which no cache stores a page; `must-understand` has one that does forget `no-store` (RFC 9111, 5.2.2.3). */
const isNotStored = (all: readonly string[]): boolean =>
  all.some((one) => /^no-store$/i.test(one)) && !all.some((one) => /^must-understand$/i.test(one))

function mark(
  headers: Headers,
  there: Readonly<Record<string, string>>,
  values: readonly string[],
  [vary, name]: Carrier,
  isPrivate: boolean,
): void {
  const known = directives(there.vary?.toLowerCase())
  if (!known.includes('*') && !known.includes(vary.toLowerCase())) headers.append('vary', vary)
  for (const value of values) {
    // Two values in one header would be one that does not open.
    if (name !== 'set-cookie') headers.set(name, value)
    else if (!there[name] || !headers.getSetCookie().includes(value)) headers.append(name, value)
  }
  if (!values.length && !isPrivate) return
  for (const name in there) if (CDN_HEADER.test(name)) headers.delete(name)
  const kept = directives(there['cache-control'])
  if (isNotStored(kept)) return
  // OWASP: a response that sets a session cookie is not stored, by anybody.
  const own = values.length ? ['no-store'] : kept.filter((one) => !REPLACED.test(one))
  headers.set('cache-control', ['private', ...own].join(', '))
}

function directives(header: string | undefined): string[] {
  return header ? header.split(',').flatMap((one) => one.trim() || []) : []
}

/** Tells whether an error is answered with 503: by its `getResponse()`. */
export function isUnavailable(
  error: unknown,
): error is StoreUnavailableError | SessionConflictError {
  return error instanceof SessionError && 'getResponse' in error
}

/** Returns the answer to an error that is answered with 503; throws every other one. */
export function unavailableAnswer(error: unknown): Response {
  if (isUnavailable(error)) return error.getResponse()
  throw error
}
