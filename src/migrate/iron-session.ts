import { applyRules, refuseUnless } from '../check.ts'
import type { SessionData } from '../session/session.ts'
import {
  type CookieImporter,
  createImporter,
  type ImporterOptions,
  importerRules,
  nameRule,
  secretsRule,
  valuesOf,
} from './importer.ts'
import { unseal } from './iron.ts'

/** What {@link fromIronSession} can be told. */
export interface IronSessionOptions<D extends SessionData = SessionData>
  extends ImporterOptions<D> {
  /** As in iron-session: one of at least 32 characters, or several by their number. */
  password: string | Readonly<Record<string, string>>
  /** As in iron-session. */
  cookieName: string
}

/** Cookies that iron-session splits a large seal into, beginning with `name.0`. */
const MAX_CHUNKS = 4

/**
 * Reads the cookies of iron-session 6 to 9: seals, whole or in chunks.
 *
 * A seal does not say when its session began, so that its absolute timeout starts anew.
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
  const rules = {
    ...importerRules(),
    cookieName: nameRule(),
    password: [undefined, expected, (map: object) => holds(Object.values(map) as never)] as const,
  }
  const given = options.password
  const password = typeof given === 'string' ? { 1: given } : given
  const resolved = applyRules<IronSessionOptions<D>>('', rules, { ...options, password })
  const { cookieName } = resolved
  refuseUnless(!!password, 'password', expected, password)
  refuseUnless(!!cookieName, 'cookieName', rules.cookieName[1], cookieName)
  const passwords = new Map(Object.entries(password))
  const keys = {
    passwords: (id: string): string[] => [passwords.get(id) ?? []].flat(),
    iterations: [1],
  }
  const chunkNames = Array.from({ length: MAX_CHUNKS }, (_, i) => `${cookieName}.${i}`)

  return createImporter<D>({ ...resolved, name: cookieName }, async (cookies, now) => {
    const parts = chunkNames.map((name) => valuesOf(cookies, name)[0])
    const missing = parts.indexOf(undefined)
    const joined = parts.slice(0, missing < 0 ? MAX_CHUNKS : missing).join('')
    for (const value of [...valuesOf(cookies, cookieName), joined]) {
      // What follows the seal is the version of its contents, outside of what is signed.
      const data = await unseal(value.split('~', 1)[0]!, keys, now)
      const remove = [cookieName, ...chunkNames].filter((name) => cookies.has(name))
      if (data) return { data, remove }
    }
    return null
  })
}
