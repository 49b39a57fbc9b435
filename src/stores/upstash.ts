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
import { applyRules, functionRule, numberRule, type Rule } from '../check.ts'
import { SessionError, StoreError, StoreTimeoutError } from '../errors.ts'
import { within } from '../resilience/deadline.ts'
import { type SessionStore, type StoredEntry, type StoredRecord, TOMBSTONE } from './store.ts'
import type { UpstashRequester } from './upstash-requester.ts'
import {
  createTransport,
  type Transport,
  type UpstashConnection,
  unusable,
} from './upstash-rest.ts'
import {
  BURY,
  BURY_SHA,
  LIST,
  LIST_SHA,
  PAGE,
  PAGE_SHA,
  WRITE,
  WRITE_SHA,
} from './upstash-scripts.ts'

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
  request(request: { body: unknown }): Promise<{ result?: unknown; error?: unknown }>
  readonly options?: { readonly signal?: unknown }
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
const REFUSED = /^[A-Z]{3,} |unauthorized|forbidden|max .*exceeded|quota/i
/** And what it says while it is not itself. */
const TRANSIENT = /^(LOADING|BUSY|TRYAGAIN|CLUSTERDOWN|MASTERDOWN|READONLY|NOREPLICAS)\b/

function failure(text: string): SessionError {
  if (REFUSED.test(text) && !TRANSIENT.test(text))
    return new StoreError('Upstash refused a command')
  return unusable()
}

/** A client's errors quote the command: only what kind of failure it was may leave. */
async function requestThrough(requester: Requester, body: unknown): Promise<unknown> {
  try {
    return await requester.request({ body })
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
  return (body) => requestThrough(requester, body)
}

/** Patches kept beside one record. */
const PATCHES = 32
/** Versions (first its own), expiry, subject, value and patches, each on a line; see the scripts. */
const RECORD = /^(\S+)(?: [^\n]*)?\n(\d+)\n(\S*)\n([^\n]+)((?:\n[^\n]+)*)$/

function decode(text: unknown, now: number): StoredRecord | null {
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
    throw new StoreError('What is stored in Upstash is no record of ours')
  }
}

/**
 * Makes a store in Upstash Redis, over its REST protocol or through a client of `@upstash/redis`.
 *
 * A client keeps its own retries and limits of time; all else that it does to commands and answers
 * is bypassed. Recommended for it: `retry: { retries: 0 }` and
 * `signal: () => AbortSignal.timeout(1000)`.
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

  async function run(
    [script, sha]: readonly [string, string],
    args: readonly string[],
    signal?: AbortSignal,
  ): Promise<unknown> {
    const result = await ask(['EVALSHA', sha, ...args], signal)
    return result === NO_SCRIPT ? await ask(['EVAL', script, ...args], signal) : result
  }

  /** Of names and records, alternating, those that live. */
  function entriesOf(pairs: readonly unknown[]): StoredEntry[] {
    const found: StoredEntry[] = []
    for (let i = 0; i < pairs.length; i += 2) {
      const record = decode(pairs[i + 1], now())
      if (record && record.value !== TOMBSTONE) found.push({ id: String(pairs[i]), record })
    }
    return found
  }

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
      const keys = [recordKey(id), ...(owner && [`${prefix}u:${owner}`])]
      const result = await run(
        [WRITE, WRITE_SHA],
        [
          String(keys.length),
          ...keys,
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
      async list(subject, { signal } = {}) {
        const owner = encodeURIComponent(subject)
        const args = ['1', `${prefix}u:${owner}`, recordKey('')]
        const result = await run([LIST, LIST_SHA], args, signal)
        if (!Array.isArray(result) || result.length % 2) throw unusable()
        return entriesOf(result).filter(({ record }) => record.subject === subject)
      },

      async bury(subject, { version, expiresAt }, { signal, except = '' } = {}) {
        const owner = encodeURIComponent(subject)
        const time = Math.floor(now())
        const count = await run(
          [BURY, BURY_SHA],
          [
            '1',
            `${prefix}u:${owner}`,
            recordKey(''),
            except,
            encodeURIComponent(version),
            String(Math.max(1, Math.ceil(expiresAt - time))),
            `${Math.floor(expiresAt)}\n\n${TOMBSTONE}`,
            owner,
            String(time),
          ],
          signal,
        )
        if (typeof count !== 'number') throw unusable()
        return count
      },
    },

    async page(cursor, { signal } = {}) {
      const pattern = `${recordKey('').replace(/[\\*?[\]^]/g, '\\$&')}*`
      const result = await run([PAGE, PAGE_SHA], ['0', cursor ?? '0', pattern], signal)
      if (!Array.isArray(result) || !(result.length % 2)) throw unusable()
      const [next, ...keys] = result
      const start = recordKey('').length
      const records = entriesOf(keys).map(({ id, record }) => ({ id: id.slice(start), record }))
      return { records, cursor: String(next) === '0' ? null : String(next) }
    },

    async health({ signal } = {}) {
      if ((await ask(['PING'], signal)) !== 'PONG') throw unusable()
    },
  }
}
