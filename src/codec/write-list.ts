/**
 * The list of a session's last writes, which every record and snapshot carries.
 *
 * Each write is listed by a random tag, so that it is applied once, wherever it comes from: beside the
 * record, in a cookie, or in a commit that is tried again because its answer was lost.
 */
import { ALPHABET, randomText } from '../crypto/base64url.ts'
import type { SessionState } from './session-record.ts'

/** One write in the list: its tag, its time in seconds modulo 2048, and whether it changed data. */
export interface Write {
  readonly tag: string
  /** The counter of the state that it made. */
  readonly counter: number
  readonly seconds: number
  readonly changed: boolean
}

/** Characters of a tag: 36 random bits. */
const TAG_LENGTH = 6
/** Characters of a write in the list: its tag, then 12 bits for `changed` and the time. */
const WRITE_LENGTH = 8
/** Stands in the list for an entry that was dropped. */
export const NO_TAG = 'AAAAAA'
const CLOCK = 2048
/** Seconds by which the clock of another server may be ahead. */
const DRIFT_S = 64
/** A record lists its writes of so many seconds, but at least and at most so many. */
const LISTED_S = 60
const LISTED_MIN = 8
const LISTED_MAX = 128
/** No write so young leaves the list: its call may still be repeated. */
const NEVER_TRIMMED_S = 10

export function newTag(): string {
  return randomText(5).slice(0, TAG_LENGTH)
}

/** Reads the 12 bits behind the tag of a write, the one at `i` in a list. */
function bitsOf(writes: string, i: number): number {
  const at = i * WRITE_LENGTH + TAG_LENGTH
  return ALPHABET.indexOf(writes[at]!) * 64 + ALPHABET.indexOf(writes[at + 1]!)
}

/** The listed writes, the oldest first; the last one made `counter` what it is. */
export function writesOf(state: Pick<SessionState, 'counter' | 'writes'>): Write[] {
  const { counter: last, writes = '' } = state
  const length = writes.length / WRITE_LENGTH
  return Array.from({ length }, (_, i) => {
    const at = i * WRITE_LENGTH
    const bits = bitsOf(writes, i)
    return {
      tag: writes.slice(at, at + TAG_LENGTH),
      counter: last - length + 1 + i,
      seconds: bits % CLOCK,
      changed: bits >= CLOCK,
    }
  })
}

/** Tells whether a state is known to contain the write with that tag. */
export function hasWrite(state: SessionState, tag: string): boolean {
  return writesOf(state).some((write) => write.tag === tag)
}

/**
 * Tells whether `state` contains all that is in `older`: the older one's last write is in its list. A
 * dropped entry and a repeated one prove nothing alone: they count with the write before them.
 */
export function descends(state: SessionState, older: SessionState): boolean {
  const tags = writesOf(older).map(({ tag }) => tag)
  let last = tags.length - 1
  while (last >= 0 && (tags[last] === NO_TAG || tags.indexOf(tags[last]!) < last)) last--
  if (last < 0) return false
  const all = writesOf(state).map(({ tag }) => tag)
  return all.join().includes(tags.slice(last).join())
}

/** Returns the age of a state before its last write; its data stay. */
export function withoutLast(state: SessionState): SessionState {
  const { counter, writes = '' } = state
  return { ...state, counter: counter - 1, writes: writes.slice(0, -WRITE_LENGTH) }
}

/** Lists one more write, made at `now` (epoch milliseconds), and trims the list. */
export function listWrite(
  state: SessionState,
  tag: string,
  changed: boolean,
  now: number,
): SessionState {
  return { ...state, ...nextList(state, tag, changed, now) }
}

/** Returns the fields of a state that {@link listWrite} changes. */
export function nextList(
  state: SessionState,
  tag: string,
  changed: boolean,
  now: number,
): Pick<SessionState, 'counter' | 'writes'> {
  const seconds = Math.floor(now / 1000) % CLOCK
  const bits = seconds + (changed ? CLOCK : 0)
  const text = tag + ALPHABET[bits >> 6] + ALPHABET[bits & 63]
  const all = (state.writes ?? '') + text
  let first = 0
  for (let left = all.length / WRITE_LENGTH; left > LISTED_MIN; left--) {
    const elapsed = seconds - (bitsOf(all, first) % CLOCK)
    const age = ((elapsed + DRIFT_S + CLOCK) % CLOCK) - DRIFT_S
    if (age < NEVER_TRIMMED_S || (age < LISTED_S && left <= LISTED_MAX)) break
    first++
  }
  return { counter: state.counter + 1, writes: all.slice(first * WRITE_LENGTH) }
}
