/**
 * Changes to single values, as text that can travel: beside a record as a patch, or in a cookie
 * while the store is down.
 */
import type { DataFormat } from '../codec/data.ts'
import type { SessionState } from '../codec/session-record.ts'
import { type Operation, ownValue, withValue } from '../session/operations.ts'

/** Where, under which key, the new value as text (`null`: removed), and a hash of what was there. */
export type Change = readonly [
  /** 0: data, 1: flash. */
  part: number,
  key: string,
  text: string | null,
  base: number,
  /** What an `update` added: to a number, or at the end of an array, as text. */
  added?: number | string,
]

const PARTS = ['data', 'flash'] as const

/** What turns the data of `from` into those of `to`, by those operations. */
export function changesBetween(
  format: DataFormat,
  from: SessionState,
  to: SessionState,
  operations: readonly Operation[],
): Change[] {
  const changes: Change[] = []
  /** Whether its value came from `update` alone. */
  const adds = (key: string): boolean =>
    operations.some(({ updates }) => updates === key) &&
    !operations.some(({ sets }) => sets === key)
  const textOf = (value: unknown): string | null =>
    value === undefined ? null : format.stringify(value)
  for (const [place, part] of PARTS.entries()) {
    for (const key of Object.keys({ ...from[part], ...to[part] })) {
      const [old, value] = [ownValue(from[part], key), ownValue(to[part], key)]
      const [before, after] = [textOf(old), textOf(value)]
      if (before === after) continue
      const added = place === 0 && adds(key) ? addition(format, old, value) : undefined
      changes.push(
        added === undefined
          ? [place, key, after, hash(before)]
          : [place, key, after, hash(before), added],
      )
    }
  }
  return changes
}

function addition({ stringify }: DataFormat, old: unknown, value: unknown): Change[4] {
  if (typeof value === 'number' && typeof (old ?? 0) === 'number')
    return value - ((old ?? 0) as number)
  if (!Array.isArray(value) || !Array.isArray(old ?? [])) return undefined
  const length = (old as unknown[] | undefined)?.length ?? 0
  const isLonger = stringify(value.slice(0, length)) === stringify(old ?? [])
  return isLonger ? stringify(value.slice(length)) : undefined
}

/** What an addition makes of a value; `undefined` when they do not fit. */
function plus({ parse }: DataFormat, value: unknown, added: Change[4]): unknown {
  if (typeof added === 'number' && typeof value === 'number') return value + added
  if (typeof added !== 'string' || !Array.isArray(value)) return undefined
  return Object.freeze([...value, ...(parse(added) as unknown[])])
}

/**
 * Makes the changes on `state`, each only where the value is still the one that it was made from,
 * since what was written meanwhile is newer; only what was added to that is added to any. `onDrop` is
 * told of data that are not changed.
 */
export function applyChanges(
  format: DataFormat,
  state: SessionState,
  changes: readonly Change[],
  onDrop: () => void = () => {},
): SessionState {
  let current = state
  for (const [place, key, text, base, added] of changes) {
    const part = PARTS[place]!
    const there = ownValue(current[part], key)
    const isSame = base === hash(there === undefined ? null : format.stringify(there))
    let value = text === null ? undefined : format.parse(text)
    if (!isSame) {
      value = plus(format, there, added)
      if (value === undefined) {
        if (part === 'data') onDrop()
        continue
      }
    }
    current = { ...current, [part]: withValue(current[part], key, value) }
  }
  return current
}

/** One after the other, and as one where that makes the same of any state. */
export function joinChanges(
  format: DataFormat,
  first: readonly Change[],
  then: readonly Change[],
): Change[] {
  const joined = [...first]
  for (const change of then) {
    const place = joined.map(nameOf).lastIndexOf(nameOf(change))
    const whole = place < 0 ? null : joinTwo(format, joined[place]!, change)
    if (whole) joined[place] = whole
    else joined.push(change)
  }
  return joined
}

function nameOf([part, key]: Change): string {
  return `${part} ${key}`
}

/** Two changes of one value as one; `null` where they have to stay apart. */
function joinTwo(format: DataFormat, before: Change, then: Change): Change | null {
  const { parse, stringify } = format
  const [part, key, text, base, added] = before
  const follows = then[3] === hash(text)
  if (added === undefined && then[4] === undefined) {
    return follows ? [part, key, then[2], base] : null
  }
  const all =
    typeof added === 'string' ? plus(format, parse(added), then[4]) : plus(format, added, then[4])
  if (all === undefined) return null
  const last = follows ? then[2] : stringify(plus(format, parse(text!), then[4]))
  return [part, key, last, base, typeof all === 'number' ? all : stringify(all)]
}

/** Whether what was unsealed has the shape of changes. */
export function isChanges(value: unknown): value is Change[] {
  return (
    Array.isArray(value) &&
    value.every(
      ([part, key, text, base]: Change) =>
        PARTS[part] !== undefined &&
        typeof key === 'string' &&
        (text === null || typeof text === 'string') &&
        typeof base === 'number',
    )
  )
}

/** FNV-1a, 32 bits; 0 stands for no value. */
function hash(text: string | null): number {
  if (text === null) return 0
  let sum = 0x811c9dc5
  for (let i = 0; i < text.length; i++) sum = Math.imul(sum ^ text.charCodeAt(i), 0x01000193)
  return (sum >>> 0) + 1
}
