/** Reporting events: to every listener, and never at the expense of a request. */
import { ID_BYTES, type SessionState } from './codec/session-record.ts'
import type { EndedBy, SessionEvent, SessionEventListener } from './events.ts'
import { guarded } from './guarded.ts'
import type { SessionStore } from './stores/store.ts'

/** All that is known of the session, or of the user, that an event is about. */
export interface Source extends Pick<Partial<SessionState>, 'label' | 'claims'> {
  readonly key?: SessionState['key'] | undefined
  readonly subject?: string | null | undefined
  /** With `by: 'tag'`. */
  readonly tag?: string | undefined
  /** With `by: 'subject'` and `by: 'tag'`: the id of the session that goes on. */
  readonly except?: string | undefined
}

const sources = new WeakMap<SessionEvent, Source>()

/** Returns what an event is about; `undefined` for one that is about no session, or that was copied. */
export function sourceOf(event: SessionEvent): Source | undefined {
  return sources.get(event)
}

type WithoutContext<E> = E extends unknown ? Omit<E, 'at' | 'session' | 'actor'> : never

/** Reports one event, about a session where one is given; never throws. */
export type Emit = (event: WithoutContext<SessionEvent>, about?: Source) => void

/**
 * Wraps listeners so that nothing they do changes the outcome of a request; `undefined` where there are
 * none, so that `emit?.(...)` does not even make the event.
 *
 * @param actors The hashes of actors that are known.
 */
export function createEmit(
  listeners: readonly SessionEventListener[],
  now: () => number,
  store: SessionStore | undefined,
  actors: { get(actor: string | undefined): string | undefined },
): Emit | undefined {
  if (!listeners.length) return undefined
  if (store) for (const one of listeners) guarded(() => one.attach?.(store))
  return (event, about) => {
    const { key, claims } = about ?? {}
    const actor = actors.get(claims?.a)
    const told = {
      at: now(),
      ...event,
      ...(key && { session: fingerprint(key.subarray(0, ID_BYTES)) }),
      ...(actor && { actor }),
    } as SessionEvent
    if (about) sources.set(told, about)
    for (const one of listeners) guarded(() => one(told))
  }
}

/** FNV-1a, 32 bits: enough to tell sessions apart, far too little to find a 128-bit id. */
export function fingerprint(bytes: Uint8Array, start = 0x811c9dc5): string {
  let hash = start
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193)
  return (hash >>> 0).toString(36)
}

/** Reports the end of sessions. */
export function tellEnd(
  emit: Emit,
  by: EndedBy,
  about: Source,
  reason?: string | undefined,
  count = 1,
): void {
  emit({ type: 'session.ended', by, count, ...(reason && { reason }) }, about)
}
