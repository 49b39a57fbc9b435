/** One entry, and its place in the order of use. */
export interface LruEntry<V> {
  readonly key: string
  readonly list: LruList<V>
  value: V
  bytes: number
  older: LruEntry<V> | null
  newer: LruEntry<V> | null
}

/** The bounds of an {@link LruMap}. */
export interface LruLimits {
  maxEntries: number
  /** Bytes of all entries together, as counted by the caller of `set`. */
  maxBytes: number
}

/** The entries of an {@link LruMap} by key: a `Map`, or one that grows more smoothly. */
export type LruIndex<V> = Pick<Map<string, LruEntry<V>>, 'get' | 'delete'> & {
  set(key: string, entry: LruEntry<V>): unknown
}

/** Entries one step may evict: a huge value among tiny ones must not block its isolate. */
const EVICT_STEP = 1000
/** Expendable entries are evicted first while they take more than this share of the map. */
const EXPENDABLE_SHARE = 1 / 8

/** Entries in the order of their use. */
class LruList<V> {
  oldest: LruEntry<V> | null = null
  newest: LruEntry<V> | null = null
  size = 0
  bytes = 0

  link(entry: LruEntry<V>): void {
    entry.older = this.newest
    entry.newer = null
    if (this.newest) this.newest.newer = entry
    else this.oldest = entry
    this.newest = entry
    this.size++
    this.bytes += entry.bytes
  }

  unlink(entry: LruEntry<V>): void {
    if (entry.older) entry.older.newer = entry.newer
    else this.oldest = entry.newer
    if (entry.newer) entry.newer.older = entry.older
    else this.newest = entry.older
    this.size--
    this.bytes -= entry.bytes
  }
}

/**
 * A map bounded by entries and bytes. The entry used least recently is evicted first, an expendable
 * one before all others; but not the entry set last, and not the last eighth of the map that
 * expendable entries hold.
 */
export class LruMap<V> {
  readonly #index: LruIndex<V>
  readonly #limits: LruLimits
  readonly #onRemove: ((entry: LruEntry<V>) => void) | undefined
  readonly #expendable: LruList<V> = new LruList()
  readonly #others: LruList<V> = new LruList()
  #latest: LruEntry<V> | null = null
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

  get size(): number {
    return this.#expendable.size + this.#others.size
  }

  get bytes(): number {
    return this.#expendable.bytes + this.#others.bytes
  }

  /** Returns an entry without counting as use. */
  peek(key: string): LruEntry<V> | undefined {
    return this.#index.get(key)
  }
  entries(): LruEntry<V>[] {
    const entries: LruEntry<V>[] = []
    for (const list of [this.#others, this.#expendable]) {
      for (let entry = list.newest; entry; entry = entry.older) entries.push(entry)
    }
    return entries
  }

  /** Makes the entry the one used last. */
  touch(entry: LruEntry<V>): void {
    if (entry === entry.list.newest) return
    entry.list.unlink(entry)
    entry.list.link(entry)
  }

  /** Puts the value in as the one used last. Call `trim` afterwards. */
  set(key: string, value: V, bytes: number, isExpendable = false): void {
    this.delete(key)
    const list = isExpendable ? this.#expendable : this.#others
    const entry: LruEntry<V> = { key, list, value, bytes, older: null, newer: null }
    this.#index.set(key, entry)
    list.link(entry)
    this.#latest = entry
  }

  delete(key: string): void {
    const entry = this.#index.get(key)
    if (entry) this.remove(entry)
  }

  remove(entry: LruEntry<V>): void {
    this.#index.delete(entry.key)
    entry.list.unlink(entry)
    this.#onRemove?.(entry)
  }

  /** Evicts at most one step; returns whether the map is within its limits now. */
  trim(): boolean {
    for (let left = EVICT_STEP; this.#isOver(); left--) {
      const next = this.#next()
      if (left === 0 || !next) return !next
      this.remove(next)
      this.evictions++
    }
    return true
  }

  #isOver(): boolean {
    return this.size > this.#limits.maxEntries || this.bytes > this.#limits.maxBytes
  }

  #next(): LruEntry<V> | null {
    const { size, bytes } = this.#expendable
    const isLarge = Math.max(size / this.size, bytes / this.bytes) > EXPENDABLE_SHARE
    const lists = [this.#expendable, this.#others]
    const oldest = (isLarge ? lists : lists.reverse()).map((list) => list.oldest)
    return oldest.find((entry) => entry && entry !== this.#latest) ?? null
  }
}
