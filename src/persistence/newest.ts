/**
 * One comparison of the states of one session, for opening and for committing.
 *
 * States are ordered by the number of their generation, then by their counter. Two generations of
 * one number and different nonces cannot be ordered: there the record decides.
 */
import { BoundedMap } from '../bounded-map.ts'
import { type Generation, nameOf } from '../codec/generation.ts'
import type { SessionState } from '../codec/session-record.ts'

/** The fields that order the states of one session. */
export type Age = Pick<SessionState, 'generation' | 'counter'>

/** Returns the order of two states: below 0 where `a` is older than `b`. */
export function compare(a: Age, b: Age): number {
  return a.generation.number - b.generation.number || a.counter - b.counter
}

/** Number and nonce of a generation, as in a record's epoch. */
export type Credential = Pick<Generation, 'number' | 'nonce'>

/**
 * Compares a cookie's credential with that of the record.
 *
 * - `same`: the cookie is good.
 * - `ahead`: the record is of one of the two generations that the cookie's replaced, so the store
 *   lags, or lost a rotation.
 * - `replaced`: anything else, whatever the numbers. Somebody who collects cookies of rotations that
 *   were never applied, and plants the session before them, must not be ahead of a victim's sign-in.
 */
export function relate(cookie: Generation, record: Credential): 'same' | 'ahead' | 'replaced' {
  const name = nameOf(record)
  if (name === nameOf(cookie)) return 'same'
  return cookie.replaced.includes(name) ? 'ahead' : 'replaced'
}

/** The latest known age of one session, or its end. */
type Known = { readonly number: number; readonly counter: number } | 'ended'

/** The latest state of each session that this isolate has read or written. */
export interface LatestKnown {
  /** Tells whether this isolate knows of something newer than that state, or of the session's end. */
  isAfter(id: string, age: Age): boolean
  /** Tells whether this isolate knows of a rotation after that state, or of the session's end. */
  isRotated(id: string, age: Age): boolean
  /** Records a state that was read or written. */
  saw(id: string, age: Age): void
  /** Returns a mark that changes whenever something newer is recorded. */
  markOf(id: string): unknown
  /** Records that the store went back to that state, unless more is known than at `mark`. */
  wentBack(id: string, age: Age, mark: unknown): void
  ended(id: string): void
}

const MAX_SESSIONS = 1000

/** Remembers the latest states: numbers only, of the sessions used last. */
export function createLatestKnown(): LatestKnown {
  const sessions = new BoundedMap<string, Known>(MAX_SESSIONS)
  const isAfter = (known: Known | undefined, { generation, counter }: Age): boolean =>
    known !== undefined &&
    (known === 'ended' || (known.number - generation.number || known.counter - counter) > 0)
  const set = (id: string, { generation, counter }: Age): void =>
    sessions.set(id, { number: generation.number, counter })
  return {
    isAfter: (id, age) => isAfter(sessions.get(id), age),
    isRotated: (id, { generation }) => isAfter(sessions.get(id), { generation, counter: Infinity }),
    saw(id, age) {
      if (!isAfter(sessions.get(id), age)) set(id, age)
    },
    markOf: (id) => sessions.get(id),
    wentBack(id, age, mark) {
      if (sessions.get(id) === mark) set(id, age)
    },
    ended: (id) => sessions.set(id, 'ended'),
  }
}

/** Returns an older state with the credential and the counter of a newer one. */
export function ahead(
  state: SessionState,
  { counter, generation, key }: Pick<SessionState, 'counter' | 'generation' | 'key'>,
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
