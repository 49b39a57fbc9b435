/** The way back: the page that a browser asked for, and gets after signing in. */
import { expectArgument } from '../check.ts'
import { hostOf } from './cross-site.ts'

const RETURN_TO = 'returnTo'
const BASE = 'http://localhost'
/**
 * A path of this site: what a browser could take for another host is none, nor what becomes one when
 * its dots are resolved (`/.//host`) and somebody redirects to the outcome.
 */
export const isPath = (value: unknown): boolean =>
  typeof value === 'string' && /^\/(?!\/)[!-[\]-~]*$/.test(value) && !pathOf(value).startsWith('//')

/**
 * Routers in a browser fetch a page's data in place of the page. Those of React Router and SvelteKit
 * do so under another path; Next's sends this header, and hides the others from its proxy.
 */
const ROUTER_DATA = /(?:(?<=\/)_(?:root)?)?\.data$|(?:\/|(?<=\.html))__data\.json$/
const ROUTER_HEADER = 'next-url'
const ROUTER_PARAMS = ['_routes', '_rsc', 'x-sveltekit-invalidated', 'x-sveltekit-trailing-slash']

/** Reads an address or a path, of which one with several slashes at its front names no other host. */
const parse = (url: string): URL => new URL(url.replace(/^\/+/, '/'), BASE)
const pathOf = (url: string): string => parse(url).pathname

/** The path of the page that an address is of, or has the data of. */
const pagePathOf = (url: string): string => pathOf(url).replace(ROUTER_DATA, '') || '/'

/**
 * Returns true for two addresses of one page, or of its data. Frameworks redirect to the form with or
 * without a trailing slash (`trailingSlash`), so that both are one page.
 */
const isSamePage = (url: string, other: string): boolean =>
  withoutSlash(url) === withoutSlash(other)

/**
 * Returns true for a request of a page. Where parsing its address makes another path of it (`/admin/../login`), a router
 * that reads the address as it is, as Hono on Deno, is about to show something else.
 */
export function isOnPage(url: string, page: string): boolean {
  if (!URL.canParse(url) || !isSamePage(url, page)) return false
  return hasPath(url, url.replace(/^\w+:\/\/[^/?#\\]*/, ''))
}

/** Tells whether a URL parses to a host, and to that path, query and fragment as they are. */
export function hasPath(url: string, path: string): boolean {
  if (!URL.canParse(url)) return false
  const { href, origin } = new URL(url)
  return href === origin + path
}

const withoutSlash = (url: string): string => pagePathOf(url).replace(/\/$/, '')

/**
 * Returns the path to go to after signing in: that in `returnTo`, as `requireSession` put it there.
 * Never another site, whatever the query says.
 *
 * @param from The request (that of Node and of Express too) or its address, a `URL` or `request.url`, whose query has it; or
 * the value itself, the text of a field of the form.
 * @param fallback A path, for when there is none. (default: `/`)
 * @throws TypeError for a fallback that is no path of this site, as a `Referer` is none.
 *
 * @example
 * `<input type="hidden" name="returnTo" value="${escape(returnPath(request))}">` // in the form to sign in
 * redirect(returnPath(form.get('returnTo'))) // after signing in
 */
export function returnPath(
  from: { readonly url?: string | undefined } | URL | string | File | null | undefined,
  fallback = '/',
): string {
  expectArgument(isPath(fallback), 'fallback', 'a path such as "/home"', fallback)
  const path = typeof from === 'string' && !URL.canParse(from) ? from : queryOf(from).get(RETURN_TO)
  return isPath(path) ? (path as string) : fallback
}

/** Returns the query of a request, or of a URL; an empty one where there is none. */
function queryOf(from: unknown): URLSearchParams {
  const { searchParams, url } = typeof from === 'string' ? { url: from } : Object(from)
  if (searchParams instanceof URLSearchParams) return searchParams
  return new URL(URL.canParse(url, BASE) ? url : '', BASE).searchParams
}

/** Returns the redirect to the page to sign in on, with the way back to this one if there is one. */
export function redirect(page: string, to: string): Response {
  const sent = page.replace(/^\w+:\/\/[^/]*|#.*/g, '')
  // A form on the page to sign in on knows the way back already; a way back to it would grow each time.
  const back = isSamePage(sent, to) ? parse(sent).searchParams.get(RETURN_TO) : sent
  const query = isPath(back)
    ? `${to.includes('?') ? '&' : '?'}${RETURN_TO}=${encodeURIComponent(back as string)}`
    : ''
  return new Response(null, {
    status: 303,
    headers: { location: to + query, 'cache-control': 'no-store' },
  })
}

/**
 * Returns the page that a browser is on its way to, or that the form it sends is on: `''` where nobody says
 * which. `null` for scripts.
 */
export function pageOf({ headers, method, url }: Request): string | null {
  // On Bun that of a request with a broken `Host` is a path alone.
  if (!URL.canParse(url)) return null
  const page = new URL(url)
  page.pathname = pagePathOf(url)
  const isRouter = page.href !== url || headers.has(ROUTER_HEADER)
  if (!isRouter && !headers.get('accept')?.includes('text/html')) return null
  if (method !== 'GET' && method !== 'HEAD') {
    const from = headers.get('referer') ?? ''
    // A proxy may have taken the TLS off, so that only the hosts can be compared.
    return hostOf(from) === page.host ? new URL(from).href : ''
  }
  if (isRouter) for (const name of ROUTER_PARAMS) page.searchParams.delete(name)
  return page.href
}
