/** Records as rows of a table, and the answers that rows mean. */
import { StoreError } from '../errors.ts'
import { ENTRY_TAIL } from './copy.ts'
import { ForeignValueError } from './errors.ts'
import type { SqlRow } from './sql-dialect.ts'
import { KEY_COLUMNS, MAX_KEYS, type SqlParameter } from './sql-statements.ts'
import type { StoredRecord, WriteResult } from './store.ts'

/** Characters that the columns hold at most, in every dialect. */
const LIMITS = { id: 128, version: 64, epoch: 64, 'index key': 128, value: 16_777_215 }
type Text = keyof typeof LIMITS

/** Texts that can be stored: printable ASCII without spaces, which separate entries. */
const TEXT = /^[!-~]+$/

/** Tells whether a record can have this id or index key: visitors may send any text as an id. */
export function canBe(kind: Text, text: string): boolean {
  return text.length <= LIMITS[kind] && TEXT.test(text)
}

function assertText(kind: Text, text: string): void {
  if (canBe(kind, text)) return
  const rule = `1 to ${LIMITS[kind]} printable ASCII characters without spaces`
  throw new StoreError(`Cannot write: the ${kind} must be ${rule}, got ${text.length} characters`)
}

/** Returns the values of the columns that a write replaces. Throws for what no column holds. */
export function valuesOf(
  id: string,
  record: StoredRecord,
  keys: readonly string[],
): Record<string, SqlParameter> {
  const { version, epoch, value, expiresAt, markFor } = record
  assertText('id', id)
  for (const [kind, text] of Object.entries({ version, epoch, value })) {
    assertText(kind as Text, text)
  }
  for (const key of keys) assertText('index key', key)
  if (keys.length > MAX_KEYS) {
    throw new StoreError(`Cannot write: ${keys.length} index keys, the table holds ${MAX_KEYS}`)
  }
  return {
    id,
    version,
    epoch,
    value,
    expires_at: Math.floor(expiresAt),
    mark_for: markFor === undefined ? null : Math.ceil(markFor),
    ...Object.fromEntries(KEY_COLUMNS.map((column, i) => [column, keys[i] ?? null])),
  }
}

/** Returns an entry as a parameter: the empty text is none. */
export function entryOf(entry: string | undefined): string {
  if (entry === undefined) return ''
  if (TEXT.test(entry)) return entry
  throw new StoreError('Cannot write: an entry must be printable ASCII without spaces')
}

/** Creates the error for a row that no statement of Sojourn can have left. */
export const notOurs = (): ForeignValueError =>
  new ForeignValueError(
    'A row of the table is no record of Sojourn: has something else written to it?',
  )

/** Returns a text. Throws for anything else. */
export const textOf = (text: unknown): string => {
  if (typeof text !== 'string') throw notOurs()
  return text
}

/** Returns a number, which drivers may give as text or bigint. */
const numberOf = (value: unknown): number => {
  const number = typeof value === 'object' ? Number.NaN : Number(value)
  if (!Number.isSafeInteger(number)) throw notOurs()
  return number
}

/** Returns the record in a row. `unprefixed` takes the store's prefix off an index key. */
export function recordOf(row: SqlRow, unprefixed: (text: string) => string): StoredRecord {
  const record: StoredRecord = {
    value: textOf(row.value),
    version: textOf(row.version),
    epoch: textOf(row.epoch),
    expiresAt: numberOf(row.expires_at),
  }
  const keys = KEY_COLUMNS.flatMap((name) => (row[name] === null ? [] : [textOf(row[name])]))
  if (keys.length) record.keys = keys.map(unprefixed)
  if (row.mark_for !== null) record.markFor = numberOf(row.mark_for)
  const text = textOf(row.entries)
  const [before, ...entries] = text.split(' ')
  if (before || entries.length !== numberOf(row.entry_count)) throw notOurs()
  if (!entries.length) return record
  return {
    ...record,
    entries,
    version: `${record.version}+${entries.length}.${text.slice(-ENTRY_TAIL)}`,
  }
}

/** Returns the answer to a write that left this row. */
export function resultOf(
  row: SqlRow | true | undefined,
  { version, value }: StoredRecord,
  entry: string,
  unprefixed: (text: string) => string,
): WriteResult {
  if (row === true) return { ok: true }
  if (row?.version === version) {
    const current = recordOf({ ...row, value }, unprefixed)
    return current.entries ? { ok: true, current } : { ok: true }
  }
  // A mark has no value.
  if (!row?.value) return { ok: false, current: null }
  const current = recordOf(row, unprefixed)
  return { ok: !!current.entries?.includes(entry), current }
}
