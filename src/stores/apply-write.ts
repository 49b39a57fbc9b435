import { copyRecord, versionWith } from './copy.ts'
import { MAX_ENTRIES, MAX_ENTRIES_LENGTH } from './limits.ts'
import type { StoredRecord, WriteResult } from './store.ts'

/** The outcome of a write: the answer, and the record to save; `null`: what is there stays. */
export interface AppliedWrite {
  readonly result: WriteResult
  readonly next: StoredRecord | null
}

/**
 * Decides what a write does to the record that is there. It is the reference for every store: memory
 * and Durable Objects use it, scripts and SQL are tested against it.
 *
 * The first rule that fits decides:
 * 1. The write was applied before (its version or its entry is there): `ok`, nothing changes.
 * 2. The version there is `expected`: the record replaces it, with all its entries, which the writer
 *    has merged. `null` expects that nothing is there.
 * 3. There is an `entry`, and a record of the same epoch with room for it: the entry is appended. The
 *    record's version, expiry and keys stay; the version is followed by the number of entries and the end of the last one.
 * 4. The write is refused.
 *
 * @param current The live record as reads return it; `null`: there is none. The caller refuses
 * creations under an id that is marked as ended.
 * @param record The record to write, under a version never used before.
 * @param expected The version that the writer read; `null`: it creates.
 * @param entry The change alone, to be appended where the record cannot be replaced.
 */
export function applyWrite(
  current: StoredRecord | null,
  record: StoredRecord,
  expected: string | null,
  entry?: string,
): AppliedWrite {
  if (current && baseVersion(current) === record.version) {
    const more = current.entries?.length ? { current: copyRecord(current) } : {}
    return { result: { ok: true, ...more }, next: null }
  }
  if (current && entry !== undefined && current.entries?.includes(entry)) {
    return { result: { ok: true, current: copyRecord(current) }, next: null }
  }
  if ((current?.version ?? null) === expected) {
    return { result: { ok: true }, next: copyRecord(record, []) }
  }
  const there = current && copyRecord(current)
  if (there && expected !== null && entry !== undefined && there.epoch === record.epoch) {
    const entries = [...(there.entries ?? []), entry]
    if (entries.length <= MAX_ENTRIES && entries.join('').length <= MAX_ENTRIES_LENGTH) {
      const next = { ...there, entries, version: versionWith(baseVersion(there), entries) }
      return { result: { ok: true, current: copyRecord(next) }, next }
    }
  }
  return { result: { ok: false, current: there }, next: null }
}

/** Returns the version of the write that made a record, without the number of its entries. */
export function baseVersion({ version, entries }: StoredRecord): string {
  return entries?.length ? version.slice(0, version.lastIndexOf('+')) : version
}
