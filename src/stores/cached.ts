/**
 * Puts this isolate's memory in front of a store.
 *
 * @module
 * @example
 * import { cached } from 'sojourn/cached'
 */

import { applyRules, functionRule, numberRule, refuseUnless } from '../check.ts'
import { StoreUnavailableError } from '../errors.ts'
import { bytesOf, copyRecord } from './copy.ts'
import { type LruEntry, LruMap } from './lru-map.ts'
import {
  type ReadOptions,
  type SessionStore,
  type StoreCallOptions,
  type StoreDetails,
  type StoredRecord,
  type StoreEvent,
  type SubjectIndex,
  TOMBSTONE,
  type WriteOptions,
  type WriteResult,
} from './store.ts'

/** What {@link cached} can be told. */
export interface CacheOptions {
  /**
   * Seconds for which a record is answered from memory. For as long other isolates' changes,
   * sign-outs included, go unnoticed here. 0 asks the store every time.
   */
  ttl: number
  /** Records kept at most; then the least recently used go. (default: 10000) */
  maxEntries?: number
  /** Bytes kept at most, counted as two per character. (default: 16 MiB) */
  maxBytes?: number
  /**
   * Seconds after `ttl` for which a record may still be answered, marked `stale`, when the store
   * is unavailable. (default: 0)
   */
  staleIfError?: number
  /** Epoch milliseconds. (default: Date.now) */
  now?: () => number
}

interface Cached {
  /** `null`: a write or delete went past; there is nothing to answer with. */
  readonly record: StoredRecord | null
  /** When the store was asked for it. */
  readonly at: number
  /** Writes overlapped or failed: nobody knows whether this is what the store has. */
  readonly suspect: boolean
}

const RULES = {
  ttl: numberRule(undefined, 0, 86_400),
  maxEntries: numberRule(10_000, 1, 1e9),
  maxBytes: numberRule(16 * 1024 * 1024, 1, 1e12),
  staleIfError: numberRule(0, 0, 604_800),
  now: functionRule(() => Date.now()),
}

class CachedStore {
  readonly name: string
  readonly index: SubjectIndex | undefined
  readonly #store: SessionStore
  readonly #options: Required<CacheOptions>
  readonly #listeners: ((event: StoreEvent) => void)[] = []
  #cache: LruMap<Cached>

  constructor(store: SessionStore, options: Required<CacheOptions>) {
    this.name = store.name
    this.#store = store
    const { index } = store
    this.index = index && {
      list: (subject, call) => index.list(subject, call),
      bury: async (subject, tombstone, call) => {
        try {
          return await index.bury(subject, tombstone, call)
        } finally {
          for (const { key, value } of this.#cache.entries()) {
            if (value.record?.subject === subject) this.#doubt(key, true)
          }
        }
      },
    }
    this.#options = options
    this.#cache = new LruMap(options)
  }

  async read(id: string, options?: ReadOptions): Promise<StoredRecord | null> {
    options?.signal?.throwIfAborted()
    const entry = this.#cache.peek(id)
    const at = this.#options.now()
    if (
      entry &&
      !entry.value.suspect &&
      !options?.fresh &&
      this.#usable(entry.value, this.#options.ttl)
    ) {
      this.#cache.touch(entry)
      return copyRecord(entry.value.record as StoredRecord)
    }
    try {
      const record = await this.#store.read(id, options)
      // Whatever was written meanwhile is newer than this answer.
      if (this.#cache.peek(id) === entry) this.#keep(id, record, at)
      return record
    } catch (error) {
      return this.#stale(this.#cache.peek(id)?.value, error)
    }
  }

  async write(
    id: string,
    record: StoredRecord,
    expected: string | null,
    options?: WriteOptions,
  ): Promise<WriteResult> {
    const before = this.#cache.peek(id)
    const at = this.#options.now()
    const copy = copyRecord(record)
    try {
      const result = await this.#store.write(id, record, expected, options)
      if (result.ok && (options?.patch || options?.folded)) this.#doubt(id, false)
      else this.#learn(id, before, result.ok ? copy : result.current, at)
      return result
    } catch (error) {
      this.#doubt(id, copy.value === TOMBSTONE)
      throw error
    }
  }

  async delete(id: string, options?: StoreCallOptions): Promise<void> {
    try {
      await this.#store.delete(id, options)
    } finally {
      this.#doubt(id, true)
    }
  }

  async health(options?: StoreCallOptions): Promise<void> {
    await this.#store.health?.(options)
  }

  details(): StoreDetails {
    const { size: cacheEntries, bytes: cacheBytes } = this.#cache
    return { ...this.#store.details?.(), cacheEntries, cacheBytes }
  }

  subscribe(listener: (event: StoreEvent) => void): void {
    this.#listeners.push(listener)
    this.#store.subscribe?.(listener)
  }

  async close(): Promise<void> {
    this.#cache = new LruMap(this.#options)
    await this.#store.close?.()
  }

  #usable({ record, at }: Cached, seconds: number): boolean {
    const now = this.#options.now()
    return record !== null && now < record.expiresAt && now >= at && now - at < seconds * 1000
  }

  #keep(id: string, record: StoredRecord | null, at: number, suspect = false): void {
    const bytes = record ? bytesOf(id, record) : 2 * id.length
    this.#cache.delete(id)
    if (bytes > this.#options.maxBytes) return
    this.#cache.set(id, { record: record && copyRecord(record), at, suspect }, bytes)
    this.#cache.trim()
  }

  /** Takes in a write's result. It may come late, after that of a newer write; the dead stay dead. */
  #learn(
    id: string,
    before: LruEntry<Cached> | undefined,
    record: StoredRecord | null,
    at: number,
  ): void {
    const entry = this.#cache.peek(id)
    const there = entry?.value.record
    if (entry === before || record?.value === TOMBSTONE) this.#keep(id, record, at)
    else if (there && there.value !== TOMBSTONE) this.#keep(id, record, at, true)
  }

  /** After a write of unknown outcome: what is here is no longer fresh, and no record of the dead. */
  #doubt(id: string, ended: boolean): void {
    const { record = null, at = 0 } = this.#cache.peek(id)?.value ?? {}
    this.#keep(id, ended ? null : record, at, true)
  }

  #stale(cached: Cached | undefined, error: unknown): StoredRecord {
    const { ttl, staleIfError } = this.#options
    if (!(error instanceof StoreUnavailableError)) throw error
    if (!cached?.record || !this.#usable(cached, ttl + staleIfError)) throw error
    this.#emit({ type: 'store.stale', store: this.name, operation: 'read', code: error.code })
    return { ...copyRecord(cached.record), stale: true }
  }

  #emit(event: StoreEvent): void {
    for (const listener of this.#listeners) {
      try {
        listener(event)
      } catch {
        // A listener that throws must not turn an answer into a failure.
      }
    }
  }
}

/**
 * Answers reads from this isolate's memory for a while, and from older memory when the store is
 * down. What is written or deleted through it takes effect here at once; it keeps plain values
 * only, so that no request ever waits for another one.
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
  const { ttl }: Partial<CacheOptions> = Object(options)
  refuseUnless(ttl !== undefined, 'ttl', 'a number of seconds', ttl)
  const cache = new CachedStore(store, applyRules('', RULES, options))
  // A plain object, so that it can be spread and its methods passed around.
  return {
    name: cache.name,
    atomic: store.atomic,
    ...(store.patches && { patches: store.patches }),
    ...(cache.index && { index: cache.index }),
    ...(store.page && { page: (cursor, call) => store.page!(cursor, call) }),
    read: (id, call) => cache.read(id, call),
    write: (id, record, expected, call) => cache.write(id, record, expected, call),
    delete: (id, call) => cache.delete(id, call),
    health: (call) => cache.health(call),
    details: () => cache.details(),
    subscribe: (listener) => cache.subscribe(listener),
    close: () => cache.close(),
  }
}
