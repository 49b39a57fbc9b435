import { MAX_TIMEOUT, numberRule } from '../check.ts'
import type { SessionData } from '../session/session.ts'
import {
  type CookieImporter,
  checkOptions,
  createImporter,
  type ImporterOptions,
  nameRule,
  secretsRule,
  valuesOf,
} from './importer.ts'
import { openSeal, parseSeal } from './iron.ts'

/** Options for {@link fromIronSession}. */
export interface IronSessionOptions<D extends SessionData = SessionData>
  extends ImporterOptions<D> {
  /** As in iron-session: one of at least 32 characters, or several by their number. */
  password: string | Readonly<Record<string, string>>
  /** As in iron-session. */
  cookieName: string
  /**
   * As in iron-session: seconds for which a seal is good. Tells when a seal was made, should another
   * user's session of ours be there too. (default: 1_209_600, 14 days)
   */
  ttl?: number
}

/** Cookies that iron-session splits a large seal into, beginning with `name.0`. */
const MAX_CHUNKS = 4

/**
 * Reads the cookies of iron-session 6 to 9: seals, in one cookie or in chunks.
 *
 * A seal does not say when its session began, so that its absolute timeout starts with the import.
 * If the seal has an end (any `ttl` but 0), the old cookie outlives the browser, and so does the new.
 *
 * @throws TypeError naming the option that is wrong.
 *
 * @example
 * fromIronSession({
 *   password: env.IRON_PASSWORD,
 *   cookieName: 'my-app',
 *   toSession: ({ userId, ...data }) => ({ data, subject: userId ? String(userId) : null }),
 * })
 */
export function fromIronSession<D extends SessionData = SessionData>(
  options: IronSessionOptions<D>,
): CookieImporter<D> {
  const [, expected, holds] = secretsRule(32)
  const isMap = (map: unknown): boolean => holds(Object.values(Object(map)) as never)
  const given = options?.password
  const password = typeof given === 'string' ? { 1: given } : given
  const resolved = checkOptions<IronSessionOptions<D>, 'ttl'>(
    { ...options, password },
    {
      password: [null, expected, isMap],
      cookieName: nameRule(null),
      ttl: numberRule(14 * 86_400, 0, MAX_TIMEOUT),
    },
  )
  const { cookieName, ttl } = resolved
  const passwords = new Map(Object.entries(password))
  const chunkNames = Array.from({ length: MAX_CHUNKS }, (_, i) => `${cookieName}.${i}`)

  return createImporter<D>({ ...resolved, name: cookieName }, async (cookies, now) => {
    const joined = chunkNames.map((name) => valuesOf(cookies, name)[0]).join('')
    for (const value of [...valuesOf(cookies, cookieName), joined]) {
      // What follows the seal is the version of its contents, outside of what is signed, and perhaps a stale chunk.
      const seal = parseSeal(value.split('~', 1)[0]!, now)
      const found = seal && passwords.get(seal.id)
      const data = found && (await openSeal(seal, found, 1))
      if (!data) continue
      const remove = [cookieName, ...chunkNames].filter((name) => cookies.has(name))
      const { expiresAt, signed: id } = seal
      if (expiresAt === undefined) return { data, remove, id }
      return { data, writtenAt: expiresAt - 1000 * ttl, persistent: true, remove, id }
    }
    return null
  })
}
