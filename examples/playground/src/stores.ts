/** The stores to choose from, each behind a switch that breaks it. */
import { createSessions, type Sessions } from 'sojourn'
import { createDurableObjectStore } from 'sojourn/durable-object'
import { createKVStore } from 'sojourn/kv'
import { createMemoryStore } from 'sojourn/memory'
import { resilient } from 'sojourn/resilience'
import { createUpstashStore } from 'sojourn/upstash'
import { breakFetch, breakNamespace, breakStore } from './faults.ts'
import { countCalls, note } from './probe.ts'
import type { Data, Env } from './worker.ts'

type Store = Parameters<typeof resilient>[0]

/** What the page says of each. */
export const STORES = {
  cookie: 'One encrypted cookie holds everything',
  memory: 'The memory of this isolate: a restart forgets it',
  kv: 'Cloudflare KV: fast to read, changes reach other places within a minute',
  'durable-object': 'A Durable Object for each session: strongly consistent',
  redis: 'Redis, over the REST protocol of Upstash',
} as const

/** One of them. */
export type StoreName = keyof typeof STORES

/** How to get Redis, as HTML. */
export const REDIS_HINT =
  'Put <code>UPSTASH_REDIS_REST_URL</code> and <code>UPSTASH_REDIS_REST_TOKEN</code> into <code>examples/playground/.dev.vars</code> and restart.'

/** Whether it is there to be chosen. */
export function isConfigured(name: StoreName, env: Env): boolean {
  return name !== 'redis' || !!(env.UPSTASH_REDIS_REST_URL && env.UPSTASH_REDIS_REST_TOKEN)
}

function createStore(name: StoreName, env: Env): Store | undefined {
  if (name === 'memory') return breakStore(createMemoryStore())
  if (name === 'kv') return createKVStore({ namespace: breakNamespace(env.SESSIONS_KV) })
  if (name === 'durable-object') {
    return breakStore(createDurableObjectStore({ namespace: env.SESSIONS }))
  }
  if (name !== 'redis') return undefined
  const { UPSTASH_REDIS_REST_URL: url = '', UPSTASH_REDIS_REST_TOKEN: token = '' } = env
  return createUpstashStore({ url, token, fetch: breakFetch })
}

const stores = new Map<StoreName, Store | undefined>()
const known = new Map<string, Sessions<Data>>()

/** The sessions in one store, with or without a copy of the data in the cookie. */
export function sessionsIn(name: StoreName, snapshot: boolean, env: Env): Sessions<Data> {
  const key = `${name} ${snapshot}`
  const found = known.get(key)
  if (found) return found
  const plain = stores.get(name) ?? createStore(name, env)
  stores.set(name, plain)
  const cookie = name === 'cookie' ? 'session' : name
  const sessions = createSessions<Data>({
    secret: env.SESSION_SECRET,
    onEvent: note,
    cookie:
      env.SESSION_INSECURE_COOKIE === '1'
        ? { name: cookie, secure: false }
        : { name: `__Host-${cookie}` },
    ...(plain && { store: resilient(countCalls(plain)) }),
    ...(plain && snapshot && { snapshot: { maxAge: 5, staleIfError: 600 } }),
  })
  known.set(key, sessions)
  return sessions
}
