/** The text of a record in Redis. */
import { StoreUnavailableError } from '../errors.ts'
import { versionWith } from './copy.ts'
import { type Because, ForeignValueError } from './errors.ts'
import type { StoredRecord } from './store.ts'

/**
 * A record is one string: its version, expiry, epoch, seconds of its mark, index keys, value and
 * appended entries, a line each. The scripts make it.
 */
const RECORD = /^(\S+)\n(\d+)\n(\S*)\n(\d*)\n([^\n]*)\n([^\n]+)((?:\n[^\n]+)*)$/
/** The mark of an ended session, until a time. */
const MARK = /^!\d+$/

/** Encodes what the scripts compare and take apart. */
export function encodeKeys(keys: readonly string[] = []): string {
  return keys.map(encodeURIComponent).join(' ')
}

/** Returns the text of a record but for its version and entries. */
export function encode({ expiresAt, epoch, markFor, keys, value }: StoredRecord): string {
  const seconds = markFor === undefined ? '' : Math.ceil(markFor)
  const [name, listed] = [encodeURIComponent(epoch), encodeKeys(keys)]
  return [Math.floor(expiresAt), name, seconds, listed, value].join('\n')
}

/** Returns `null` for a record that has expired and for a mark; throws for what is neither. */
export function decode(text: unknown, now: number): StoredRecord | null {
  try {
    if (MARK.test(text as string)) return null
    // No match is `null`, which cannot be taken apart.
    const fields = RECORD.exec(text as string) as string[]
    const [, tag = '', expiry, epoch = '', markFor, keys, value = '', appended = ''] = fields
    const version = decodeURIComponent(tag)
    const expiresAt = Number(expiry)
    if (expiresAt <= now) return null
    const record: StoredRecord = { value, version, epoch: decodeURIComponent(epoch), expiresAt }
    if (keys) record.keys = keys.split(' ').map(decodeURIComponent)
    if (markFor) record.markFor = Number(markFor)
    const entries = appended.split('\n').slice(1)
    if (!entries.length) return record
    return { ...record, entries, version: versionWith(version, entries) }
  } catch {
    throw new ForeignValueError('What is stored in Redis is no record of ours')
  }
}

export const READ_SHA: string = '06d9892cd2c1124e329759643e9a5a0591f73d0b'
export const WRITE_SHA: string = '98b250cad3c0aa1f0fb55519ae76781f1b293268'

/** Creates the error for an answer of no use. It quotes nothing of it: keys and data may be in it. */
export function noUsableReply(retryAfter?: number, why: Because = {}): StoreUnavailableError {
  const word = why.word ? ` (${why.word})` : ''
  return new StoreUnavailableError(`Redis gave no usable answer${word}`, { retryAfter, ...why })
}
