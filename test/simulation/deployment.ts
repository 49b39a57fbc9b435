/** The isolates of a run, the store that they share, and their clocks. */
import type { History } from './history.ts'
import type { Network } from './network.ts'
import type { Plant } from './plant-source.ts'
import type { RunConfig } from './profiles.ts'
import { Isolate } from './server.ts'
import { createSharedStore, type StorePlace } from './stores.ts'
import type { World } from './world.ts'

/** Loaded for runs on KV only. */
export type CreateKV = typeof import('./kv-places.ts').createKVPlaces | undefined

export interface DeploymentOptions {
  readonly world: World
  readonly config: RunConfig
  readonly network: Network
  readonly history: History
  readonly plant: Plant | null
  readonly createKVPlaces: CreateKV
}

export class Deployment {
  readonly isolates: Isolate[] = []
  readonly #options: DeploymentOptions
  readonly #place: StorePlace | null
  #started = 0
  /** Milliseconds by which each isolate's clock is wrong. */
  readonly #drifts: number[]

  constructor(options: DeploymentOptions) {
    this.#options = options
    this.#drifts = options.config.isolates.map(({ drift }) => drift)
    this.#place = this.#createPlace()
    for (let i = 0; i < options.config.isolates.length; i++) this.start(i)
  }

  /** Starts an isolate in the place of the one there, which ends with everything it was doing. */
  start(i: number, newer: boolean = false): void {
    const { config: run, history, plant, world } = this.#options
    const given = run.isolates[i]!
    const old = this.isolates[i]
    if (old) {
      old.isAlive = false
      history.restarted.add(old.number)
    }
    const version = newer || old?.config.version === 2 ? 2 : given.version
    if (version === 2) history.hasVersions = true
    const order = newer && run.isolates.some((one) => one.order === 1) ? 1 : given.order
    const config = { ...given, version, order } as const
    const store = this.#place?.connect(i) ?? null
    const { timeoutFactor = 1 } = plant ?? {}
    const number = ++this.#started
    const now = this.#clockOf(i)
    this.isolates[i] = new Isolate(world, number, config, run, store, timeoutFactor, now)
  }

  /** Sets an isolate's clock wrong by so many milliseconds. */
  jump(i: number, drift: number): void {
    this.#drifts[i] = drift
  }

  /** Loses what was written in the last `ms` milliseconds. */
  failover(ms: number): void {
    void this.#place?.failover(ms)
  }

  readonly #clockOf = (isolate: number) => (): number =>
    this.#options.world.now() + (this.#drifts[isolate] ?? 0)

  #createPlace(): StorePlace | null {
    const { config, createKVPlaces, network, plant, world } = this.#options
    const { lagMs, store } = config
    if (store === 'none' && !config.revocations) return null
    if (store !== 'kv') return createSharedStore(world, network, { lagMs, plant })
    return createKVPlaces!(world, network, this.#clockOf, plant)
  }
}
