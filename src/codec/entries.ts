/**
 * Entries: the changes of one commit as text, for the place beside a record or for a cookie of their own.
 */
import type { DataFormat } from './data.ts'

/** A section of the session: 0 for data, 1 for flash. */
export type Section = 0 | 1

/**
 * One change of one value, as text can carry it. `set` without a value removes it. `add` and `append` do not depend on the order in
 * which they are made. `take` removes a flash value if it is still the one that was read.
 */
export type Change = readonly [
  section: Section,
  key: string,
  op: 'set' | 'add' | 'append' | 'take',
  value?: unknown,
]

/** The changes of one commit. */
export interface Entry {
  /** Random: the record lists the tags of its last writes, so that an entry is applied once. */
  readonly tag: string
  /** Counter of the state that it was made from. */
  readonly counter: number
  /** Epoch milliseconds. */
  readonly at: number
  readonly changes: readonly Change[]
  /** A value that it set is left out, because a later deferred write replaces it. */
  readonly sets?: 1 | undefined
  /** Tags of the deferred writes that it was made on top of. */
  readonly seen: readonly string[]
}

/** A change as text; earlier versions of this library spelled a removal as an operation of its own. */
type WireChange = Change | readonly [section: Section, key: string, op: 'unset']

type WireEntry = readonly [
  tag: string,
  counter: number,
  at: number,
  changes: readonly WireChange[],
  sets?: 1 | undefined,
]

function mapValues(changes: readonly WireChange[], fn: (value: unknown) => unknown): Change[] {
  return changes.map(([section, key, op, value]) => {
    const change = [section, key, op === 'unset' ? 'set' : op] as const
    return value === undefined ? change : [...change, fn(value)]
  })
}

/** Spells entries as text, in which times count from `since`. Values are text of the codec. */
export function encodeEntries(
  format: DataFormat,
  entries: readonly Entry[],
  since: number,
): string {
  const wire = entries.map(({ tag, counter, at, changes, sets }): WireEntry => {
    const texts = mapValues(changes, (value) => format.stringify(value))
    return sets ? [tag, counter, at - since, texts, sets] : [tag, counter, at - since, texts]
  })
  return JSON.stringify(wire)
}

/** Reads what {@link encodeEntries} spelled. Each entry was made on top of those before it. */
export function decodeEntries(format: DataFormat, text: string, since: number): Entry[] {
  const wire: readonly WireEntry[] = JSON.parse(text)
  const tags = wire.map(([tag]) => tag)
  return wire.map(([tag, counter, at, texts, sets], i) => {
    const changes = mapValues(texts, (value) => format.parse(value as string))
    return { tag, counter, at: at + since, changes, sets, seen: tags.slice(0, i) }
  })
}
