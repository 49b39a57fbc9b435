import type { StoredRecord } from './store.ts'

/** Copies a record, without properties that the contract does not know. */
export function copyRecord(record: StoredRecord): StoredRecord {
  const { value, version, epoch, expiresAt, keys, markFor, entries } = record
  const copy: StoredRecord = { value, version, epoch, expiresAt }
  if (keys?.length) copy.keys = [...keys]
  if (markFor !== undefined) copy.markFor = markFor
  if (entries?.length) copy.entries = [...entries]
  return copy
}

/** Estimates the memory that a record takes: two bytes per character. */
export function bytesOf(id: string, record: StoredRecord): number {
  const { value, version, epoch, keys = [], entries = [] } = record
  return 2 * [id, value, version, epoch, ...keys, ...entries].join('').length
}
