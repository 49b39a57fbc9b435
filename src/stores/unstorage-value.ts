/** The values of sessions in unstorage, as text. */
import { StoreUnavailableError } from '../errors.ts'
import { ForeignValueError, newerValue } from './errors.ts'
import type { StoredRecord } from './store.ts'

/**
 * Format, expiry, version, epoch, seconds of the mark, index keys and value, each ending its line;
 * a tombstone has its expiry only. No driver takes that for JSON, which `getItem` would parse. What
 * follows is of a longer text that the driver wrote over: fs neither replaces a file at once nor
 * keeps two writers apart.
 */
const VALUE = /^sojourn 1\n(\d+)\n(?:ended\n|(\S+)\n(\S*)\n(\d*)\n([^\n]*)\n(\S+)\n)/

const NEWER = /^sojourn ([2-9]|\d\d+)\n/

/** A record, or the tombstone of an ended session. */
export type Stored = StoredRecord | Pick<StoredRecord, 'expiresAt'>

/** Spells a record. */
export function encode(record: StoredRecord): string {
  const { expiresAt, version, epoch, markFor, keys = [], value } = record
  const texts = [version, epoch].map(encodeURIComponent)
  const listed = keys.map(encodeURIComponent).join(' ')
  const lines = [Math.floor(expiresAt), ...texts, markFor ? Math.ceil(markFor) : '', listed, value]
  return `sojourn 1\n${lines.join('\n')}\n`
}

/** Reads what {@link encode} spelled, or a tombstone; `null`: nothing is there. */
export function decode(text: unknown): Stored | null {
  if (text === null) return null
  // Some drivers give an error, or nothing, in place of throwing; fs an empty text while it writes.
  if (text === undefined || text === '' || text instanceof Error)
    throw new StoreUnavailableError('unstorage getItem failed')
  if (NEWER.test(text as string)) throw newerValue('unstorage')
  try {
    // No match is `null`, which cannot be taken apart.
    const [, expiry, tag, epoch = '', markFor, keys, value = ''] = VALUE.exec(text as string)!
    if (tag === undefined) return { expiresAt: Number(expiry) }
    const record: StoredRecord = {
      value,
      version: decodeURIComponent(tag),
      epoch: decodeURIComponent(epoch),
      expiresAt: Number(expiry),
    }
    if (keys) record.keys = keys.split(' ').map(decodeURIComponent)
    if (markFor) record.markFor = Number(markFor)
    return record
  } catch {
    throw new ForeignValueError('What is stored in unstorage is no record of ours')
  }
}
