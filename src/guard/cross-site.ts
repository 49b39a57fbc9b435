/** Requests that another site makes a browser send (CSRF), beyond those that `SameSite` stops. */
import { refuseUnless } from '../check.ts'

const SAFE = /^(GET|HEAD|OPTIONS|TRACE)$/

/**
 * Refuses what a page of another origin makes a browser send, with its cookies where `SameSite` lets
 * them through: from a subdomain, or with `sameSite: 'none'`. 403, or `null` for who may go on:
 * safe methods (RFC 9110, 9.2.1) but for WebSockets, requests of one's own pages, and clients that
 * are no browsers.
 *
 * By `Sec-Fetch-Site` ({@link https://www.w3.org/TR/fetch-metadata/ Fetch Metadata}), which every
 * browser of today sends to trustworthy origins; else, and always for WebSockets, by `Origin`. Its
 * host and port must be those of the request's URL, and an `https:` request refuses an `http:` origin,
 * which anybody on the network can forge. Behind a proxy that changes `Host` or the port, the origins
 * that browsers see belong into `trusted`.
 *
 * @param trusted Origins that may send requests besides the request's own, such as
 * `https://admin.example.com`.
 * @throws TypeError when that is no list.
 *
 * @example
 * sessions.handler(async (request) => refuseCrossSite(request) ?? answer(request))
 */
export function refuseCrossSite(
  request: Request,
  trusted: readonly string[] = [],
): Response | null {
  refuseUnless(!!request?.headers, 'request', 'a Request', request)
  const { headers, method, url } = request
  // Of a text every part would be trusted: `https://example.co` of `https://example.com`.
  refuseUnless(Array.isArray(trusted), 'trusted', 'a list of origins', trusted)
  const origin = headers.get('origin')
  // Any page may open a WebSocket, with a GET and, in every browser, its `Origin`.
  const isSocket = /websocket/i.test(headers.get('upgrade') ?? '')
  const isSafe = SAFE.test(method) && !isSocket
  if (isSafe || (origin !== null && trusted.includes(origin))) return null
  const site = isSocket ? null : headers.get('sec-fetch-site')
  const isOwn = site
    ? site === 'same-origin' || site === 'none'
    : origin === null || isOwnOrigin(origin, url)
  if (isOwn) return null
  return new Response('Forbidden', { status: 403, headers: { 'cache-control': 'no-store' } })
}

/** A proxy may have taken the TLS off, so that an `https:` origin may have sent an `http:` request. */
function isOwnOrigin(origin: string, url: string): boolean {
  const isDowngrade = /^http:/.test(origin) && /^(https|wss):/.test(url)
  const host = hostOf(url)
  // Neither `Origin: null` nor an address that does not parse has one.
  return !isDowngrade && host !== null && hostOf(origin) === host
}

/** Returns the host of an absolute URL with its port where that is not the default, else `null`. */
export function hostOf(url: string): string | null {
  return URL.canParse(url) ? new URL(url).host : null
}
