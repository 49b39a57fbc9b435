/**
 * Stores sessions in any driver of {@link https://unstorage.unjs.io unstorage}.
 *
 * unstorage has no compare-and-set, whatever the driver. These limits follow:
 *
 * - Overlapping writes of one session: the last one wins, the other one is lost (`atomic: false`).
 * - A sign-out that overlaps another write of the session can be lost too.
 * - Drivers may cache: a session that is not there may only not be there yet, for two minutes.
 * - There is no index: `list` and `revokeAll` are refused.
 *
 * Take `sojourn/upstash`, `sojourn/durable-object` or `sojourn/d1` where that is not enough, and
 * `sojourn/kv` on Cloudflare KV, whose caches it knows.
 *
 * @module
 * @example
 * import { createUnstorageStore } from 'sojourn/unstorage'
 */

import { applyRules, functionRule, type Rule, refuseUnless } from '../check.ts'
import { StoreError, StoreUnavailableError } from '../errors.ts'
import { orAbort } from './abort.ts'
import { type Because, becauseOf, isFinal } from './errors.ts'
import { skipForeign } from './foreign-value.ts'
import { LAG_SECONDS, MARK_SECONDS } from './limits.ts'
import { notShown } from './not-shown.ts'
import type { SessionStore, StoreCallOptions, StoredPage, StoredRecord } from './store.ts'
import { decode, encode, type Stored } from './unstorage-value.ts'

/** The methods of a `Storage` of unstorage that the store uses; `useStorage()` of Nitro fits. */
export interface UnstorageStorage {
  getItem(key: string): Promise<unknown>
  setItem(key: string, value: string, options?: { ttl?: number }): Promise<void>
  removeItem(key: string): Promise<void>
  getKeys(base?: string): Promise<string[]>
}

/** Options for {@link createUnstorageStore}. */
export interface UnstorageStoreOptions {
  /** A storage, for example `createStorage({ driver })`. It stays yours to dispose of. */
  storage: UnstorageStorage
  /** The beginning of the store's keys: words between colons. (default: `'sojourn'`) */
  prefix?: string
  /** Epoch milliseconds. (default: Date.now) */
  now?: () => number
}

/** A {@link SessionStore} on unstorage. */
export interface UnstorageStore extends SessionStore {
  page(cursor: string | null, options?: StoreCallOptions): Promise<StoredPage>
  /**
   * Removes expired records and tombstones: for drivers that know no `ttl`, such as memory and fs,
   * which keep them for ever otherwise. Reads every session; call it from a nightly job.
   *
   * @param limit Number of values removed at most. (default: no limit)
   * @returns Number of values removed.
   * @throws {@link StoreUnavailableError}.
   */
  prune(limit?: number): Promise<number>
}

/** Records on a page. */
const PAGE = 100

const methods = ['getItem', 'setItem', 'removeItem', 'getKeys'] as const

const RULES: Record<keyof UnstorageStoreOptions, Rule> = {
  storage: [
    undefined,
    'a Storage of unstorage',
    (value: UnstorageStorage) => methods.every((method) => typeof value[method] === 'function'),
  ],
  prefix: [
    'sojourn',
    'words of letters, digits, "-" and "_", with ":" between them',
    (value) => /^[\w-]+(:[\w-]+)*$/.test(value),
  ],
  now: functionRule(() => Date.now()),
}

/** Tells whether trying again will not help. */
function isRefusal(error: unknown, { reason }: Because): boolean {
  const { message, status, statusCode = status } = Object(error)
  const [, told = statusCode] = /^KV [A-Z_]+ failed: (\d+)/.exec(message) ?? []
  return isFinal(reason) || /^4(?!08|25|29)/.test(told)
}

/** The values of one prefix. */
interface Items {
  get(name: string, signal?: AbortSignal): Promise<Stored | null>
  /** Stores a text; the driver may remove it after `seconds`. */
  put(name: string, text: string, seconds: number, signal?: AbortSignal): Promise<void>
  remove(name: string, signal?: AbortSignal): Promise<void>
  /** Returns the names after `cursor`, in order. */
  namesAfter(cursor: string | null, signal?: AbortSignal): Promise<string[]>
}

function createItems(storage: UnstorageStorage, base: string): Items {
  async function call<T>(
    operation: string,
    signal: AbortSignal | undefined,
    run: () => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted()
    try {
      return await orAbort(run(), signal)
    } catch (error) {
      signal?.throwIfAborted()
      const why = becauseOf(error)
      const Kind = isRefusal(error, why) ? StoreError : StoreUnavailableError
      // Drivers put keys, values and credentials into their messages: none is passed on.
      throw new Kind(`unstorage ${operation} failed`, why)
    }
  }
  return {
    get: async (name, signal) =>
      decode(await call('getItem', signal, () => storage.getItem(base + name))),
    put: (name, text, seconds, signal) =>
      call('setItem', signal, () =>
        storage.setItem(base + name, text, { ttl: Math.max(1, Math.ceil(seconds)) }),
      ),
    remove: (name, signal) => call('removeItem', signal, () => storage.removeItem(base + name)),
    async namesAfter(cursor, signal) {
      const keys = await call('getKeys', signal, () => storage.getKeys(base))
      const names = keys.map((key) => key.slice(base.length))
      return names.filter((name) => name > (cursor ?? '')).sort((a, b) => (a < b ? -1 : 1))
    },
  }
}

async function pageOf(
  items: Items,
  now: number,
  cursor: string | null,
  signal: AbortSignal | undefined,
): Promise<StoredPage> {
  const rest = await items.namesAfter(cursor, signal)
  const names = rest.slice(0, PAGE)
  const all = await Promise.all(
    names.map(async (name) => {
      const record = await items.get(name, signal).catch(skipForeign)
      const isLive = record && 'value' in record && now < record.expiresAt
      return isLive ? [{ id: decodeURIComponent(name), record }] : []
    }),
  )
  return { records: all.flat(), cursor: rest.length > PAGE ? names.at(-1)! : null }
}

async function prune(items: Items, now: () => number, limit: number): Promise<number> {
  let removed = 0
  for (const name of await items.namesAfter(null)) {
    if (removed >= limit) break
    const stored = await items.get(name).catch(skipForeign)
    if (!stored || now() < stored.expiresAt) continue
    await items.remove(name)
    removed++
  }
  return removed
}

/**
 * Creates a store on unstorage. Read its limits at the top of this module first.
 *
 * A read is one `getItem`, a creation one `setItem`, an update or an end one of each. Expiry is
 * exact; the `ttl` that `setItem` is told only cleans up, where the driver knows it. A value under a
 * session's key that is no record of ours is a failure, and never "no session".
 *
 * An ended session leaves a tombstone for at least two minutes. A read that finds it is `null`; one
 * that finds nothing is `undefined`. A write that finds nothing where it expects a version is
 * {@link StoreUnavailableError}. Entries are never appended.
 *
 * @throws TypeError when an option is missing, unknown or of the wrong type.
 *
 * @example
 * import { createStorage } from 'unstorage'
 * import redisDriver from 'unstorage/drivers/redis'
 *
 * const storage = createStorage({ driver: redisDriver({ url: env.REDIS_URL }) })
 * const sessions = createSessions({ secret: env.SECRET, store: createUnstorageStore({ storage }) })
 */
export function createUnstorageStore(options: UnstorageStoreOptions): UnstorageStore {
  refuseUnless(!!options?.storage, 'storage', 'a Storage of unstorage', options?.storage)
  const { storage, prefix, now } = applyRules<Required<UnstorageStoreOptions>>('', RULES, options)
  const items = createItems(storage, `${prefix}:`)

  /** Returns the record; `null`: the session has ended; `undefined`: nothing is there, or not yet. */
  async function read(
    id: string,
    { signal }: StoreCallOptions = {},
  ): Promise<StoredRecord | null | undefined> {
    const stored = await items.get(encodeURIComponent(id), signal)
    if (!stored || now() >= stored.expiresAt) return undefined
    return 'value' in stored ? stored : null
  }

  return {
    name: 'unstorage',
    atomic: false,

    read,

    async write(id, record, expected, { signal } = {}) {
      // A read before a creation would plant "there is nothing" in the caches of some drivers. It is
      // worth it where the record of a session that has ended may be created again.
      const isRead = expected !== null || record.markFor !== undefined
      const current = isRead ? await read(id, { signal }) : undefined
      if (current === null) return { ok: false, current }
      if (!current && expected !== null) throw notShown()
      if (current?.version === record.version) return { ok: true }
      // No entry is appended: what a cache shows may be older than what the writer read.
      if (current && current.version !== expected) return { ok: false, current }
      const seconds = (record.expiresAt - now()) / 1000
      await items.put(encodeURIComponent(id), encode(record), seconds, signal)
      return { ok: true }
    },

    async end(id, { signal, markFor = MARK_SECONDS } = {}) {
      const name = encodeURIComponent(id)
      const record = await read(id, { signal }).catch(skipForeign)
      const seconds = Math.max(markFor, record?.markFor ?? 0)
      if (seconds === 0) await items.remove(name, signal)
      else {
        const lasts = Math.max(seconds, LAG_SECONDS)
        const until = Math.ceil(now() + lasts * 1000)
        await items.put(name, `sojourn 1\n${until}\nended\n`, lasts, signal)
      }
      return !!record
    },

    page: (cursor, { signal } = {}) => pageOf(items, now(), cursor, signal),

    async health({ signal } = {}) {
      // Not the name of a session: those have no dots of their own.
      await items.get('health.', signal)
    },

    prune: (limit = Infinity) => prune(items, now, limit),
  }
}
