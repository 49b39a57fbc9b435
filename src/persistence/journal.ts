/** The journal of a session: how entries are applied, each once, by the list of writes (`codec/write-list`). */
import type { Entry } from '../codec/entries.ts'
import type { SessionState } from '../codec/session-record.ts'
import { hasWrite, listWrite, NO_TAG, writesOf } from '../codec/write-list.ts'
import type { DeferredWrites } from '../session/draft.ts'
import {
  applyChanges,
  isAddition,
  isOfData,
  leftOut,
  type Operation,
  type Same,
} from '../session/operations.ts'
import { GRACE_MS } from './newest.ts'

/**
 * Tells whether the list reaches back to the state that an entry was made from. Only then does a tag that
 * is not listed say that the entry was never applied.
 */
function reaches(state: SessionState, { counter }: Entry): boolean {
  return counter >= state.counter - writesOf(state).length
}

/** Applies an entry and lists it as a write. */
function applyEntry(state: SessionState, entry: Entry, same: Same, now: number): SessionState {
  const { changes, tag } = entry
  return listWrite(applyChanges(changes, same, state), tag, changes.some(isOfData), now)
}

/**
 * Merges the entries beside a record, in the order of the store; each counts as a write. One whose
 * tag is listed is in the record already. One that is older than the list reaches may be too, so it
 * is dropped. Its writer does not find its tag, and replays it on the newer state.
 */
export function mergeEntries(
  state: SessionState,
  entries: readonly Entry[],
  same: Same,
): SessionState {
  return entries.reduce((current, entry) => {
    if (hasWrite(current, entry.tag)) return listWrite(current, entry.tag, false, entry.at)
    if (!reaches(current, entry)) return listWrite(current, NO_TAG, false, entry.at)
    return applyEntry(current, entry, same, entry.at)
  }, state)
}

/**
 * Applies deferred writes, each at most once and never in part: additions to whatever is there, and
 * others only where no other write has changed data since. Each replay fills `outcome`.
 */
export function applyDeferred(
  entries: readonly Entry[],
  outcome: Pick<DeferredWrites, 'applied' | 'dropped'>,
  same: Same,
  now: number,
): Operation {
  const operation = (state: SessionState): SessionState => {
    const applied: Entry[] = []
    const dropped: Entry[] = []
    const listed = writesOf(state)
    let next = state
    for (const entry of entries) {
      const { changes, counter, seen, sets, tag } = entry
      // It was applied, and only the answer was lost.
      if (listed.some((write) => write.tag === tag)) continue
      const isBlocked =
        (sets || !changes.every(isAddition)) &&
        listed.some((one) => one.changed && one.counter > counter && !seen.includes(one.tag))
      // Where the list is too short, it may have been applied: better not at all than twice.
      if (isBlocked || leftOut(changes, next).length || !reaches(state, entry)) dropped.push(entry)
      else {
        applied.push(entry)
        next = applyEntry(next, entry, same, now)
        listed.push(writesOf(next).at(-1)!)
      }
    }
    Object.assign(outcome, { applied, dropped })
    return next
  }
  return Object.assign(operation, { isDeferred: true as const })
}

/**
 * Leaves out values that a later deferred write replaces, so that one which is set often takes room
 * once. All of them apply, so the later one was made on top of the earlier one. Where it is older than
 * any request under way, no overlapping one can have it dropped alone.
 */
export function leaveOutReplaced(entries: readonly Entry[], now: number): Entry[] {
  return entries.map((entry, i) => {
    const later = entries
      .slice(i + 1)
      .filter(({ at }) => now - at >= GRACE_MS)
      .flatMap(({ changes }) => changes)
    const changes = entry.changes.filter((one) => {
      const next = later.find((other) => other[0] === 0 && other[1] === one[1])
      return !next || isAddition(one) || isAddition(next)
    })
    return changes.length < entry.changes.length ? { ...entry, changes, sets: 1 } : entry
  })
}
