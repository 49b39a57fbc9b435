/** What Cloudflare KV holds under a session's key. */
import { StoreError, StoreUnavailableError } from '../errors.ts'
import type { StoredRecord } from './store.ts'

/** A record, and how long its entry in the subject index lasts. */
export interface KVRecord extends StoredRecord {
  /** Epoch milliseconds; 0 when there is none. */
  indexedUntil: number
}

/** What KV has under a key is not ours: a failure of the store, and never "no session". */
export class ForeignValueError extends StoreError {}

/** First element of the stored JSON array. */
const FORMAT = 1
/** The types of its elements; the last one is the subject. */
const SHAPE = /^number,number,string,string,number(,string)?$/

type Parts = [number, number, string, string, number, string?]

export function encodeRecord(record: KVRecord): string {
  const { expiresAt, version, value, indexedUntil, subject } = record
  const parts: Parts = [FORMAT, expiresAt, version, value, indexedUntil]
  return JSON.stringify(subject === undefined ? parts : [...parts, subject])
}

/** Whatever is not exactly what `encodeRecord` makes throws; it is never taken for "nothing". */
export function decodeRecord(text: unknown): KVRecord | null {
  if (text === null) return null
  if (typeof text !== 'string') throw new StoreUnavailableError('KV gave no usable answer')
  const parts = parseArray(text)
  if (Number(parts[0]) > FORMAT) throw new StoreError('KV holds a newer format: update Sojourn')
  if (parts[0] !== FORMAT || !SHAPE.test(parts.map((part) => typeof part).join())) {
    throw new ForeignValueError('What is stored in KV is no record of ours')
  }
  const [, expiresAt, version, value, indexedUntil, subject] = parts as Parts
  const record = { value, version, expiresAt, indexedUntil }
  return subject === undefined ? record : { ...record, subject }
}

function parseArray(text: string): unknown[] {
  try {
    const parsed: unknown = JSON.parse(text)
    return Array.isArray(parsed) ? parsed : []
  } catch {
    return []
  }
}
