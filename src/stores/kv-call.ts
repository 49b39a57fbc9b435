import { StoreError, StoreUnavailableError } from '../errors.ts'
import { orAbort } from './abort.ts'
import { because } from './errors.ts'
import type { KVBinding } from './kv-options.ts'
import { OVER_LIMIT } from './limits.ts'

/**
 * Runs one KV operation: an abort ends the wait at once, and failures become errors of ours.
 * KV's own messages are not passed on; they carry no code but the status in their text.
 */
export async function callKV<T>(
  operation: 'get' | 'list' | 'put' | 'delete',
  run: () => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  signal?.throwIfAborted()
  try {
    return await orAbort(run(), signal)
  } catch (error) {
    signal?.throwIfAborted()
    throw toStoreError(operation, error)
  }
}

/** Lists the keys that begin with `prefix`, over all pages, and returns what follows it in each. */
export async function listSuffixes(
  kv: KVBinding,
  prefix: string,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const suffixes: string[] = []
  for (let cursor: string | undefined; ; ) {
    const from = cursor === undefined ? { prefix } : { prefix, cursor }
    const page = await callKV('list', () => kv.list(from), signal)
    for (const { name } of page.keys) suffixes.push(name.slice(prefix.length))
    if (page.list_complete || !page.cursor) return suffixes
    cursor = page.cursor
  }
}

/** One write per second and key: KV is well, and other sessions are not concerned. */
export function throttled(message: string): StoreUnavailableError {
  const error = new StoreUnavailableError(message, { retryAfter: 1, reason: 'rate' })
  return Object.assign(error, { perKey: true })
}

/** Passes by itself for a read: 401 and 403 come while Cloudflare rolls out a change. */
const PASSING = ['401', '403', '429']

function toStoreError(operation: string, error: unknown): StoreError | StoreUnavailableError {
  const message = String(Object(error).message)
  const [, status = ''] = /^KV [A-Z_]+ failed: (\d{3})/.exec(message) ?? []
  // "KV put() limit exceeded for the day.": until midnight, and reads may well go on.
  const over = /limit exceeded/.test(message) || OVER_LIMIT.test(message)
  const text = `KV ${operation} failed${status && ` with status ${status}`}${over ? ': over its limit' : ''}`
  const isRead = operation === 'get' || operation === 'list'
  const why = because(undefined, Number(status) || message)
  if (status === '429' && !isRead) return throttled(text)
  const final = status.startsWith('4') && !(isRead && PASSING.includes(status))
  if (over || final || error instanceof TypeError) return new StoreError(text, why)
  return new StoreUnavailableError(text, { retryAfter: status === '429' ? 1 : undefined, ...why })
}
