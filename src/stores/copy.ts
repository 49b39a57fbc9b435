import type { StoredRecord } from './store.ts'

/** What a store keeps of a record, in an object of its own. */
export function copyRecord({ value, version, expiresAt, subject }: StoredRecord): StoredRecord {
  const copy: StoredRecord = { value, version, expiresAt }
  if (subject !== undefined) copy.subject = subject
  return copy
}

/** About how much memory a record takes: two bytes per character. */
export function bytesOf(id: string, { value, version, subject = '' }: StoredRecord): number {
  return 2 * (id.length + value.length + version.length + subject.length)
}
