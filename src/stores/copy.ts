import type { StoredRecord } from './store.ts'

/** What a store keeps of a record, in an object of its own. */
export function copyRecord(record: StoredRecord): StoredRecord {
  const { value, version, expiresAt, subject, patches } = record
  const copy: StoredRecord = { value, version, expiresAt }
  if (subject !== undefined) copy.subject = subject
  if (patches?.length) copy.patches = [...patches]
  return copy
}

/** About how much memory a record takes: two bytes per character. */
export function bytesOf(id: string, record: StoredRecord): number {
  const { value, version, subject = '', patches = [] } = record
  return 2 * [id, value, version, subject, ...patches].join('').length
}
