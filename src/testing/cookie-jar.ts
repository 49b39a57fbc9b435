import { applyRules, type Complete, expectArgument, functionRule, type Rule } from '../check.ts'
import { parseDate } from './cookie-date.ts'

/** A cookie as a browser stores it. */
export interface JarCookie {
  readonly name: string
  readonly value: string
  /** Lower case. */
  readonly domain: string
  /** Sent to exactly `domain`, not to its subdomains. */
  readonly hostOnly: boolean
  readonly path: string
  readonly secure: boolean
  readonly httpOnly: boolean
  readonly sameSite: 'strict' | 'lax' | 'none' | null
  readonly partitioned: boolean
  /** Epoch milliseconds; `Infinity` for a cookie that ends with the browser. */
  readonly expiresAt: number
  /** Epoch milliseconds of when a cookie of this name, domain and path first came. */
  readonly createdAt: number
}

/** A browser's cookie storage for tests. */
export interface CookieJar {
  /** Takes in every `Set-Cookie` of `response`, as the answer to a request for `url`. */
  store(response: Response, url?: string | URL): void
  /** The `Cookie` header for a request to `url`, or `null` when there is nothing to send. */
  header(url?: string | URL): string | null
  /** Makes a request that carries the cookies; a `cookie` header in `init` is sent instead. */
  request(url?: string | URL, init?: RequestInit): Request
  /** Sends a request to a handler and takes in its answer; redirects are not followed. */
  fetch(
    handler: (request: Request) => Response | Promise<Response>,
    url?: string | URL,
    init?: RequestInit,
  ): Promise<Response>
  /** The cookies that would be sent to `url`, in that order. */
  cookies(url?: string | URL): readonly JarCookie[]
  /** The value that would be sent to `url` under this name. */
  get(name: string, url?: string | URL): string | undefined
  /** Forgets every cookie. */
  clear(): void
}

/** Options for {@link createCookieJar}. */
export interface CookieJarOptions {
  /** The base of relative URLs. (default: https://example.com) */
  origin?: string
  /** Epoch milliseconds. (default: Date.now) */
  now?: () => number
}

const RULES: Record<string, Rule> = {
  origin: ['https://example.com', 'a URL', (value: string) => URL.canParse(value)],
  now: functionRule(() => Date.now()),
}
/** Longest life of a cookie, RFC 6265bis, 5.5. */
const MAX_AGE_CAP = 400 * 86_400
/** Octets of name and value, RFC 6265bis, 5.6. */
const MAX_PAIR = 4096
/** Octets of one attribute's value; longer ones are ignored, RFC 6265bis, 5.6. */
const MAX_ATTRIBUTE = 1024

const octets = (text: string): number => new TextEncoder().encode(text).length
const trim = (text: string): string => text.replace(/^[ \t]+|[ \t]+$/g, '')

/** Tells whether an address is of this machine. */
export const isLoopback = ({ hostname }: URL): boolean =>
  /^((.+\.)?localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)

/** Chromium treats loopback as if it were https, also for `Secure` cookies. */
const isTrustworthy = (url: URL): boolean => /^(https|wss):$/.test(url.protocol) || isLoopback(url)

const isAddress = (host: string): boolean => /^[\d.]+$/.test(host) || host.startsWith('[')

function domainMatches(host: string, domain: string): boolean {
  return host === domain || (!isAddress(host) && host.endsWith(`.${domain}`))
}

function pathMatches(path: string, cookiePath: string): boolean {
  if (!path.startsWith(cookiePath)) return false
  return path === cookiePath || cookiePath.endsWith('/') || path[cookiePath.length] === '/'
}

/** RFC 6265bis, 5.1.4. */
function defaultPath({ pathname }: URL): string {
  const end = pathname.lastIndexOf('/')
  return end > 0 ? pathname.slice(0, end) : '/'
}

/** A `Set-Cookie` value taken apart. */
export interface SetCookie {
  readonly name: string
  readonly value: string
  /** By lower-case name; of several the last counts. */
  readonly attributes: ReadonlyMap<string, string>
}

/** Takes a `Set-Cookie` value apart, by RFC 6265bis, 5.6. */
export function parseSetCookie(header: string): SetCookie {
  const [pair = '', ...rest] = header.split(';')
  const equals = pair.indexOf('=')
  const name = trim(pair.slice(0, Math.max(equals, 0)))
  const value = trim(pair.slice(equals + 1))
  const attributes = new Map<string, string>()
  for (const attribute of rest) {
    const at = attribute.indexOf('=')
    const key = trim(at < 0 ? attribute : attribute.slice(0, at)).toLowerCase()
    const text = at < 0 ? '' : trim(attribute.slice(at + 1))
    if (octets(text) <= MAX_ATTRIBUTE) attributes.set(key, text)
  }
  return { name, value, attributes }
}

/** Returns the time at which the cookie ends: `Max-Age` before `Expires`, neither longer than 400 days. */
function endOf(attributes: ReadonlyMap<string, string>, now: number): number {
  const maxAge = attributes.get('max-age') ?? ''
  const latest = now + MAX_AGE_CAP * 1000
  if (/^-?\d+$/.test(maxAge)) {
    return Number(maxAge) <= 0 ? -Infinity : Math.min(now + Number(maxAge) * 1000, latest)
  }
  const expires = parseDate(attributes.get('expires') ?? '')
  return expires === null ? Infinity : Math.min(expires, latest)
}

function sameSiteOf(attributes: ReadonlyMap<string, string>): JarCookie['sameSite'] {
  const value = attributes.get('samesite')?.toLowerCase()
  return value === 'strict' || value === 'lax' || value === 'none' ? value : null
}

/** The cookie that `header` describes, or `null` when a browser would ignore it. */
function toCookie(header: string, url: URL, now: number): JarCookie | null {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what the rule is about
  if (/[\x00-\x08\x0a-\x1f\x7f]/.test(header)) return null
  const { name, value, attributes } = parseSetCookie(header)
  if (name + value === '' || octets(name + value) > MAX_PAIR) return null
  const domain = (attributes.get('domain') ?? '').replace(/^\./, '').toLowerCase()
  const path = attributes.get('path') ?? ''
  const cookie: JarCookie = {
    name,
    value,
    domain: domain || url.hostname,
    hostOnly: domain === '',
    path: path.startsWith('/') ? path : defaultPath(url),
    secure: attributes.has('secure'),
    httpOnly: attributes.has('httponly'),
    sameSite: sameSiteOf(attributes),
    partitioned: attributes.has('partitioned'),
    expiresAt: endOf(attributes, now),
    createdAt: now,
  }
  return isAllowed(cookie, url) && obeysPrefix(cookie, attributes) ? cookie : null
}

function isAllowed(cookie: JarCookie, url: URL): boolean {
  const { domain, hostOnly, secure, sameSite, partitioned } = cookie
  if (secure && !isTrustworthy(url)) return false
  if (!secure && (partitioned || sameSite === 'none')) return false
  // Stands in for the public suffix list: a domain of one label belongs to nobody.
  if (!hostOnly && !domain.includes('.') && domain !== url.hostname) return false
  return domainMatches(url.hostname, domain)
}

/** RFC 6265bis, 4.1.3 and 5.7; without a name the value may not pretend to have a prefix. */
function obeysPrefix(cookie: JarCookie, attributes: ReadonlyMap<string, string>): boolean {
  const { name, value, secure, httpOnly, hostOnly, path } = cookie
  if (name === '') return !/^__(secure|host|http)-/i.test(value)
  const isHost = secure && hostOnly && attributes.has('path') && path === '/'
  if (/^__host-/i.test(name) && !isHost) return false
  if (/^__(host-)?http-/i.test(name) && !httpOnly) return false
  return secure || !/^__(secure|http)-/i.test(name)
}

class Jar implements CookieJar {
  readonly #origin: string
  readonly #now: () => number
  readonly #cookies: Map<string, JarCookie> = new Map()

  constructor(origin: string, now: () => number) {
    this.#origin = origin
    this.#now = now
  }

  readonly store: CookieJar['store'] = (response, url) => {
    const isResponse = typeof response?.headers?.getSetCookie === 'function'
    const expected = 'a Response: does the handler return one?'
    expectArgument(isResponse, 'response', expected, response)
    for (const header of response.headers.getSetCookie()) this.#take(header, this.#url(url))
  }

  readonly header: CookieJar['header'] = (url) => {
    const pairs = this.cookies(url).map(({ name, value }) => (name ? `${name}=${value}` : value))
    return pairs.length > 0 ? pairs.join('; ') : null
  }

  readonly request: CookieJar['request'] = (url, init = {}) => {
    const headers = new Headers(init.headers)
    const cookie = this.header(url)
    if (cookie !== null && !headers.has('cookie')) headers.set('cookie', cookie)
    return new Request(this.#url(url), { ...init, headers })
  }

  readonly fetch: CookieJar['fetch'] = async (handler, url, init) => {
    expectArgument(typeof handler === 'function', 'handler', 'a function', handler)
    const response = await handler(this.request(url, init))
    this.store(response, url)
    return response
  }

  readonly cookies: CookieJar['cookies'] = (url) => {
    const target = this.#url(url)
    const secure = isTrustworthy(target)
    return [...this.#cookies.values()]
      .filter((cookie) => cookie.expiresAt > this.#now())
      .filter(({ hostOnly, domain }) =>
        hostOnly ? target.hostname === domain : domainMatches(target.hostname, domain),
      )
      .filter((cookie) => pathMatches(target.pathname, cookie.path))
      .filter((cookie) => secure || !cookie.secure)
      .sort((a, b) => b.path.length - a.path.length || a.createdAt - b.createdAt)
  }

  readonly get: CookieJar['get'] = (name, url) =>
    this.cookies(url).find((cookie) => cookie.name === name)?.value

  readonly clear = (): void => this.#cookies.clear()

  #url(url: string | URL = '/'): URL {
    return new URL(url, this.#origin)
  }

  #take(header: string, url: URL): void {
    const cookie = toCookie(header, url, this.#now())
    if (!cookie || this.#shadowsSecure(cookie, url)) return
    const key = JSON.stringify([cookie.name, cookie.domain, cookie.hostOnly, cookie.path])
    const createdAt = this.#cookies.get(key)?.createdAt ?? cookie.createdAt
    if (cookie.expiresAt <= this.#now()) this.#cookies.delete(key)
    else this.#cookies.set(key, { ...cookie, createdAt })
  }

  /** Plain http may not replace, or hide, what came with `Secure` (RFC 6265bis, 5.7, step 16). */
  #shadowsSecure(cookie: JarCookie, url: URL): boolean {
    if (cookie.secure || isTrustworthy(url)) return false
    return [...this.#cookies.values()].some(
      (other) =>
        other.secure &&
        other.name === cookie.name &&
        (domainMatches(other.domain, cookie.domain) ||
          domainMatches(cookie.domain, other.domain)) &&
        pathMatches(cookie.path, other.path),
    )
  }
}

/**
 * Makes a cookie jar that stores and sends cookies as a browser does, by
 * {@link https://httpwg.org/http-extensions/draft-ietf-httpbis-rfc6265bis.html RFC 6265bis}:
 * `Domain`, `Path`, `Secure` (loopback counts as secure, as in Chromium), `Max-Age`, `Expires`, the
 * prefixes `__Host-`, `__Secure-`, `__Http-` and `__Host-Http-`, and the limits on size and age.
 *
 * Every request counts as same-site and top-level. There is no public suffix list: only domains of
 * one label are refused. No limit on the number of cookies. `request` and `fetch` do not work inside
 * a browser, which owns the `Cookie` header.
 *
 * @throws TypeError when `origin` is not a URL.
 *
 * @example
 * const jar = createCookieJar()
 * await jar.fetch(app, '/login', { method: 'POST' })
 * const page = await jar.fetch(app, '/')   // carries the cookie that the login set
 */
export function createCookieJar(options: CookieJarOptions = {}): CookieJar {
  const { origin, now } = applyRules<Complete<CookieJarOptions>>('', RULES, options)
  return new Jar(new URL(origin).href, now)
}
