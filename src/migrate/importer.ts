/** What turns another library's cookie into a session, and what all of them share. */
import { functionRule, type Rule } from '../check.ts'
import type { SessionData } from '../session/session.ts'

/** The cookies of a request: name to values as they were sent, nothing decoded. */
export type RawCookies = ReadonlyMap<string, readonly string[]>

/** A session that another library kept. */
export interface ImportedSession<D extends SessionData = SessionData> {
  data: D
  /** Who is signed in. (default: nobody) */
  subject?: string | null
  /** Epoch milliseconds, where the old cookie says it. */
  createdAt?: number
  /** Names of the old cookies, to be removed once the session is kept. */
  remove: readonly string[]
}

/** Reads the cookies of one other library, for `SessionsOptions.importFrom`. */
export interface CookieImporter<D extends SessionData = SessionData> {
  /** The old cookie's name. */
  readonly name: string
  /** As the old cookie was set; a browser removes none under another. (default: `'/'`) */
  readonly path?: string
  /** As the old cookie was set. (default: not set) */
  readonly domain?: string
  /**
   * The old session, or `null` when there is none that checks out: absent, forged, expired or
   * empty. Never throws for what the client sent.
   *
   * @param now Epoch milliseconds.
   * @throws {@link StoreUnavailableError} when a `load` failed, TypeError when it returned
   * something else than data, and whatever `toSession` throws.
   */
  read(cookies: RawCookies, now: number): Promise<ImportedSession<D> | null>
}

/** The old library's data, as it kept them. */
export type OldData = Record<string, unknown>

/** What {@link ImporterOptions.toSession} makes of old data. */
export type ConvertedSession<D extends SessionData> = Pick<ImportedSession<D>, 'data' | 'subject'>

/** What every importer can be told. */
export interface ImporterOptions<D extends SessionData = SessionData> {
  /**
   * Turns old data into today's and says who is signed in; `null` takes no session over.
   * (default: the data as they are, and nobody signed in)
   */
  toSession?: (data: OldData) => ConvertedSession<D> | null | Promise<ConvertedSession<D> | null>
  /** The old cookie's path, without which it cannot be removed. (default: `'/'`) */
  path?: string
  /** The old cookie's domain, without which it cannot be removed. (default: not set) */
  domain?: string
}

/** What an old cookie says when it checks out. */
export interface OldSession {
  data: OldData
  createdAt?: unknown
  remove: readonly string[]
}

/** Values tried of one name: each costs some cryptography, and honest browsers send one or two. */
const MAX_VALUES = 4

/** Rules of {@link ImporterOptions}. */
export function importerRules(): Record<keyof ImporterOptions, Rule> {
  return {
    toSession: functionRule(),
    path: ['/', 'a path that starts with "/"', (value) => /^\/[ -:<-~]*$/.test(value)],
    domain: [undefined, 'a domain name', (value) => /^[\w.-]+$/.test(value)],
  }
}

/** A rule for the name of a cookie. */
export function nameRule(fallback?: string): Rule {
  return [fallback, 'the name of a cookie', (value) => /^[\w!#$%&'*+.^`|~-]+$/.test(value)]
}

/** A rule for secrets: a list of texts, at least one. */
export function secretsRule(minLength: number): Rule {
  const holds = (secret: unknown): boolean =>
    typeof secret === 'string' && secret.length >= minLength
  return [
    undefined,
    `${minLength > 1 ? `at least ${minLength} characters long` : 'a text'}, or several such`,
    (values: unknown) => Array.isArray(values) && values.length > 0 && values.every(holds),
  ]
}

/** Makes an importer of `find`, which reads the old cookies. */
export function createImporter<D extends SessionData>(
  { name, path = '/', domain, toSession }: ImporterOptions<D> & { name: string },
  find: (cookies: RawCookies, now: number) => Promise<OldSession | null>,
): CookieImporter<D> {
  return {
    name,
    path,
    ...(domain && { domain }),
    async read(cookies, now) {
      const old = await find(cookies, now)
      // An empty one is what several libraries give to everybody who comes along.
      if (!old || Object.keys(old.data).length === 0) return null
      const { data, createdAt, remove } = old
      const session = toSession ? await toSession(data) : { data: data as D }
      const isPast = typeof createdAt === 'number' && createdAt > 0 && createdAt <= now
      return session && { ...session, ...(isPast && { createdAt }), remove }
    },
  }
}

/** The values of a cookie, decoded as the old libraries do; those tried at most. */
export function valuesOf(cookies: RawCookies, name: string): string[] {
  return (cookies.get(name) ?? []).slice(0, MAX_VALUES).map((raw) => {
    const value = raw.startsWith('"') && raw.endsWith('"') ? raw.slice(1, -1) : raw
    try {
      return decodeURIComponent(value)
    } catch {
      return value
    }
  })
}

/** What JSON says when that is an object, else `null`. */
export function parseObject(text: string): OldData | null {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : null
  } catch {
    return null
  }
}

/** Whether it is an object with names, and no array. */
export function isObject(value: unknown): value is OldData {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
