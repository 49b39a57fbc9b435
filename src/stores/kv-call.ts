import { StoreError, StoreUnavailableError } from '../errors.ts'
import { abortable } from './abort.ts'
import { because, unavailableForOne } from './errors.ts'
import { OVER_LIMIT } from './limits.ts'

/** The methods of a KV namespace binding that the store uses; `env.SESSIONS` of a Worker fits. */
export interface KVBinding {
  get(key: string): Promise<string | null>
  put(key: string, value: string, options?: { expirationTtl?: number }): Promise<void>
  delete(key: string): Promise<void>
  list(options?: {
    prefix?: string
    cursor?: string
    limit?: number
  }): Promise<{ keys: readonly { name: string }[]; list_complete: boolean; cursor?: string }>
}

/**
 * Runs one KV operation: an abort ends the wait at once, and failures become errors of ours.
 * KV's own messages are not passed on; they carry no code but the status in their text.
 */
export function callKV<T>(
  operation: 'get' | 'list' | 'put' | 'delete',
  run: () => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  return abortable(signal, run, (error) => toStoreError(operation, error))
}

/** Returns a page of the keys that begin with `prefix`, and what follows it in each. */
export async function listPage(
  kv: KVBinding,
  from: { prefix: string; limit?: number; cursor?: string },
  signal: AbortSignal | undefined,
): Promise<{ suffixes: string[]; cursor: string | null }> {
  const page = await callKV('list', () => kv.list(from), signal)
  const { keys, list_complete: isLast, cursor } = Object(page) as Partial<typeof page>
  const isPage = Array.isArray(keys) && keys.every((key) => typeof key?.name === 'string')
  // A cursor that stays where it is would have no end.
  if (!isPage || (!isLast && from.cursor === cursor)) {
    throw new StoreUnavailableError('KV gave no usable answer')
  }
  const suffixes = keys.map(({ name }) => name.slice(from.prefix.length))
  return { suffixes, cursor: (!isLast && cursor) || null }
}

/** Lists the keys that begin with `prefix`, over all pages, and returns what follows it in each. */
export async function listSuffixes(
  kv: KVBinding,
  prefix: string,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const suffixes: string[] = []
  let cursor: string | null = null
  do {
    const page = await listPage(kv, { prefix, ...(cursor && { cursor }) }, signal)
    suffixes.push(...page.suffixes)
    cursor = page.cursor
  } while (cursor)
  return suffixes
}

/** One write per second and key: KV is well. */
export const throttled = (message: string): StoreUnavailableError =>
  unavailableForOne(message, { retryAfter: 1, reason: 'rate' })

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
