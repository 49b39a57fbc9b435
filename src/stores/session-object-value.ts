/** The values in the storage of a session object. Another version, or somebody else, may have written them. */
import type { StoredRecord } from './store.ts'

/** A session as its object stores it. */
export interface SavedRecord extends StoredRecord {
  /** Epoch milliseconds, by the object's own clock, after which it may be removed. */
  removeAt: number
  /** Epoch milliseconds, by the object's own clock, until which each index key lists it at least. */
  listedUntil?: Readonly<Record<string, number>>
}

/** The mark of an ended session. */
export interface Mark {
  /** Epoch milliseconds by the caller's clock, as with all that it reads. */
  until: number
  removeAt: number
}

/** Epoch milliseconds, in 2188: the platform sets no alarm after that year. */
const LAST_ALARM = 6.9e12

/** Returns a time for an alarm; `Infinity`, which never comes, for what is none. */
export const alarmTime = (value: unknown): number =>
  typeof value === 'number' && value < LAST_ALARM ? value : Infinity

const areTimes = (...values: unknown[]): boolean => values.every(Number.isFinite)

/** Tells whether a value is a session as its object stores it. */
export function isRecord(record: unknown): record is SavedRecord {
  const one = Object(record) as SavedRecord
  const { entries = [], keys = [] } = one
  return (
    [entries, keys].every(Array.isArray) &&
    [one.value, one.version, one.epoch, ...entries, ...keys].every(
      (text) => typeof text === 'string',
    ) &&
    areTimes(one.expiresAt, one.removeAt, one.markFor ?? 0, ...Object.values(one.listedUntil ?? {}))
  )
}

/** Tells whether a value is the mark of an ended session. */
export function isMark(mark: unknown): mark is Mark {
  const one = Object(mark) as Mark
  return areTimes(one.removeAt, one.until)
}
