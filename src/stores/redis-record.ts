/** How a record is kept in Redis. */
import { StoreError, StoreUnavailableError } from '../errors.ts'
import type { StoredRecord } from './store.ts'

/**
 * A record is one string: the versions of its last eight writes (first its own), its expiry, its
 * subject, its value and the patches beside it, a line each. The scripts make it.
 */
const RECORD = /^(\S+)(?: [^\n]*)?\n(\d+)\n(\S*)\n([^\n]+)((?:\n[^\n]+)*)$/

/** Whatever is no record throws; one that has expired is `null`. */
export function decode(text: unknown, now: number): StoredRecord | null {
  try {
    // No match is `null`, which cannot be taken apart.
    const fields = RECORD.exec(text as string) as string[]
    const [, tag = '', expiry, owner = '', value = '', beside = ''] = fields
    const [version, subject] = [decodeURIComponent(tag), decodeURIComponent(owner)]
    const expiresAt = Number(expiry)
    if (expiresAt <= now) return null
    const patches = beside.split('\n').slice(1)
    return {
      value,
      version,
      expiresAt,
      ...(subject && { subject }),
      ...(patches.length && { patches }),
    }
  } catch {
    throw new StoreError('What is stored in Redis is no record of ours')
  }
}

/** Of the script that writes one. */
export const WRITE_SHA: string = 'f09798d1333e09b9b4b465e489bf0b8d9e569c59'

/** Nothing that can be used came back. Says nothing of what did: that may hold keys and data. */
export function unusable(retryAfter?: number, reason?: string): StoreUnavailableError {
  const why = reason ? ` (${reason})` : ''
  const error = new StoreUnavailableError(`Redis gave no usable answer${why}`, { retryAfter })
  return Object.assign(error, reason && { reason })
}
