/** One request's session: what was found, what it is now, and the changes made to it. */
import {
  applyRules,
  assertSubject,
  expectArgument,
  flagRule,
  type Rule,
  timeoutRule,
} from '../check.ts'
import { EMPTY } from '../codec/data.ts'
import { idOf, type SessionState, type SessionTimes } from '../codec/session-record.ts'
import type { CopyValue } from '../codec/values.ts'
import { SessionCommittedError, SessionError } from '../errors.ts'
import { assertTime } from '../options.ts'
import type { Deferrals } from '../persistence/deferrals.ts'
import type { CookieFound } from '../transport/cookie.ts'
import {
  addFlash,
  changeId,
  type Login,
  type Operation,
  ownValue,
  setValue,
  signIn,
  sweepFlash,
  updateValue,
  withValue,
} from './operations.ts'

/** What a session can hold: string keys, any values that the codec keeps. */
// biome-ignore lint/suspicious/noExplicitAny: `unknown` would shut out interfaces, which have no index signature.
export type SessionData = Record<string, any>

/** Types whose values are handed out as they are. */
type Whole =
  | Uint8Array
  | Date
  | ReadonlyMap<unknown, unknown>
  | ReadonlySet<unknown>
  | RegExp
  | URL
  | ((...given: never[]) => unknown)

/** A value as it is handed out: deeply frozen, so deeply readonly. */
export type Frozen<T> = T extends Whole ? T : { readonly [K in keyof T]: Frozen<T[K]> }

/**
 * What was found when the session was opened, or became of it.
 *
 * - `new`: no cookie.
 * - `active`: a live session.
 * - `expired`: idle for too long, or too old.
 * - `invalid`: the cookie, or the stored record, does not open or is not a session.
 * - `missing`: the store does not know it.
 * - `superseded`: regenerated or destroyed moments ago by another request; read-only, and whatever
 *   is written is dropped without a `Set-Cookie`. Only signing in starts a new session (`missing`),
 *   where this one has ended and does not go on under another id.
 * - `degraded`: the store could not be asked. Either the data are an older copy, or there are none
 *   and the session is read-only: writing throws.
 * - `destroyed`: by this request.
 */
export type SessionStatus =
  | 'new'
  | 'active'
  | 'expired'
  | 'invalid'
  | 'missing'
  | 'superseded'
  | 'degraded'
  | 'destroyed'

/** How a user signs in. */
export interface LoginOptions {
  /** The cookie outlives the browser: "remember me". (default: `false`) */
  persistent?: boolean
  /** Seconds, for this session, at most its absolute timeout. (default: as configured) */
  idleTimeout?: number
  /** Seconds, for this session. (default: as configured; where that is the default, `idleTimeout` if longer) */
  absoluteTimeout?: number
  /** What to show for it in a list of the user's sessions, up to 200 characters: a device, a place. */
  label?: string
}

/** How {@link Session.once} holds its lease. */
export interface OnceOptions {
  /** Seconds after which a holder that says nothing loses the lease. (default: 10) */
  lease?: number
  /** Seconds for which others get the result instead of running `fn`. (default: 30) */
  ttl?: number
}

/**
 * The session of one request. Changes are recorded and take effect when the response is committed.
 *
 * `D` is what can be set. `Data` is what is there from the start: every key may be missing
 * (`Partial<D>`), unless a `schema` gives defaults.
 *
 * Every method that changes it throws {@link SessionCommittedError} after the response was
 * committed, {@link SessionError} with code `ERR_SESSION_DESTROYED` after `destroy`, and
 * {@link StoreUnavailableError} when the store could not be read and nothing is known about the
 * session.
 */
export interface Session<D extends SessionData = SessionData, Data extends object = Partial<D>> {
  /** A public handle, safe to store beside user data: it is not the cookie and opens nothing. */
  readonly id: string
  readonly status: SessionStatus
  /** The data as they are now, deeply frozen. Without defaults of a `schema` empty (`{}`) until something was set. */
  readonly data: Frozen<Data>
  /** Epoch milliseconds. */
  readonly createdAt: number
  /** Epoch milliseconds: the earlier of the idle and the absolute timeout. */
  readonly expiresAt: number
  /** Who is signed in. */
  readonly subject: string | null
  /** Epoch milliseconds of the last `login`, for step-up checks. */
  readonly authenticatedAt: number | null
  /** A value, deeply frozen: to change it, `set` another one, or `update` it. */
  get<K extends keyof D>(key: K): Frozen<D[K]> | undefined
  has(key: keyof D): boolean
  /**
   * Keeps a copy of `value`. `undefined` removes the key.
   *
   * @throws {@link SessionSerializationError} naming the path of what would not survive.
   */
  set<K extends keyof D>(key: K, value: D[K] | Frozen<D[K]>): void
  unset(key: keyof D): void
  /**
   * Replaces a value by what `fn` makes of it. When another request was faster `fn` is called
   * again with the newer value, so it must only depend on its argument, and change nothing else. The
   * argument is frozen: return a new value, as in `(list = []) => [...list, item]`.
   */
  update<K extends keyof D>(
    key: K,
    fn: (current: Frozen<D[K]> | undefined) => D[K] | Frozen<D[K]>,
  ): void
  /** Reads a value that the last request left, and consumes it. */
  flash(key: string): unknown
  /** Leaves a value that only the next request using the session can read. */
  flash(key: string, value: unknown): void
  /**
   * Signs a user in: sets the subject and `authenticatedAt`, starts the timeouts afresh and moves
   * to a new id. The data stay, unless they were another user's.
   */
  login(subject: string, options?: LoginOptions): void
  /** Moves to a new id with the same data; the old id is dead. */
  regenerate(): void
  /** Ends the session: its data, its id and its cookie. */
  destroy(): void
  /**
   * Of all overlapping requests of the session, in all isolates, one runs `fn`; the others wait and
   * get its result: the refresh of an OAuth token. All get a frozen copy. When `fn`
   * throws, whoever ran it gets the error and the next one tries. With a store that is not `atomic`
   * (KV) more than one may run it.
   *
   * @throws {@link SessionError} with code `ERR_STORE_REQUIRED` without a store;
   * {@link SessionSerializationError} when the result would not survive;
   * {@link StoreUnavailableError}; {@link StoreTimeoutError} when others held the lease too long.
   */
  once<T>(key: string, fn: () => Promise<T>, options?: OnceOptions): Promise<T>
}

/** A live session as it was opened. */
export interface FoundSession {
  readonly state: SessionState
  /** Its data as text, to see whether anything changed. */
  readonly text: string | null
  /** The store's version of it. */
  readonly version?: string | undefined
  /** When the store said so, epoch milliseconds, whole seconds; `undefined`: right now. */
  readonly at?: number | undefined
  /** It is a copy from before the store failed. */
  readonly stale?: boolean
  /** How many patches beside the record are in it. */
  readonly folded?: number
}

/** What a session is made from, and what `save` reads back. */
export interface Draft {
  status: SessionStatus
  /** What there is to go on from; `null`: a write starts a new session. */
  readonly found: FoundSession | null
  /** As it is after the operations so far. */
  current: SessionState
  readonly operations: Operation[]
  /** When the cookie was last renewed, epoch milliseconds. */
  readonly renewedAt: number
  /** Which cookies the browser holds. */
  readonly cookies: CookieFound
  /** Set while and after it is committed. */
  committed: boolean
  /** An error or the event `session.uncommitted` has told of changes that were not saved. */
  unsaved?: boolean
  /** It is over, and not under another id: who signs in with its cookie starts anew. */
  ended?: boolean
  /** The cookie is to be written anew, whether anything changed or not. */
  refresh?: boolean
  /** The cookie is that of an id from before, which the browser got back. */
  returned?: boolean
  /** Writes of earlier requests that had to wait, the state with them, and how many are too late. */
  deferred?: Deferrals & { readonly base: SessionState; readonly dropped: number }
  /** `Set-Cookie` values that remove what it was imported from, once it is kept. */
  removals?: readonly string[]
  /** `Set-Cookie` values that remove an old cookie beside ours, once ours is there or written. */
  leftovers?: readonly string[]
  /** Keyed hash of the client that sent the request, once it is needed. */
  binding?: string | undefined
  /** Makes {@link Draft.binding}. */
  bind?: (() => Promise<string>) | undefined
  /** A sign-in that this client is not trusted with. */
  doubted?: number | null
  /** Why nothing may be written. */
  readOnly: SessionError | null
  /** Why there is no session, for `require`; made when asked for, an error costs its stack. */
  readonly reason: (() => SessionError) | null
}

/** What a session needs of the instance it belongs to. */
export interface SessionContext {
  readonly copy: CopyValue
  /** The application changed a session. */
  readonly changed: (draft: Draft) => void
  /** Epoch milliseconds. */
  readonly clock: () => number
  /** The same, whole seconds. */
  readonly now: () => number
  /** 16 random bytes. */
  readonly newKey: () => SessionState['key']
  readonly expiresAt: (times: SessionTimes) => number
  /** Seconds, where configured. */
  readonly absoluteTimeout: number | undefined
  readonly same: (a: unknown, b: unknown) => boolean
  readonly once: <T>(
    about: SessionState,
    key: string,
    fn: () => Promise<T>,
    options?: OnceOptions,
  ) => Promise<T>
}

let draftOf: (session: object, context?: SessionContext) => Draft

/**
 * Returns the draft of a session.
 *
 * @param context That of the instance it must belong to. (default: any)
 * @throws TypeError for what is no session of this package, or one of another instance.
 */
export function getDraft(session: object, context?: SessionContext): Draft {
  return draftOf(session, context)
}

/** Implements {@link Session}; its fields are private, so printing one shows no data. */
export class RequestSession<D extends SessionData> implements Session<D, D> {
  readonly #draft: Draft
  readonly #context: SessionContext
  /** What this request may still read once. */
  #flash: SessionState['flash']

  static {
    draftOf = (session, context) => {
      const isOurs = Object(session) === session && #draft in session
      expectArgument(isOurs, 'session', 'an awaited session', session)
      const own = session as RequestSession<SessionData>
      if (context && own.#context !== context) {
        throw new TypeError('Cannot save session: other sessions opened it')
      }
      return own.#draft
    }
  }

  /** @param isAhead Nobody sees the page yet: flash values wait for the next request. */
  constructor(draft: Draft, context: SessionContext, isAhead: boolean) {
    this.#draft = draft
    this.#context = context
    const seen = isAhead ? EMPTY : draft.current.flash
    this.#flash = seen
    if (Object.keys(seen).length && !draft.readOnly) this.#apply(sweepFlash(seen, context.same))
    // `session.cart = []`, as in other libraries, would not be saved: it throws.
    Object.preventExtensions(this)
  }

  get id(): string {
    return idOf(this.#draft.current)
  }
  get status(): SessionStatus {
    return this.#draft.status
  }
  get data(): Frozen<D> {
    return Object.freeze(this.#draft.current.data) as Frozen<D>
  }
  get createdAt(): number {
    return this.#draft.current.createdAt
  }
  get expiresAt(): number {
    return this.#context.expiresAt(this.#draft.current)
  }
  get subject(): string | null {
    return this.#draft.current.subject
  }
  get authenticatedAt(): number | null {
    const { current, doubted } = this.#draft
    return current.authenticatedAt === doubted ? null : current.authenticatedAt
  }

  get<K extends keyof D>(key: K): Frozen<D[K]> | undefined {
    return ownValue(this.#draft.current.data, key) as Frozen<D[K]> | undefined
  }

  has(key: keyof D): boolean {
    return Object.hasOwn(this.#draft.current.data, key)
  }

  set<K extends keyof D>(key: K, value: D[K] | Frozen<D[K]>): void {
    this.#change(setValue(String(key), this.#copy(value, String(key))))
  }

  unset(key: keyof D): void {
    this.#change(setValue(String(key), undefined))
  }

  update<K extends keyof D>(
    key: K,
    fn: (current: Frozen<D[K]> | undefined) => D[K] | Frozen<D[K]>,
  ): void {
    const path = String(key)
    expectArgument(typeof fn === 'function', 'fn', 'a function', fn)
    this.#change(updateValue(path, (now) => this.#copy(fn(now as Frozen<D[K]> | undefined), path)))
  }

  flash(key: string, ...value: [unknown?]): unknown {
    if (value.length === 0) {
      const found = ownValue(this.#flash, key)
      this.#flash = withValue(this.#flash, key, undefined)
      return found
    }
    this.#change(addFlash(key, this.#copy(value[0], `flash.${key}`)))
    return undefined
  }

  login(subject: string, options: LoginOptions = {}): void {
    assertSubject(subject)
    const chosen = applyRules<Omit<Login, 'subject'>>('login.', LOGIN_RULES, options)
    const { idleTimeout } = chosen
    const { absoluteTimeout = this.#context.absoluteTimeout } = chosen
    assertTime('login.idleTimeout', idleTimeout, 'absoluteTimeout', absoluteTimeout)
    // Data of a newer version are left behind, but for those of the same user.
    this.#assertWritable(this.subject !== subject)
    if (this.#draft.ended && this.#draft.status === 'superseded') this.#draft.status = 'missing'
    this.#draft.readOnly = null
    this.#change(signIn({ subject, ...chosen }, this.#context.clock()))
    this.regenerate()
  }

  regenerate(): void {
    this.#change(changeId(this.#context.newKey()))
  }

  destroy(): void {
    if (this.#draft.status === 'destroyed') return
    this.#assertWritable(true)
    this.#draft.current = {
      ...this.#draft.current,
      data: {},
      subject: null,
      authenticatedAt: null,
    }
    if (this.#draft.status !== 'superseded') this.#draft.status = 'destroyed'
    this.#context.changed(this.#draft)
  }

  once<T>(key: string, fn: () => Promise<T>, options?: OnceOptions): Promise<T> {
    expectArgument(typeof key === 'string' && key, 'key', 'a text', key)
    expectArgument(typeof fn === 'function', 'fn', 'a function', fn)
    return this.#context.once(this.#draft.current, key, fn, options)
  }

  #copy(value: unknown, path: string): unknown {
    return value === undefined ? undefined : this.#context.copy(value, path)
  }

  #change(operation: Operation): void {
    this.#assertWritable()
    this.#apply(operation)
    this.#context.changed(this.#draft)
  }

  #apply(operation: Operation): void {
    const { current } = this.#draft
    const next = operation(current)
    if (this.#draft.current !== current) {
      throw new SessionError('Cannot change session in update(): return the new value')
    }
    this.#draft.current = next
    this.#draft.operations.push(operation)
  }

  /** `ends`: data that were found and cannot be read may be left behind. */
  #assertWritable(ends = false): void {
    const { committed, found, status, readOnly } = this.#draft
    if (committed) {
      throw new SessionCommittedError(
        'Cannot change session: its response was committed; change it before the response is returned',
      )
    }
    if (status === 'destroyed') {
      throw new SessionError('Cannot change session: it was destroyed by this request', {
        code: 'ERR_SESSION_DESTROYED',
      })
    }
    if (readOnly && !(ends && found)) throw readOnly
  }
}

const LOGIN_RULES: Record<string, Rule> = {
  persistent: flagRule(false),
  idleTimeout: timeoutRule(undefined),
  absoluteTimeout: timeoutRule(undefined),
  label: [undefined, 'a string of at most 200 characters', (value: string) => value.length <= 200],
}
