import { integerRule, MAX_TIMEOUT, numberRule } from '../check.ts'
import type { SessionData } from '../session/session.ts'
import {
  type CookieImporter,
  checkOptions,
  createImporter,
  type ImporterOptions,
  isObject,
  nameRule,
  type RawCookies,
  valuesOf,
} from './importer.ts'
import { openSeal, parseSeal, type Seal } from './iron.ts'

/** Options for {@link fromH3}. */
export interface H3Options<D extends SessionData = SessionData> extends ImporterOptions<D> {
  /** As in h3, at least 32 characters. */
  password: string
  /** As in h3; nuxt-auth-utils calls it `'nuxt-session'`. (default: `'h3'`) */
  name?: string
  /** As in h3: seconds since the session began. (default: what the seal says) */
  maxAge?: number
  /** As in h3: seconds since it was last sealed. (default: what the seal says) */
  idleTimeout?: number
  /**
   * The version of h3 that made the cookies: 1 with Nuxt 3 and 4, Nitro 2. Version 2 derives its keys
   * in 8192 rounds, which a forged cookie costs too. (default: either)
   */
  version?: 1 | 2
  /** Rounds of PBKDF2, if `seal` changed them. (default: 1 of h3 version 1, and 8192 of version 2) */
  iterations?: number
}

const ROUNDS = { 1: 1, 2: 8192 } as const
/** A key of more rounds costs milliseconds. */
const MANY_ROUNDS = 100

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
  const isLong = (value: unknown): boolean => typeof value === 'string' && value.length >= 32
  const resolved = checkOptions<H3Options<D>, 'name'>(options, {
    name: nameRule('h3'),
    password: [null, 'at least 32 characters long', isLong],
    maxAge: numberRule(undefined, 0, MAX_TIMEOUT),
    idleTimeout: numberRule(undefined, 0, MAX_TIMEOUT),
    version: integerRule(undefined, 1, 2),
    iterations: integerRule(undefined, 1, 10_000_000),
  })
  const { name, password, maxAge, idleTimeout, iterations, version } = resolved
  const ofVersions = version ? [ROUNDS[version]] : [ROUNDS[1], ROUNDS[2]]
  const allRounds = iterations ? [iterations] : ofVersions

  return createImporter<D>(resolved, async (cookies, now) => {
    const isOver = (since: unknown, seconds: number | undefined): boolean =>
      !!seconds && !(now - Number(since ?? Number.NaN) <= seconds * 1000)
    const seals = valuesOf(cookies, name).flatMap((value) => findSeal(cookies, name, value, now))
    for (const rounds of allRounds) {
      // Any may be forged, so a costly key is derived for the first only.
      for (const { seal, chunks } of rounds > MANY_ROUNDS ? seals.slice(0, 1) : seals) {
        const session = await openSeal(seal, password, rounds)
        const { data, createdAt, lastSeenAt = createdAt } = session ?? {}
        if (!isObject(data)) continue
        if (isOver(createdAt, maxAge) || isOver(lastSeenAt, idleTimeout)) continue
        // h3 gives the cookie an end where it gives the seal one.
        const persistent = seal.expiresAt !== undefined
        const remove = [name, ...chunks]
        return { data, createdAt, writtenAt: lastSeenAt, persistent, remove, id: seal.signed }
      }
    }
    return null
  })
}

interface FoundSeal {
  readonly seal: Seal
  /** Names of the cookies with its other chunks. */
  readonly chunks: readonly string[]
}

/** Puts chunks together: `__chunked__2` says that there are `name.1` and `name.2`. */
function findSeal(cookies: RawCookies, name: string, value: string, now: number): FoundSeal[] {
  const isChunked = value.startsWith(CHUNKED)
  const given = isChunked ? Number.parseInt(value.slice(CHUNKED.length), 10) || 0 : 0
  const count = Math.max(0, Math.min(given, MAX_CHUNKS))
  const chunks = Array.from({ length: count }, (_, i) => `${name}.${i + 1}`)
  const joined = chunks.map((chunk) => valuesOf(cookies, chunk)[0] ?? '').join('')
  const seal = parseSeal(isChunked ? joined : value, now)
  return seal ? [{ seal, chunks }] : []
}
