/**
 * Stores sessions in the memory of this process or isolate.
 *
 * Meant for development, tests and single processes. Workers run many isolates that come and go, each
 * with a memory of its own: there this store loses sessions, so it must not be the only one.
 *
 * @module
 * @example
 * import { createMemoryStore } from 'sojourn/memory'
 */
import { applyRules, functionRule, integerRule } from '../check.ts'
import { StoreError } from '../errors.ts'
import { pause } from '../resilience/deadline.ts'
import { LazyCall } from '../resilience/lazy-limit.ts'
import { applyWrite } from './apply-write.ts'
import { bytesOf, copyRecord } from './copy.ts'
import { EndedIds } from './ended-ids.ts'
import { ExpiryHistogram } from './expiry-histogram.ts'
import { MARK_SECONDS } from './limits.ts'
import { type LruEntry, LruMap } from './lru-map.ts'
import { SHARDS, ShardedMap } from './sharded-map.ts'
import type {
  SessionIndex,
  SessionStore,
  StoreCallOptions,
  StoreDetails,
  StoredEntry,
  StoredPage,
  StoredRecord,
} from './store.ts'
import { markInProcess } from './takes-entry.ts'

/** Options for {@link createMemoryStore}. */
export interface MemoryStoreOptions {
  /**
   * Number of records stored at most. Then the least recently used are evicted, those without index
   * keys (of visitors who are not signed in) first. (default: 100000)
   */
  maxEntries?: number
  /** Bytes stored at most, counted as two per character. (default: 56 MiB) */
  maxBytes?: number
  /** Epoch milliseconds. (default: Date.now) */
  now?: () => number
}

/** Figures about a memory store and the calls so far. */
export interface MemoryStoreStats {
  /** Number of records, expired ones that are still in memory included. */
  readonly entries: number
  /** Number of records that a read would return. */
  readonly live: number
  /** Number of records that have expired. */
  readonly expired: number
  /** Two per character of all records. */
  readonly bytes: number
  /** Number of reads that found a live record. */
  readonly hits: number
  /** Number of reads that found none. */
  readonly misses: number
  /** Number of records dropped to stay within `maxEntries` and `maxBytes`. */
  readonly evictions: number
}

/** A {@link SessionStore} in memory. */
export interface MemoryStore extends SessionStore {
  readonly index: SessionIndex
  page(cursor: string | null, options?: StoreCallOptions): Promise<StoredPage>
  /** Returns counts, exact at this millisecond, without looking at the records themselves. */
  stats(): MemoryStoreStats
  /**
   * Removes expired records, looking at a thousand at a time with a pause after each step.
   *
   * @param limit Number of records removed at most. (default: no limit)
   * @returns Number of records removed.
   */
  prune(limit?: number): Promise<number>
}

const PAGE = 1000
const MAX_MARKS = 100_000
/** Records that every write checks in search of expired ones. */
const SWEEP = 4
/** Records that `prune` and `page` visit before they let others run. */
const STEP = 1000

const RULES = {
  maxEntries: integerRule(100_000, 1, 1e9),
  maxBytes: integerRule(56 * 1024 * 1024, 1, 1e12),
  now: functionRule(() => Date.now()),
}

/** Its methods are properties of their own, so that a store can be spread and they can be passed around. */
class Memory implements MemoryStore {
  readonly name = 'memory'
  readonly atomic = true
  readonly #now: () => number
  readonly #maxBytes: number
  readonly #entries: ShardedMap<LruEntry<StoredRecord>> = new ShardedMap()
  readonly #records: LruMap<StoredRecord>
  readonly #idsByKey: ShardedMap<Set<string>> = new ShardedMap()
  readonly #expiry: ExpiryHistogram = new ExpiryHistogram()
  readonly #ended: EndedIds
  #cursor: Iterator<LruEntry<StoredRecord>>
  #hits = 0
  #misses = 0

  constructor(options: Required<MemoryStoreOptions>) {
    this.#now = options.now
    this.#maxBytes = options.maxBytes
    this.#records = new LruMap(options, this.#entries, (entry) => this.#forget(entry))
    this.#ended = new EndedIds(MAX_MARKS, options.now)
    this.#cursor = this.#entries.values()
  }

  readonly read: MemoryStore['read'] = async (id, options) => {
    LazyCall.throwIfOver(options)
    const entry = this.#live(id)
    if (!entry) {
      this.#misses++
      return null
    }
    this.#hits++
    this.#records.touch(entry)
    return copyRecord(entry.value)
  }

  readonly write: MemoryStore['write'] = markInProcess(
    async (id, record, expected, options = {}) => {
      LazyCall.throwIfOver(options)
      const current = this.#live(id)?.value ?? null
      if (!current && this.#ended.has(id)) return { ok: false, current: null }
      const { result, next } = applyWrite(current, record, expected, options.entry)
      if (next) this.#put(id, next)
      while (!this.#records.trim()) await pause(0)
      return result
    },
  )

  readonly end: MemoryStore['end'] = async (id, options = {}) => {
    LazyCall.throwIfOver(options)
    const { markFor = MARK_SECONDS } = options
    const record = this.#live(id)?.value
    this.#records.delete(id)
    this.#ended.add(id, Math.max(markFor, record?.markFor ?? 0))
    return record !== undefined
  }

  readonly index: SessionIndex = {
    list: async (key, options) => {
      LazyCall.throwIfOver(options)
      return this.#present(this.#idsByKey.get(key) ?? [])
    },
    end: async (key, options = {}) => {
      const entries = await this.index.list(key, options)
      const ids = entries.map(({ id }) => id).filter((id) => id !== options.except)
      for (const id of ids) await this.end(id, options)
      return ids.length
    },
  }

  readonly page: MemoryStore['page'] = async (cursor, options) => {
    LazyCall.throwIfOver(options)
    const records: StoredEntry[] = []
    let shard = Number(cursor ?? 0)
    let seen = 0
    for (; shard < SHARDS && records.length < PAGE; shard++) {
      for (const id of [...this.#entries.shardKeys(shard)]) {
        records.push(...this.#present([id]))
        if (++seen % STEP === 0) await pause(0)
      }
    }
    return { records, cursor: shard < SHARDS ? String(shard) : null }
  }

  readonly health = async (options?: StoreCallOptions): Promise<void> => {
    LazyCall.throwIfOver(options)
  }

  readonly details = (): StoreDetails => ({ ...this.stats() })

  readonly stats = (): MemoryStoreStats => {
    const { size: entries, bytes, evictions } = this.#records
    const expired = this.#expiry.expired(this.#now())
    const live = entries - expired
    return { entries, live, expired, bytes, hits: this.#hits, misses: this.#misses, evictions }
  }

  readonly prune = async (limit = Infinity): Promise<number> => {
    const now = this.#now()
    let removed = 0
    let seen = 0
    for (const entry of this.#entries.values()) {
      if (removed >= limit) break
      if (this.#removeExpired(entry, now)) removed++
      if (++seen % STEP === 0) await pause(0)
    }
    return removed
  }

  #present(ids: Iterable<string>): StoredEntry[] {
    const found: StoredEntry[] = []
    for (const id of [...ids]) {
      const record = this.#live(id)?.value
      if (record) found.push({ id, record: copyRecord(record) })
    }
    return found
  }

  #live(id: string): LruEntry<StoredRecord> | undefined {
    const entry = this.#records.peek(id)
    return entry && !this.#removeExpired(entry, this.#now()) ? entry : undefined
  }

  #removeExpired(entry: LruEntry<StoredRecord>, now: number): boolean {
    const expired = now >= entry.value.expiresAt
    if (expired) this.#records.remove(entry)
    return expired
  }

  #put(id: string, record: StoredRecord): void {
    const bytes = bytesOf(id, record)
    if (bytes > this.#maxBytes) {
      throw new StoreError(`Cannot write: ${bytes} bytes, maxBytes is ${this.#maxBytes}`, {
        reason: 'too-large',
      })
    }
    this.#expiry.add(record.expiresAt, 1)
    this.#records.set(id, record, bytes, !record.keys)
    for (const key of record.keys ?? []) {
      const ids = this.#idsByKey.get(key) ?? new Set()
      this.#idsByKey.set(key, ids.add(id))
    }
    this.#sweep()
  }

  #forget({ key: id, value: { expiresAt, keys = [] } }: LruEntry<StoredRecord>): void {
    this.#expiry.add(expiresAt, -1)
    for (const key of keys) {
      const ids = this.#idsByKey.get(key)
      ids?.delete(id)
      if (ids?.size === 0) this.#idsByKey.delete(key)
    }
  }

  /** Removes the expired among a few records: those that nobody reads go with later writes. */
  #sweep(): void {
    const now = this.#now()
    for (let left = SWEEP; left > 0; left--) {
      const next = this.#cursor.next()
      if (next.done) {
        this.#cursor = this.#entries.values()
        return
      }
      this.#removeExpired(next.value, now)
    }
  }
}

/**
 * Creates a store with its records in memory, for as long as this process or isolate lives.
 *
 * It has no timers: a record is absent from the millisecond it expires, and is removed when it is
 * read, by later writes a few at a time, by `prune`, or when the store is full. Nothing blocks for
 * longer than a few milliseconds, even with a million records.
 *
 * @throws TypeError or RangeError when an option is unknown, of the wrong type or out of range.
 *
 * @example
 * const sessions = createSessions({ secret, store: createMemoryStore({ maxEntries: 10_000 }) })
 */
export function createMemoryStore(options: MemoryStoreOptions = {}): MemoryStore {
  return new Memory(applyRules('', RULES, options))
}
