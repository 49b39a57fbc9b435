/** Importers turn another library's cookie into a session; here is what all of them share. */
import { applyRules, flagRule, functionRule, isToken, numberRule, type Rule } from '../check.ts'
import { SessionCorruptionError, StoreTimeoutError, StoreUnavailableError } from '../errors.ts'
import { within } from '../resilience/deadline.ts'
import type { SessionData } from '../session/session.ts'

/** The cookies of a request: name to values as they were sent, nothing decoded. */
export type RawCookies = ReadonlyMap<string, readonly string[]>

/** A session of another library. */
export interface ImportedSession<D extends SessionData = SessionData> {
  data: D
  /** The user who is signed in. (default: nobody) */
  subject?: string | null
  /** Epoch milliseconds, where the old cookie says it. */
  createdAt?: number | undefined
  /**
   * Epoch milliseconds of the old library's last write, where the old cookie says it. Decides who
   * signed in last when another user's session of ours is there too. (default: `createdAt`)
   */
  writtenAt?: number | undefined
  /** The old cookie outlives the browser, so the new one does. (default: `false`) */
  persistent?: boolean | undefined
  /** Epoch milliseconds at which the session is over, if its timeouts do not end it earlier. */
  endsAt?: number | undefined
  /** Names of the old cookies, to be removed once the session is saved. */
  remove: readonly string[]
  /**
   * Names this one session among all of the old library: its id, or anything random that is signed
   * with it. In a store, overlapping requests with the old cookie then go on with one session, and
   * one that was signed out is not imported again at once. Never something that two visitors may
   * share, such as their data. (default: each request imports a session of its own)
   */
  id?: string | undefined
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
   * @throws {@link StoreUnavailableError} when a `load` failed, {@link StoreTimeoutError} when it or
   * `toSession` took over 5 seconds, TypeError when `load` returned something else than data,
   * {@link SessionCorruptionError} when `toSession` threw, or what `load` found does not parse.
   */
  read(cookies: RawCookies, now: number): Promise<ImportedSession<D> | null>
}

/** The old library's data, as it stored them. */
export type OldData = Record<string, unknown>

/** The result of {@link ImporterOptions.toSession}. */
export type ConvertedSession<D extends SessionData> = Pick<ImportedSession<D>, 'data' | 'subject'>

/** Options for every importer. */
export interface ImporterOptions<D extends SessionData = SessionData> {
  /**
   * Turns old data into today's and says who is signed in; `null` takes no session over. When it
   * throws, this visitor starts a new session, with the event `session.corrupt`; when it throws
   * {@link StoreUnavailableError}, or has not answered after 5 seconds, the session counts as
   * unreachable. (default: the data as they are, and nobody signed in)
   */
  toSession?: (data: OldData) => ConvertedSession<D> | null | Promise<ConvertedSession<D> | null>
  /** The old cookie's path, without which it cannot be removed. (default: `'/'`) */
  path?: string
  /** The old cookie's domain, without which it cannot be removed. (default: not set) */
  domain?: string
  /**
   * `true`: the old cookie outlives the browser (`Max-Age`), and the new one does too. (default:
   * as the old cookie says, `false` where it says nothing)
   */
  persistent?: boolean
  /**
   * Epoch milliseconds, such as `Date.UTC(2030, 0, 31)`, at which moving in is over: nothing is
   * imported any more, and what was imported has ended, unless its user signed in since. Give it
   * where old cookies do not say how old they are: otherwise each import of one starts the timeouts
   * afresh. (default: never)
   */
  endsAt?: number
}

/** The content of an old cookie that is genuine. */
export interface OldSession {
  data: OldData
  createdAt?: unknown
  /** Time of the old library's last write. */
  writtenAt?: unknown
  persistent?: boolean
  remove: readonly string[]
  id?: string | undefined
  /** Stands for `id` where somebody is signed in: visitors without a name may have the same. */
  idOfUser?: string | undefined
}

/** Values tried of one name: each costs some cryptography, and honest browsers send one or two. */
const MAX_VALUES = 2
/** Epoch milliseconds, which seconds would be below for 30,000 years, to the last `Date`. */
const isTime = numberRule(undefined, 1e12, 8.64e15)

/**
 * Checks the options of an importer, and puts defaults under them.
 *
 * @param own The rules of those that not every importer has.
 */
export function checkOptions<O extends object, Defaults extends keyof O = never>(
  options: O,
  own: Record<string, Rule>,
): O & Required<Pick<O, Defaults>> {
  const shared: Record<keyof ImporterOptions, Rule> = {
    toSession: functionRule(),
    path: ['/', 'a path that starts with "/"', (value) => /^\/[ -:<-~]*$/.test(value)],
    domain: [undefined, 'a domain name', (value) => /^[\w.-]+$/.test(value)],
    persistent: flagRule(undefined),
    endsAt: [undefined, 'epoch milliseconds', isTime[2], 'number'],
  }
  return applyRules('', { ...shared, ...own }, options)
}

/** A rule for the name of a cookie; without a default it must be given. */
export function nameRule(fallback: string | null): Rule {
  return [fallback, 'the name of a cookie', isToken]
}

/** A rule for secrets, which must be given: a list of texts, at least one. */
export function secretsRule(minLength: number): Rule {
  const holds = (secret: unknown): boolean =>
    typeof secret === 'string' && secret.length >= minLength
  return [
    null,
    `${minLength > 1 ? `at least ${minLength} characters long` : 'a text'}, or several such`,
    (values: unknown) => Array.isArray(values) && values.length > 0 && values.every(holds),
  ]
}

/** Makes an importer of `find`, which reads the old cookies. */
export function createImporter<D extends SessionData>(
  options: ImporterOptions<D> & { name: string },
  find: (cookies: RawCookies, now: number) => Promise<OldSession | null>,
): CookieImporter<D> {
  const { name, path = '/', domain, endsAt, persistent, toSession } = options
  return {
    name,
    path,
    ...(domain && { domain }),
    async read(cookies, now) {
      if (endsAt !== undefined && now >= endsAt) return null
      const old = await find(cookies, now)
      // An empty one is what several libraries give to everybody who comes along.
      if (!old || Object.keys(old.data).length === 0) return null
      const session = toSession ? await convert(toSession, old.data) : { data: old.data as D }
      return (
        session && {
          ...session,
          createdAt: pastOf(old.createdAt, now),
          writtenAt: pastOf(old.writtenAt, now),
          persistent: persistent ?? old.persistent,
          endsAt,
          id: old.id ?? (session.subject ? old.idOfUser : undefined),
          remove: old.remove,
        }
      )
    },
  }
}

/** Calls `toSession`, whose errors may quote the data and are therefore not passed on. */
async function convert<D extends SessionData>(
  toSession: NonNullable<ImporterOptions<D>['toSession']>,
  data: OldData,
): Promise<ConvertedSession<D> | null> {
  try {
    const session = await inTime(async () => toSession(data))
    // Read here, as a getter may throw too.
    return session && { data: session.data, subject: session.subject ?? null }
  } catch (error) {
    if (error instanceof StoreUnavailableError) throw error
    throw new SessionCorruptionError('Cannot import session: toSession failed')
  }
}

/** Milliseconds that an old store, or the database that `toSession` asks, has to answer. */
const DEADLINE_MS = 5000

/** Calls `fn`; throws {@link StoreTimeoutError} when it takes too long. */
function inTime<T>(fn: () => T | Promise<T>): Promise<T> {
  const late = () => new StoreTimeoutError('Cannot import session: no answer within 5 seconds')
  return within(DEADLINE_MS, undefined, late, async () => fn())
}

/** Returns a time in the past, and `undefined` for everything else. */
function pastOf(time: unknown, now: number): number | undefined {
  return typeof time === 'number' && time > 0 && time <= now ? time : undefined
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

/** Parses JSON; `null` for all that is no object. */
export function parseObject(text: string): OldData | null {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : null
  } catch {
    return null
  }
}

/** Tells whether a value is an object with names, and no array. */
export function isObject(value: unknown): value is OldData {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * Asks the old store. Its failure is not "no session", and its message stays with it. A record that does
 * not parse is no failure: it would lock its visitor out for as long as the old cookie lives.
 *
 * @throws {@link StoreUnavailableError}, {@link SessionCorruptionError}, or TypeError for what are no data.
 */
export async function loadSession(
  load: (id: string) => unknown,
  id: string,
): Promise<OldData | null> {
  let data: unknown
  try {
    data = await inTime(() => load(id))
  } catch (error) {
    if (error instanceof StoreTimeoutError) throw error
    if (error instanceof SyntaxError) {
      throw new SessionCorruptionError('Cannot import session: the old data do not parse')
    }
    throw new StoreUnavailableError('Cannot import session: load failed')
  }
  if (data === null || data === undefined) return null
  // Text that nobody parsed, for example: taken for "none" it would sign everybody out.
  if (!isObject(data)) throw new TypeError(`load must return an object or null, got ${typeof data}`)
  return data
}
