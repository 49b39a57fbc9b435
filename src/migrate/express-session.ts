import { functionRule } from '../check.ts'
import type { SessionData } from '../session/session.ts'
import {
  type CookieImporter,
  checkOptions,
  createImporter,
  type ImporterOptions,
  isObject,
  loadSession,
  nameRule,
  secretsRule,
  valuesOf,
} from './importer.ts'
import { isSigned } from './signature.ts'

/** Options for {@link fromExpressSession}. */
export interface ExpressSessionOptions<D extends SessionData = SessionData>
  extends ImporterOptions<D> {
  /** As in express-session: one, or several of which each is accepted. */
  secret: string | readonly string[]
  /** As in express-session. (default: `'connect.sid'`) */
  name?: string
  /**
   * Asks the store of express-session, by the id that it goes by. Returns the data, or `null` or
   * `undefined` when there are none. What it throws becomes a {@link StoreUnavailableError}, but a
   * `SyntaxError`, as of `JSON.parse`, means that the data of this visitor are corrupt. It has
   * 5 seconds to answer.
   */
  load: (sid: string) => unknown
}

/**
 * Reads the signed cookies of express-session, and the data from its store.
 *
 * `toSession` gets the data without express-session's own `cookie`.
 *
 * @throws TypeError naming the option that is wrong.
 *
 * @example
 * fromExpressSession({
 *   secret: env.SESSION_SECRET,
 *   load: async (sid) => JSON.parse((await redis.get(`sess:${sid}`)) ?? 'null'),
 *   toSession: ({ userId, ...data }) => ({ data, subject: userId ? String(userId) : null }),
 * })
 */
export function fromExpressSession<D extends SessionData = SessionData>(
  options: ExpressSessionOptions<D>,
): CookieImporter<D> {
  const given = options?.secret
  const secret = typeof given === 'string' ? [given] : given
  const resolved = checkOptions<ExpressSessionOptions<D>, 'name'>(
    { ...options, secret },
    { name: nameRule('connect.sid'), secret: secretsRule(1), load: functionRule(null) },
  )
  const { name, load } = resolved

  return createImporter<D>(resolved, async (cookies, now) => {
    for (const value of valuesOf(cookies, name)) {
      const dot = value.lastIndexOf('.')
      if (!value.startsWith('s:')) continue
      const id = value.slice(2, dot)
      if (!(await isSigned(id, value.slice(dot + 1), secret, 'SHA-256'))) continue
      const stored = await loadSession(load, id)
      if (!stored) continue
      const { cookie, ...data } = stored
      const { expires, originalMaxAge } = isObject(cookie) ? cookie : {}
      // `false`, as of `maxAge: false`, says the same as `null`: it ends with the browser.
      const expiresAt = expires ? new Date(expires as string).getTime() : undefined
      // Its stores drop what has expired; not every `load` does.
      if (expiresAt !== undefined && !(expiresAt > now)) continue
      const writtenAt = Number(expiresAt) - Number(originalMaxAge ?? Number.NaN)
      return { data, writtenAt, persistent: expiresAt !== undefined, remove: [name], id }
    }
    return null
  })
}
