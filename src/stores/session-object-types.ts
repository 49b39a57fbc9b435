/** The calls of session objects, which go over RPC, and the values in their storage. */
import { isRecord } from './answers.ts'
import type { StoredEntry, StoredRecord, WriteResult } from './store.ts'

/** The other arguments of a write. Plain data: they go over RPC. */
export interface WriteCall {
  readonly now: number
  readonly expected: string | null
  readonly entry: string | undefined
}

/** The arguments of an end. */
export interface EndCall {
  readonly now: number
  /** Seconds. */
  readonly markFor: number
}

/** The calls of the store, and of the objects to each other. */
export interface SessionObjectCalls {
  read(now: number): Promise<StoredRecord | null>
  write(id: string, record: StoredRecord, call: WriteCall): Promise<WriteResult>
  end(id: string, call: EndCall): Promise<boolean>
  list(key: string, now: number): Promise<StoredEntry[]>
  endAll(key: string, except: string, call: EndCall): Promise<number>
  join(id: string, lasts: number): Promise<void>
  leave(id: string): Promise<void>
  look(
    id: string,
    key: string,
    now: number,
    end?: EndCall,
  ): Promise<StoredRecord | typeof NOT_OURS | null>
}

/** The message of an object that cannot reach others. */
export const NO_BINDING = 'The Worker that exports SessionObject needs a binding to it'

/** The message of an object whose storage has something else in the place of a session or of a mark. */
export const NOT_OURS = 'The Durable Object stores no record of ours'

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
