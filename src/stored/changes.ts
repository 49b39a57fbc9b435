/**
 * Changes to single values, as text that can travel: beside a record as a patch, or in a cookie
 * while the store is down.
 */
import type { DataFormat } from '../format.ts'
import { ownValue, withValue } from '../operations.ts'
import type { SessionState } from '../record.ts'

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
  for (const [place, part] of PARTS.entries()) {
    for (const key of Object.keys({ ...from[part], ...to[part] })) {
      const [old, value] = [ownValue(from[part], key), ownValue(to[part], key)]
      const [before, after] = [textOf(old), textOf(value)]
      if (before === after) continue
      const added = updated.includes(key) ? addition(format, old, value) : undefined
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
  for (const [place, key, text, base, added] of changes) {
    const part = PARTS[place]!
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

/** One after the other as one: of each key the last value, and all that was added. */
export function joinChanges(
  { parse, stringify }: DataFormat,
  first: readonly Change[],
  then: readonly Change[],
): Change[] {
  const plus = (one: Change[4], other: Change[4]): Change[4] => {
    if (typeof one === 'number' && typeof other === 'number') return one + other
    if (typeof one !== 'string' || typeof other !== 'string') return undefined
    return stringify([...(parse(one) as unknown[]), ...(parse(other) as unknown[])])
  }
  const joined = new Map(first.map((change) => [`${change[0]} ${change[1]}`, change]))
  for (const change of then) {
    const [part, key, text, , added] = change
    const name = `${part} ${key}`
    const before = joined.get(name)
    const sum = before && plus(before[4], added)
    const base = before ? before[3] : change[3]
    const whole: Change = sum === undefined ? [part, key, text, base] : [part, key, text, base, sum]
    joined.set(name, before ? whole : change)
  }
  return [...joined.values()]
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
