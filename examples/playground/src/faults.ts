/** A switch that breaks the stores of this isolate. What it makes is not real, what follows is. */
import { type SessionStore, StoreUnavailableError } from 'sojourn'
import type { KVBinding } from 'sojourn/kv'

/** What can be wrong with a store. */
export const FAULTS = {
  healthy: 'Healthy',
  down: 'Down',
  slow: 'Slow',
  throttled: '429',
  garbage: 'Garbage',
} as const

/** One of them. */
export type Fault = keyof typeof FAULTS

const SLOW_MS = 1500
let current: Fault = 'healthy'

/** What is wrong now. */
export function fault(): Fault {
  return current
}

/** Breaks every store, or mends it. */
export function setFault(next: Fault): void {
  current = next
}

const wait = (signal?: AbortSignal | null): Promise<void> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, SLOW_MS)
    signal?.addEventListener('abort', () => {
      clearTimeout(timer)
      reject(signal.reason)
    })
  })

/** What a REST store gets to see. */
export async function breakFetch(url: string, init: RequestInit): Promise<Response> {
  if (current === 'down') throw new TypeError('Network connection lost.')
  if (current === 'slow') await wait(init.signal)
  if (current === 'throttled')
    return new Response('', { status: 429, headers: { 'retry-after': '1' } })
  if (current === 'garbage') return new Response('<html>Bad gateway</html>')
  return await fetch(url, init)
}

/** What a KV binding answers. */
export function breakNamespace(kv: KVBinding): KVBinding {
  const through = async <T>(operation: string, call: () => Promise<T>): Promise<T> => {
    if (current === 'down') throw new Error(`KV ${operation} failed: 503 Service Unavailable`)
    if (current === 'throttled') throw new Error(`KV ${operation} failed: 429 Too Many Requests`)
    if (current === 'slow') await wait()
    return await call()
  }
  return {
    get: (key) =>
      through('GET', async () => (current === 'garbage' ? '<html>' : await kv.get(key))),
    put: (...args) => through('PUT', () => kv.put(...args)),
    delete: (key) => through('DELETE', () => kv.delete(key)),
    list: (options) => through('GET', () => kv.list(options)),
  }
}

/** Everything else. */
export function breakStore(store: SessionStore): SessionStore {
  const through = async <T>(
    options: { signal?: AbortSignal | undefined } | undefined,
    call: () => Promise<T>,
  ): Promise<T> => {
    if (current === 'down') throw new StoreUnavailableError('The store is down')
    if (current === 'throttled')
      throw new StoreUnavailableError('Too many requests', { retryAfter: 1 })
    if (current === 'garbage') throw new StoreUnavailableError('The store answered with garbage')
    if (current === 'slow') await wait(options?.signal)
    return await call()
  }
  const { index } = store
  return {
    ...store,
    read: (id, options) => through(options, () => store.read(id, options)),
    write: (id, record, expected, options) =>
      through(options, () => store.write(id, record, expected, options)),
    end: (id, options) => through(options, () => store.end(id, options)),
    health: (options) => through(options, async () => await store.health?.(options)),
    ...(index && {
      index: {
        list: (key, options) => through(options, () => index.list(key, options)),
        end: (key, options) => through(options, () => index.end(key, options)),
      },
    }),
  }
}
