/** The events that Sojourn reports. It never writes to the console: listen with `onEvent`. */
import type { ExpiryReason, InvalidReason, SessionErrorCode } from './errors.ts'
import type { SessionStatus } from './session/session.ts'
import type {
  SessionStore,
  StoreAttempt,
  StoreEvent,
  StoreFailure,
  StoreOperation,
} from './stores/store.ts'

/**
 * One thing that happened. `at`: epoch milliseconds. `session`: a short fingerprint of the session
 * id, to tell sessions apart in a log; the id cannot be recovered from it. `actor`: a keyed hash of who acts in it, in
 * the events of saving a session that has an actor. Who an event is about is not in it: see {@link identityOf}.
 */
export type SessionEvent = { readonly at: number } & (
  | ({ type: 'session.invalid' } & Invalidity)
  | ({ type: SessionEventType } & AboutSession)
  | ({ type: 'session.expired' } & Expiry & AboutSession)
  | ({ type: 'session.missing' } & Absence & AboutSession)
  | ({ type: 'session.superseded' | 'session.reused' } & Rotation & AboutSession)
  | ({ type: 'session.binding-mismatch'; by: Mismatch } & AboutSession)
  | ({ type: 'session.ended' } & Ended)
  | ({ type: 'session.imported'; signedIn: boolean } & AboutSession)
  | ({ type: 'session.import-conflict'; winner: ImportWinner } & AboutSession)
  | ({ type: 'session.corrupt'; code: SessionErrorCode } & AboutSession)
  | ({ type: 'device.registered' | 'device.refreshed' } & AboutSession)
  | ({ type: 'device.refused'; reason: DeviceRefusal } & AboutSession)
  | ({ type: 'device.skipped'; reason: DeviceSkip } & AboutSession)
  | ({ type: 'commit.conflict'; attempt: number } & AboutSession)
  | ({ type: 'commit.deferred' | 'commit.applied'; changes: number } & AboutSession)
  | ({ type: 'commit.dropped' } & Dropped & AboutSession)
  | ({ type: 'cookie.too-large'; size: number; limit: number } & AboutSession)
  | ({ type: 'store.rolled-back'; store: string; lost: number } & AboutSession)
  | ({ type: 'store.degraded' | 'store.unavailable'; store: string } & StoreFailure & AboutSession)
  | ({ type: 'key.used' } & UsedKey)
  | FrequentEvent
  | StoreEvent
)

/** The end of a session by a timeout. Whole seconds. */
export interface Expiry {
  readonly reason: ExpiryReason
  /** Since it began or was signed in to. */
  readonly age: number
  /** Since its last renewal. */
  readonly idleFor: number
}

/** The reason for which no cookie of a request opens. */
export interface Invalidity {
  readonly reason: InvalidReason
  /** The key that the cookie names, 8 hex characters. It says nothing about the secret. */
  readonly keyId?: string
  /** With `future`: seconds by which the clock that sealed the cookie is ahead, at least. */
  readonly aheadBy?: number
}

/** The absence of a session that a cookie names. Whole seconds. */
export interface Absence {
  /** Since the session began or was signed in to, as the cookie says. */
  readonly age: number
  /** Since the cookie was made. */
  readonly sinceLastSeen: number
}

/** The rotation that replaced a cookie. */
export interface Rotation {
  /** Whole seconds since then. */
  readonly sinceRotation: number
}

/** The end of sessions before their timeout. */
export interface Ended extends Partial<AboutSession> {
  readonly by: EndedBy
  /** The application's own word for it, as given to `destroy`, `revoke` or `revokeAll`. */
  readonly reason?: string
  /** Number of sessions that were live. */
  readonly count: number
}

/**
 * The way in which sessions were ended.
 *
 * - `destroy`: by a request of theirs.
 * - `login`: somebody else signed in in the same browser, or another actor, or the user once more with a cookie that
 *   had been replaced.
 * - `id`: by `revoke`.
 * - `subject`: all of a user, by `revokeAll`.
 * - `tag`: all with a tag, by `revokeBy`.
 * - `cap`: the oldest of a user, by a sign-in beyond `maxSessions`.
 * - `reuse`: a replaced cookie came back, with the option `onReuse: 'revoke'`.
 */
export type EndedBy = 'destroy' | 'login' | 'id' | 'subject' | 'tag' | 'cap' | 'reuse'

/** Changes that will never be made. */
export interface Dropped {
  readonly changes: number
  readonly reason: DropReason
  /** They had waited in a cookie: `commit.deferred` has told of them. Left out where they had not. */
  readonly deferred?: true
}

/** A former secret that opened a cookie or a stored record: it cannot go yet. */
export interface UsedKey {
  /** The key, 8 hex characters: one for cookies, one for stored records. */
  readonly key: string
  /** Index of its secret in the option `secret`, from 1. */
  readonly position: number
}

/**
 * The events of every request: the denominators of rates, and durations. `logEvents` leaves them out
 * unless asked for; nothing makes them where nobody listens.
 */
export type FrequentEvent =
  | { type: 'session.opened'; status: SessionStatus }
  | {
      type: 'session.saved'
      outcome: SaveOutcome
      /** Bytes of the `Set-Cookie` values together; left out where there is none. */
      bytes?: number
    }
  | StoreCallEvent

/**
 * The outcome of saving a session.
 *
 * - `written`: to the store, to its cookie, or to both.
 * - `unchanged`: there was nothing to write.
 * - `deferred`: the changes wait in a cookie for the store.
 * - `failed`: the request got an error, or a renewal was not made.
 * - `dropped`: a rotation or an end came first, with `commit.dropped`.
 */
export type SaveOutcome = 'written' | 'unchanged' | 'deferred' | 'failed' | 'dropped'

/** One call of the store, all its attempts together, when it has ended. */
export interface StoreCallEvent extends Partial<StoreFailure> {
  readonly type: 'store.call'
  readonly store: string
  readonly operation: StoreOperation
  /**
   * `refused`: a write that met another version, an end or a mark, which is an answer.
   * `aborted`: the client went away before there was one.
   */
  readonly outcome: 'ok' | 'refused' | 'failed' | 'aborted'
  /** Milliseconds, pauses between attempts included. */
  readonly durationMs: number
  /** Attempts that reached for the store; 0 where a breaker was open. */
  readonly attempts: number
  /** Each attempt, where the store repeats calls (`resilient`). */
  readonly tries?: readonly StoreAttempt[]
}

/**
 * The reason for which changes were dropped.
 *
 * - `conflict`: a deferred write, and something else was written since.
 * - `generation`: a deferred write from before a rotation, of another `version` of the data, or that the `codec` does not read.
 * - `superseded`: a rotation replaced the request's cookie while it was under way.
 * - `unproven`: the request did not prove the device that its session is bound to.
 * - `ended`: the session ended meanwhile.
 * - `expired`: a deferred write that came back after its 15 minutes.
 */
export type DropReason = 'conflict' | 'generation' | 'superseded' | 'unproven' | 'ended' | 'expired'

/**
 * The reason for which a device was refused. At a request of a bound session, whatever `enforce` is:
 *
 * - `no-cookie`: without its bound cookie, as a copy of the session cookie alone.
 * - `expired-cookie`: with one whose time is up, as a copy of both that is older than `maxAge`.
 * - `other-cookie`: with one of another session, key or generation, or with one that does not open.
 *
 * At a registration or a refresh:
 *
 * - `no-session`: no live session came with it.
 * - `no-proof`, `malformed`, `algorithm`, `key`, `signature`: the proof is missing, does not parse, is by an
 *   algorithm that is not allowed, by a key that is none, or not by the key it should be by.
 * - `challenge`, `expired-challenge`, `used-challenge`: the proof is of a challenge that was not made for this
 *   session and generation, is too old, or was answered before.
 * - `second-key`: the session is bound to another key, and was not rotated since.
 * - `former-key`: after `regenerate` the former key has to be proven, and the bound cookie of that proof to come along, before a new
 *   one is taken.
 */
export type DeviceRefusal =
  | 'no-cookie'
  | 'expired-cookie'
  | 'other-cookie'
  | 'no-session'
  | 'no-proof'
  | 'malformed'
  | 'algorithm'
  | 'key'
  | 'signature'
  | 'challenge'
  | 'expired-challenge'
  | 'used-challenge'
  | 'second-key'
  | 'former-key'

/** The reason that the client gives for a request without a proof. Anybody can write it: it changes no answer. */
export type DeviceSkip = 'unreachable' | 'server_error' | 'quota_exceeded'

/** The events that say no more than which session they are about. */
export type SessionEventType =
  | 'session.created'
  | 'session.login'
  | 'session.regenerated'
  | 'session.renewed'
  | 'session.uncommitted'

/** The difference between a client and the one that its session is bound to: browser, address, or both. */
export type Mismatch = 'user-agent' | 'ip' | 'both'

/** The session that goes on when an old cookie comes beside one of ours. */
export type ImportWinner = 'old' | 'ours' | 'neither'

interface AboutSession {
  readonly session: string
  readonly actor?: string
}

/** Is called with every event. Neither its errors nor its result matter. */
export interface SessionEventListener {
  (event: SessionEvent): unknown
  /** Is told of the store when sessions are created with one, for figures that exist from the start. */
  attach?(store: Pick<SessionStore, 'name' | 'details'>): void
}
