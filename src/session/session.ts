/** The session of one request, as the application reads and changes it. */

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

/**
 * Types of flash values by their keys, which an application declares once. Others are `unknown`.
 *
 * @example
 * declare module 'sojourn' {
 *   interface SessionFlash {
 *     notice: string
 *   }
 * }
 */
// biome-ignore lint/suspicious/noEmptyInterface: applications add to it.
export interface SessionFlash {}

/** The type of a flash value that is read. */
export type FlashOf<K> = K extends keyof SessionFlash
  ? Frozen<SessionFlash[K]> | undefined
  : unknown

/** The type of a flash value that is left. */
export type FlashValueOf<K> = K extends keyof SessionFlash
  ? SessionFlash[K] | Frozen<SessionFlash[K]>
  : unknown

/** Keys of `D` whose values are numbers. */
export type NumberKey<D> = {
  [K in keyof D]-?: NonNullable<D[K]> extends number ? K : never
}[keyof D]

/** The items of a list; nothing where the value is no list. */
export type ItemOf<V> = NonNullable<V> extends readonly (infer T)[] ? T : never

/**
 * The outcome of opening the session, or of its commit.
 *
 * - `new`: no cookie.
 * - `active`: a live session.
 * - `expired`: idle for too long, or too old.
 * - `invalid`: the cookie, or the stored record, does not open or is not a session.
 * - `missing`: it has ended, the store does not have it, or its cookie was replaced too long ago.
 * - `superseded`: a rotation (`login`, `elevate`, `regenerate`) replaced its cookie moments ago, while this
 *   request was under way. Its changes are dropped without a `Set-Cookie`; only `login` and `destroy`
 *   work.
 * - `unproven`: it is bound to a device, `deviceBound.enforce` asks for a proof, and this request brings
 *   none. As with `superseded` changes are dropped, and only `login` and `destroy` work.
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
  | 'unproven'
  | 'degraded'
  | 'destroyed'

/** Options for {@link Session.login}. */
export interface LoginOptions {
  /** The cookie outlives the browser: "remember me". (default: `false`) */
  persistent?: boolean | undefined
  /** Seconds, for this session, at most its absolute timeout. (default: as configured) */
  idleTimeout?: number | undefined
  /** Seconds, for this session. (default: as configured; where that is the default, `idleTimeout` if longer) */
  absoluteTimeout?: number | undefined
  /** A name for lists of the user's sessions, up to 200 characters: a device, a place. (default: none) */
  label?: string | undefined
  /**
   * Somebody else who acts for the user (RFC 8693, 4.1): the id of an administrator who sees what the user sees,
   * for example. A login with another actor, or none, starts another session. (default: nobody)
   */
  actor?: string | undefined
  /**
   * Names that the session is found by, besides its user, for `listBy` and `revokeBy`: the identity provider's `sid`, a
   * tenant, a device. At most 8, of 200 characters. (default: none)
   */
  tags?: readonly string[] | undefined
}

/** Data of the site that a browser can be told to clear (`Clear-Site-Data`). */
export type SiteData = 'cache' | 'storage' | 'cookies'

/** Options for {@link Session.destroy}. */
export interface DestroyOptions {
  /**
   * Data that the browser clears with this response, by `Clear-Site-Data`: `cache`, so that no page of the session is
   * left in it; `storage` (localStorage, IndexedDB, service workers) of this origin. `cookies` clears those of the whole
   * registrable domain, sibling subdomains included. (default: nothing)
   *
   * The header goes on the response that `commit`, `handler` or an adapter sends. `save` returns cookies only: there
   * put it on the response yourself.
   */
  clear?: readonly SiteData[] | undefined
  /**
   * The application's word for the end, up to 200 characters, such as `password-changed`: it is told with the event
   * `session.ended`, and logs show it. (default: none)
   */
  reason?: string | undefined
}

/** Options for {@link Session.once}. */
export interface OnceOptions {
  /** Seconds after which the request that runs `fn` loses the lease. (default: 10) */
  lease?: number | undefined
  /** Seconds for which other requests get the result and do not run `fn`. (default: 30) */
  ttl?: number | undefined
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
   * A hash of the id and the credential: another one after each `login`, `elevate` and `regenerate`. Bind to it
   * what must not survive a sign-in, CSRF tokens for example.
   */
  readonly rotationId: string
  /** The state that the request found, or `destroyed`: see {@link SessionStatus}. */
  readonly status: SessionStatus
  /** The data as they are now, deeply frozen. Without defaults of a `schema` empty (`{}`) until something was set. */
  readonly data: Frozen<Data>
  /** Epoch milliseconds. */
  readonly createdAt: number
  /** Epoch milliseconds: the earlier of the idle and the absolute timeout. */
  readonly expiresAt: number
  /** The user who is signed in, as given to `login`; `null`: nobody. */
  readonly subject: string | null
  /**
   * Epoch milliseconds of the last `login`, for step-up checks; `null` where nobody is signed in, or where somebody signed in
   * with another client (`binding: { onMismatch: 'step-down' }`).
   */
  readonly authenticatedAt: number | null
  /**
   * The factors that the user has proven since signing in, by name, with the time of the last proof in epoch
   * milliseconds; see {@link Session.elevate}. Frozen.
   */
  readonly factors: Readonly<Record<string, number>>
  /** Somebody else who acts for the user, as given to `login`; `null`: nobody does. */
  readonly actor: string | null
  /** The tags given to `login` and `tag`, frozen. */
  readonly tags: readonly string[]
  /**
   * With `deviceBound`: `true` where the session is bound to a device and this request proves that it comes
   * from there, `false` where it does not, as a copied cookie; `null`: the session is not bound.
   */
  readonly bound: boolean | null
  /** A value as in `data`, deeply frozen: to change it, `set` another one, or `update` it. */
  get<K extends keyof D & keyof Data>(key: K): Frozen<Data[K]>
  /** Tells whether a value is set, `null` included. */
  has(key: keyof D): boolean
  /**
   * Stores a copy of `value`. `undefined` removes the key.
   *
   * @throws {@link SessionSerializationError} naming the path of what would not survive.
   */
  set<K extends keyof D>(key: K, value: D[K] | Frozen<D[K]>): void
  /** Removes a value. */
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
   * Adds `by` (default: 1) to a number, or to 0 where there is no value. Unlike `update` it does
   * not have to be run again: with an `atomic` store, and without a `schema`, it costs one call even where
   * many requests write at once. If another request has set a value of another type meanwhile, that
   * value stays, with the event `commit.dropped`.
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
  /** Reads a value that the last request left, and consumes it. {@link SessionFlash} gives it a type. */
  flash<K extends string>(key: K): FlashOf<K>
  /** Leaves a value that only the next request using the session can read. */
  flash<K extends string>(key: K, value: FlashValueOf<K>): void
  /**
   * Signs a user in: sets the subject and `authenticatedAt`, starts the timeouts afresh and
   * replaces the credential, so that no cookie from before opens what comes after. Id, data and factors
   * stay, unless they were another user's, or the actor is another one: then that session ends and a new
   * one starts. Where others write to the session all the while, as a thief may, it ends too, and a new one goes on with
   * its data.
   */
  login(subject: string, options?: LoginOptions): void
  /**
   * Records that the user has just proven a factor (`'passkey'`, `'totp'`, `'password'`), for guards that ask for it,
   * and replaces the credential as {@link Session.regenerate} does. Sessions remember when each factor was last
   * proven until they end, or somebody else signs in.
   *
   * @param factor A token (RFC 9110, 5.6.2) of at most 200 characters; with the option `factors` one of those.
   * @throws TypeError for any other name, and when nobody is signed in.
   */
  elevate(factor: string): void
  /**
   * Adds tags, which the session has until it ends, or somebody signs in to it. Like a sign-in it does not wait for a
   * store that is down.
   *
   * @throws TypeError when there are more than 8 then, or one is not of 1 to 200 characters.
   */
  tag(...tags: string[]): void
  /**
   * Removes tags.
   *
   * @throws TypeError for what can be no tag.
   */
  untag(...tags: string[]): void
  /** Replaces the credential: no cookie from before opens the session any more. */
  regenerate(): void
  /**
   * Asks the browser for a key to bind the session to, as `login` does by itself. Browsers that have none to
   * give stay as they are, and so does a session that is bound already.
   *
   * @throws TypeError without the option `deviceBound`.
   */
  bind(): void
  /** Ends the session: its data, its id and its cookie, and any other that the request's cookies open. */
  destroy(options?: DestroyOptions): void
  /**
   * Runs `fn` in one of all overlapping requests of the session, in all isolates. The others poll and
   * get its result, of the refresh of an OAuth token for example. All get a frozen copy. A request from before a sign-in
   * never gets a result from after it, nor the other way round: each runs `fn`. When `fn`
   * throws, whoever ran it gets the error and the next one tries. With a store that is not `atomic`
   * (KV) more than one may run it. A result that does not open is none, and the next one runs `fn` again: with
   * `seal: 'cookie'` after a rotation, and where a deployment does not have the secret of the other one.
   *
   * @throws {@link SessionError} with code `ERR_STORE_REQUIRED` without a store;
   * {@link SessionSerializationError} when the result would not survive;
   * {@link StoreUnavailableError}; {@link StoreTimeoutError} when others had the lease for three leases.
   */
  once<T>(key: string, fn: () => Promise<T>, options?: OnceOptions): Promise<T>
}
