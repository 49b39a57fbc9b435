/** The session and the user behind an event, for code that asks: the event itself does not say, and no log shows it. */
import { idOf } from '../codec/session-record.ts'
import { sourceOf } from '../emit.ts'
import type { SessionEvent } from '../events.ts'

/** The session and the user that an event is about. `null`: not known, or nobody. */
export interface EventIdentity {
  /** The public {@link Session.id}; `null` where an event is about all sessions of a user. */
  readonly id: string | null
  /** The user. Not known where an event comes from the cookie of a session in a store, which does not say whose it is. */
  readonly subject: string | null
  /** The `label` of the sign-in. */
  readonly label: string | null
  /** Somebody else who acts for the user. */
  readonly actor: string | null
  /** The tags of the session. */
  readonly tags: readonly string[]
  /** The tag whose sessions `revokeBy` ended. */
  readonly tag: string | null
  /** The id of the session that went on, where `revokeAll` or `revokeBy` ended the others. */
  readonly except: string | null
}

/**
 * Returns whom an event is about, for a history of sign-ins and of their ends. It is not in the event, so that loggers and
 * metrics cannot show it. Ask within the listener, with the event that it got: a copy is about nobody.
 *
 * @returns `null` for an event that is about no session, such as those of a store.
 */
export function identityOf(event: SessionEvent): EventIdentity | null {
  const source = sourceOf(event)
  if (!source) return null
  const { claims, except = null, key, label = null, subject = null, tag = null } = source
  const id = key ? idOf({ key }) : null
  return { id, subject, label, actor: claims?.a ?? null, tags: claims?.t ?? [], tag, except }
}
