import { wordRule } from '../check.ts'
import { decodeText } from '../crypto/text.ts'
import type { SessionData } from '../session/session.ts'
import {
  type CookieImporter,
  checkOptions,
  createImporter,
  type ImporterOptions,
  nameRule,
  parseObject,
  secretsRule,
  valuesOf,
} from './importer.ts'
import { decodeBase64, isSigned } from './signature.ts'

/** Options for {@link fromCookieSession}. */
export interface CookieSessionOptions<D extends SessionData = SessionData>
  extends ImporterOptions<D> {
  /** As in cookie-session, each accepted; `secret` is a list of one. */
  keys: readonly string[]
  /** As in cookie-session. (default: `'session'`) */
  name?: string
  /** The hash function of its Keygrip, if it was given one. (default: `'SHA-1'`) */
  hash?: 'SHA-1' | 'SHA-256' | 'SHA-384' | 'SHA-512'
}

/**
 * Reads the signed cookies of cookie-session.
 *
 * They say neither when they began nor when they end: give `endsAt`, and `persistent: true` if they
 * had a `maxAge`. Without signatures there is nothing to check,
 * so that cookies of `signed: false` are not taken over.
 *
 * @throws TypeError naming the option that is wrong.
 *
 * @example
 * fromCookieSession({
 *   keys: [env.COOKIE_KEY],
 *   toSession: ({ userId, ...data }) => ({ data, subject: userId ? String(userId) : null }),
 * })
 */
export function fromCookieSession<D extends SessionData = SessionData>(
  options: CookieSessionOptions<D>,
): CookieImporter<D> {
  const resolved = checkOptions<CookieSessionOptions<D>, 'name' | 'hash'>(options, {
    name: nameRule('session'),
    keys: secretsRule(1),
    hash: wordRule('SHA-1', 'SHA-256', 'SHA-384', 'SHA-512'),
  })
  const { name, keys, hash } = resolved

  return createImporter<D>(resolved, async (cookies) => {
    const signatures = valuesOf(cookies, `${name}.sig`)
    for (const value of valuesOf(cookies, name)) {
      for (const signature of signatures) {
        if (!(await isSigned(`${name}=${value}`, signature, keys, hash))) continue
        const bytes = decodeBase64(value)
        const data = bytes && parseObject(decodeText(bytes))
        if (data) return { data, remove: [name, `${name}.sig`], idOfUser: value }
      }
    }
    return null
  })
}
