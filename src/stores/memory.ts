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
import { SHARDS, ShardedMap } from './sharded-map.ts'
import {
  type BuryOptions,
  type SessionStore,
  type StoreCallOptions,
  type StoredEntry,
  type StoredPage,
  type StoredRecord,
  type SubjectIndex,
  TOMBSTONE,
  type WriteOptions,
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
  page(cursor: string | null, options?: StoreCallOptions): Promise<StoredPage>
  /** Counts, exact at this millisecond. Never looks at the records themselves. */
  stats(): MemoryStoreStats
  /**
   * Removes what has expired, a thousand records at a time with a pause after each step.
   *
   * @returns How many it removed.
   */
  cleanupExpired(): Promise<number>
}

/** Patches kept beside one record. */
const PATCHES = 32
/** Records on a page. */
const PAGE = 1000
/** Versions of a record that are known again. */
const RECENT = 8
/** Records that every write looks at in search of expired ones. */
const SWEEP = 4
/** Records that `cleanupExpired` and `page` look at before they let others run. */
const STEP = 1000

const RULES = {
  maxEntries: integerRule(100_000, 1, 1e9),
  maxBytes: integerRule(64 * 1024 * 1024, 1, 1e12),
  now: functionRule(() => Date.now()),
}

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0))

/** A record, and the versions of the last writes that made it what it is. */
interface Kept extends StoredRecord {
  recent: readonly string[]
}

class Memory implements MemoryStore {
  readonly name: string = 'memory'
  readonly atomic: boolean = true
  readonly patches: number = PATCHES
  readonly index: SubjectIndex = {
    list: (subject, options) => this.#list(subject, options),
    bury: (subject, tombstone, options) => this.#bury(subject, tombstone, options),
  }
  readonly #now: () => number
  readonly #maxBytes: number
  readonly #entries: ShardedMap<LruEntry<Kept>> = new ShardedMap()
  readonly #records: LruMap<Kept>
  readonly #subjects: ShardedMap<Set<string>> = new ShardedMap()
  readonly #expiry: ExpiryHistogram = new ExpiryHistogram()
  #cursor: Iterator<LruEntry<Kept>>
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
    options: WriteOptions = {},
  ): Promise<WriteResult> {
    options.signal?.throwIfAborted()
    const current = this.#live(id)?.value
    // Its own write again: the answer to an earlier attempt was lost on the way.
    if (current?.recent.includes(record.version)) return { ok: true }
    const { patch, folded = 0 } = options
    if ((current?.version ?? null) === expected) {
      const patches = current?.patches?.slice(folded) ?? []
      if (!patches.length || record.value !== TOMBSTONE) {
        await this.#put(id, { ...copyRecord(record), patches }, current)
        return { ok: true }
      }
    } else if (current && patch !== undefined && current.patches?.includes(patch)) {
      return { ok: true, patched: true }
    } else if (current && expected !== null && this.#takes(current, patch)) {
      const patches = [...(current.patches ?? []), patch]
      await this.#put(id, { ...current, patches }, current, record.version)
      return { ok: true, patched: true }
    }
    return { ok: false, current: current ? copyRecord(current) : null }
  }

  async delete(id: string, options?: StoreCallOptions): Promise<void> {
    options?.signal?.throwIfAborted()
    this.#records.delete(id)
  }

  async page(cursor: string | null, options?: StoreCallOptions): Promise<StoredPage> {
    options?.signal?.throwIfAborted()
    const records: StoredEntry[] = []
    let shard = Number(cursor ?? 0)
    let seen = 0
    for (; shard < SHARDS && records.length < PAGE; shard++) {
      for (const id of [...this.#entries.shardKeys(shard)]) {
        records.push(...this.#present([id]))
        if (++seen % STEP === 0) await pause()
      }
    }
    return { records, cursor: shard < SHARDS ? String(shard) : null }
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
      if (++seen % STEP === 0) await pause()
    }
    return removed
  }

  async #list(subject: string, options?: StoreCallOptions): Promise<StoredEntry[]> {
    options?.signal?.throwIfAborted()
    return this.#present(this.#subjects.get(subject) ?? [])
  }

  async #bury(
    subject: string,
    tombstone: StoredRecord,
    options: BuryOptions = {},
  ): Promise<number> {
    const found = await this.#list(subject, options)
    const ids = found.map(({ id }) => id).filter((id) => id !== options.except)
    await Promise.all(ids.map((id) => this.#put(id, copyRecord(tombstone), this.#live(id)?.value)))
    return ids.length
  }

  #present(ids: Iterable<string>): StoredEntry[] {
    const found: StoredEntry[] = []
    for (const id of [...ids]) {
      const record = this.#live(id)?.value
      if (record && record.value !== TOMBSTONE) found.push({ id, record: copyRecord(record) })
    }
    return found
  }

  #takes({ value, patches = [] }: Kept, patch: string | undefined): patch is string {
    return patch !== undefined && value !== TOMBSTONE && patches.length < PATCHES
  }

  #live(id: string): LruEntry<Kept> | undefined {
    const entry = this.#records.peek(id)
    return entry && !this.#removeExpired(entry, this.#now()) ? entry : undefined
  }

  #removeExpired(entry: LruEntry<Kept>, now: number): boolean {
    const expired = now >= entry.value.expiresAt
    if (expired) this.#records.remove(entry)
    return expired
  }

  /** `tag`: the version of the write, when it is not the record's own. */
  async #put(
    id: string,
    record: StoredRecord,
    before: Kept | undefined,
    tag: string = record.version,
  ): Promise<void> {
    const bytes = bytesOf(id, record)
    if (bytes > this.#maxBytes) {
      throw new StoreError(`Cannot write: ${bytes} bytes, maxBytes is ${this.#maxBytes}`)
    }
    const recent = [tag, ...(before?.recent ?? [])].slice(0, RECENT)
    this.#expiry.add(record.expiresAt, 1)
    this.#records.set(id, { ...record, recent }, bytes)
    if (record.subject !== undefined) {
      const ids = this.#subjects.get(record.subject) ?? new Set()
      this.#subjects.set(record.subject, ids.add(id))
    }
    this.#sweep()
    while (!this.#records.trim()) await pause()
  }

  #forget({ key, value: { expiresAt, subject } }: LruEntry<Kept>): void {
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
    patches: memory.patches,
    index: memory.index,
    read: (id, call) => memory.read(id, call),
    write: (id, record, expected, call) => memory.write(id, record, expected, call),
    delete: (id, call) => memory.delete(id, call),
    page: (cursor, call) => memory.page(cursor, call),
    health: (call) => memory.health(call),
    details: () => memory.details(),
    stats: () => memory.stats(),
    cleanupExpired: () => memory.cleanupExpired(),
  }
}
