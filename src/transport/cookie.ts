/** The session cookie: its name and attributes, reading it, writing it (RFC 6265bis). */
import {
  applyRules,
  type Complete,
  flagRule,
  integerRule,
  isToken,
  type Rule,
  refuseUnless,
  wordRule,
} from '../check.ts'
import type { OpenBudget } from '../crypto/token.ts'

/** Options for the session cookie. */
export interface CookieOptions {
  /**
   * A token (RFC 9110, 5.6.2) of at most 200 characters. The prefixes `__Host-`, `__Secure-`, `__Http-` and `__Host-Http-`
   * bring the rules of RFC 6265bis, checked at creation. (default: `__Host-session`)
   */
  name?: string | undefined
  /** Hides it from scripts. (default: `true`) */
  httpOnly?: boolean | undefined
  /**
   * Sends it over HTTPS only. For plain-http development in a browser that refuses `Secure` on
   * localhost (Safari): `{ name: 'session', secure: false }`. (default: `true`)
   */
  secure?: boolean | undefined
  /**
   * Limits in which requests that other sites cause it is sent: `'lax'` in links that are followed, `'strict'` in none, `'none'` in
   * all, which needs `secure`. (default: `'lax'`)
   */
  sameSite?: 'strict' | 'lax' | 'none' | undefined
  /** Path below which it is sent. (default: `'/'`, everywhere) */
  path?: string | undefined
  /** Shares it with subdomains, which `__Host-` forbids. (default: this host only) */
  domain?: string | undefined
  /** One cookie per top-level site (CHIPS). (default: `false`) */
  partitioned?: boolean | undefined
  /** Chromium evicts low ones first. (default: not set) */
  priority?: 'low' | 'medium' | 'high' | undefined
  /**
   * Seconds every session's cookie outlives the browser, at most 34_560_000 (400 days). Without it
   * the cookie ends with the browser, unless `login` says `persistent`. (default: not set)
   */
  maxAge?: number | undefined
  /**
   * Number of cookies that a large session may be split into, 1 to 4. Node refuses requests with over 16 KB
   * of headers, which four full ones are, and many proxies refuse 8 KB. (default: 1)
   */
  maxChunks?: number | undefined
}

/** A cookie beside that of the session: its label is what follows the name and a dot. */
export type SideCookie = readonly [label: string, value: string]

/** The cookies of the session in a `Cookie` header, parsed once for each request. */
export interface CookieFound {
  /** The values to try, in the order of the header; empty when there is none. */
  readonly tokens: readonly string[]
  /** Numbers of the chunks beyond the first that the browser has, once they are joined. */
  readonly chunks: readonly number[]
  /** All values of the session cookie, not joined yet; `undefined` where none is a chunk. */
  readonly pieces?: readonly Found[] | undefined
  /** Notes of rotations and ends, sealed. */
  readonly notes: readonly SideCookie[]
  /** Deferred writes, sealed. */
  readonly deferred: readonly SideCookie[]
  /** The budget for opening all of these. */
  readonly budget: OpenBudget
}

/** Reads and writes the session cookie. */
export interface SessionCookie {
  readonly name: string
  find(header: string | null): CookieFound
  /** Tells whether one cookie takes this token. */
  fits(token: string): boolean
  /**
   * The `Set-Cookie` values that put a token in place and remove chunks it no longer needs.
   *
   * @param parts The token, or its chunks.
   * @param lifetime Seconds for which the session lives if nothing happens.
   * @param persistent The cookie outlives the browser.
   */
  write(
    parts: readonly string[],
    lifetime: number,
    persistent: boolean,
    found: CookieFound,
  ): string[]
  /** The number of cookies that it may be split into. */
  readonly maxChunks: number
  /** Bytes of name and value that it may take, over all chunks. */
  readonly limit: number
  /** The `Set-Cookie` values that remove it. */
  remove(found: CookieFound): string[]
  /**
   * The `Set-Cookie` value of a side cookie; lives `age` seconds, or as long as the browser. Absent where
   * nothing can travel beside the session: then there are no notes and no deferred writes.
   */
  readonly side?: (label: string, value: string, age: number | undefined) => string
}

/** RFC 6265bis, 5.6.2: user agents cap lifetimes at 400 days. */
export const MAX_COOKIE_AGE = 34_560_000
/** RFC 6265bis, 5.7: name and value together; larger cookies are dropped without a word. */
export const MAX_COOKIE_BYTES = 4096
export const MAX_CHUNKS = 4
/** Enough for any honest browser; a header full of well-formed forgeries costs little. */
export const MAX_TOKENS = 32
/**
 * Side cookies of one kind that a request reads, and its response removes: the headers of many more
 * are too long for some proxies. The next request reads the others.
 */
const MAX_SIDE = 16
/** The ends of the names of the chunks. */
export const CHUNK_LABELS: readonly string[] = ['', '.1', '.2', '.3']
/**
 * Hours that a request may name and this isolate has not met: honest cookies and notes name one or
 * two, and each hour that is forged costs the derivation of a key.
 */
const MAX_NEW_HOURS = 4

type ResolvedCookieOptions = CookieOptions & Complete<Pick<CookieOptions, 'name' | 'maxChunks'>>

const isText =
  (pattern: RegExp) =>
  (value: unknown): boolean =>
    typeof value === 'string' && pattern.test(value)

/** Labels of RFC 1123; a dot at the front is ignored by browsers. */
const DOMAIN = /^\.?[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?(?:\.[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?)*$/i

/** The rules of {@link CookieOptions}. */
export const COOKIE_RULES: Record<keyof CookieOptions, Rule> = {
  name: ['__Host-session', 'a token (RFC 9110), at most 200 long', isToken],
  httpOnly: flagRule(true),
  secure: flagRule(true),
  sameSite: wordRule('lax', 'strict', 'none'),
  path: ['/', 'a path that starts with "/"', isText(/^\/[ -:<-~]*$/)],
  domain: [undefined, 'a domain name', isText(DOMAIN)],
  partitioned: flagRule(false),
  priority: wordRule(undefined, 'low', 'medium', 'high'),
  maxAge: integerRule(undefined, 1, MAX_COOKIE_AGE),
  maxChunks: integerRule(1, 1, MAX_CHUNKS),
}

/** Returns the `Set-Cookie` value that removes a cookie with these attributes. */
export const removalOf = (name: string, attributes: string): string =>
  `${name}=; Max-Age=0${attributes}`

/** Checks the options and fixes everything that does not change from response to response. */
export function createSessionCookie(options: CookieOptions): SessionCookie {
  const resolved = applyRules<ResolvedCookieOptions>('cookie.', COOKIE_RULES, options)
  assertPrefix(resolved)
  const { name, maxChunks, maxAge, ...attributes } = resolved
  // Only Max-Age varies.
  const suffix = spellAttributes(attributes)
  const chunkName = (i: number): string => name + CHUNK_LABELS[i]
  const removal = (i: number): string => removalOf(chunkName(i), suffix)
  return {
    name,
    find: (header) => findCookie(header, name),
    maxChunks,
    limit: maxChunks > 1 ? maxChunks * (MAX_COOKIE_BYTES - 2) : MAX_COOKIE_BYTES,
    fits: (token) => name.length + token.length <= MAX_COOKIE_BYTES,
    write(parts, lifetime, persistent, found) {
      const seconds = Math.min(lifetime, maxAge ?? MAX_COOKIE_AGE)
      const age = persistent || maxAge ? `; Max-Age=${seconds}` : ''
      return [
        ...parts.map((part, i) => `${chunkName(i)}=${part}${age}${suffix}`),
        ...found.chunks.filter((i) => i >= parts.length).map(removal),
      ]
    },
    remove: (found) => [0, ...found.chunks].map(removal),
    side: (label, value, age) =>
      `${name}.${label}=${value}${age === undefined ? '' : `; Max-Age=${age}`}${suffix}`,
  }
}

/** Spells the attributes of a `Set-Cookie` value, but for its times. */
export function spellAttributes(options: CookieOptions): string {
  const { domain, path, httpOnly, secure, partitioned, priority, sameSite } = options
  const capital = (word: string): string => word[0]!.toUpperCase() + word.slice(1)
  const attributes = [
    domain && `Domain=${domain}`,
    `Path=${path}`,
    httpOnly && 'HttpOnly',
    secure && 'Secure',
    partitioned && 'Partitioned',
    priority && `Priority=${capital(priority)}`,
    sameSite && `SameSite=${capital(sameSite)}`,
  ]
  return attributes.map((one) => (one ? `; ${one}` : '')).join('')
}

/** A value of a cookie, the number of its chunk, and which pair of the header it is in. */
export interface Found {
  readonly chunk: number
  readonly value: string
  readonly at: number
}

/**
 * The name in a pair of a `Cookie` header. Spaces and tabs around it are no part of it (RFC 6265bis,
 * 5.7), and no other blanks: browsers see no prefix in a name that begins with one. No two parts that
 * repeat match the same characters: the time grows with the length, whatever comes.
 */
const NAME = /^[ \t]*([^ \t=]+)[ \t]*=/

/**
 * Takes spaces and tabs from the ends of a value, and quotes, which some clients put around values (RFC
 * 2109; RFC 6265, 4.1.1). Those of ours have neither, so that any other value is as good as none.
 */
function bareValue(text: string): string {
  let start = 0
  let end = text.length
  // `trim` takes more, and a cookie with a byte order mark before it is none of ours.
  while (isBlank(text[start])) start++
  while (isBlank(text[end - 1])) end--
  const isQuoted = end - start > 1 && text[start] === '"' && text[end - 1] === '"'
  if (isQuoted) return text.slice(start + 1, end - 1)
  return text.slice(start, end)
}

const isBlank = (character: string | undefined): boolean => character === ' ' || character === '\t'

function findCookie(header: string | null, name: string): CookieFound {
  const found: Found[] = []
  const notes: SideCookie[] = []
  const deferred: SideCookie[] = []
  const pairs = header?.includes(name) ? header.split(';') : []
  for (let at = 0; at < pairs.length; at++) {
    const pair = pairs[at]!
    const match = pair.includes(name) && NAME.exec(pair)
    if (!match || !match[1]!.startsWith(name)) continue
    const label = match[1]!.slice(name.length)
    const value = bareValue(pair.slice(match[0].length))
    const chunk = CHUNK_LABELS.indexOf(label)
    if (chunk >= 0) found.push({ chunk, value, at })
    // The application may have cookies whose names begin like ours.
    if (chunk >= 0 || !/^\.[nd][\w-]{4}$/.test(label)) continue
    const side = label[1] === 'n' ? notes : deferred
    if (side.length < MAX_SIDE) side.push([label.slice(1), value])
  }
  const tokens: string[] = []
  for (const { chunk, value } of found) {
    if (chunk === 0 && tokens.length < MAX_TOKENS) tokens.push(value)
  }
  const isSplit = found.some(({ chunk }) => chunk > 0)
  const pieces = isSplit ? found : undefined
  return { tokens, chunks: [], pieces, notes, deferred, budget: { newHours: MAX_NEW_HOURS } }
}

function assertPrefix(options: ResolvedCookieOptions): void {
  const { name, sameSite, partitioned } = options
  const expect = (when: unknown, key: keyof CookieOptions, value: unknown): void => {
    const why = prefix
      ? `name "${name}" (not with a name such as "session")`
      : 'sameSite "none" or partitioned'
    const expected = `${value ?? 'left out'} with ${why}`
    refuseUnless(!when || options[key] === value, `cookie.${key}`, expected, options[key])
  }
  // RFC 6265bis, 4.1.3: user agents match the prefixes without regard to case.
  const prefix = /^__(host-http|host|http|secure)-/i.exec(name)?.[1]?.toLowerCase() ?? ''
  expect(prefix || sameSite === 'none' || partitioned, 'secure', true)
  expect(prefix.endsWith('http'), 'httpOnly', true)
  expect(prefix.startsWith('host'), 'domain', undefined)
  expect(prefix.startsWith('host'), 'path', '/')
}
