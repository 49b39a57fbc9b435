/**
 * Keeps sessions in Upstash Redis, or another server of its REST protocol.
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
import { applyRules, functionRule, numberRule, type Rule, refuseUnless } from '../check.ts'
import { SessionError, StoreError, StoreTimeoutError } from '../errors.ts'
import { within } from '../resilience/deadline.ts'
import type { SessionStore } from './store.ts'
import type { RunScript, UpstashKeys } from './upstash-index.ts'
import { decode, WRITE_SHA } from './upstash-record.ts'
import type { UpstashRequester } from './upstash-requester.ts'
import {
  createTransport,
  type Transport,
  type UpstashConnection,
  unusable,
} from './upstash-rest.ts'

export {
  createRequester,
  type RequesterOptions,
  type UpstashRequester,
} from './upstash-requester.ts'
export type { UpstashConnection } from './upstash-rest.ts'

/** What every Upstash store can be told. */
export interface UpstashStoreOptions {
  /** Put before every key, to keep apart what shares a database. (default: 'sojourn:') */
  prefix?: string
  /** Time limit of one call, its body included, in milliseconds. (default: 2000) */
  timeoutMs?: number
  /** Epoch milliseconds. (default: Date.now) */
  now?: () => number
}

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

/** What is used of a client: the part that neither pipelines nor deserializes by itself. */
interface Requester {
  request(request: {
    body: unknown
    signal?: AbortSignal
  }): Promise<{ result?: unknown; error?: unknown }>
  readonly options?: { readonly signal?: unknown }
  readonly retry?: unknown
}

/** Timers take no more: 2^31 - 1 milliseconds. */
const MAX_MS = 2_147_483_647

const anything: Rule = [undefined, '', () => true]

const RULES: Record<string, Rule> = {
  prefix: ['sojourn:', 'a string', (value: unknown) => typeof value === 'string'],
  timeoutMs: numberRule(2000, 1, MAX_MS),
  now: functionRule(() => Date.now()),
  fetch: functionRule(),
  // Looked at where they are used.
  url: anything,
  token: anything,
  redis: anything,
}

/** Stands for Redis not having a script yet. */
const NO_SCRIPT = Symbol('NOSCRIPT')

/** What Redis says when trying again will not help: refused commands, credentials and quotas. */
const REFUSED = /^[A-Z]{3,} |[Uu]nauthorized|[Ff]orbidden|max .*exceeded|quota/
/** And what it says while it is not itself. */
const TRANSIENT = /^(LOADING|BUSY|TRYAGAIN|CLUSTERDOWN|MASTERDOWN|READONLY|NOREPLICAS)\b/

function failure(text: string): SessionError {
  if (REFUSED.test(text) && !TRANSIENT.test(text))
    return new StoreError('Upstash refused a command')
  return unusable()
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
    throw unusable()
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

/** Patches kept beside one record. */
const PATCHES = 32

/**
 * Makes a store in Upstash Redis, over its REST protocol or through a client of `@upstash/redis`.
 *
 * Of a client's options its address, headers and `signal` count. What else it does to commands and
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
): SessionStore & Required<Pick<SessionStore, 'index' | 'page'>> {
  refuseUnless(Object(options) === options, 'options', 'an object', options)
  const { prefix, timeoutMs, now } = applyRules<Required<UpstashStoreOptions>>('', RULES, options)
  const send =
    'redis' in options
      ? transportOf(options.redis)
      : createTransport('createUpstashStore', options, now)
  const recordKey = (id: string): string => `${prefix}s:${id}`

  async function ask(command: readonly string[], signal?: AbortSignal): Promise<unknown> {
    signal?.throwIfAborted()
    const late = (): Error => new StoreTimeoutError('Upstash did not answer in time')
    const answer = await within(timeoutMs, signal, late, (inner) => send(command, inner))
    const { result, error } = Object(answer) as { result?: unknown; error?: unknown }
    if (typeof error === 'string' && error) {
      if (/\bNOSCRIPT\b/.test(error)) return NO_SCRIPT
      throw failure(error)
    }
    return result
  }

  const run: RunScript = async (name, sha, args, signal) => {
    const result = await ask(['EVALSHA', sha, ...args], signal)
    if (result !== NO_SCRIPT) return result
    const { [name]: script } = await import('./upstash-scripts.ts')
    return await ask(['EVAL', script, ...args], signal)
  }

  const keys: UpstashKeys = { records: recordKey(''), users: `${prefix}u:`, now, run }
  const load = () => import('./upstash-index.ts')

  return {
    name: 'upstash',
    atomic: true,
    patches: PATCHES,

    async read(id, { signal } = {}) {
      // Unlike GET this answers an absent key with '', so that no failure looks like it.
      const result = await ask(['GETRANGE', recordKey(id), '0', '-1'], signal)
      if (typeof result !== 'string') throw unusable()
      return result === '' ? null : decode(result, now())
    },

    async write(id, record, expected, { signal, patch = '', folded = 0 } = {}) {
      const { version, value, expiresAt, subject = '' } = record
      const time = Math.floor(now())
      const [tag, owner] = [encodeURIComponent(version), encodeURIComponent(subject)]
      const named = [recordKey(id), ...(owner && [keys.users + owner])]
      const result = await run(
        'WRITE',
        WRITE_SHA,
        [
          String(named.length),
          ...named,
          encodeURIComponent(expected ?? ''),
          tag,
          String(Math.max(1, Math.ceil(expiresAt - time))),
          `${Math.floor(expiresAt)}\n${owner}\n${value}`,
          id,
          String(time),
          patch,
          String(folded),
          String(PATCHES),
        ],
        signal,
      )
      if (result === 1) return { ok: true }
      if (result === 2) return { ok: true, patched: true }
      if (result !== 0 && typeof result !== 'string') throw unusable()
      return { ok: false, current: result === 0 ? null : decode(result, now()) }
    },

    async delete(id, { signal } = {}) {
      if (typeof (await ask(['DEL', recordKey(id)], signal)) !== 'number') throw unusable()
    },

    index: {
      list: async (subject, call) => (await load()).list(keys, subject, call?.signal),
      bury: async (subject, tombstone, call) => (await load()).bury(keys, subject, tombstone, call),
    },
    page: async (cursor, call) => (await load()).page(keys, cursor, call?.signal),

    async health({ signal } = {}) {
      if ((await ask(['PING'], signal)) !== 'PONG') throw unusable()
    },
  }
}
