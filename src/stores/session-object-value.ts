/** The values in the storage of a session object. Another version, or somebody else, may have written them. */
import { isRecord } from './answers.ts'
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
export function isSaved(value: unknown): value is SavedRecord {
  const { listedUntil = {}, markFor = 0, removeAt } = Object(value) as SavedRecord
  return isRecord(value) && areTimes(removeAt, markFor, ...Object.values(listedUntil))
}

/** Tells whether a value is the mark of an ended session. */
export function isMark(mark: unknown): mark is Mark {
  const one = Object(mark) as Mark
  return areTimes(one.removeAt, one.until)
}
