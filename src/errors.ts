/**
 * Every error Sojourn throws on purpose.
 *
 * Nothing that a client sends is an error: it becomes a {@link Session.status}. Programmer mistakes
 * are `TypeError` or `RangeError` when things are created. What is left, operations that failed,
 * is a {@link SessionError}. No message, `cause` or property contains a cookie, a secret, session data
 * or a session id.
 *
 * @module
 * @example
 * import { StoreUnavailableError } from 'sojourn/errors'
 */
import { cookiesOf } from './transport/error-cookies.ts'

/** Every stable error code. Compare `error.code`; messages may change. */
export type SessionErrorCode =
  | 'ERR_SESSION'
  | 'ERR_SESSION_BINDING'
  | 'ERR_SESSION_COMMITTED'
  | 'ERR_SESSION_CONFLICT'
  | 'ERR_SESSION_CORRUPT'
  | 'ERR_SESSION_DESTROYED'
  | 'ERR_SESSION_ENCRYPTION'
  | 'ERR_SESSION_EXPIRED'
  | 'ERR_SESSION_NOT_FOUND'
  | 'ERR_SESSION_READ_ONLY'
  | 'ERR_SESSION_SERIALIZATION'
  | 'ERR_SESSION_VALIDATION'
  | 'ERR_COOKIE_TOO_LARGE'
  | 'ERR_CIRCUIT_OPEN'
  | 'ERR_STORE'
  | 'ERR_STORE_REQUIRED'
  | 'ERR_STORE_TIMEOUT'
  | 'ERR_STORE_UNAVAILABLE'

/**
 * The class of a store's failure, from what the store itself said.
 *
 * - `auth`: wrong or missing credentials, or no permission.
 * - `full`: memory or disk is used up.
 * - `read-only`: reads go on, writes are refused (a replica, a disk that cannot be written).
 * - `loading`: it is starting, or busy with itself.
 * - `too-large`: one value or request is over a limit.
 * - `rate`: too many calls or connections at once.
 * - `quota`: what the plan or the platform allows is used up.
 * - `cluster`: the key is somewhere else, or the cluster is down.
 * - `timeout`: no answer in time.
 * - `network`: it could not be reached.
 * - `unknown`: anything else.
 */
export type StoreReason =
  | 'auth'
  | 'full'
  | 'read-only'
  | 'loading'
  | 'too-large'
  | 'rate'
  | 'quota'
  | 'cluster'
  | 'timeout'
  | 'network'
  | 'unknown'

/** The limit that a session met: `not-before`, its user signed out everywhere. */
export type ExpiryReason = 'idle' | 'absolute' | 'not-before'

/**
 * The reason for which a cookie does not open.
 *
 * - `unknown-key`: sealed under a secret that is not configured here.
 * - `future`: sealed by a clock that is over an hour ahead of this one.
 * - `malformed`: cut, or nothing that Sojourn made.
 * - `newer`: in a format of a newer version of Sojourn, which answers beside this one.
 * - `forged`: it names a key of ours, and was changed, or made for a cookie of another name.
 */
export type InvalidReason = 'unknown-key' | 'future' | 'malformed' | 'newer' | 'forged'

/** The reason for which there is no session. */
export type AbsenceReason = 'no-cookie' | 'missing' | 'superseded' | 'reused'

/** Options for the errors here. */
export interface SessionErrorOptions {
  /** The error behind this one. (default: none) */
  cause?: unknown
  /** See {@link SessionError.reason}. (default: none) */
  reason?: StoreReason | ExpiryReason | InvalidReason | AbsenceReason | undefined
  /** See {@link StoreError.word}. (default: none) */
  word?: string | undefined
}

/** The base of every error here. */
export class SessionError extends Error {
  // Spelled out, because minifiers rename classes.
  override readonly name: string = 'SessionError'
  /** Stable and unique per kind of failure. */
  readonly code: SessionErrorCode = 'ERR_SESSION'
  /** `true`: the same call may succeed later without anything being changed. */
  readonly retryable: boolean = false
  /** A word that says why, where it is known. Its values are in the types of the subclasses. */
  declare readonly reason?: SessionErrorOptions['reason']

  constructor(
    message: string,
    { code, reason, word, ...options }: SessionErrorOptions & { code?: SessionErrorCode } = {},
  ) {
    super(message, options)
    if (code) this.code = code
    Object.assign(this, reason && { reason }, word && { word })
  }
}

/** The session was idle for too long, or is older than its absolute timeout. */
export class SessionExpiredError extends SessionError {
  override readonly name: string = 'SessionExpiredError'
  override readonly code: SessionErrorCode = 'ERR_SESSION_EXPIRED'
  declare readonly reason?: ExpiryReason
}

/** There is no such session: no cookie, unknown to the store, regenerated or destroyed. */
export class SessionNotFoundError extends SessionError {
  override readonly name: string = 'SessionNotFoundError'
  override readonly code: SessionErrorCode = 'ERR_SESSION_NOT_FOUND'
  declare readonly reason?: AbsenceReason
}

/** A stored session opened, but its content is not a session. */
export class SessionCorruptionError extends SessionError {
  override readonly name: string = 'SessionCorruptionError'
  override readonly code: SessionErrorCode = 'ERR_SESSION_CORRUPT'
}

/** A cookie or a stored value does not open: forged, cut, or sealed under an unknown secret. */
export class SessionEncryptionError extends SessionError {
  override readonly name: string = 'SessionEncryptionError'
  override readonly code: SessionErrorCode = 'ERR_SESSION_ENCRYPTION'
  declare readonly reason?: InvalidReason
}

/** One thing a schema found wrong; the shape of a Standard Schema issue. */
export interface SessionIssue {
  readonly message: string
  readonly path?: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> | undefined
}

/** The data does not satisfy the `schema`; `issues` says where. */
export class SessionValidationError extends SessionError {
  override readonly name: string = 'SessionValidationError'
  override readonly code: SessionErrorCode = 'ERR_SESSION_VALIDATION'
  /**
   * The schema's own issues, unchanged. Some schemas quote values in them, so that they do not show
   * where the error is printed or logged.
   */
  declare readonly issues: readonly SessionIssue[]

  constructor(message: string, issues: readonly SessionIssue[]) {
    super(message)
    Object.defineProperty(this, 'issues', { value: issues })
  }
}

/** A value would not survive being stored; `path` says which. */
export class SessionSerializationError extends SessionError {
  override readonly name: string = 'SessionSerializationError'
  override readonly code: SessionErrorCode = 'ERR_SESSION_SERIALIZATION'
  /** Path of the value, for example `cart.items[2].price`. */
  readonly path: string

  constructor(message: string, path: string, options?: SessionErrorOptions) {
    super(message, options)
    this.path = path
  }
}

/** The session is bound to another client. */
export class SessionBindingError extends SessionError {
  override readonly name: string = 'SessionBindingError'
  override readonly code: SessionErrorCode = 'ERR_SESSION_BINDING'
}

/** The session was changed after the response was committed, so the change could not be saved. */
export class SessionCommittedError extends SessionError {
  override readonly name: string = 'SessionCommittedError'
  override readonly code: SessionErrorCode = 'ERR_SESSION_COMMITTED'
}

/** Other requests kept changing the session until the commit's deadline (`storeTimeout`). */
export class SessionConflictError extends SessionError {
  override readonly name: string = 'SessionConflictError'
  override readonly code: SessionErrorCode = 'ERR_SESSION_CONFLICT'
  override readonly retryable: boolean = true
  /** The status with which Express, h3 and Elysia answer when it reaches them. */
  readonly status: number = 503

  /** Returns 503 with `Retry-After`, as {@link StoreUnavailableError} does. */
  getResponse(): Response {
    return unavailable(this)
  }
}

/** The session does not fit into the cookies it may use; nothing was sent. */
export class CookieTooLargeError extends SessionError {
  override readonly name: string = 'CookieTooLargeError'
  override readonly code: SessionErrorCode = 'ERR_COOKIE_TOO_LARGE'
  /** Bytes of name and value, over all chunks. */
  readonly size: number
  /** Bytes that would have been allowed. */
  readonly limit: number

  constructor(message: string, size: number, limit: number) {
    super(message)
    this.size = size
    this.limit = limit
  }
}

/**
 * The store did not do what was asked, and repeating the call will not help: a refused command,
 * wrong credentials, a value over its size limit.
 */
export class StoreError extends SessionError {
  override readonly name: string = 'StoreError'
  override readonly code: SessionErrorCode = 'ERR_STORE'
  declare readonly reason?: StoreReason
  /** The store's own first word, which quotes nothing: `OOM` when Redis is full, `SQLITE_FULL`, `53100`. */
  declare readonly word?: string
}

/** The store could not be reached, or gave no usable answer. It says nothing about the session. */
export class StoreUnavailableError extends SessionError {
  override readonly name: string = 'StoreUnavailableError'
  override readonly code: SessionErrorCode = 'ERR_STORE_UNAVAILABLE'
  override readonly retryable: boolean = true
  /** The status with which Express, h3 and Elysia answer when it reaches them. */
  readonly status: number = 503
  declare readonly reason?: StoreReason
  /** See {@link StoreError.word}. */
  declare readonly word?: string
  /** Seconds after which a retry makes sense, where known. */
  readonly retryAfter: number | undefined

  constructor(
    message: string,
    options?: SessionErrorOptions & { retryAfter?: number | undefined },
  ) {
    super(message, options)
    this.retryAfter = options?.retryAfter
  }

  /** Returns 503 with `Retry-After` (RFC 9110, 15.6.4): what `handler` answers, and Hono by itself. */
  getResponse(): Response {
    return unavailable(this, this.retryAfter)
  }
}

function unavailable(error: object, retryAfter = 1): Response {
  const seconds = Math.ceil(retryAfter)
  const headers = new Headers({
    'retry-after': String(seconds > 0 && seconds < 1e6 ? seconds : 1),
    'cache-control': 'no-store',
  })
  for (const value of cookiesOf(error)) headers.append('set-cookie', value)
  return new Response('Service Unavailable', { status: 503, headers })
}

/** The store did not answer within its deadline. */
export class StoreTimeoutError extends StoreUnavailableError {
  override readonly name: string = 'StoreTimeoutError'
  override readonly code: SessionErrorCode = 'ERR_STORE_TIMEOUT'
  override readonly reason: StoreReason = 'timeout'
}

/** The circuit breaker is open: the store was not asked. */
export class CircuitOpenError extends StoreUnavailableError {
  override readonly name: string = 'CircuitOpenError'
  override readonly code: SessionErrorCode = 'ERR_CIRCUIT_OPEN'
}
