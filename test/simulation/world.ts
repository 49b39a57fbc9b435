/**
 * A world whose time, randomness and order of events come from a seed. While it is installed, timers,
 * `Date.now`, `Math.random` and WebCrypto are its own: one seed always gives the same run.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { SessionEvent } from '../../src/index.ts'
import { createRandom } from '../support/schedule.ts'
import { createFakeCrypto } from './fake-crypto.ts'

/** On whose behalf code runs: has randomness of its own, so that one activity does not disturb others. */
export interface Activity {
  readonly name: string
  readonly random: () => number
  /** Faults that its store calls have met so far. */
  faults: number
  /** What the library said meanwhile. */
  readonly events: SessionEvent[]
  /** Fingerprints of the sessions that it tried to create. */
  readonly creates: Set<string>
  /** Those of the sessions that it tried to write, created ones included. */
  readonly writes: Set<string>
  /** Those of the sessions that it tried to end; `true`: the store answered. */
  readonly ends: Map<string, boolean>
}

interface Event {
  readonly at: number
  readonly order: number
  readonly activity: Activity
  readonly fire: () => void
  cancelled: boolean
}

/** 2026-01-01T00:00:00Z. */
export const START = 1_767_225_600_000
/** Events without an end: something repeats itself for ever. */
const MAX_EVENTS = 200_000

const activities = new AsyncLocalStorage<Activity>()
const nextTurn = setImmediate

/** Resolves when every microtask that there is has run. */
const settled = (): Promise<void> => new Promise((resolve) => void nextTurn(resolve))

/** A stream of random numbers of its own for every seed and name. */
export function streamOf(seed: number, name: string): () => number {
  let hash = 0x811c9dc5 ^ seed
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
  return createRandom(hash)
}

export class World {
  readonly seed: number
  #now = START
  #order = 0
  #heap: Event[] = []
  readonly #root: Activity

  constructor(seed: number) {
    this.seed = seed
    this.#root = this.activity('world')
  }

  /** Epoch milliseconds. */
  readonly now = (): number => this.#now

  activity(name: string): Activity {
    const random = streamOf(this.seed, name)
    const [creates, writes] = [new Set<string>(), new Set<string>()]
    return { name, random, faults: 0, events: [], creates, writes, ends: new Map() }
  }

  /** The activity that is running. */
  get current(): Activity {
    return activities.getStore() ?? this.#root
  }

  /** Runs `fn`, and everything that follows from it, as an activity. */
  as<T>(activity: Activity, fn: () => T): T {
    return activities.run(activity, fn)
  }

  /** Fires in `ms` milliseconds; returns what prevents it. */
  after(ms: number, fire: () => void): () => void {
    const at = this.#now + Math.max(0, Number.isFinite(ms) ? ms : 0)
    const event = { at, order: this.#order++, activity: this.current, fire, cancelled: false }
    this.#push(event)
    return () => {
      event.cancelled = true
    }
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.after(ms, resolve))
  }

  /** Runs until nothing is left to happen, or until `isOver`. */
  async run(isOver: () => boolean = () => false): Promise<void> {
    await settled()
    for (let count = 0; this.#heap.length > 0 && !isOver(); ) {
      const event = this.#pop()
      if (event.cancelled) continue
      if (++count > MAX_EVENTS) throw new Error(`More than ${MAX_EVENTS} events`)
      this.#now = Math.max(this.#now, event.at)
      this.as(event.activity, event.fire)
      await settled()
    }
  }

  #push(event: Event): void {
    const heap = this.#heap
    let i = heap.push(event) - 1
    for (let up = (i - 1) >> 1; i > 0 && isBefore(event, heap[up]!); up = (i - 1) >> 1) {
      heap[i] = heap[up]!
      i = up
    }
    heap[i] = event
  }

  #pop(): Event {
    const heap = this.#heap
    const first = heap[0]!
    const last = heap.pop()!
    if (heap.length > 0) {
      let i = 0
      for (;;) {
        let next = 2 * i + 1
        if (next >= heap.length) break
        if (next + 1 < heap.length && isBefore(heap[next + 1]!, heap[next]!)) next++
        if (!isBefore(heap[next]!, last)) break
        heap[i] = heap[next]!
        i = next
      }
      heap[i] = last
    }
    return first
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}

/** Puts a world in the place of the runtime's own clock, timers and randomness, for as long as `fn` runs. */
export async function within<T>(world: World, fn: () => Promise<T>): Promise<T> {
  const timers = new Map<number, () => void>()
  const put = (target: object, name: string, value: unknown): PropertyDescriptor | undefined => {
    const before = Object.getOwnPropertyDescriptor(target, name)
    Object.defineProperty(target, name, { value, configurable: true, writable: true })
    return before
  }
  let nextTimer = 1
  const replaced: [object, string, PropertyDescriptor | undefined][] = []
  const replace = (target: object, name: string, value: unknown): void => {
    replaced.push([target, name, put(target, name, value)])
  }
  replace(
    globalThis,
    'setTimeout',
    (fire: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) => {
      const timer = nextTimer++
      timers.set(
        timer,
        world.after(ms, () => {
          timers.delete(timer)
          fire(...args)
        }),
      )
      return timer
    },
  )
  replace(globalThis, 'clearTimeout', (timer: number) => {
    timers.get(timer)?.()
    timers.delete(timer)
  })
  replace(
    globalThis,
    'crypto',
    createFakeCrypto(() => world.current.random()),
  )
  replace(Date, 'now', world.now)
  replace(Math, 'random', () => world.current.random())
  // Most errors here are expected, and a stack costs more than everything else about them.
  replace(Error, 'stackTraceLimit', 0)
  try {
    return await fn()
  } finally {
    for (const [target, name, before] of replaced.reverse()) {
      if (before) Object.defineProperty(target, name, before)
    }
  }
}
