/** The events that Sojourn reports. It never writes to the console: listen with `onEvent`. */

import { ID_BYTES } from './codec/session-record.ts'
import type { SessionErrorCode } from './errors.ts'
import type { StoreEvent } from './stores/store.ts'

/**
 * One thing that happened. `at`: epoch milliseconds. `session`: a short fingerprint of the session
 * id, to tell sessions apart in a log; the id cannot be recovered from it.
 */
export type SessionEvent = { readonly at: number } & (
  | { type: 'session.invalid' }
  | ({ type: SessionEventType } & AboutSession)
  | ({ type: 'session.imported'; signedIn: boolean } & AboutSession)
  | ({ type: 'session.import-conflict'; winner: ImportWinner } & AboutSession)
  | ({ type: 'session.corrupt'; code: SessionErrorCode } & AboutSession)
  | ({ type: 'commit.conflict'; attempt: number } & AboutSession)
  | ({ type: 'commit.deferred' | 'commit.applied'; changes: number } & AboutSession)
  | ({ type: 'commit.dropped'; changes: number; reason: DropReason } & AboutSession)
  | ({ type: 'cookie.too-large'; size: number; limit: number } & AboutSession)
  | ({ type: 'store.rolled-back'; store: string; lost: number } & AboutSession)
  | ({
      type: 'store.degraded' | 'store.unavailable'
      store: string
      code: string
      /** The word with which the store refused, where it has one: `OOM`. */
      reason?: string
    } & AboutSession)
  | StoreEvent
)

/**
 * The reason for which changes were dropped.
 *
 * - `conflict`: a deferred write, and something else was written since.
 * - `generation`: a deferred write from before a rotation.
 * - `superseded`: a rotation replaced the request's cookie while it was under way.
 * - `ended`: the session ended meanwhile.
 * - `expired`: a deferred write that came back after its 15 minutes.
 */
export type DropReason = 'conflict' | 'generation' | 'superseded' | 'ended' | 'expired'

/** The events that say no more than which session they are about. */
export type SessionEventType =
  | 'session.binding-mismatch'
  | 'session.created'
  | 'session.destroyed'
  | 'session.expired'
  | 'session.login'
  | 'session.missing'
  | 'session.regenerated'
  | 'session.renewed'
  | 'session.reused'
  | 'session.superseded'
  | 'session.uncommitted'

/** The session that goes on when an old cookie comes beside one of ours. */
export type ImportWinner = 'old' | 'ours' | 'neither'

interface AboutSession {
  readonly session: string
}

type WithoutContext<E> = E extends unknown ? Omit<E, 'at' | 'session'> : never

/** Reports one event, about a session where one is given; never throws. */
export type Emit = (
  event: WithoutContext<SessionEvent>,
  about?: { readonly key: Uint8Array },
) => void

/** Wraps a listener so that nothing it does changes the outcome of a request. */
export function createEmit(
  onEvent: ((event: SessionEvent) => void) | undefined,
  now: () => number,
): Emit {
  if (!onEvent) return () => {}
  return (event, about) => {
    try {
      const session = about && { session: fingerprint(about.key.subarray(0, ID_BYTES)) }
      const result: unknown = onEvent({ at: now(), ...event, ...session } as SessionEvent)
      if (result instanceof Promise) result.catch(() => {})
    } catch {
      // A broken listener is its owner's business.
    }
  }
}

/** FNV-1a, 32 bits: enough to tell sessions apart, far too little to find a 128-bit id. */
export function fingerprint(bytes: Uint8Array, start = 0x811c9dc5): string {
  let hash = start
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193)
  return (hash >>> 0).toString(36)
}
