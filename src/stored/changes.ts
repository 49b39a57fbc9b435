/**
 * Changes to single values, as text that can travel: beside a record as a patch, or in a cookie
 * while the store is down.
 */
import type { DataFormat } from '../format.ts'
import { ownValue, withValue } from '../operations.ts'
import type { SessionState } from '../record.ts'

/** Where, under which key, the new value as text (`null`: removed), and a hash of what was there. */
export type Change = readonly [
  part: 'data' | 'flash',
  key: string,
  text: string | null,
  base: number,
  /** What an `update` added: to a number, or at the end of an array, as text. */
  added?: number | string,
]

const PARTS = ['data', 'flash'] as const

/** What turns the data of `from` into those of `to`. `updated`: keys whose value came from `update`. */
export function changesBetween(
  format: DataFormat,
  from: SessionState,
  to: SessionState,
  updated: readonly unknown[] = [],
): Change[] {
  const changes: Change[] = []
  const textOf = (value: unknown): string | null =>
    value === undefined ? null : format.stringify(value)
  for (const part of PARTS) {
    for (const key of Object.keys({ ...from[part], ...to[part] })) {
      const [old, value] = [ownValue(from[part], key), ownValue(to[part], key)]
      const [before, after] = [textOf(old), textOf(value)]
      if (before === after) continue
      const added = updated.includes(key) ? addition(format, old, value) : undefined
      changes.push(
        added === undefined
          ? [part, key, after, hash(before)]
          : [part, key, after, hash(before), added],
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

/**
 * Makes the changes on `state`. With `guarded` only where the value is still the one that the
 * change was made from, since what was written meanwhile is newer; only what was added to that is
 * added to any. Flash is only ever removed that way.
 */
export function applyChanges(
  { stringify, parse }: DataFormat,
  state: SessionState,
  changes: readonly Change[],
  guarded: boolean,
): SessionState {
  let current = state
  for (const [part, key, text, base, added] of changes) {
    const there = ownValue(current[part], key)
    const isSame = base === hash(there === undefined ? null : stringify(there))
    let value = text === null ? undefined : parse(text)
    if (!isSame && (guarded || (part === 'flash' && text === null))) {
      if (typeof added === 'number' && typeof there === 'number') value = there + added
      else if (typeof added === 'string' && Array.isArray(there)) {
        value = Object.freeze([...there, ...(parse(added) as unknown[])])
      } else continue
    }
    current = { ...current, [part]: withValue(current[part], key, value) }
  }
  return current
}

/** Whether what was unsealed has the shape of changes. */
export function isChanges(value: unknown): value is Change[] {
  return (
    Array.isArray(value) &&
    value.every(
      ([part, key, text, base]: Change) =>
        PARTS.includes(part) &&
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
