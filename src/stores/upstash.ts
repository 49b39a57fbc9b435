/**
 * Stores sessions in Upstash Redis, or another server of its REST protocol.
 *
 * One HTTP round trip per call. Compare-and-set, expiry and index are one Lua script, so overlapping
 * requests cannot lose each other's writes. It makes one attempt: wrap it in `resilient`.
 *
 * @module
 * @example
 * import { resilient } from 'sojourn/resilience'
 * import { createUpstashStore } from 'sojourn/upstash'
 *
 * const store = resilient(createUpstashStore({ url, token }))
 */
import { applyRules, functionRule, isObject, type Rule, refuseUnless } from '../check.ts'
import { SessionError, StoreTimeoutError } from '../errors.ts'
import { becauseOf } from './errors.ts'
import {
  createRedisCommands,
  REDIS_RULES,
  type RedisOptions,
  type RedisSessionStore,
} from './redis-commands.ts'
import { noUsableReply } from './redis-record.ts'
import type { UpstashRequester } from './upstash-requester.ts'
import { createTransport, type Transport, type UpstashConnection } from './upstash-rest.ts'

export {
  createRequester,
  type RequesterOptions,
  type UpstashRequester,
} from './upstash-requester.ts'
export type { UpstashConnection } from './upstash-rest.ts'

/** Options for every Upstash store. */
export type UpstashStoreOptions = RedisOptions

/** Any `Redis` of `@upstash/redis` fits. */
export interface UpstashClient {
  eval(...args: never[]): unknown
  evalsha(...args: never[]): unknown
}

/** Goes through a client that exists already. */
export interface UpstashClientOptions {
  /** A `Redis` of `@upstash/redis`, or what {@link createRequester} makes. */
  redis: UpstashClient | UpstashRequester
}

/** The method of a client that the store uses: it neither pipelines nor deserializes by itself. */
interface Requester {
  request(request: {
    body: unknown
    signal?: AbortSignal
  }): Promise<{ result?: unknown; error?: unknown }>
  readonly options?: { readonly signal?: unknown }
  readonly retry?: unknown
}

const anything: Rule = [undefined, '', () => true]

const KNOWN: Record<string, Rule> = {
  ...REDIS_RULES,
  fetch: functionRule(),
  // Looked at where they are used.
  url: anything,
  token: anything,
  redis: anything,
}

/** A client's errors quote the command: only what kind of failure it was may leave. */
async function requestThrough(
  requester: Requester,
  request: { body: unknown; signal?: AbortSignal },
): Promise<unknown> {
  try {
    return await requester.request(request)
  } catch (error) {
    if (error instanceof SessionError) throw error
    const { name, message } = Object(error) as { name?: unknown; message?: unknown }
    if (name === 'UpstashError') return { error: String(message).split(', command was')[0] }
    if (name === 'TimeoutError') throw new StoreTimeoutError('Upstash did not answer in time')
    throw noUsableReply(undefined, becauseOf(error))
  }
}

function transportOf(client: object): Transport {
  const { client: inner } = Object(client) as { client?: unknown }
  const requester = Object(inner ?? client) as Requester
  if (typeof requester.request !== 'function') {
    throw new TypeError('createUpstashStore: redis must be a client of @upstash/redis')
  }
  const { signal } = requester.options ?? {}
  if (signal && typeof signal !== 'function') {
    throw new TypeError(
      "createUpstashStore: the client's option signal must be a function, such as " +
        '() => AbortSignal.timeout(1000): a plain AbortSignal turns timeouts into null',
    )
  }
  // Its own five retries would multiply an outage, and go on when nobody waits any more.
  const retry = { value: { attempts: 0 } }
  const once: Requester = requester.retry ? Object.create(requester, { retry }) : requester
  return (body, ours) => requestThrough(once, signal ? { body } : { body, signal: ours })
}

/**
 * Creates a store in Upstash Redis, over its REST protocol or through a client of `@upstash/redis`.
 *
 * Reads are answered by the nearest replica, which may lag. A `fresh` read is a script, and scripts
 * run on the primary, because they may write.
 *
 * A client's address, headers and `signal` are used. What else it does to commands and
 * answers is bypassed: its own retries, pipelines and deserialization.
 *
 * @throws TypeError when the URL is not `https:` (loopback apart), or when an option is missing or
 * would make failures look like missing sessions.
 *
 * @example
 * createUpstashStore({ url: env.UPSTASH_REDIS_REST_URL, token: env.UPSTASH_REDIS_REST_TOKEN })
 * createUpstashStore({ redis: Redis.fromEnv() })
 */
export function createUpstashStore(
  options: UpstashStoreOptions & (UpstashConnection | UpstashClientOptions),
): RedisSessionStore {
  refuseUnless(isObject(options), 'options', 'an object', options)
  const settings = applyRules<Required<UpstashStoreOptions>>('', KNOWN, options)
  const send =
    'redis' in options
      ? transportOf(options.redis)
      : createTransport('createUpstashStore', options, settings.now)
  return createRedisCommands('upstash', send, settings, { fromReplicas: true })
}
