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
import { applyRules, functionRule, methodsRule, type Rule } from '../check.ts'
import { StoreError, StoreUnavailableError } from '../errors.ts'
import { abortable } from './abort.ts'
import { type Because, becauseOf, isFinal, notShown, skipForeign } from './errors.ts'
import { LAG_SECONDS, MARK_SECONDS } from './limits.ts'
import type { SessionStore, StoreCallOptions, StoredPage } from './store.ts'
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

const PAGE = 100

const RULES: Record<keyof UnstorageStoreOptions, Rule> = {
  storage: methodsRule(null, 'a Storage of unstorage', 'getItem setItem removeItem getKeys'),
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

/** Its methods are properties of their own, so that a store can be spread and they can be passed around. */
class Unstorage implements UnstorageStore {
  readonly name = 'unstorage'
  readonly atomic = false
  readonly #storage: UnstorageStorage
  readonly #base: string
  readonly #now: () => number

  constructor({ storage, prefix, now }: Required<UnstorageStoreOptions>) {
    this.#storage = storage
    this.#base = `${prefix}:`
    this.#now = now
  }

  readonly read: SessionStore['read'] = async (id, { signal } = {}) => {
    const stored = await this.#get(encodeURIComponent(id), signal)
    // A session that is not there may only not be there yet; a tombstone is certain.
    if (!stored || this.#now() >= stored.expiresAt) return undefined
    return 'value' in stored ? stored : null
  }

  readonly write: SessionStore['write'] = async (id, record, expected, { signal } = {}) => {
    // A read before a creation would plant "there is nothing" in the caches of some drivers. It is
    // worth it where the record of a session that has ended may be created again.
    const isRead = expected !== null || record.markFor !== undefined
    const current = isRead ? await this.read(id, { signal }) : undefined
    if (current === null) return { ok: false, current }
    if (!current && expected !== null) throw notShown()
    if (current?.version === record.version) return { ok: true }
    // No entry is appended: what a cache shows may be older than what the writer read.
    if (current && current.version !== expected) return { ok: false, current }
    const seconds = (record.expiresAt - this.#now()) / 1000
    await this.#put(encodeURIComponent(id), encode(record), seconds, signal)
    return { ok: true }
  }

  readonly end: SessionStore['end'] = async (id, { signal, markFor = MARK_SECONDS } = {}) => {
    const name = encodeURIComponent(id)
    const record = await this.read(id, { signal }).catch(skipForeign)
    const seconds = Math.max(markFor, record?.markFor ?? 0)
    if (seconds === 0) await this.#remove(name, signal)
    else {
      const lasts = Math.max(seconds, LAG_SECONDS)
      const until = Math.ceil(this.#now() + lasts * 1000)
      await this.#put(name, `sojourn 1\n${until}\nended\n`, lasts, signal)
    }
    return !!record
  }

  readonly page: UnstorageStore['page'] = async (cursor, { signal } = {}) => {
    const now = this.#now()
    const rest = await this.#namesAfter(cursor, signal)
    const names = rest.slice(0, PAGE)
    const all = await Promise.all(
      names.map(async (name) => {
        const record = await this.#get(name, signal).catch(skipForeign)
        const isLive = record && 'value' in record && now < record.expiresAt
        return isLive ? [{ id: decodeURIComponent(name), record }] : []
      }),
    )
    return { records: all.flat(), cursor: rest.length > PAGE ? names.at(-1)! : null }
  }

  readonly health = async ({ signal }: StoreCallOptions = {}): Promise<void> => {
    // Not the name of a session: those have no dots of their own.
    await this.#get('health.', signal)
  }

  readonly prune = async (limit = Infinity): Promise<number> => {
    let removed = 0
    for (const name of await this.#namesAfter(null)) {
      if (removed >= limit) break
      const stored = await this.#get(name).catch(skipForeign)
      if (!stored || this.#now() < stored.expiresAt) continue
      await this.#remove(name)
      removed++
    }
    return removed
  }

  async #get(name: string, signal?: AbortSignal): Promise<Stored | null> {
    return decode(await this.#call('getItem', signal, (all) => all.getItem(this.#base + name)))
  }

  /** Stores a text; the driver may remove it after `seconds`. */
  #put(name: string, text: string, seconds: number, signal?: AbortSignal): Promise<void> {
    const options = { ttl: Math.max(1, Math.ceil(seconds)) }
    return this.#call('setItem', signal, (all) => all.setItem(this.#base + name, text, options))
  }

  #remove(name: string, signal?: AbortSignal): Promise<void> {
    return this.#call('removeItem', signal, (all) => all.removeItem(this.#base + name))
  }

  /** Returns the names after `cursor`, in order. */
  async #namesAfter(cursor: string | null, signal?: AbortSignal): Promise<string[]> {
    const keys = await this.#call('getKeys', signal, (all) => all.getKeys(this.#base))
    const names = keys.map((key) => key.slice(this.#base.length))
    return names.filter((name) => name > (cursor ?? '')).sort((a, b) => (a < b ? -1 : 1))
  }

  #call<T>(
    operation: keyof UnstorageStorage,
    signal: AbortSignal | undefined,
    run: (storage: UnstorageStorage) => Promise<T>,
  ): Promise<T> {
    return abortable(
      signal,
      () => run(this.#storage),
      (error) => {
        const why = becauseOf(error)
        const Kind = isRefusal(error, why) ? StoreError : StoreUnavailableError
        // Drivers put keys, values and credentials into their messages: none is passed on.
        return new Kind(`unstorage ${operation} failed`, why)
      },
    )
  }
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
  return new Unstorage(applyRules('', RULES, options))
}
