/**
 * What lies between an isolate and its store, and what goes wrong there. It knows calls by their
 * names only, and their arguments not at all but for the signal.
 */
import { StoreError, StoreUnavailableError } from '../../src/errors.ts'
import type { World } from './world.ts'

/** What can become of one call. */
export type Fault =
  /** Not applied; fails at once. */
  | 'refused'
  /** Applied, and its answer is lost: fails. */
  | 'lost'
  /** Applied, and never answered. */
  | 'silent'
  /** Never applied and never answered. */
  | 'hang'
  /** Fails, and is applied a while later. */
  | 'late'
  /** Applied and answered, and applied again a while later. */
  | 'twice'
  /** Takes a second or more. */
  | 'slow'
  /** Applied, and answered with something that nobody can read. */
  | 'garbage'

export const FAULTS: readonly Fault[] = [
  'refused',
  'lost',
  'silent',
  'hang',
  'late',
  'twice',
  'slow',
  'garbage',
]

/** What is wrong with the store for a while. */
export type Trouble = (typeof TROUBLES)[number] | 'write-only'

export const TROUBLES = ['down', 'hangs', 'slow', 'flaky', 'read-only', 'full'] as const

/** Of what kind a call is, as far as troubles tell them apart. */
export type Kind = 'read' | 'write' | 'end'

/** One call, for the trace. */
export interface CallLog {
  readonly at: number
  readonly activity: string
  readonly name: string
  readonly what: string
}

export interface NetworkOptions {
  /** How many calls in a hundred meet a fault of their own. */
  readonly faultRate: number
  readonly faults: readonly Fault[]
  /** Milliseconds of one way, from and to. */
  readonly latency: readonly [number, number]
}

/** What becomes of the answer. */
type Then = 'answer' | 'garble' | 'fail' | 'nothing'

type Fate = 'ok' | Fault | 'full'

export class Network {
  readonly log: CallLog[] = []
  /** Whatever is applied is told here; it may replace the application. */
  #trouble: Trouble | null = null
  /** When something last went wrong that concerns everybody, epoch milliseconds. */
  lastTrouble = -Infinity
  readonly #world: World
  readonly #options: NetworkOptions
  /** Switched off for the end of a run, when everything works. */
  isCalm = false
  readonly isTraced: boolean

  constructor(world: World, options: NetworkOptions, isTraced: boolean) {
    this.#world = world
    this.#options = options
    this.isTraced = isTraced
  }

  get trouble(): Trouble | null {
    return this.#trouble
  }

  set trouble(trouble: Trouble | null) {
    this.#trouble = trouble
    this.lastTrouble = this.#world.now()
  }

  /** Sends a call and returns its answer. `apply` may be called any number of times, at any time. */
  send<T>(
    name: string,
    kind: Kind,
    signal: AbortSignal | undefined,
    apply: () => Promise<T>,
    garble?: (answer: T) => T,
  ): Promise<T> {
    const { activity, fate, there, back } = this.#draw(kind)
    return new Promise<T>((resolve, reject) => {
      const note = (what: string): void => {
        if (!this.isTraced) return
        this.log.push({ at: this.#world.now(), activity: activity.name, name, what })
      }
      const abort = (): void => reject(signal?.reason)
      if (signal?.aborted) return abort()
      signal?.addEventListener('abort', abort)
      const fail = (ms: number): void => {
        this.#world.after(ms, () => {
          const error =
            fate === 'full'
              ? new StoreError('The store is full')
              : new StoreUnavailableError('The store is unavailable')
          reject(error)
        })
      }
      const run = (then: Then): void => {
        note(fate === 'ok' ? 'applied' : `applied (${fate})`)
        apply().then(
          (value) => {
            if (then === 'answer') this.#world.after(back, () => resolve(value))
            else if (then === 'garble') this.#world.after(back, () => resolve(garble!(value)))
            else if (then === 'fail') fail(back)
          },
          (error) => {
            if (then !== 'nothing') this.#world.after(back, () => reject(error))
          },
        )
      }
      const later = (ms: number, then: Then): void => void this.#world.after(ms, () => run(then))
      if (fate === 'refused' || fate === 'full') {
        note(fate)
        fail(there)
      } else if (fate === 'hang') note(fate)
      else if (fate === 'silent') later(there, 'nothing')
      else if (fate === 'lost') later(there, 'fail')
      else if (fate === 'garbage') later(there, garble ? 'garble' : 'fail')
      else if (fate === 'late') {
        note('fails, comes later')
        fail(there)
        later(this.#lateness(), 'nothing')
      } else {
        later(there, 'answer')
        if (fate === 'twice') later(there + this.#lateness(), 'nothing')
      }
    })
  }

  /** From a moment to nearly a minute. */
  #lateness(): number {
    const { random } = this.#world.current
    return 20 + random() ** 4 * 50_000
  }

  /** Always draws as many numbers, so that a trouble changes nothing else about a call. */
  #draw(kind: Kind) {
    const activity = this.#world.current
    const { random } = activity
    const { faultRate, faults, latency } = this.#options
    const [from, to] = latency
    const isSlow = random()
    const [first, second] = [random(), random()]
    const [isFaulty, which] = [random() * 100 < faultRate, random()]
    let fate: Fate = this.isCalm || !isFaulty ? 'ok' : faults[Math.floor(which * faults.length)]!
    if (!this.isCalm) fate = this.#inTrouble(kind, which) ?? fate
    const isDelayed = isSlow > 0.97 && !this.isCalm
    if (fate !== 'ok' || isDelayed) activity.faults++
    const factor = fate === 'slow' ? 30 + 270 * isSlow : isDelayed ? 10 : 1
    return {
      activity,
      fate,
      there: Math.round(from + first * (to - from) * factor),
      back: Math.round(from + second * (to - from) * factor),
    }
  }

  #inTrouble(kind: Kind, which: number): Fate | null {
    switch (this.#trouble) {
      case 'down':
        return 'refused'
      case 'hangs':
        return which < 0.5 ? 'hang' : 'silent'
      case 'slow':
        return 'slow'
      case 'flaky':
        return which < 0.4 ? 'ok' : which < 0.6 ? 'refused' : which < 0.85 ? 'lost' : 'late'
      case 'read-only':
        return kind === 'read' ? null : 'refused'
      case 'write-only':
        return kind === 'read' ? 'refused' : null
      case 'full':
        return kind === 'write' ? 'full' : null
      default:
        return null
    }
  }
}

const KINDS: Record<string, Kind> = { write: 'write', end: 'end' }

/** The kind of a call by its name; everything that is not known is read. */
export const kindOf = (name: string): Kind => KINDS[name.replace('index.', '')] ?? 'read'

type Method = (...args: never[]) => Promise<unknown>

/**
 * The same object with `call` in place of every method's own, also in its `index` (`index.list`). What is no call
 * over a network (`subscribe`, `details`, `close`) stays as it is.
 */
export function wrapMethods<T extends object>(
  target: T,
  call: (name: string, args: unknown[], run: (args: unknown[]) => Promise<unknown>) => unknown,
  prefix: string = '',
): T {
  const wrapped: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(target)) {
    if (name === 'index' && value) wrapped[name] = wrapMethods(value as object, call, 'index.')
    else if (typeof value !== 'function' || LOCAL.has(name)) wrapped[name] = value
    else {
      const method = value as Method
      const run = (args: unknown[]): Promise<unknown> => method.apply(target, args as never[])
      wrapped[name] = (...args: unknown[]) => call(prefix + name, args, run)
    }
  }
  return wrapped as T
}

const LOCAL = new Set([
  'subscribe',
  'details',
  'close',
  'stats',
  'cleanupExpired',
  'page',
  'health',
])

/** The signal among a call's arguments, and the arguments without it. */
export function takeSignal(args: readonly unknown[]): [AbortSignal | undefined, unknown[]] {
  const last = args.at(-1)
  if (!last || typeof last !== 'object' || !('signal' in last)) return [undefined, [...args]]
  const { signal, ...rest } = last as { signal?: AbortSignal }
  return [signal, [...args.slice(0, -1), rest]]
}
