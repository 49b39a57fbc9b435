/** The stores to choose from, each behind a switch that breaks it. */
import type { SessionStore } from 'sojourn'
import { createDurableObjectStore } from 'sojourn/durable-object'
import { createKVStore } from 'sojourn/kv'
import { createMemoryStore } from 'sojourn/memory'
import { createUpstashStore } from 'sojourn/upstash'
import { breakFetch, breakNamespace, breakStore, type Fault } from './faults.ts'
import type { Env } from './worker.ts'

/** What the page says of each. */
export const STORES = {
  memory: ['Memory', 'The memory of this isolate, some milliseconds away. A restart forgets it'],
  kv: ['KV', 'Cloudflare KV: fast to read, changes reach other places within a minute'],
  'durable-object': ['Durable Object', 'An object for each session: strongly consistent'],
  redis: ['Redis', 'Redis, over the REST protocol of Upstash'],
  cookie: ['Cookie', 'No store: one encrypted cookie holds everything, so nothing can be down'],
} as const
export type StoreName = keyof typeof STORES

/** Tells whether it is there to be chosen. */
export function isConfigured(name: StoreName, env: Env): boolean {
  return name !== 'redis' || !!(env.UPSTASH_REDIS_REST_URL && env.UPSTASH_REDIS_REST_TOKEN)
}

/** Makes a store that breaks as `fault` says, on the clock of the visitor. */
export function createStore(
  name: StoreName,
  env: Env,
  fault: () => Fault,
  now: () => number,
): SessionStore | undefined {
  if (name === 'memory') return breakStore(createMemoryStore({ now }), fault)
  if (name === 'kv') return createKVStore({ namespace: breakNamespace(env.SESSIONS_KV, fault) })
  if (name === 'durable-object') {
    return breakStore(createDurableObjectStore({ namespace: env.SESSIONS }), fault)
  }
  if (name === 'cookie') return undefined
  const { UPSTASH_REDIS_REST_URL: url = '', UPSTASH_REDIS_REST_TOKEN: token = '' } = env
  return createUpstashStore({ url, token, fetch: breakFetch(fault) })
}
