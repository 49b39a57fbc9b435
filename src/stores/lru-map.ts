/** One entry, and its place in the order of use. */
export interface LruEntry<V> {
  readonly key: string
  value: V
  bytes: number
  older: LruEntry<V> | null
  newer: LruEntry<V> | null
}

/** The bounds of an {@link LruMap}. */
export interface LruLimits {
  maxEntries: number
  /** Of all entries together, as counted by whoever calls `set`. */
  maxBytes: number
}

/** Where an {@link LruMap} finds its entries by key; a `Map`, or one that grows more smoothly. */
export type LruIndex<V> = Pick<Map<string, LruEntry<V>>, 'get' | 'delete'> & {
  set(key: string, entry: LruEntry<V>): unknown
}

/** Entries one step may evict: a huge value among tiny ones must not block its isolate. */
const EVICT_STEP = 1000

/** A map bounded by entries and bytes; what was used least recently goes first. */
export class LruMap<V> {
  readonly #index: LruIndex<V>
  readonly #limits: LruLimits
  readonly #onRemove: ((entry: LruEntry<V>) => void) | undefined
  #oldest: LruEntry<V> | null = null
  #newest: LruEntry<V> | null = null
  size = 0
  bytes = 0
  evictions = 0

  constructor(
    limits: LruLimits,
    index: LruIndex<V> = new Map(),
    onRemove?: (entry: LruEntry<V>) => void,
  ) {
    this.#limits = limits
    this.#index = index
    this.#onRemove = onRemove
  }

  /** Looks without counting as use. */
  peek(key: string): LruEntry<V> | undefined {
    return this.#index.get(key)
  }

  /** All entries, the one used last first. */
  entries(): LruEntry<V>[] {
    const entries: LruEntry<V>[] = []
    for (let entry = this.#newest; entry; entry = entry.older) entries.push(entry)
    return entries
  }

  /** Makes the entry the one used last. */
  touch(entry: LruEntry<V>): void {
    if (entry === this.#newest) return
    this.#unlink(entry)
    this.#link(entry)
  }

  /** Puts the value in as the one used last. Call `trim` afterwards. */
  set(key: string, value: V, bytes: number): void {
    this.delete(key)
    const entry: LruEntry<V> = { key, value, bytes, older: null, newer: null }
    this.#index.set(key, entry)
    this.#link(entry)
    this.size++
    this.bytes += bytes
  }

  delete(key: string): void {
    const entry = this.#index.get(key)
    if (entry) this.remove(entry)
  }

  remove(entry: LruEntry<V>): void {
    this.#index.delete(entry.key)
    this.#unlink(entry)
    this.size--
    this.bytes -= entry.bytes
    this.#onRemove?.(entry)
  }

  /** Evicts at most one step; returns whether the map is within its limits now. */
  trim(): boolean {
    for (let left = EVICT_STEP; this.#isOver(); left--) {
      if (left === 0 || !this.#oldest) return false
      this.remove(this.#oldest)
      this.evictions++
    }
    return true
  }

  #isOver(): boolean {
    return this.size > this.#limits.maxEntries || this.bytes > this.#limits.maxBytes
  }

  #link(entry: LruEntry<V>): void {
    entry.older = this.#newest
    entry.newer = null
    if (this.#newest) this.#newest.newer = entry
    else this.#oldest = entry
    this.#newest = entry
  }

  #unlink(entry: LruEntry<V>): void {
    if (entry.older) entry.older.newer = entry.newer
    else this.#oldest = entry.newer
    if (entry.newer) entry.newer.older = entry.older
    else this.#newest = entry.older
  }
}
