import { StoreError, StoreUnavailableError } from '../errors.ts'
import { orAbort } from './abort.ts'

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

function toStoreError(operation: string, error: unknown): StoreError | StoreUnavailableError {
  const { message = '' } = (error ?? {}) as { message?: unknown }
  const status = Number(/^KV [A-Z_]+ failed: (\d{3})/.exec(String(message))?.[1] ?? 0)
  const text = `KV ${operation} failed${status ? ` with status ${status}` : ''}`
  if (status === 429) return new StoreUnavailableError(text, { retryAfter: 1 })
  // Reads are answered 401 and 403 for moments while Cloudflare rolls out a change.
  const passing = operation === 'get' || operation === 'list' ? [401, 403] : []
  const final = status >= 400 && status < 500 && !passing.includes(status)
  return final || error instanceof TypeError
    ? new StoreError(text)
    : new StoreUnavailableError(text)
}
