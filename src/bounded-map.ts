/** Characters of keys for each entry that there may be, so that a key as long as a cookie fits. */
const KEY_LENGTH = 4096

/** A value, and the number of the use that put it where it is in the order of use. */
interface Entry<K, V> {
  /** The text that was set: another one of the same characters may be a part of a header, and hold all of it. */
  readonly key: K
  readonly value: V
  use: number
}

/**
 * A `Map` that forgets what was used longest ago when it has more than `max` entries, or when its keys
 * that are texts are longer than 4096 characters each on average: visitors choose some of them.
 *
 * An entry among the newer half of `max` stays where it is when it is used: to move it would cost as much as to set it.
 */
export class BoundedMap<K, V> {
  readonly #map = new Map<K, Entry<K, V>>()
  readonly #max: number
  #length = 0
  #uses = 0

  constructor(max: number) {
    this.#max = max
  }

  get(key: K): V | undefined {
    const entry = this.#map.get(key)
    if (entry && this.#uses - entry.use >= this.#max / 2) {
      this.#map.delete(entry.key)
      this.#map.set(entry.key, entry)
      entry.use = ++this.#uses
    }
    return entry?.value
  }

  set(key: K, value: V): void {
    this.#delete(key)
    this.#map.set(key, { key, value, use: ++this.#uses })
    this.#length += lengthOf(key)
    for (const oldest of this.#map.keys()) {
      if (this.#map.size <= this.#max && this.#length <= this.#max * KEY_LENGTH) return
      this.#delete(oldest)
    }
  }

  #delete(key: K): void {
    if (this.#map.delete(key)) this.#length -= lengthOf(key)
  }
}

const lengthOf = (key: unknown): number => (typeof key === 'string' ? key.length : 0)
