import { applyRules, integerRule, MAX_TIMEOUT, numberRule, refuseUnless } from '../check.ts'
import type { SessionData } from '../session/session.ts'
import {
  type CookieImporter,
  createImporter,
  type ImporterOptions,
  importerRules,
  isObject,
  nameRule,
  type RawCookies,
  valuesOf,
} from './importer.ts'
import { unseal } from './iron.ts'

/** What {@link fromH3} can be told. */
export interface H3Options<D extends SessionData = SessionData> extends ImporterOptions<D> {
  /** As in h3, at least 32 characters. */
  password: string
  /** As in h3; nuxt-auth-utils calls it `'nuxt-session'`. (default: `'h3'`) */
  name?: string
  /** As in h3: seconds since the session began. (default: what the seal says) */
  maxAge?: number
  /** As in h3: seconds since it was last sealed. (default: what the seal says) */
  idleTimeout?: number
  /** Rounds of PBKDF2, if `seal` changed them. (default: 1 of h3 version 1, and 8192 of version 2) */
  iterations?: number
}

const CHUNKED = '__chunked__'
const MAX_CHUNKS = 100

/**
 * Reads the session cookies of h3, versions 1 and 2: those of Nitro, Nuxt and TanStack Start.
 *
 * `toSession` gets what h3 calls `data`. h3's `sessionHeader` is not read.
 *
 * @throws TypeError or RangeError naming the option that is wrong.
 *
 * @example
 * fromH3({
 *   password: env.NUXT_SESSION_PASSWORD,
 *   name: 'nuxt-session',
 *   toSession: ({ user }) => ({
 *     data: { user },
 *     subject: user ? String((user as { id: number }).id) : null,
 *   }),
 * })
 */
export function fromH3<D extends SessionData = SessionData>(
  options: H3Options<D>,
): CookieImporter<D> {
  const expected = 'at least 32 characters long'
  const holds = (value: unknown): boolean => typeof value === 'string' && value.length >= 32
  const rules = {
    ...importerRules(),
    name: nameRule('h3'),
    password: [undefined, expected, holds] as const,
    maxAge: numberRule(undefined, 0, MAX_TIMEOUT),
    idleTimeout: numberRule(undefined, 0, MAX_TIMEOUT),
    iterations: integerRule(undefined, 1, 10_000_000),
  }
  const resolved = applyRules<H3Options<D> & { name: string }>('', rules, options)
  const { name, password, maxAge, idleTimeout, iterations } = resolved
  refuseUnless(!!password, 'password', expected, password)
  const keys = {
    passwords: (): string[] => [password],
    iterations: iterations ? [iterations] : [1, 8192],
  }

  return createImporter<D>(resolved, async (cookies, now) => {
    const isOver = (since: unknown, seconds: number | undefined): boolean =>
      !!seconds && !(now - Number(since ?? Number.NaN) <= seconds * 1000)
    for (const value of valuesOf(cookies, name)) {
      const { seal, chunks } = join(cookies, name, value)
      const session = await unseal(seal, keys, now)
      const { data, createdAt, lastSeenAt = createdAt } = session ?? {}
      if (!isObject(data)) continue
      if (isOver(createdAt, maxAge) || isOver(lastSeenAt, idleTimeout)) continue
      return { data, createdAt, remove: [name, ...chunks] }
    }
    return null
  })
}

/** Puts chunks together: `__chunked__2` says that there are `name.1` and `name.2`. */
function join(
  cookies: RawCookies,
  name: string,
  value: string,
): { seal: string; chunks: readonly string[] } {
  if (!value.startsWith(CHUNKED)) return { seal: value, chunks: [] }
  const count = Math.min(Number.parseInt(value.slice(CHUNKED.length), 10) || 0, MAX_CHUNKS)
  const chunks = Array.from({ length: Math.max(0, count) }, (_, i) => `${name}.${i + 1}`)
  return { seal: chunks.map((chunk) => valuesOf(cookies, chunk)[0] ?? '').join(''), chunks }
}
