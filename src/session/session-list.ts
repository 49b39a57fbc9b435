/** The sessions of a user, in lists and when they are ended. */
import type { Session } from './session.ts'

/**
 * A user: the subject of a `login`, or a session that the user is signed in to. Where nobody is, there are no
 * sessions to find or to end.
 */
export type SessionUser = string | Pick<Session, 'status' | 'subject'>

/** Options for {@link Sessions.revoke}. */
export interface RevokeOptions {
  /** Ends the session only if it is that user's, for ids that come from a form: `{ subject: session }`. (default: none) */
  subject?: SessionUser | undefined
  /**
   * The application's word for it, up to 200 characters, for the event `session.ended`. Logs show it.
   * (default: none)
   */
  reason?: string | undefined
}

/** Options for {@link Sessions.revokeAll}. */
export interface RevokeAllOptions {
  /** The {@link Session.id} of a session that goes on. (default: none) */
  except?: string | undefined
  /** As in {@link RevokeOptions}. (default: none) */
  reason?: string | undefined
}

/** A session in a list of a user's sessions. Times are epoch milliseconds. */
export interface SessionInfo {
  /** Its public id, for `revoke`. */
  readonly id: string
  readonly subject: string | null
  /** The `label` of its `login`. */
  readonly label: string | null
  readonly createdAt: number
  /** Its last renewal: it was in use then, and perhaps for up to `renewAfter` seconds after. */
  readonly lastSeenAt: number
  readonly expiresAt: number
  readonly authenticatedAt: number | null
  /** See {@link Session.factors}. */
  readonly factors: Readonly<Record<string, number>>
  /** Somebody else who acts for the user, as given to `login`; `null`: nobody does. */
  readonly actor: string | null
  /** See {@link Session.tags}. */
  readonly tags: readonly string[]
  /** It is bound to a device (`deviceBound`). */
  readonly bound: boolean
}
