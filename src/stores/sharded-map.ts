import { fnv1a } from '../fnv.ts'

/** Shards; a million entries are 4,000 in each, and growing one takes well under a millisecond. */
export const SHARDS = 256

/**
 * A `Map` that never stops the world to grow: a plain one with a million keys blocks for a tenth
 * of a second when it rehashes.
 */
export class ShardedMap<V> {
  readonly #shards: Map<string, V>[] = Array.from({ length: SHARDS }, () => new Map<string, V>())

  #shard(key: string): Map<string, V> {
    const hash = fnv1a(key)
    return this.#shards[(hash ^ (hash >>> 16)) & (SHARDS - 1)]!
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
    return this.#shards[shard]!.keys()
  }

  /** Every value. May be paused, and the map changed, between any two. */
  *values(): Generator<V, undefined> {
    for (const shard of this.#shards) yield* shard.values()
  }
}
