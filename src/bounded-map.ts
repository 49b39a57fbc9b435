/** Characters of keys for each entry that there may be, so that a key as long as a cookie fits. */
const KEY_LENGTH = 4096

/**
 * A `Map` that forgets what was used longest ago when it has more than `max` entries, or when its keys
 * that are texts are longer than 4096 characters each on average: visitors choose some of them.
 */
export class BoundedMap<K, V> {
  readonly #map = new Map<K, V>()
  readonly #max: number
  #length = 0
  /** The key that was used last: it stands at the end already. */
  #last: K | undefined

  constructor(max: number) {
    this.#max = max
  }

  get(key: K): V | undefined {
    const value = this.#map.get(key)
    if (value === undefined || key === this.#last) return value
    this.#map.delete(key)
    this.#map.set(key, value)
    this.#last = key
    return value
  }

  set(key: K, value: V): void {
    this.#delete(key)
    this.#map.set(key, value)
    this.#last = key
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
