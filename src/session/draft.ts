/** A session between opening and committing: the state that was found, its changes, the client's cookies. */
import type { Entry } from '../codec/entries.ts'
import type { OpenedRecord, SessionState, SessionTimes } from '../codec/session-record.ts'
import type { SessionError } from '../errors.ts'
import type { DropReason, SaveOutcome } from '../events.ts'
import type { CookieFound } from '../transport/cookie.ts'
import type { Operation } from './operations.ts'
import type { SessionStatus, SiteData } from './session.ts'

/** The end of a session that a cookie named. */
export type Gone = 'expired' | 'missing' | 'superseded'

/** A session that a cookie names. */
export type NamedSession = SessionTimes & Pick<OpenedRecord, 'key' | 'extra'>

/** A live session as it was opened. */
export interface FoundSession {
  readonly state: SessionState
  /** Its data as text, to see whether anything changed. */
  readonly text: string | null
  /** The store's version of it. */
  readonly version?: string | undefined
  /** Epoch milliseconds at which the call began that it was read by; `undefined`: just now. */
  readonly at?: number | undefined
  /** It is a copy from before the store failed. */
  readonly stale?: boolean
  /** It is a copy: the store may have something newer. */
  readonly isCopy?: boolean | undefined
}

/** With `deviceBound`: what the request says of the browser's key, and what its response says. */
export interface DraftDevice {
  /** `true`: the session is bound, and the request proves it; `false`: it does not; `null`: it is not bound. */
  readonly bound: boolean | null
  /** The number of the proof whose bound cookie the request has; -1: it has none. */
  readonly proof: number
  /** The application asks the browser for a key. */
  asks?: boolean
  /**
   * Adds the header that asks for a key, and cookies, to a response that is about to leave.
   *
   * @param later No header can be set: a cookie lets the next response ask.
   */
  finish(
    response: Response,
    values: readonly string[],
    later?: boolean,
  ): Promise<[Response, readonly string[]]>
}

/** The session of one request between opening and committing. */
export interface Draft {
  status: SessionStatus
  /** The state that a commit goes on from; `null`: a write starts a new session. */
  readonly found: FoundSession | null
  /** The state after the operations so far. */
  current: SessionState
  readonly operations: Operation[]
  /** The cookies that the browser sent. */
  readonly cookies: CookieFound
  /** The result of saving it, set while and after it is committed; `undefined` before, and after a failure. */
  saving?: Promise<string[]> | undefined
  /** The application's word for the end of the session. */
  endReason?: string | undefined
  /** An error or the event `session.uncommitted` has told of changes that were not saved. */
  unsaved?: boolean
  /** The outcome of saving it, where its cookies do not tell. */
  outcome?: SaveOutcome
  /** The cookie is written again, whether anything changed or not. */
  refresh?: boolean
  /** The cookie is removed: a note says that its session has ended. */
  removesCookie?: boolean
  /** The data of the site that the browser is told to clear, once the end is saved. */
  clearsSite?: readonly SiteData[] | undefined
  /** `Set-Cookie` values that remove what it was imported from, once it is saved. */
  removals?: readonly string[]
  /** `Set-Cookie` values that remove an old cookie beside ours, once ours is there or written. */
  leftovers?: readonly string[]
  /** Keyed hash of the client that sent the request, once it is needed. */
  binding?: string | undefined
  /**
   * Set where this client gets the session without what was proven to it (`onMismatch: 'step-down'`): the change that a
   * proof by this client begins with.
   */
  doubt?: Operation | undefined
  /** Makes {@link Draft.binding}, before it is saved. */
  bind?: (() => Promise<string | undefined>) | undefined
  /** With `deviceBound`. */
  device?: DraftDevice
  /** The error that every change but an end throws: an operator allows no other. */
  refused?: SessionError
  /** The error that a write throws; `null`: the session can be written. */
  readOnly: SessionError | null
  /** Makes the error of `require` where there is no session; made when asked for, since an error costs its stack. */
  readonly noSession: (() => SessionError | Promise<SessionError>) | null
  /** With a store: what is between a session and its record. */
  stored?: StoredDraft
}

/** The part of a draft that `persistence/` fills in, and `session/` never reads. */
export interface StoredDraft {
  /** The state differs from the record, which lost its last writes. */
  readonly heals?: boolean
  /** The session that this request has a replaced credential of. */
  readonly replaced?: ReplacedSession
  /** Deferred writes that came with the request. */
  readonly deferred?: DeferredWrites
  /** The tag under which saving it failed, and how many operations it had then. */
  readonly failed?: { readonly tag: string; readonly operations: number }
}

/** A session whose credential the request has in a replaced version. */
export interface ReplacedSession extends Pick<SessionState, 'key'> {
  /** The index keys of its record. */
  readonly keys: readonly string[] | undefined
  /** It was replaced moments ago, while this request was under way. */
  readonly isLate: boolean
  /** As the store has it; `null`: it does not open, or this request may not see it. */
  readonly found: FoundSession | null
}

/** Deferred writes that came with a request, and what became of them. */
export interface DeferredWrites {
  readonly entries: readonly Entry[]
  /** Deferred writes that cannot be applied any more, by the reason. */
  readonly lost: readonly { readonly reason: DropReason; readonly changes: number }[]
  /** The state as it was opened, with them. */
  base: SessionState
  /** Applied by the last replay. */
  applied: readonly Entry[]
  /** Dropped by the last replay: something else was written since. */
  dropped: readonly Entry[]
}

/** The functions of the instance that its sessions call. */
export interface SessionContext {
  /** The application changed a session. */
  readonly changed: (draft: Draft) => void
  /** Epoch milliseconds, whole seconds. */
  readonly now: () => number
  /** Random bytes for an id, and with `seal: 'cookie'` for a key share. */
  readonly newKey: () => SessionState['key']
  readonly expiresAt: (times: SessionTimes) => number
  readonly same: (a: unknown, b: unknown) => boolean
}

/** Tells whether a request signs a user in. */
export function signsIn({ operations }: Draft): boolean {
  return operations.some((operation) => operation.signsIn)
}
