/** Stops asking a service that is down. Has no timer and makes nobody wait. */
import { applyRules, functionRule, type Rule } from '../check.ts'
import { CircuitOpenError } from '../errors.ts'
import { guarded } from '../guarded.ts'

/** `closed`: calls go through. `open`: none does. `half-open`: a few try whether it is back. */
export type CircuitStatus = 'closed' | 'open' | 'half-open'

/** The state of a breaker, as plain data: fit for JSON, and for {@link CircuitBreakerOptions.state}. */
export interface CircuitState {
  status: CircuitStatus
  /** Epoch milliseconds until which an open breaker rejects; `Infinity`: until it is closed by hand. */
  openUntil: number
  /** Number of times it opened since it was closed last; each time it opens for longer. */
  openings: number
  /** Failures in a row. */
  consecutive: number
  /** The recent past: number of a tenth of the window, calls in it, failures among them. */
  window: [slot: number, calls: number, failures: number][]
}

/** Options for {@link createCircuitBreaker}. */
export interface CircuitBreakerOptions {
  /** Share of failures that opens it. (default: 0.5) */
  failureRate?: number
  /** Calls in the window below which the share means nothing. (default: 10) */
  minimumCalls?: number
  /** The window, in milliseconds. (default: 10000) */
  windowMs?: number
  /** Failures in a row that open it whatever the share. (default: 5) */
  consecutiveFailures?: number
  /**
   * Milliseconds for which it opens the first time; doubles each time. Half of it is left
   * to chance, so that isolates do not probe together. (default: 1000)
   */
  openMs?: number
  /** The longest it opens by itself, in milliseconds. (default: 30000) */
  maxOpenMs?: number
  /** Calls let through at a time while half-open. (default: 1) */
  probes?: number
  /** A probe that has not ended after this many milliseconds makes way for another. (default: 5000) */
  probeTimeoutMs?: number
  /** The state to go on from. (default: closed) */
  state?: CircuitState
  /** Called when the status changes. What it throws is ignored. */
  onChange?: (status: CircuitStatus) => void
  /** Epoch milliseconds. (default: Date.now) */
  now?: () => number
  /** From 0 (inclusive) to 1 (exclusive). (default: Math.random) */
  random?: () => number
}

/** One call that was let through. Report its outcome once; later reports are ignored. */
export interface CircuitPermit {
  /** The service answered, whatever it said. */
  success(): void
  /**
   * The service could not be reached or gave no usable answer.
   *
   * @param retryAfter Seconds the service asked to wait: it is throttling and not broken. That
   * does not count as a failure, but sends a half-open breaker back to open for that time.
   */
  failure(retryAfter?: number): void
  /** The call ended without telling anything about the service: its caller gave up. */
  ignore(): void
}

/** Rejects calls at once while a service is down. Knows only what it is told. */
export interface CircuitBreaker {
  /** `half-open` from the moment at which the next call would try whether the service is back. */
  readonly status: CircuitStatus
  /**
   * Lets a call through, never waiting for another one.
   *
   * @throws {@link CircuitOpenError} with `retryAfter` when it does not.
   */
  acquire(): CircuitPermit
  /**
   * Opens it for this many seconds, at most 60: what a `Retry-After` asks for. Nothing happens for 0 or less.
   * Without a number, by hand, it stays open until {@link CircuitBreaker.close}.
   */
  open(seconds?: number): void
  /** Closes it and forgets every failure: somebody knows that the service is back. */
  close(): void
  /** A copy of what it knows. */
  state(): CircuitState
}

/** A service that asks for more is asked again after this long anyway. */
const MAX_RETRY_AFTER_MS = 60_000

const INITIAL: CircuitState = {
  status: 'closed',
  openUntil: 0,
  openings: 0,
  consecutive: 0,
  window: [],
}

const isState = (value: Partial<CircuitState> | null): boolean => Array.isArray(value?.window)

const positive = (fallback: number): Rule => [
  fallback,
  'a number greater than 0',
  (value: unknown) => typeof value === 'number' && value > 0,
  'number',
]

const RULES: Record<keyof CircuitBreakerOptions, Rule> = {
  failureRate: positive(0.5),
  minimumCalls: positive(10),
  windowMs: positive(10_000),
  consecutiveFailures: positive(5),
  openMs: positive(1000),
  maxOpenMs: positive(30_000),
  probes: positive(1),
  probeTimeoutMs: positive(5000),
  state: [INITIAL, 'what state() returned', isState],
  onChange: functionRule(() => {}),
  now: functionRule(() => Date.now()),
  random: functionRule(() => Math.random()),
}

type Settings = Required<CircuitBreakerOptions>

/** A call that tries whether the service is back. */
interface Probe {
  readonly until: number
}

function rejection(ms: number): CircuitOpenError {
  return new CircuitOpenError('The circuit breaker is open', { retryAfter: ms / 1000 })
}

class Breaker implements CircuitBreaker {
  readonly #settings: Settings
  #state: CircuitState
  /** Replaced with every change of status; what was let through before has no say after it. */
  #probing: Set<Probe> = new Set()

  constructor(settings: Settings) {
    this.#settings = settings
    this.#state = structuredClone(settings.state)
  }

  get status(): CircuitStatus {
    const { status, openUntil } = this.#state
    return status === 'open' && this.#settings.now() >= openUntil ? 'half-open' : status
  }

  acquire(): CircuitPermit {
    const time = this.#settings.now()
    const state = this.#state
    const latest = time + MAX_RETRY_AFTER_MS
    // A clock that was set back, or a state from elsewhere, must not leave it open for ever.
    if (state.openUntil < Infinity) state.openUntil = Math.min(state.openUntil, latest)
    if (state.status === 'open' && time >= state.openUntil) this.#change('half-open')
    if (state.status === 'open') throw rejection(Math.min(state.openUntil, latest) - time)
    const probe = state.status === 'half-open' && this.#probe(time)
    let phase: unknown = this.#probing
    const report = (tell: () => void): void => {
      if (phase === this.#probing) tell()
      phase = undefined
    }
    return {
      success: () => report(() => (probe ? this.close() : this.#count(0))),
      failure: (retryAfter = 0) =>
        report(() => {
          if (probe && retryAfter) this.open(retryAfter)
          else if (probe) this.#trip()
          else if (!retryAfter) this.#count(1)
        }),
      ignore: () => report(() => probe && this.#probing.delete(probe)),
    }
  }

  open(seconds = Infinity): void {
    if (!(seconds > 0)) return
    const { openUntil, status } = this.#state
    const ms = seconds < Infinity ? Math.min(seconds * 1000, MAX_RETRY_AFTER_MS) : seconds
    this.#state.openUntil = Math.max(status === 'open' ? openUntil : 0, this.#settings.now() + ms)
    this.#change('open')
  }

  close(): void {
    this.#state = { ...structuredClone(INITIAL), status: this.#state.status }
    this.#change('closed')
  }

  state(): CircuitState {
    return structuredClone(this.#state)
  }

  #change(status: CircuitStatus): void {
    if (status === this.#state.status) return
    this.#state.status = status
    this.#probing = new Set()
    guarded(() => this.#settings.onChange(status))
  }

  #trip(): void {
    const { maxOpenMs, now, openMs, random } = this.#settings
    const ms = Math.min(maxOpenMs, openMs * 2 ** this.#state.openings++)
    this.#state.openUntil = now() + (ms * (1 + random())) / 2
    this.#change('open')
  }

  #count(failed: 0 | 1): void {
    const { consecutiveFailures, failureRate, minimumCalls, now, windowMs } = this.#settings
    const state = this.#state
    const slot = Math.floor((now() * 10) / windowMs)
    const window = state.window.filter(([at]) => Math.abs(slot - at) < 10)
    if (window.at(-1)?.[0] !== slot) window.push([slot, 0, 0])
    const last = window.at(-1)!
    last[1]++
    last[2] += failed
    state.window = window
    state.consecutive = failed && state.consecutive + 1
    const sum = (place: 1 | 2): number => window.reduce((all, one) => all + one[place], 0)
    const calls = sum(1)
    const often = calls >= minimumCalls && sum(2) >= failureRate * calls
    if (failed && (often || state.consecutive >= consecutiveFailures)) this.#trip()
  }

  #probe(time: number): Probe {
    const { openMs, probes, probeTimeoutMs } = this.#settings
    for (const other of this.#probing) if (other.until <= time) this.#probing.delete(other)
    const [oldest] = this.#probing
    if (oldest && this.#probing.size >= probes) {
      throw rejection(Math.min(oldest.until - time, openMs))
    }
    const mine = { until: time + probeTimeoutMs }
    this.#probing.add(mine)
    return mine
  }
}

/**
 * Makes a circuit breaker. It opens when half of at least 10 calls in 10 seconds failed, or 5 in a
 * row; rejects for a second, twice as long each time up to 30; then lets one call through, which
 * closes it or opens it again.
 *
 * Its state belongs to this isolate; share it by `state` if you must. A probe whose request
 * was killed without a word makes way after `probeTimeoutMs`.
 *
 * @throws RangeError when a number is not greater than 0, TypeError for an option that is unknown or
 * of the wrong type.
 *
 * @example
 * const breaker = createCircuitBreaker()
 * const permit = breaker.acquire()
 * try {
 *   const response = await fetch(url)
 *   permit.success()
 * } catch (error) {
 *   permit.failure()
 * }
 */
export function createCircuitBreaker(options: CircuitBreakerOptions = {}): CircuitBreaker {
  return new Breaker(applyRules('', RULES, options))
}
