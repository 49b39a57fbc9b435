/**
 * Keeps sessions in the memory of this process or isolate.
 *
 * For development, tests and single processes. Workers run many isolates that come and go, each
 * with a memory of its own: there this store forgets sessions and must not be the only one.
 *
 * @module
 * @example
 * import { createMemoryStore } from 'sojourn/memory'
 */

import { applyRules, functionRule, integerRule } from '../check.ts'
import { StoreError } from '../errors.ts'
import { bytesOf, copyRecord } from './copy.ts'
import { ExpiryHistogram } from './expiry-histogram.ts'
import { type LruEntry, LruMap } from './lru-map.ts'
import { ShardedMap } from './sharded-map.ts'
import {
  type SessionStore,
  type StoreCallOptions,
  type StoredRecord,
  type SubjectIndex,
  TOMBSTONE,
  type WriteResult,
} from './store.ts'

/** What {@link createMemoryStore} can be told. */
export interface MemoryStoreOptions {
  /** Sessions kept at most; then the least recently used go. (default: 100000) */
  maxEntries?: number
  /** Bytes kept at most, counted as two per character of what is stored. (default: 64 MiB) */
  maxBytes?: number
  /** Epoch milliseconds. (default: Date.now) */
  now?: () => number
}

/** What a memory store holds, and what became of the calls so far. */
export interface MemoryStoreStats {
  /** Records held, expired ones that nobody has removed yet included. */
  readonly entries: number
  /** Of these, how many would be read. */
  readonly live: number
  /** Of these, how many have expired. */
  readonly expired: number
  /** Two per character held. */
  readonly bytes: number
  /** Reads that found a live record. */
  readonly hits: number
  /** Reads that found none. */
  readonly misses: number
  /** Records dropped to stay within `maxEntries` and `maxBytes`. */
  readonly evictions: number
}

/** A {@link SessionStore} in memory. */
export interface MemoryStore extends SessionStore {
  readonly index: SubjectIndex
  /** Counts, exact at this millisecond. Never looks at the records themselves. */
  stats(): MemoryStoreStats
  /**
   * Removes what has expired, a thousand records at a time with a pause after each step.
   *
   * @returns How many it removed.
   */
  cleanupExpired(): Promise<number>
}

/** Records that every write looks at in search of expired ones. */
const SWEEP = 4
/** Records that `cleanupExpired` looks at before it lets others run. */
const CLEANUP_STEP = 1000

const RULES = {
  maxEntries: integerRule(100_000, 1, 1e9),
  maxBytes: integerRule(64 * 1024 * 1024, 1, 1e12),
  now: functionRule(() => Date.now()),
}

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0))

class Memory implements MemoryStore {
  readonly name: string = 'memory'
  readonly atomic: boolean = true
  readonly index: SubjectIndex = { list: (subject, options) => this.#list(subject, options) }
  readonly #now: () => number
  readonly #maxBytes: number
  readonly #entries: ShardedMap<LruEntry<StoredRecord>> = new ShardedMap()
  readonly #records: LruMap<StoredRecord>
  readonly #subjects: ShardedMap<Set<string>> = new ShardedMap()
  readonly #expiry: ExpiryHistogram = new ExpiryHistogram()
  #cursor: Iterator<LruEntry<StoredRecord>>
  #hits = 0
  #misses = 0

  constructor(options: Required<MemoryStoreOptions>) {
    this.#now = options.now
    this.#maxBytes = options.maxBytes
    this.#records = new LruMap(options, this.#entries, (entry) => this.#forget(entry))
    this.#cursor = this.#entries.values()
  }

  async read(id: string, options?: StoreCallOptions): Promise<StoredRecord | null> {
    options?.signal?.throwIfAborted()
    const entry = this.#live(id)
    if (!entry) {
      this.#misses++
      return null
    }
    this.#hits++
    this.#records.touch(entry)
    return copyRecord(entry.value)
  }

  async write(
    id: string,
    record: StoredRecord,
    expected: string | null,
    options?: StoreCallOptions,
  ): Promise<WriteResult> {
    options?.signal?.throwIfAborted()
    const bytes = bytesOf(id, record)
    if (bytes > this.#maxBytes) {
      throw new StoreError(`Cannot write: ${bytes} bytes, maxBytes is ${this.#maxBytes}`)
    }
    const current = this.#live(id)?.value
    // Its own write again: the answer to the first attempt was lost on the way.
    if (current?.version === record.version) return { ok: true }
    if ((current?.version ?? null) !== expected) {
      return { ok: false, current: current ? copyRecord(current) : null }
    }
    this.#put(id, copyRecord(record), bytes)
    this.#sweep()
    while (!this.#records.trim()) await pause()
    return { ok: true }
  }

  async delete(id: string, options?: StoreCallOptions): Promise<void> {
    options?.signal?.throwIfAborted()
    this.#records.delete(id)
  }

  async health(options?: StoreCallOptions): Promise<void> {
    options?.signal?.throwIfAborted()
  }

  details(): { readonly [name: string]: number } {
    return { ...this.stats() }
  }

  stats(): MemoryStoreStats {
    const { size: entries, bytes, evictions } = this.#records
    const expired = this.#expiry.expired(this.#now())
    const live = entries - expired
    return { entries, live, expired, bytes, hits: this.#hits, misses: this.#misses, evictions }
  }

  async cleanupExpired(): Promise<number> {
    const now = this.#now()
    let removed = 0
    let seen = 0
    for (const entry of this.#entries.values()) {
      if (this.#removeExpired(entry, now)) removed++
      if (++seen % CLEANUP_STEP === 0) await pause()
    }
    return removed
  }

  async #list(
    subject: string,
    options?: StoreCallOptions,
  ): Promise<{ id: string; record: StoredRecord }[]> {
    options?.signal?.throwIfAborted()
    const found: { id: string; record: StoredRecord }[] = []
    for (const id of [...(this.#subjects.get(subject) ?? [])]) {
      const record = this.#live(id)?.value
      if (record && record.value !== TOMBSTONE) found.push({ id, record: copyRecord(record) })
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

  #put(id: string, record: StoredRecord, bytes: number): void {
    this.#expiry.add(record.expiresAt, 1)
    this.#records.set(id, record, bytes)
    if (record.subject === undefined) return
    const ids = this.#subjects.get(record.subject) ?? new Set()
    this.#subjects.set(record.subject, ids.add(id))
  }

  #forget({ key, value: { expiresAt, subject } }: LruEntry<StoredRecord>): void {
    this.#expiry.add(expiresAt, -1)
    if (subject === undefined) return
    const ids = this.#subjects.get(subject)
    ids?.delete(key)
    if (ids?.size === 0) this.#subjects.delete(subject)
  }

  /** Visitors who never return leave records that nobody reads: a few of them go with each write. */
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
 * Makes a store that keeps its records in memory, for as long as this process or isolate lives.
 *
 * No timers: a record is absent from the millisecond it expires, and is removed when it is read, by
 * later writes a few at a time, by `cleanupExpired`, or when the store is full. Nothing blocks for
 * longer than a few milliseconds, even with a million records.
 *
 * @throws TypeError or RangeError when an option is unknown, of the wrong type or out of range.
 *
 * @example
 * const sessions = createSessions({ secret, store: createMemoryStore({ maxEntries: 10_000 }) })
 */
export function createMemoryStore(options: MemoryStoreOptions = {}): MemoryStore {
  const memory = new Memory(applyRules('', RULES, options))
  // A plain object, so that it can be spread and its methods passed around.
  return {
    name: 'memory',
    atomic: true,
    index: memory.index,
    read: (id, call) => memory.read(id, call),
    write: (id, record, expected, call) => memory.write(id, record, expected, call),
    delete: (id, call) => memory.delete(id, call),
    health: (call) => memory.health(call),
    details: () => memory.details(),
    stats: () => memory.stats(),
    cleanupExpired: () => memory.cleanupExpired(),
  }
}
