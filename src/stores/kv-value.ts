/** What Cloudflare KV holds under a session's key. */
import { SessionCorruptionError, StoreError, StoreUnavailableError } from '../errors.ts'
import { copyRecord } from './copy.ts'
import type { StoredRecord } from './store.ts'

/** A record, and how long its entry in the subject index lasts. */
export interface KVRecord extends StoredRecord {
  /** Epoch milliseconds; 0 when there is none. */
  indexedUntil: number
}

/** First element of the stored JSON array. */
const FORMAT = 1

export function encodeRecord(record: KVRecord): string {
  const { expiresAt, version, value, indexedUntil, subject = null } = record
  return JSON.stringify([FORMAT, expiresAt, version, value, indexedUntil, subject])
}

/** Whatever is not exactly what `encodeRecord` makes throws; it is never taken for "nothing". */
export function decodeRecord(text: unknown): KVRecord | null {
  if (text === null) return null
  if (typeof text !== 'string') throw new StoreUnavailableError('KV gave no usable answer')
  const [format, expiresAt, version, value, indexedUntil, subject] = parseArray(text)
  if (Number(format) > FORMAT) throw new StoreError('KV holds a newer format: update Sojourn')
  const sound =
    format === FORMAT &&
    typeof expiresAt === 'number' &&
    typeof version === 'string' &&
    typeof value === 'string' &&
    typeof indexedUntil === 'number' &&
    (subject === null || typeof subject === 'string')
  if (!sound) throw new SessionCorruptionError('Cannot read session: KV holds something else')
  return {
    ...copyRecord({ value, version, expiresAt, ...(subject === null ? {} : { subject }) }),
    indexedUntil,
  }
}

function parseArray(text: string): unknown[] {
  try {
    const parsed: unknown = JSON.parse(text)
    return Array.isArray(parsed) ? parsed : []
  } catch {
    return []
  }
}
