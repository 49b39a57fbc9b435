/** Where a browser was on its way to, and how it gets there after signing in. */

const RETURN_TO = 'returnTo'
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
const ROUTER_DATA = /(?:(?<=\/)_(?:root)?)?\.data$|\/__data\.json$/
const ROUTER_HEADER = 'next-url'
const ROUTER_PARAMS = ['_routes', '_rsc', 'x-sveltekit-invalidated', 'x-sveltekit-trailing-slash']

const pathOf = (url: string): string => new URL(url, 'http://localhost').pathname

/** The path of the page that an address is of, or has the data of. */
export const pagePathOf = (url: string): string => pathOf(url).replace(ROUTER_DATA, '') || '/'

/**
 * Where to go after signing in: the path in `returnTo`, as `requireSession` put it there.
 * Never another site, whatever the query says.
 *
 * @param fallback A path, for when there is none. (default: `/`)
 */
export function returnPath(request: Request, fallback = '/'): string {
  const path = new URL(request.url).searchParams.get(RETURN_TO)
  return isPath(path) ? (path as string) : fallback
}

/** To the page to sign in on, and back to this one if there is one. */
export function redirect(page: string, to: string): Response {
  const back = page.replace(/^\w+:\/\/[^/]*|#.*$/g, '')
  const query = isPath(back)
    ? `${to.includes('?') ? '&' : '?'}${RETURN_TO}=${encodeURIComponent(back)}`
    : ''
  return new Response(null, {
    status: 303,
    headers: { location: to + query, 'cache-control': 'no-store' },
  })
}

/**
 * The page that a browser is on its way to, or that the form it sends is on: `''` where nobody says
 * which. `null` for scripts.
 */
export function pageOf({ headers, method, url }: Request): string | null {
  const page = new URL(url)
  page.pathname = pagePathOf(url)
  const isRouter = page.href !== url || headers.has(ROUTER_HEADER)
  if (!isRouter && !headers.get('accept')?.includes('text/html')) return null
  if (!/^(GET|HEAD)$/.test(method)) {
    const from = headers.get('referer') ?? ''
    return from.startsWith(`${page.origin}/`) ? from : ''
  }
  if (isRouter) for (const name of ROUTER_PARAMS) page.searchParams.delete(name)
  return page.href
}
