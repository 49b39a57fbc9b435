/** A switch that breaks a store. What it makes is not real, what follows is. */
import { type SessionStore, StoreUnavailableError } from 'sojourn'
import type { KVBinding } from 'sojourn/kv'

/** What can be wrong with a store. */
export const FAULTS = {
  healthy: 'Healthy',
  down: 'Down',
  slow: 'Slow',
  throttled: '429',
  garbage: 'Garbage',
  lost: 'Answers lost',
} as const
export type Fault = keyof typeof FAULTS

const SLOW_MS = 1500
/** The way to a store in the next house, so that the memory of this isolate is as far away as one. */
const WAY_MS = 4

const wait = (ms: number, signal?: AbortSignal | null): Promise<void> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms)
    signal?.addEventListener('abort', () => {
      clearTimeout(timer)
      reject(signal.reason)
    })
  })

/** What a REST store gets to see. */
export function breakFetch(fault: () => Fault): typeof fetch {
  return async (url, init) => {
    const now = fault()
    if (now === 'down') throw new TypeError('Network connection lost.')
    if (now === 'slow') await wait(SLOW_MS, init?.signal)
    if (now === 'throttled')
      return new Response('', { status: 429, headers: { 'retry-after': '1' } })
    if (now === 'garbage') return new Response('<html>Bad gateway</html>')
    const response = await fetch(url, init)
    if (now === 'lost') throw new TypeError('Network connection lost.')
    return response
  }
}

/** What a KV binding answers. */
export function breakNamespace(kv: KVBinding, fault: () => Fault): KVBinding {
  const through = async <T>(operation: string, call: () => Promise<T>): Promise<T> => {
    const now = fault()
    if (now === 'down') throw new Error(`KV ${operation} failed: 503 Service Unavailable`)
    if (now === 'throttled') throw new Error(`KV ${operation} failed: 429 Too Many Requests`)
    if (now === 'slow') await wait(SLOW_MS)
    const answer = await call()
    if (now === 'lost') throw new Error(`KV ${operation} failed: network connection lost`)
    return answer
  }
  return {
    get: (key) =>
      through('GET', async () => (fault() === 'garbage' ? '<html>' : await kv.get(key))),
    put: (...args) => through('PUT', () => kv.put(...args)),
    delete: (key) => through('DELETE', () => kv.delete(key)),
    list: (options) => through('GET', () => kv.list(options)),
  }
}

/** Everything else. */
export function breakStore(store: SessionStore, fault: () => Fault): SessionStore {
  const through = async <T>(
    options: { signal?: AbortSignal | undefined } | undefined,
    call: () => Promise<T>,
  ): Promise<T> => {
    const now = fault()
    if (now === 'down') throw new StoreUnavailableError('The store is down')
    if (now === 'throttled') throw new StoreUnavailableError('Too many requests', { retryAfter: 1 })
    if (now === 'garbage') throw new StoreUnavailableError('The store answered with garbage')
    await wait(now === 'slow' ? SLOW_MS : WAY_MS, options?.signal)
    const answer = await call()
    if (now === 'lost') throw new StoreUnavailableError('The answer of the store was lost')
    return answer
  }
  const { index } = store
  return {
    ...store,
    read: (id, options) => through(options, () => store.read(id, options)),
    write: (id, record, expected, options) =>
      through(options, () => store.write(id, record, expected, options)),
    end: (id, options) => through(options, () => store.end(id, options)),
    ...(index && {
      index: {
        list: (key, options) => through(options, () => index.list(key, options)),
        end: (key, options) => through(options, () => index.end(key, options)),
      },
    }),
  }
}
