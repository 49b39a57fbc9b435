/**
 * Puts this isolate's memory in front of a store.
 *
 * @module
 * @example
 * import { cached } from 'sojourn/cached'
 */
import { applyRules, functionRule, numberRule, refuseUnless } from '../check.ts'
import { StoreUnavailableError } from '../errors.ts'
import { guarded } from '../guarded.ts'
import { LazyCall } from '../resilience/lazy-limit.ts'
import { bytesOf, copyRecord } from './copy.ts'
import { failureOf } from './errors.ts'
import { LruMap } from './lru-map.ts'
import type {
  CallNotes,
  EndAllOptions,
  SessionIndex,
  SessionStore,
  StoreDetails,
  StoredRecord,
  StoreEvent,
} from './store.ts'

/** Options for {@link cached}. */
export interface CacheOptions {
  /**
   * Seconds for which a record is answered from memory. For as long, changes that other isolates
   * make, sign-outs included, are not seen here. 0 asks the store every time.
   */
  ttl: number
  /** Number of records in memory at most; then the least recently used are dropped. (default: 10000) */
  maxEntries?: number
  /** Bytes in memory at most, counted as two per character. (default: 16 MiB) */
  maxBytes?: number
  /**
   * Seconds after `ttl` for which a record may still be answered, marked `stale`, when the store
   * is unavailable. (default: 0)
   */
  staleIfError?: number
  /** Epoch milliseconds. (default: Date.now) */
  now?: () => number
}

interface CachedRecord {
  /** `null`: the session ended here, or its record is unknown. */
  readonly record: StoredRecord | null
  /** Epoch milliseconds at which the call that returned the record began. */
  readonly at: number
  /** Good for outages only: writes overlapped or failed, so the store may have another record. */
  readonly isSuspect: boolean
}

const RULES = {
  ttl: numberRule(null, 0, 86_400),
  maxEntries: numberRule(10_000, 1, 1e9),
  maxBytes: numberRule(16 * 1024 * 1024, 1, 1e12),
  staleIfError: numberRule(0, 0, 604_800),
  now: functionRule(() => Date.now()),
}

class CachedStore {
  readonly index: SessionIndex | undefined
  readonly #store: SessionStore
  readonly #options: Required<CacheOptions>
  readonly #listeners: ((event: StoreEvent) => void)[] = []
  #cache: LruMap<CachedRecord>
  /** Raised before and after sessions end by index key, so that calls under way cache nothing. */
  #ends = 0

  constructor(store: SessionStore, options: Required<CacheOptions>) {
    this.#store = store
    this.#options = options
    this.#cache = new LruMap(options)
    const { index } = store
    this.index = index && {
      list: (key, call) => index.list(key, call),
      end: (key, call) => this.#endAll(index, key, call),
    }
  }

  readonly read: SessionStore['read'] = async (id, options) => {
    LazyCall.throwIfOver(options)
    const cached = this.#cache.peek(id)
    const at = this.#options.now()
    if (!options?.fresh) {
      const isUsable = cached && !cached.value.isSuspect
      const hit = isUsable && this.#isWithin(cached.value, this.#options.ttl)
      if (this.#listeners.length) this.#emit({ type: 'cache.read', layer: 'memory', hit: !!hit })
      if (hit) {
        if (options?.notes) options.notes.cached = true
        this.#cache.touch(cached)
        return { ...copyRecord(cached.value.record!), copied: true }
      }
    }
    const ends = this.#ends
    try {
      const record = await this.#store.read(id, options)
      // What was written or ended meanwhile is newer than this answer; `undefined` says nothing.
      if (record !== undefined && this.#cache.peek(id) === cached && ends === this.#ends) {
        this.#save(id, record, at, record === null)
      }
      return record
    } catch (error) {
      return this.#stale(id, error, options?.notes)
    }
  }

  readonly write: SessionStore['write'] = async (id, record, expected, options) => {
    const before = this.#cache.peek(id)
    const [at, ends] = [this.#options.now(), this.#ends]
    const copy = copyRecord(record)
    try {
      const result = await this.#store.write(id, record, expected, options)
      // `current` has all entries; the own record would be without those of others.
      const stored = result?.ok ? (result.current ?? copy) : result?.current
      if (!stored || ends !== this.#ends) this.#forget(id)
      else if (this.#cache.peek(id) === before) this.#save(id, stored, at)
      else this.#suspect(id)
      return result
    } catch (error) {
      this.#suspect(id)
      throw error
    }
  }

  readonly end: SessionStore['end'] = async (id, options) => {
    // Twice, so that reads that began before or during the end put nothing back.
    this.#forget(id)
    try {
      return await this.#store.end(id, options)
    } finally {
      this.#forget(id)
    }
  }

  async #endAll(index: SessionIndex, key: string, options?: EndAllOptions): Promise<number> {
    this.#ends++
    try {
      return await index.end(key, options)
    } finally {
      this.#ends++
      for (const { key: id, value } of this.#cache.entries()) {
        // A copy from before the user signed in names nobody, and may have ended all the same.
        const keys = value.record?.keys ?? [key]
        if (keys.includes(key) && id !== options?.except) this.#forget(id)
      }
    }
  }

  readonly details = (): StoreDetails => {
    const { size: cacheEntries, bytes: cacheBytes } = this.#cache
    return { ...this.#store.details?.(), cacheEntries, cacheBytes }
  }

  readonly subscribe = (listener: (event: StoreEvent) => void): void => {
    this.#listeners.push(listener)
    this.#store.subscribe?.(listener)
  }

  readonly close = async (): Promise<void> => {
    this.#cache = new LruMap(this.#options)
    await this.#store.close?.()
  }

  /** Tells whether a cached record is live and was asked for within so many seconds. */
  #isWithin({ record, at }: CachedRecord, seconds: number): boolean {
    const now = this.#options.now()
    return record !== null && now < record.expiresAt && now >= at && now - at < seconds * 1000
  }

  #save(id: string, record: StoredRecord | null, at: number, isSuspect = false): void {
    this.#cache.delete(id)
    try {
      const bytes = record ? bytesOf(id, record) : 2 * id.length
      if (bytes > this.#options.maxBytes) return
      this.#cache.set(id, { record: record && copyRecord(record), at, isSuspect }, bytes)
    } catch {
      // It is no record: whoever asked for it is told so.
    }
    this.#cache.trim()
  }

  /** Marks the cached record suspect after writes whose outcome or order is unknown. */
  #suspect(id: string): void {
    const { record = null, at = 0 } = this.#cache.peek(id)?.value ?? {}
    this.#save(id, record, at, true)
  }

  /** Drops the cached record. A mark stays, so that no call under way brings it back. */
  #forget(id: string): void {
    this.#save(id, null, 0, true)
  }

  #stale(id: string, error: unknown, notes: CallNotes | undefined): StoredRecord {
    const cached = this.#cache.peek(id)?.value
    const { ttl, staleIfError } = this.#options
    if (!(error instanceof StoreUnavailableError)) throw error
    if (!cached?.record || !this.#isWithin(cached, ttl + staleIfError)) throw error
    if (notes) notes.hidden = error
    const about = { store: this.#store.name, operation: 'read' }
    this.#emit({ type: 'store.stale', ...about, ...failureOf(error) })
    return { ...copyRecord(cached.record), stale: true }
  }

  #emit(event: StoreEvent): void {
    for (const listener of this.#listeners) guarded(() => listener(event))
  }
}

/**
 * Answers reads from this isolate's memory for a while, and from older memory when the store is
 * down. What is written or ended through it takes effect here at once. It saves plain values only,
 * so that no request ever waits for another one.
 *
 * Wrap the resilient store, not the other way round: `cached(resilient(store), { ttl: 5 })`.
 *
 * @throws TypeError or RangeError when an option is missing, unknown or out of range.
 *
 * @example
 * const store = cached(createUpstashStore({ url, token }), { ttl: 5, staleIfError: 300 })
 */
export function cached(store: SessionStore, options: CacheOptions): SessionStore {
  refuseUnless(typeof store?.read === 'function', 'store', 'a session store', store)
  const { index, ...cache } = new CachedStore(store, applyRules('', RULES, options))
  // What the store cannot do is left out.
  return {
    ...cache,
    name: store.name,
    atomic: store.atomic,
    ...(index && { index }),
    ...(store.page && { page: (cursor, call) => store.page!(cursor, call) }),
    ...(store.prune && { prune: (limit) => store.prune!(limit) }),
    health: async (call) => await store.health?.(call),
    ...(store.inspect && { inspect: (call) => store.inspect!(call) }),
  }
}
