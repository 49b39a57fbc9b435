/** The text that Cloudflare KV stores under a session's key. */
import { StoreUnavailableError } from '../errors.ts'
import { ForeignValueError, newerValue } from './errors.ts'
import type { StoredRecord } from './store.ts'

/** A record, and how long its entries in the index last. */
export interface KVRecord extends StoredRecord {
  /** Epoch milliseconds; 0 when there are none. */
  indexedUntil: number
}

/** The tombstone of an ended session. */
export interface KVTombstone {
  /** Epoch milliseconds until which the session counts as ended. */
  endedUntil: number
}

/** First element of the stored JSON array. */
const FORMAT = 1
/** The types of its elements: of a tombstone, and of a record, whose index keys come last. */
const SHAPE = /^number,number(,string,string,string,number,number(,string)*)?$/

type Parts = [number, number, string, string, string, number, number, ...string[]]

export function encodeRecord(record: KVRecord): string {
  const { expiresAt, version, epoch, value, markFor = 0, indexedUntil, keys = [] } = record
  const parts: Parts = [FORMAT, expiresAt, version, epoch, value, markFor, indexedUntil, ...keys]
  return JSON.stringify(parts)
}

export function encodeTombstone({ endedUntil }: KVTombstone): string {
  return JSON.stringify([FORMAT, endedUntil])
}

/** Throws for whatever these do not make; it is never taken for "nothing". */
export function decodeValue(text: unknown): KVRecord | KVTombstone | null {
  if (text === null) return null
  if (typeof text !== 'string') throw new StoreUnavailableError('KV gave no usable answer')
  const parts = parseArray(text)
  if (Number(parts[0]) > FORMAT) throw newerValue('KV')
  if (parts[0] !== FORMAT || !SHAPE.test(parts.map((part) => typeof part).join())) {
    throw new ForeignValueError('What is stored in KV is no record of ours')
  }
  if (parts.length === 2) return { endedUntil: parts[1] as number }
  const [, expiresAt, version, epoch, value, markFor, indexedUntil, ...keys] = parts as Parts
  const record: KVRecord = { value, version, epoch, expiresAt, indexedUntil }
  if (markFor) record.markFor = markFor
  if (keys.length) record.keys = keys
  return record
}

function parseArray(text: string): unknown[] {
  try {
    const parsed: unknown = JSON.parse(text)
    return Array.isArray(parsed) ? parsed : []
  } catch {
    return []
  }
}
