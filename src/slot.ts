/** Places for values on objects of others, such as the requests of a runtime. */

/** Constructs the very object that it is given, so that the private fields of a subclass are put there. */
class Host {
  constructor(host: object) {
    // biome-ignore lint/correctness/noConstructorReturn: that is all it is for.
    return host
  }
}

/** A value for each of many objects, which nobody else can see. */
export interface Slot<K extends object, V> {
  get(host: K): V | undefined
  set(host: K, value: V): void
}

/**
 * Creates a slot: a private field that objects get from outside. It does what a `WeakMap` does, but V8 takes the
 * values of one for used until it looks at the whole heap: all that a request has made would outlive it.
 */
export function createSlot<K extends object, V>(): Slot<K, V> {
  return class Slotted extends Host {
    #value: V

    constructor(host: K, value: V) {
      super(host)
      this.#value = value
    }

    static get(host: K): V | undefined {
      return #value in host ? host.#value : undefined
    }

    static set(host: K, value: V): void {
      if (#value in host) host.#value = value
      else new Slotted(host, value)
    }
  }
}
