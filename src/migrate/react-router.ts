import { functionRule } from '../check.ts'
import { decodeText } from '../crypto/text.ts'
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
import { decodeBase64, isSigned } from './signature.ts'

/** Options for {@link fromReactRouter}. */
export interface ReactRouterSessionOptions<D extends SessionData = SessionData>
  extends ImporterOptions<D> {
  /** As in the old cookie's options, each accepted. */
  secrets: readonly string[]
  /** As in the old cookie's options. (default: `'__session'`) */
  name?: string
  /**
   * Needed for storages with the data elsewhere than in the cookie: returns those of an id, or `null` or `undefined` when
   * there are none; fails as that of `fromExpressSession`. (default: the data are in the cookie)
   */
  load?: (id: string) => unknown
}

/**
 * Reads the signed cookies of React Router's and Remix's session storages: of
 * `createCookieSessionStorage`, and with `load` of those that have only an id in it.
 *
 * They say neither when they began nor when they end: give `endsAt`, and `persistent: true` if they
 * had a `maxAge`. What `flash` left in them is dropped.
 *
 * @throws TypeError naming the option that is wrong.
 *
 * @example
 * fromReactRouter({
 *   secrets: [env.COOKIE_SECRET],
 *   toSession: ({ userId, ...data }) => ({ data, subject: userId ? String(userId) : null }),
 * })
 */
export function fromReactRouter<D extends SessionData = SessionData>(
  options: ReactRouterSessionOptions<D>,
): CookieImporter<D> {
  const resolved = checkOptions<ReactRouterSessionOptions<D>, 'name'>(options, {
    name: nameRule('__session'),
    secrets: secretsRule(1),
    load: functionRule(),
  })
  const { name, secrets, load } = resolved

  return createImporter<D>(resolved, async (cookies) => {
    for (const value of valuesOf(cookies, name)) {
      const dot = value.lastIndexOf('.')
      const text = value.slice(0, dot)
      if (!(await isSigned(text, value.slice(dot + 1), secrets, 'SHA-256'))) continue
      const kept = parse(text)
      const stored = load && typeof kept === 'string' ? await loadSession(load, kept) : kept
      if (!isObject(stored)) continue
      const lasting = Object.entries(stored).filter(([key]) => !/^__flash_.*__$/.test(key))
      const data = Object.fromEntries(lasting)
      return {
        data,
        remove: [name],
        id: typeof kept === 'string' ? text : undefined,
        idOfUser: text,
      }
    }
    return null
  })
}

function parse(text: string): unknown {
  const bytes = decodeBase64(text)
  try {
    return bytes && JSON.parse(decodeText(bytes))
  } catch {
    return null
  }
}
