/**
 * The journal of a session: which writes made a state, and what entries change.
 *
 * Each record lists its last writes. So an entry is applied once, wherever it comes from: beside the
 * record, in a cookie, or in a commit that is tried again because its answer was lost.
 */
import type { DataFormat } from '../codec/data.ts'
import type { SessionState } from '../codec/session-record.ts'
import { hasWrite, listWrite, NO_TAG, writesOf } from '../codec/write-list.ts'
import type { Entry, Waiting } from '../session/draft.ts'
import { applyChanges, type Change, type Operation, ownValue } from '../session/operations.ts'

type Same = (a: unknown, b: unknown) => boolean

/** No request that began before a response is still under way so long after it. */
const JOIN_AFTER_MS = 30_000
/** Deferred writes that are joined at most. */
const MAX_JOINED = 64

/** Tells whether the list reaches back to the state that an entry was made from. */
function reaches(state: SessionState, { counter }: Entry): boolean {
  return counter >= state.counter - writesOf(state).length
}

/** Tells whether an entry changes data. */
function changesData({ changes }: Pick<Entry, 'changes'>): boolean {
  return changes.some(([section]) => section === 0)
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
    const [tag = NO_TAG] = entry.tags
    const isListed = hasWrite(current, tag)
    if (isListed || !reaches(current, entry)) {
      return listWrite(current, isListed ? tag : NO_TAG, false, entry.at)
    }
    return listWrite(applyChanges(entry.changes, same, current), tag, changesData(entry), entry.at)
  }, state)
}

/**
 * Applies deferred writes, each at most once and never in part: additions to whatever is there, and
 * others only where no other write has changed data since. Each replay fills `outcome`.
 */
export function applyWaiting(
  waiting: readonly Entry[],
  outcome: Pick<Waiting, 'applied' | 'dropped'>,
  same: Same,
): Operation {
  const operation = (state: SessionState): SessionState => {
    const applied: Entry[] = []
    const dropped: Entry[] = []
    const writes = writesOf(state)
    const first = state.counter - writes.length + 1
    const since = writes.map((write, i) => ({ ...write, counter: first + i }))
    let next = state
    for (const entry of waiting) {
      const left = withoutTags(entry, (tag) => since.some((write) => write.tag === tag))
      if (!left.tags.length) continue
      const isBlocked =
        !left.changes.every(isAddition) &&
        since.some(
          ({ changed, counter, tag }) =>
            changed &&
            counter > entry.counter &&
            !entry.seen.includes(tag) &&
            !entry.tags.includes(tag),
        )
      const isLeftOut = leftOut(left.changes, next).length > 0
      if (isBlocked || isLeftOut || !reaches(state, entry)) dropped.push(left)
      else {
        next = applyChanges(left.changes, same, next)
        applied.push(left)
        const changed = changesData(left)
        since.push(...left.tags.map((tag) => ({ tag, seconds: 0, changed, counter: Infinity })))
      }
    }
    outcome.applied = applied
    outcome.dropped = dropped
    return next
  }
  return Object.assign(operation, { isDeferred: true as const })
}

/** Lists the deferred writes that a commit applies, and then the commit itself. */
export function listCommit(
  state: SessionState,
  applied: readonly Entry[],
  tag: string,
  changed: boolean,
  now: number,
): SessionState {
  let listed = state
  for (const entry of applied) {
    for (const one of entry.tags) listed = listWrite(listed, one, changesData(entry), now)
  }
  return listWrite(listed, tag, changed, now)
}

/** Leaves out those of several joined writes that are applied already. */
function withoutTags(entry: Entry, isApplied: (tag: string) => boolean): Entry {
  const { changes, owners, tags } = entry
  const left = tags.filter((tag) => !isApplied(tag))
  if (left.length === tags.length) return entry
  return {
    ...entry,
    tags: left,
    changes: changes.filter((_, i) => left.includes(tags[owners?.[i] ?? 0]!)),
  }
}

/**
 * Joins deferred writes of one kind that are older than any request under way, so that a value which is
 * set twice takes room once. Additions are joined with additions only: a conflict must not drop them.
 */
export function joinEntries(entries: readonly Entry[], now: number): Entry[] {
  const joined: Entry[] = []
  for (const entry of entries) {
    const last = joined.at(-1)
    const fits =
      last &&
      now - entry.at >= JOIN_AFTER_MS &&
      last.tags.every((tag) => entry.seen.includes(tag)) &&
      last.tags.length + entry.tags.length <= MAX_JOINED &&
      last.changes.every(isAddition) === entry.changes.every(isAddition)
    if (fits) joined[joined.length - 1] = joinTwo(last, entry)
    else joined.push(entry)
  }
  return joined
}

function joinTwo(first: Entry, then: Entry): Entry {
  const changes = [...first.changes, ...then.changes]
  const shift = first.tags.length
  const owners = [
    ...first.changes.map((_, i) => first.owners?.[i] ?? 0),
    ...then.changes.map((_, i) => shift + (then.owners?.[i] ?? 0)),
  ]
  const isKept = ([section, key]: Change, i: number): boolean =>
    !changes.some(
      (later, j) =>
        j > i && later[0] === section && later[1] === key && /^(set|unset)$/.test(later[2]),
    )
  return {
    ...first,
    tags: [...first.tags, ...then.tags],
    at: then.at,
    changes: changes.filter(isKept),
    owners: owners.filter((_, i) => isKept(changes[i]!, i)),
  }
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
    return value !== undefined && !takes && !changes.some((other) => setsKey(other, key))
  })
}

function setsKey([section, key, op]: Change, wanted: string): boolean {
  return section === 0 && key === wanted && (op === 'set' || op === 'unset')
}

type WireChange = readonly [section: Change[0], key: string, op: Change[2], value?: string]

/** `seen`: 1 for all entries before it, 0 for none. */
type WireEntry = readonly [
  tags: string,
  counter: number,
  at: number,
  changes: readonly WireChange[],
  seen?: 0 | 1 | readonly string[],
  owners?: readonly number[],
]

/** Spells entries as text, in which times count from `since`. Values are text of the codec. */
export function encodeEntries(
  format: DataFormat,
  entries: readonly Entry[],
  since: number,
): string {
  const before: string[] = []
  const wire = entries.map(({ tags, counter, at, changes, owners, seen }): WireEntry => {
    const isAll = before.length > 0 && before.every((tag) => seen.includes(tag))
    before.push(...tags)
    const texts = changes.map(
      ([section, key, op, value]): WireChange =>
        value === undefined ? [section, key, op] : [section, key, op, format.stringify(value)],
    )
    const one = [tags.join(''), counter, at - since, texts] as const
    const above = isAll ? 1 : seen.length ? seen : 0
    if (owners) return [...one, above, owners]
    return above ? [...one, above] : one
  })
  return JSON.stringify(wire)
}

/** Reads what {@link encodeEntries} spelled. */
export function decodeEntries(format: DataFormat, text: string, since: number): Entry[] {
  const wire: readonly WireEntry[] = JSON.parse(text)
  const before: string[] = []
  return wire.map(([joined, counter, at, texts, seen = 0, owners]) => {
    const tags = joined.match(/.{6}/g) ?? []
    const all = seen === 1 ? [...before] : seen || []
    before.push(...tags)
    const changes = texts.map(
      ([section, key, op, value]): Change =>
        value === undefined ? [section, key, op] : [section, key, op, format.parse(value)],
    )
    return { tags, counter, at: at + since, changes, seen: all, ...(owners && { owners }) }
  })
}
