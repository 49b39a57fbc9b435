/**
 * The store of a simulation that all isolates share behind a network. It can go back in time, and lag.
 */
import { createMemoryStore, type MemoryStore } from '../../src/stores/memory.ts'
import type { SessionStore, StoredRecord } from '../../src/stores/store.ts'
import { kindOf, type Network, takeSignal, wrapMethods } from './network.ts'
import type { Plant } from './plant-source.ts'
import type { World } from './world.ts'

/** The store as one isolate reaches it. */
export interface StorePlace {
  connect(isolate: number): SessionStore
  /** Loses what was written in the last `ms` milliseconds. */
  failover(ms: number): Promise<void>
}

type Methods = Record<string, (...args: unknown[]) => Promise<unknown>>

interface Applied {
  readonly at: number
  readonly name: string
  readonly args: unknown[]
}

/** A memory store with a clock of its own, so that what was done can be done again as of its time. */
class Copy {
  #at = 0
  readonly store: MemoryStore
  /** How much of the log is in it. */
  length = 0
  #running: Promise<unknown> = Promise.resolve()

  constructor() {
    this.store = createMemoryStore({ now: () => this.#at })
  }

  run(at: number, name: string, args: readonly unknown[]): Promise<unknown> {
    this.#at = Math.max(this.#at, at)
    const [method = '', inIndex] = name.split('.').reverse()
    const owner = (inIndex ? this.store.index : this.store) as unknown as Methods
    return owner[method]!(...args)
  }

  /** Does what is new in the log, up to a time; one caller after the other. */
  follow(log: readonly Applied[], until: number): Promise<unknown> {
    const next = this.#running.then(async () => {
      for (; this.length < log.length && log[this.length]!.at <= until; this.length++) {
        const { at, name, args } = log[this.length]!
        await this.run(at, name, args).catch(() => {})
      }
    })
    this.#running = next
    return next
  }
}

export interface SharedOptions {
  /** Milliseconds by which reads that need not be fresh may lag. */
  readonly lagMs: number
  readonly plant: Plant | null
}

/** A store with compare-and-set that all isolates share. */
export function createSharedStore(
  world: World,
  network: Network,
  options: SharedOptions,
): StorePlace {
  let primary = new Copy()
  let log: Applied[] = []
  let replicas = new Map<number, Copy>()

  const applyTo = (isolate: number, name: string, args: unknown[]): Promise<unknown> => {
    const at = world.now()
    if (kindOf(name) !== 'read') log.push({ at, name, args })
    else if (name === 'read' && options.lagMs > 0 && !isFresh(args)) return lagging(isolate, args)
    return primary.run(at, name, args)
  }

  const lagging = async (isolate: number, args: unknown[]): Promise<unknown> => {
    const replica = replicas.get(isolate) ?? new Copy()
    replicas.set(isolate, replica)
    const until = world.now() - options.lagMs * world.current.random()
    await replica.follow(log, until)
    // It shows nothing that is over, and removes nothing: a renewal that it has not got yet may have come in time.
    const record = (await replica.run(until, 'read', args)) as StoredRecord | null
    return record && record.expiresAt > world.now() ? { ...record, copied: true } : null
  }

  return {
    connect(isolate) {
      const { store } = primary
      const planted = options.plant?.store
      const reached = wrapMethods(store, (name, args) => applyTo(isolate, name, args))
      const faulty = planted ? planted(reached) : reached
      return wrapMethods(faulty, (name, args, run) => {
        const [signal, rest] = takeSignal(args)
        return network.send(name, kindOf(name), signal, () => run(rest))
      })
    },
    async failover(ms) {
      const until = world.now() - ms
      const kept = log.filter(({ at }) => at <= until)
      const next = new Copy()
      await next.follow(kept, until)
      primary = next
      log = kept
      replicas = new Map()
    },
  }
}

function isFresh(args: readonly unknown[]): boolean {
  return !!(args[1] as { fresh?: boolean } | undefined)?.fresh
}
