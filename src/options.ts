/** The options of `createSessions`. */
import type { SessionCodec } from './codec/values.ts'
import type { SessionEventListener } from './events.ts'
import type { CookieImporter } from './migrate/importer.ts'
import type { SessionData } from './session/session.ts'
import type { StandardSchemaV1 } from './standard-schema.ts'
import type { SessionStore } from './stores/store.ts'
import type { CookieOptions } from './transport/cookie.ts'

/** Settings that an operator changes while the application runs; all of them can be left out, or `null`. */
export interface Controls {
  /**
   * Signs everybody out: a session that was signed in to, or without a sign-in began, before these
   * epoch milliseconds is over. Leave it in place until the longest timeout given to anybody has passed.
   */
  notBefore?: number | null | undefined
  /**
   * `true`: sessions are opened, and changing one throws {@link StoreUnavailableError}, which `handler`
   * answers with 503. Nothing is renewed. `destroy`, `revoke` and `revokeAll` work.
   */
  readOnly?: boolean | null | undefined
}

/** Options for {@link SessionsOptions.deviceBound}. */
export interface DeviceBoundOptions {
  /** Name of the bound cookie, which has the attributes of the session cookie. (default: that of the session cookie, and `-bound`) */
  cookie?: string | undefined
  /**
   * Seconds for which a proof is good, 300 to 86_400: browsers limit how often they sign. A copy of all cookies works for so
   * long, and 30 seconds more. (default: 600)
   */
  maxAge?: number | undefined
  /** Path under which browsers register (`<path>/register`) and refresh (`<path>/refresh`). (default: `/device-bound`) */
  path?: string | undefined
  /** The algorithms of keys, the preferred one first. (default: `['ES256', 'RS256']`) */
  algorithms?: readonly ('ES256' | 'RS256')[] | undefined
  /**
   * The answer to a request of a bound session that does not prove the device. `'guard'` leaves it to
   * `session.bound` and `requireSession({ bound: true })`; with `'writes'` the session is empty, of status `'unproven'`, for any method
   * but GET, HEAD and OPTIONS; with `'always'` for every method. (default: `'guard'`)
   */
  enforce?: 'guard' | 'writes' | 'always' | undefined
}

/** Options for {@link createSessions}. Everything but `secret` has a safe default. */
export interface SessionsOptions<D extends SessionData = SessionData> {
  /**
   * At least 32 bytes each, of high entropy: see {@link generateSecret}. White space around one does not
   * count. With several the first seals and all open, so that a secret can be replaced without signing anybody out.
   * `undefined`, as of a variable that is not set, is a TypeError at once.
   */
  secret: string | readonly [string, ...string[]] | undefined
  /** The store in which sessions live. (default: none, they live in the cookie itself) */
  store?: SessionStore | undefined
  /**
   * With a store that has an index: sessions of one user, at most. A sign-in ends the oldest beyond it, by the time of
   * their own sign-in. Those of an actor count apart. With another store, or `seal: 'cookie'`, the first request throws a TypeError. (default: no limit)
   */
  maxSessions?: number | undefined
  /**
   * Types the data, and checks them when they are read and committed. It must accept its own output.
   * (default: none)
   */
  schema?: StandardSchemaV1<unknown, D> | undefined
  /** Version of the data's shape, a whole number from 1. (default: 1) */
  version?: number | undefined
  /**
   * Turns data of an older `version` into today's, before the schema sees them. May be async.
   * (default: the data stay as they are)
   */
  migrate?: ((data: unknown, from: number) => unknown) | undefined
  /** Turns data into text and back. (default: JSON) */
  codec?: SessionCodec | undefined
  /** Name and attributes of the cookie. (default: those of {@link CookieOptions}) */
  cookie?: CookieOptions | undefined
  /** Seconds a session lives after its last renewal, at most `absoluteTimeout`. (default: 86_400, a day) */
  idleTimeout?: number | undefined
  /**
   * Seconds a session lives after it was created or signed in to. (default: 604_800, a week, or as long
   * as `idleTimeout` where that is longer)
   */
  absoluteTimeout?: number | undefined
  /**
   * The factors that {@link Session.elevate} may record, by name. A name that is not among them is then a
   * TypeError, there and in guards: a misspelt one would never be proven. (default: any)
   */
  factors?: readonly string[] | undefined
  /**
   * Seconds between renewals of a session in use, under its idle timeout and `cookie.maxAge`.
   * (default: a tenth of the shorter of these)
   */
  renewAfter?: number | undefined
  /**
   * With a store: a copy of the data is carried in the cookie where it fits. For `maxAge` seconds reads
   * are answered from it, so that a revocation takes effect within them, and for `staleIfError`
   * more (default: 0) when the store is down; `maxAge: 0` is for that alone. (default: `false`)
   */
  snapshot?: false | { maxAge: number; staleIfError?: number | undefined } | undefined
  /**
   * The answer to a store that cannot be read: `'degrade'` gives an older copy if there is one, else an
   * empty, read-only session, and with `snapshot.staleIfError` lets writes wait in cookies for up to 15
   * minutes; `'throw'` throws {@link StoreUnavailableError}: `handler` answers 503. (default: `'degrade'`)
   */
  onStoreFailure?: 'degrade' | 'throw' | undefined
  /**
   * The answer to sealed data that are no session any more: `'reset'` goes on with an empty one, `'throw'`
   * throws {@link SessionCorruptionError} or {@link SessionValidationError}. (default: `'reset'`)
   */
  onCorruption?: 'reset' | 'throw' | undefined
  /**
   * Ties sessions to the browser (its `User-Agent`, version numbers left out, its first 512 characters) or the address that
   * signed in, by a keyed hash. Another one gets an empty session of status `'invalid'` with
   * `onMismatch: 'refuse'` (default), or with `'step-down'` the session without `authenticatedAt`.
   * Not checked by `open`, which sees no request. `ip` returns the address, or `null` where it is not known; anything else is a
   * TypeError. A session from before this was switched on is tied to
   * the client that next writes or renews it: to tie all at once, end them (`notBefore`, `revokeAll`).
   */
  binding?:
    | {
        userAgent?: boolean | undefined
        ip?: ((request: Request) => string | null) | undefined
        onMismatch?: 'refuse' | 'step-down' | undefined
      }
    | undefined
  /**
   * With a store: binds the session of whoever signs in to a key in the hardware of the device, in browsers that have Device Bound
   * Session Credentials; others stay as they are. `true`: with the defaults. Not together with `cookie.partitioned`.
   * (default: not set)
   */
  deviceBound?: true | DeviceBoundOptions | undefined
  /**
   * Sign-out everywhere for sessions in cookies: those of `subject` that signed in before the epoch
   * milliseconds returned are over; `null` or 0: none are. Asked whenever a session with a subject is opened. A rejection, or
   * no answer within `storeTimeout`, is handled like a store failure (`onStoreFailure`); anything else, as epoch seconds, is a TypeError.
   * (default: none)
   */
  notBefore?: ((subject: string) => number | null | Promise<number | null>) | undefined
  /**
   * Ends sessions that live in cookies, copies included: `destroy`, `revoke` and `revokeAll` leave a mark
   * in `store`, which lasts as long as a session can. Opening a session looks for marks, and remembers the
   * answer in this isolate for `ttl` seconds (default: 5). A visitor without a session costs nothing.
   * `onFailure` says what a store that cannot be asked means: `'open'`, the session goes on, of status
   * `'degraded'`; `'closed'`, it is treated as `onStoreFailure` says (default: `'open'`).
   * `maxLifetime`: the longest lifetime, in seconds, that `login` may give a session; an older one is over.
   * (default: `absoluteTimeout`)
   */
  revocations?:
    | {
        store: SessionStore
        ttl?: number | undefined
        onFailure?: 'open' | 'closed' | undefined
        maxLifetime?: number | undefined
      }
    | undefined
  /**
   * Settings to be changed while the application runs, read from wherever an operator can write. The first
   * answer is awaited for `storeTimeout` at most, and no later one: each is in force when it has come.
   * A wrong answer, and a rejection, leave the last good one in force, with the event `policy.invalid`;
   * until there is one, nothing is. (default: none)
   */
  controls?: (() => Controls | Promise<Controls>) | undefined
  /** Seconds for which an answer of `controls` is in force before it is asked again. (default: 5) */
  controlsTtl?: number | undefined
  /**
   * With a store: what happens when a cookie comes back that a rotation (`login`, `elevate`, `regenerate`)
   * replaced more than 30 seconds ago, because somebody has a copy or because its replacement never
   * arrived. Such a cookie opens nothing, and there is the event `session.reused`; `'revoke'` also
   * ends the session. (default: `'report'`)
   */
  onReuse?: 'report' | 'revoke' | undefined
  /**
   * With an `atomic` store: what happens when it has an older state of a session than the cookie
   * knows, as after a failover or a restored backup. `'heal'` goes on with the newest state there
   * is, writes it back, and reports `store.rolled-back`; `'refuse'` treats the record as corrupt.
   * (default: `'heal'`)
   */
  onRollback?: 'heal' | 'refuse' | undefined
  /**
   * With a store: seconds that opening a session, or committing it, may take with all its calls.
   * Then it fails with {@link StoreTimeoutError}, or with {@link SessionConflictError} when other
   * requests kept writing. (default: 5)
   */
  storeTimeout?: number | undefined
  /**
   * With a store, `'cookie'`: a record's key also depends on 32 random bytes that only the
   * visitor's cookie has, so that not even the store and the secret together open it. `list` and
   * `all` cannot show such sessions; `revoke` and `revokeAll` end them. (default: `'secret'`)
   */
  seal?: 'secret' | 'cookie' | undefined
  /** Stored values above so many bytes are compressed, cookies never. (default: `false`) */
  compress?: false | { above: number } | undefined
  /**
   * The way between client and server. `{ header }`, for clients without cookies: the token comes in this request header (`Bearer ` is
   * left out), and a new one goes back in the response header of the same name, empty when the
   * session has ended. Cookies are then neither read nor set, and `save` returns the header's value.
   * (default: `'cookie'`)
   */
  transport?: 'cookie' | { header: string } | undefined
  /**
   * Sessions of other libraries, from `sojourn/migrate`: an old cookie is read, goes on as a session
   * and is removed. Where another user has a session of ours in the same browser, whoever signed in
   * last wins. (default: none)
   */
  importFrom?: readonly CookieImporter<NoInfer<D>>[] | undefined
  /** The memory of this isolate for opened cookies. `ttl` in seconds. (default: 1000 entries, 300 seconds) */
  cache?: false | { maxEntries?: number | undefined; ttl?: number | undefined } | undefined
  /** One listener or a list of them; each is called with every event. Neither their errors nor their results matter. */
  onEvent?: SessionEventListener | readonly SessionEventListener[] | undefined
  /** Epoch milliseconds. (default: `Date.now`) */
  now?: (() => number) | undefined
}
