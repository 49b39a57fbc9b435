/** Shards; a million entries are 4,000 in each, and growing one takes well under a millisecond. */
export const SHARDS = 256

/** FNV-1a over UTF-16 units: only spreads keys, promises nothing. */
function shardOf(key: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193)
  return (hash ^ (hash >>> 16)) & (SHARDS - 1)
}

/**
 * A `Map` that never stops the world to grow: a plain one with a million keys blocks for a tenth
 * of a second when it rehashes.
 */
export class ShardedMap<V> {
  readonly #shards: Map<string, V>[] = Array.from({ length: SHARDS }, () => new Map<string, V>())

  #shard(key: string): Map<string, V> {
    return this.#shards[shardOf(key)] as Map<string, V>
  }

  get(key: string): V | undefined {
    return this.#shard(key).get(key)
  }

  set(key: string, value: V): void {
    this.#shard(key).set(key, value)
  }

  delete(key: string): boolean {
    return this.#shard(key).delete(key)
  }

  /** The keys of one of the {@link SHARDS}. */
  shardKeys(shard: number): Iterable<string> {
    return (this.#shards[shard] ?? new Map()).keys()
  }

  /** Every value. May be paused, and the map changed, between any two. */
  *values(): Generator<V, undefined> {
    for (const shard of this.#shards) yield* shard.values()
  }
}
