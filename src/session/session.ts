/** The session of one request, as the application reads and changes it. */
import {
  applyRules,
  assertSubject,
  assertTime,
  expectArgument,
  flagRule,
  type Rule,
  timeoutRule,
} from '../check.ts'
import { nameOf, newNonce } from '../codec/generation.ts'
import { idOf, type SessionState } from '../codec/session-record.ts'
import { EMPTY } from '../codec/values.ts'
import { SessionCommittedError, SessionError } from '../errors.ts'
import type { Draft, SessionContext, SessionStatus } from './draft.ts'
import {
  type Change,
  change,
  type Login,
  type Operation,
  ownValue,
  type Rotation,
  rotate,
  signIn,
  sweepFlash,
  updateValue,
  withValue,
} from './operations.ts'

/** The data of a session: string keys, and values that the codec preserves. */
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

/** Keys of `D` whose values are numbers. */
export type NumberKey<D> = {
  [K in keyof D]-?: NonNullable<D[K]> extends number ? K : never
}[keyof D]

/** The items of a list; nothing where the value is no list. */
export type ItemOf<V> = NonNullable<V> extends readonly (infer T)[] ? T : never

/** Options for {@link Session.login}. */
export interface LoginOptions {
  /** The cookie outlives the browser: "remember me". (default: `false`) */
  persistent?: boolean
  /** Seconds, for this session, at most its absolute timeout. (default: as configured) */
  idleTimeout?: number
  /** Seconds, for this session. (default: as configured; where that is the default, `idleTimeout` if longer) */
  absoluteTimeout?: number
  /** A name for lists of the user's sessions, up to 200 characters: a device, a place. */
  label?: string
}

/** Options for {@link Session.once}. */
export interface OnceOptions {
  /** Seconds after which the request that runs `fn` loses the lease. (default: 10) */
  lease?: number
  /** Seconds for which other requests get the result and do not run `fn`. (default: 30) */
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
  /**
   * A public id, safe to store beside user data: it is not the cookie and opens nothing. It
   * stays the same when a user signs in, unless another user was signed in before.
   */
  readonly id: string
  /**
   * A hash of the id and the credential: another one after each `login` and `regenerate`. Bind to it
   * what must not survive a sign-in, CSRF tokens for example.
   */
  readonly rotationId: string
  readonly status: SessionStatus
  /** The data as they are now, deeply frozen. Without defaults of a `schema` empty (`{}`) until something was set. */
  readonly data: Frozen<Data>
  /** Epoch milliseconds. */
  readonly createdAt: number
  /** Epoch milliseconds: the earlier of the idle and the absolute timeout. */
  readonly expiresAt: number
  /** The user who is signed in, as given to `login`; `null`: nobody. */
  readonly subject: string | null
  /** Epoch milliseconds of the last `login`, for step-up checks. */
  readonly authenticatedAt: number | null
  /** A value, deeply frozen: to change it, `set` another one, or `update` it. */
  get<K extends keyof D>(key: K): Frozen<D[K]> | undefined
  has(key: keyof D): boolean
  /**
   * Stores a copy of `value`. `undefined` removes the key.
   *
   * @throws {@link SessionSerializationError} naming the path of what would not survive.
   */
  set<K extends keyof D>(key: K, value: D[K] | Frozen<D[K]>): void
  unset(key: keyof D): void
  /**
   * Replaces a value by the result of `fn`. If another request committed first, `fn` is run again
   * with the newer value, so it must only depend on its argument, and change nothing else. The
   * argument is frozen: return a new value, as in `(list = []) => [...list, item]`.
   */
  update<K extends keyof D>(
    key: K,
    fn: (current: Frozen<D[K]> | undefined) => D[K] | Frozen<D[K]>,
  ): void
  /**
   * Adds `by` (default: 1) to a number, or to 0 where there is no value. Unlike `update` it never
   * has to be run again: with a store it costs one call, however many requests write.
   *
   * @throws TypeError when the value is not a number.
   */
  increment<K extends NumberKey<D>>(key: K, by?: number): void
  /**
   * Adds items at the end of a list, or of an empty one where there is no value; as cheap as
   * `increment`.
   *
   * @throws TypeError when the value is not a list, and as `set`.
   */
  append<K extends keyof D>(key: K, ...items: ItemOf<D[K]>[]): void
  /** Reads a value that the last request left, and consumes it. */
  flash(key: string): unknown
  /** Leaves a value that only the next request using the session can read. */
  flash(key: string, value: unknown): void
  /**
   * Signs a user in: sets the subject and `authenticatedAt`, starts the timeouts afresh and
   * replaces the credential, so that no cookie from before opens what comes after. Id and data
   * stay, unless they were another user's: then that session ends and a new one starts.
   */
  login(subject: string, options?: LoginOptions): void
  /** Replaces the credential: no cookie from before opens the session any more. */
  regenerate(): void
  /** Ends the session: its data, its id and its cookie, and any other that the request's cookies open. */
  destroy(): void
  /**
   * Runs `fn` in one of all overlapping requests of the session, in all isolates. The others poll and
   * get its result, of the refresh of an OAuth token for example. All get a frozen copy. When `fn`
   * throws, whoever ran it gets the error and the next one tries. With a store that is not `atomic`
   * (KV) more than one may run it.
   *
   * @throws {@link SessionError} with code `ERR_STORE_REQUIRED` without a store;
   * {@link SessionSerializationError} when the result would not survive;
   * {@link StoreUnavailableError}; {@link StoreTimeoutError} when others had the lease for three leases.
   */
  once<T>(key: string, fn: () => Promise<T>, options?: OnceOptions): Promise<T>
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

const UNSET = ['unset'] as const

/** Runs the work of {@link Session.once}. */
export type RunOnce = <T>(
  about: SessionState,
  key: string,
  fn: () => Promise<T>,
  options?: OnceOptions,
) => Promise<T>

/** Implements {@link Session}; its fields are private, so printing one shows no data. */
export class RequestSession<D extends SessionData> implements Session<D, D> {
  readonly #draft: Draft
  readonly #context: SessionContext
  readonly #once: RunOnce
  /** The flash values that this request may still read. */
  #flash: SessionState['flash']
  #rotation: Rotation | undefined

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
  constructor(draft: Draft, context: SessionContext, once: RunOnce, isAhead: boolean) {
    this.#draft = draft
    this.#context = context
    this.#once = once
    const seen = isAhead ? EMPTY : draft.current.flash
    this.#flash = seen
    if (Object.keys(seen).length && !draft.readOnly) this.#apply(sweepFlash(seen, context.same))
    // `session.cart = []`, as in other libraries, would not be saved: it throws.
    Object.preventExtensions(this)
  }

  get id(): string {
    return idOf(this.#draft.current)
  }
  get rotationId(): string {
    const { current } = this.#draft
    return hash(`${idOf(current)}.${nameOf(current.generation)}`)
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
    const copy = this.#copy(value, String(key))
    this.#make([0, String(key), ...(copy === undefined ? UNSET : (['set', copy] as const))])
  }

  unset(key: keyof D): void {
    this.#make([0, String(key), ...UNSET])
  }

  update<K extends keyof D>(
    key: K,
    fn: (current: Frozen<D[K]> | undefined) => D[K] | Frozen<D[K]>,
  ): void {
    const path = String(key)
    expectArgument(typeof fn === 'function', 'fn', 'a function', fn)
    this.#change(updateValue(path, (now) => this.#copy(fn(now as Frozen<D[K]> | undefined), path)))
  }

  increment<K extends NumberKey<D>>(key: K, by = 1): void {
    const sum = (this.#current(key, 'number') ?? 0) + by
    if (!Number.isFinite(sum)) throw new TypeError('increment() takes a finite number')
    this.#make([0, String(key), 'add', by])
  }

  append<K extends keyof D>(key: K, ...items: ItemOf<D[K]>[]): void {
    this.#current(key, 'list')
    this.#make([0, String(key), 'append', this.#copy(items, String(key))])
  }

  flash(key: string, ...value: [unknown?]): unknown {
    if (value.length === 0) {
      const found = ownValue(this.#flash, key)
      this.#flash = withValue(this.#flash, key, undefined)
      return found
    }
    const copy = this.#copy(value[0], `flash.${key}`)
    this.#make([1, key, ...(copy === undefined ? UNSET : (['set', copy] as const))])
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
    const draft = this.#draft
    if (draft.status === 'superseded') draft.status = 'missing'
    draft.readOnly = null
    const login = { subject, ...chosen }
    this.#change(signIn(login, this.#draw(), this.#context.version, draft.found !== null))
  }

  regenerate(): void {
    this.#assertWritable()
    // A session that no cookie names yet has nothing to replace.
    if (this.#draft.found) this.#apply(rotate(this.#draw()))
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
    this.#draft.status = 'destroyed'
    this.#context.changed(this.#draft)
  }

  once<T>(key: string, fn: () => Promise<T>, options?: OnceOptions): Promise<T> {
    expectArgument(typeof key === 'string' && key, 'key', 'a text', key)
    expectArgument(typeof fn === 'function', 'fn', 'a function', fn)
    return this.#once(this.#draft.current, key, fn, options)
  }

  #copy(value: unknown, path: string): unknown {
    return value === undefined ? undefined : this.#context.copy(value, path)
  }

  /** Draws the credential of this request, once: rotating twice in a request is rotating. */
  #draw(): Rotation {
    const { clock, newKey } = this.#context
    this.#rotation ??= { nonce: newNonce(), key: newKey(), at: clock() }
    return this.#rotation
  }

  #current(key: keyof D, kind: 'number'): number | undefined
  #current(key: keyof D, kind: 'list'): unknown
  #current(key: keyof D, kind: 'number' | 'list'): unknown {
    const value = this.get(key)
    const fits = kind === 'list' ? Array.isArray(value) : typeof value === kind
    if (fits || value === undefined || value === null) return value ?? undefined
    throw new TypeError(`Cannot add to ${JSON.stringify(key)}: it holds no ${kind}`)
  }

  #make(one: Change): void {
    this.#change(change([one], this.#context.same))
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

/** FNV-1a under two starting values: 64 bits, to tell credentials apart. */
function hash(text: string): string {
  return [0x811c9dc5, 0x01234567]
    .map((start) => {
      let sum = start
      for (let i = 0; i < text.length; i++) sum = Math.imul(sum ^ text.charCodeAt(i), 0x01000193)
      return (sum >>> 0).toString(36)
    })
    .join('')
}
