/**
 * One comparison of the states of one session, for opening and for committing.
 *
 * States are ordered by the number of their generation, then by their counter. Two generations of
 * one number and different nonces cannot be ordered: there the record decides.
 */
import { BoundedMap } from '../bounded-map.ts'
import { type Generation, nameOf } from '../codec/generation.ts'
import { idOf, type SessionState } from '../codec/session-record.ts'
import { LAG_SECONDS } from '../stores/limits.ts'

/** Milliseconds for which a request may be under way with a credential that a rotation has replaced. */
export const GRACE_MS = 30_000
/** Milliseconds for which the answers of a store that is not atomic may lag. */
export const LAG_MS: number = 1000 * LAG_SECONDS
const MAX_SESSIONS = 1000

/** The fields that name a session and order its states. */
type Age = Pick<SessionState, 'key' | 'generation' | 'counter'>

/** Returns the order of two states: below 0 where `a` is older than `b`. */
export function compare(a: Age, b: Age): number {
  return a.generation.number - b.generation.number || a.counter - b.counter
}

/**
 * Compares a cookie's credential with that of the record.
 *
 * - `same`: the cookie is good.
 * - `ahead`: the record is of one of the two generations that the cookie's replaced, so the store
 *   lags, or lost a rotation.
 * - `replaced`: anything else, whatever the numbers. Somebody who collects cookies of rotations that
 *   were never applied, and plants the session before them, must not be ahead of a victim's sign-in.
 */
export function relate(
  cookie: Generation,
  record: Pick<Generation, 'number' | 'nonce'>,
): 'same' | 'ahead' | 'replaced' {
  const name = nameOf(record)
  if (name === nameOf(cookie)) return 'same'
  return cookie.replaced.includes(name) ? 'ahead' : 'replaced'
}

/** The latest state of each session that this isolate has read or written: numbers, of the sessions used last. */
export class LatestKnown {
  readonly #sessions = new BoundedMap<string, readonly [number: number, counter: number]>(
    MAX_SESSIONS,
  )

  /** Tells whether this isolate knows of something newer than that state, or of the session's end. */
  isAfter({ key, generation, counter }: Age): boolean {
    const [latest, count] = this.#sessions.get(idOf({ key })) ?? [0, 0]
    return (latest - generation.number || count - counter) > 0
  }

  /** Tells whether this isolate knows of a rotation after that state, or of the session's end. */
  isRotated({ generation, key }: Omit<Age, 'counter'>): boolean {
    return this.isAfter({ key, generation, counter: Infinity })
  }

  /** Records a state that was read or written. */
  record(age: Age): void {
    if (!this.isAfter(age)) this.#set(age)
  }

  /** Returns a mark that changes whenever something newer is recorded. */
  markOf(id: string): unknown {
    return this.#sessions.get(id)
  }

  /** Records that the store went back to that state, unless more is known than at `mark`. */
  recordRollback(age: Age, mark: unknown): void {
    if (this.markOf(idOf(age)) === mark) this.#set(age)
  }

  recordEnd(id: string): void {
    this.#sessions.set(id, [Infinity, 0])
  }

  #set({ key, generation, counter }: Age): void {
    this.#sessions.set(idOf({ key }), [generation.number, counter])
  }
}

/** Returns an older state with the credential and the counter of a newer one. */
export function withCredentialOf(
  state: SessionState,
  { counter, generation, key }: Age,
  now: number,
): SessionState {
  const next = { ...state, counter: Math.max(state.counter, counter) }
  if (nameOf(generation) === nameOf(state.generation)) return next
  // An id-only cookie does not say when it was rotated.
  const rotatedAt = generation.rotatedAt || now
  // Later credentials go on naming that of the record, however many rotations are answered 503.
  const there = nameOf(state.generation)
  const replaced = [there, ...generation.replaced.filter((name) => name !== there)]
  return { ...next, key, generation: { ...generation, rotatedAt, replaced: replaced.slice(0, 2) } }
}
