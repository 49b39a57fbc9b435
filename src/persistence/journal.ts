/** The journal of a session: what a commit changes, and how entries are applied, each once (`codec/write-list`). */
import type { Change, Entry } from '../codec/entries.ts'
import type { SessionState } from '../codec/session-record.ts'
import { hasWrite, listWrite, NO_TAG, writesOf } from '../codec/write-list.ts'
import type { DeferredWrites } from '../session/draft.ts'
import { applyChanges, type Operation, ownValue, type Same } from '../session/operations.ts'
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

/** Tells whether a change is one of data, and not of flash. */
export function isOfData([section]: Change): boolean {
  return section === 0
}

/** Tells whether a change commutes with others: additions, and flash, which only grows and is taken. */
function isAddition([section, , op]: Change): boolean {
  return section === 1 || op === 'add' || op === 'append'
}

/** Returns the changes of a request. An `update` is a `set` of the result of its function. */
export function changesOf(operations: readonly Operation[], current: SessionState): Change[] {
  const updated = new Set(operations.flatMap(({ updates = [] }) => updates))
  const fixed = operations.flatMap(({ changes = [] }) => changes)
  const others = fixed.filter(([section, key]) => section === 1 || !updated.has(key))
  const values = [...updated].map((key): Change => {
    const value = ownValue(current.data, key)
    return value === undefined ? [0, key, 'unset'] : [0, key, 'set', value]
  })
  return [...others, ...values]
}

/**
 * Returns the additions that can be made in no way: another request has set their key to what is no
 * number, or no list. An addition to what the same changes set is theirs alone.
 */
export function leftOut(changes: readonly Change[], { data }: SessionState): Change[] {
  return changes.filter((one) => {
    const [section, key, op] = one
    if (section === 1 || !isAddition(one)) return false
    const value = ownValue(data, key)
    const takes = op === 'add' ? typeof value === 'number' : Array.isArray(value)
    const isOwn = (other: Change): boolean => other[1] === key && !isAddition(other)
    return value !== undefined && !takes && !changes.some(isOwn)
  })
}
