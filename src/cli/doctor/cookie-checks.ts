/** Checks of one `Set-Cookie`: its attributes, its prefix, its size. */
import { spellKey } from '../../crypto/keyring.ts'
import { parseToken } from '../../crypto/token.ts'
import { isLoopback } from '../../testing/cookie-jar.ts'
import { MAX_COOKIE_BYTES } from '../../transport/cookie.ts'
import { fine, type Judgement, note, wrong } from './finding.ts'
import type { SetCookie } from './set-cookie.ts'

/** Checks `Secure`, which decides whether the cookie can be read and set over plain http. */
export function checkSecure({ attributes, hop: { url } }: SetCookie): Judgement {
  const isSecure = attributes.has('secure')
  if (url.protocol === 'https:') {
    if (isSecure) return fine('It is Secure, and came over https')
    return wrong(
      'It is not Secure, although the page came over https: plain http reveals it',
      'Leave cookie.secure at its default, true. Behind a proxy that ends TLS request.url begins with "http:", so do not derive it from that',
    )
  }
  if (isLoopback(url)) {
    return note(
      `The page came over http from this machine, where ${isSecure ? 'most browsers take Secure cookies (Safari does not)' : 'the cookie needs no Secure'}`,
      'Run the doctor on the public address as well',
    )
  }
  return wrong(
    isSecure
      ? 'It is Secure, and the page came over plain http: browsers drop it'
      : 'The page came over plain http: everybody on the way reads the cookie',
    'Serve the site over https, and redirect http to it',
  )
}

/** Checks the rules that the name's prefix brings (RFC 6265bis, 4.1.3): a browser drops what breaks one. */
export function checkPrefix({ attributes, name }: SetCookie): Judgement {
  const prefix = /^__(host-http|host|http|secure)-/i.exec(name)?.[0]
  if (!prefix) {
    return note(
      'Its name has no prefix, so that a subdomain or plain http can set a cookie of this name',
      'The default name, __Host-session, shuts them out',
    )
  }
  const broken: string[] = []
  if (!attributes.has('secure')) broken.push('Secure')
  if (/http-$/i.test(prefix) && !attributes.has('httponly')) broken.push('HttpOnly')
  if (/host/i.test(prefix)) {
    if (attributes.get('path') !== '/') broken.push('Path=/')
    if (attributes.has('domain')) broken.push('no Domain')
  }
  if (!broken.length) return fine(`It keeps what its prefix ${prefix} promises`)
  const advice =
    'Does a proxy rewrite cookies (proxy_cookie_path, proxy_cookie_domain)? Sojourn sends them right'
  return wrong(`Browsers drop it: ${prefix} needs ${broken.join(', ')}`, advice)
}

/** Checks the attributes that concern scripts, other sites and other hosts. */
export function checkAttributes({ attributes, hop: { url } }: SetCookie): Judgement[] {
  const found: Judgement[] = []
  if (!attributes.has('httponly')) {
    const text = 'It is not HttpOnly: every script on the page can read it'
    found.push(wrong(text, 'Leave cookie.httpOnly at its default, true'))
  }
  const sameSite = attributes.get('samesite')?.toLowerCase()
  if (!sameSite) {
    const text = 'It has no SameSite: browsers differ in what they make of that'
    found.push(wrong(text, 'Leave cookie.sameSite at its default, "lax"'))
  } else if (sameSite === 'none') {
    const text = 'It is SameSite=None: every site can have it sent along'
    const advice = 'Check Origin or a CSRF token: refuseCrossSite of sojourn/guard'
    found.push(note(text, advice))
  }
  const domain = attributes.get('domain')?.replace(/^\./, '').toLowerCase()
  if (domain && url.hostname !== domain && !url.hostname.endsWith(`.${domain}`)) {
    const text = `Its Domain, ${domain}, is not that of the page: browsers drop it`
    found.push(wrong(text, 'Leave cookie.domain out, or set it to the domain of the site'))
  }
  const path = attributes.get('path') || '/'
  if (!url.pathname.startsWith(path.replace(/\/$/, ''))) {
    const text = `Its Path, ${path}, is not that of the page: it is not sent to it`
    found.push(wrong(text, 'Leave cookie.path at its default, "/"'))
  }
  return found.length ? found : [fine(`It is HttpOnly and SameSite=${sameSite}`)]
}

/** Checks that all answers seal under one key, whose id can be read without its secret. */
export function checkKeys(cookies: readonly (SetCookie | undefined)[]): Judgement[] {
  const tokens = cookies.map((cookie) => parseToken(cookie?.value.replace(/^[2-4]\./, '') ?? ''))
  const ids = new Set(tokens.flatMap((token) => (token ? [spellKey(token.id)] : [])))
  if (ids.size < 2) return []
  const text = `Two visits got cookies sealed under different keys (${[...ids].join(', ')}): instances have different secrets`
  const advice =
    'Give all of them the same list of secrets. While a secret is being replaced, it passes when the deployment is done'
  return [wrong(text, advice)]
}

/** Checks that a browser takes a cookie of this size. */
export function checkLength({ name, value }: SetCookie): Judgement[] {
  const bytes = name.length + value.length
  if (bytes <= MAX_COOKIE_BYTES) return []
  const text = `It has ${bytes} bytes, and browsers drop cookies above ${MAX_COOKIE_BYTES}`
  return [wrong(text, 'Does a proxy or middleware add to it? Sojourn sends none as large')]
}
