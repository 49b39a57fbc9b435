import type { StoredRecord } from './store.ts'

/**
 * Copies a record, without properties that the contract does not know.
 *
 * @param entries The entries beside the copy. (default: those of the record)
 */
export function copyRecord(
  record: StoredRecord,
  entries: StoredRecord['entries'] = record.entries,
): StoredRecord {
  const { value, version, epoch, expiresAt, keys, markFor } = record
  const copy: StoredRecord = { value, version, epoch, expiresAt }
  if (keys) copy.keys = [...keys]
  if (markFor !== undefined) copy.markFor = markFor
  if (entries?.length) copy.entries = [...entries]
  return copy
}

/** Characters of the last entry in the version of a record that has entries: what no other one ends in. */
export const ENTRY_TAIL = 8

/**
 * Returns the version of a record with entries beside it. Their number alone would recur: after a store lost
 * an entry and took another one, a writer that has read the lost one must not match.
 */
export function versionWith(version: string, entries: readonly string[]): string {
  return `${version}+${entries.length}.${entries.at(-1)?.slice(-ENTRY_TAIL)}`
}

/** Estimates the memory that a record takes: two bytes per character. */
export function bytesOf(id: string, record: StoredRecord): number {
  const { value, version, epoch, keys = [], entries = [] } = record
  const texts = [id, value, version, epoch, ...keys, ...entries]
  return 2 * texts.reduce((sum, { length }) => sum + length, 0)
}
