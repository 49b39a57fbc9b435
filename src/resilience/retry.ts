/** Tries again what may work the second time, within limits of time, attempts and traffic. */
import {
  applyRules,
  expectArgument,
  expectOptions,
  flagRule,
  functionRule,
  isObject,
  numberRule,
  type Rule,
} from '../check.ts'
import { CircuitOpenError } from '../errors.ts'
import { guarded } from '../guarded.ts'
import { type BackoffOptions, backoff } from './backoff.ts'
import { createRetryBudget, type RetryBudget } from './budget.ts'
import type { CircuitBreaker } from './circuit-breaker.ts'
import { MAX_MS, startTimer, type Timer, within } from './deadline.ts'

/** One retry that is about to happen. */
export interface RetryEvent {
  /** Number of the attempt that failed, from 1. */
  readonly attempt: number
  /** Milliseconds until the next one. */
  readonly delayMs: number
  readonly error: unknown
  readonly operation: string | undefined
}

/** Options for {@link createRetry}: number of attempts, delays, time limits. */
export interface RetryPolicy extends BackoffOptions {
  /** `false`: one attempt; limits of time apply as ever. (default: true) */
  enabled?: boolean
  /** Attempts at most, the first included, from 1. (default: 3) */
  attempts?: number
  /** Time limit of one attempt, its body included, in milliseconds, at most `deadlineMs`. (default: 500) */
  attemptTimeoutMs?: number
  /** Time limit of all attempts and delays together, in milliseconds. (default: 2000) */
  deadlineMs?: number
  /**
   * Returns whether a failure is worth another attempt. (default: unless its `retryable` is `false`)
   *
   * An error's `retryAfter` (seconds) replaces the computed delay. A delay that does not fit the
   * deadline is not waited for: the call fails at once.
   */
  retryIf?: (error: unknown, attempt: number) => boolean
  /** Returns whether the breaker counts a failure. (default: as `retryIf` by default) */
  isFailure?: (error: unknown) => boolean
  /** Shared out between all calls; `false`: as many retries as `attempts`. (default: one's own) */
  budget?: RetryBudget | false
  /** Asked before every attempt. (default: none) */
  breaker?: CircuitBreaker
  /** Makes the error of an attempt, or of a call, that took too long. (default: a `TimeoutError`) */
  timeoutError?: (ms: number) => unknown
  /** Called before each delay. */
  onRetry?: (event: RetryEvent) => void
  /** Other settings for single operations, by their name. */
  operations?: { readonly [operation: string]: RetryPolicy }
  /** Epoch milliseconds. (default: Date.now) */
  now?: () => number
  /** Waits between attempts. (default: setTimeout) */
  sleep?: (ms: number, signal: AbortSignal) => Promise<void>
  /** From 0 (inclusive) to 1 (exclusive). (default: Math.random) */
  random?: () => number
  /** Starts the time limits. (default: setTimeout) */
  timer?: Timer
}

/** Options for one call: its own signal, its name, and settings of its own. */
export interface RetryCall extends RetryPolicy {
  /** Ends the call at once, whatever it is doing, with the signal's reason. */
  signal?: AbortSignal | undefined
  /** Name of the operation, for {@link RetryPolicy.operations} and events. */
  operation?: string
}

/** Runs one attempt; `signal` ends with its time limit, `attempt` counts from 1. */
export type Attempt<T> = (signal: AbortSignal, attempt: number) => Promise<T>

/** Runs `fn` until it succeeds or the policy says stop; rejects with its last failure. */
export type Retry = <T>(fn: Attempt<T>, call?: RetryCall) => Promise<T>

const isRetryable = (error: unknown): boolean =>
  (error as { retryable?: unknown } | null)?.retryable !== false

/** Tells whether only one key is throttled: the service is well, and other calls are not concerned. */
export const isPerKey = (error: unknown): boolean =>
  (error as { perKey?: unknown } | null)?.perKey === true

/** Errors of time limits that were noticed late: the event loop was blocked, and nobody had time to listen. */
const blocked = new WeakSet<object>()

/** Makes the error of a time limit, and notes whether its timer was late by over half of it. */
function timeout(
  { timeoutError }: Pick<Settings, 'timeoutError'>,
  ms: number,
  delay: number,
): unknown {
  const error = timeoutError(ms)
  if (delay > ms / 2) blocked.add(Object(error))
  return error
}

const number = (fallback: number, min = 0): Rule => numberRule(fallback, min, MAX_MS)

const RULES = {
  enabled: flagRule(true),
  attempts: number(3, 1),
  baseMs: number(100),
  factor: number(2),
  capMs: number(5000),
  jitter: flagRule(true),
  attemptTimeoutMs: number(500, 1),
  deadlineMs: number(2000, 1),
  retryIf: functionRule(isRetryable),
  isFailure: functionRule(isRetryable),
  timeoutError: functionRule(
    (ms: number): unknown => new DOMException(`Took over ${ms} ms`, 'TimeoutError'),
  ),
  now: functionRule(() => Date.now()),
  random: functionRule(() => Math.random()),
  timer: functionRule(startTimer),
  sleep: functionRule(),
  onRetry: functionRule(),
  budget: [
    undefined,
    'a retry budget or false',
    (value: RetryBudget | false | null) => value === false || !!value?.withdraw,
  ],
  breaker: [undefined, 'a circuit breaker', (value: CircuitBreaker | null) => !!value?.acquire],
  operations: [{}, 'an object', isObject],
} satisfies Record<string, Rule>

type Optional = 'sleep' | 'onRetry' | 'budget' | 'breaker'
type Settings = Required<Omit<RetryCall, Optional | 'signal' | 'operation'>> &
  Pick<RetryCall, Optional | 'signal' | 'operation'>

/** Merges the settings: the last one given counts; `undefined` is not given. */
function settle(policy: RetryPolicy, { signal, operation = '', ...call }: RetryCall): Settings {
  expectOptions('policy', policy)
  const given: Record<string, unknown> = {}
  for (const layer of [policy, policy.operations?.[operation], call]) {
    expectOptions(`operations.${operation}`, layer)
    for (const [name, value] of Object.entries(layer ?? {})) {
      if (value !== undefined) given[name] = value
    }
  }
  const settings = applyRules<Settings>('', RULES, given)
  const { attemptTimeoutMs, deadlineMs } = given
  if (attemptTimeoutMs! > deadlineMs!) {
    throw new RangeError(
      `Option "attemptTimeoutMs" must be at most deadlineMs (${deadlineMs}), got ${attemptTimeoutMs}: no attempt would get its time`,
    )
  }
  return { ...settings, signal, operation }
}

/** The seconds that an error asks to wait, where it does. */
export function secondsOf(error: unknown): number | undefined {
  const seconds = (error as { retryAfter?: unknown } | null)?.retryAfter
  return typeof seconds === 'number' && seconds >= 0 && seconds < Infinity ? seconds : undefined
}

/** The delay before the next attempt, or `undefined` when there must be none. */
function nextDelay(
  error: unknown,
  attempt: number,
  deadline: number,
  settings: Settings,
): number | undefined {
  const { budget, random } = settings
  if (!settings.enabled || attempt >= settings.attempts) return undefined
  if (!settings.retryIf(error, attempt) || settings.breaker?.status === 'open') return undefined
  const seconds = secondsOf(error)
  const delayMs = seconds === undefined ? backoff(attempt - 1, settings, random) : seconds * 1000
  const time = settings.now()
  if (time + delayMs >= deadline) return undefined
  const isFree = isPerKey(error) || blocked.has(Object(error))
  return budget && !isFree && !budget.withdraw(time) ? undefined : delayMs
}

async function runAttempt<T>(
  fn: Attempt<T>,
  attempt: number,
  whole: AbortSignal,
  settings: Settings,
): Promise<T> {
  const { attemptTimeoutMs: ms, timer, now, breaker, signal, isFailure } = settings
  const permit = breaker?.acquire()
  try {
    const late = (delay: number): unknown => timeout(settings, ms, delay)
    const value = await within(ms, whole, late, (one) => fn(one, attempt), timer, now)
    permit?.success()
    return value
  } catch (error) {
    // The caller has gone, nobody was asked, or nobody here had time to listen.
    const saysNothing =
      signal?.aborted || error instanceof CircuitOpenError || blocked.has(Object(error))
    if (saysNothing) permit?.ignore()
    else if (isFailure(error)) permit?.failure(secondsOf(error))
    // It may not even have been asked for this one key, so it says nothing about the others.
    else if (isPerKey(error)) permit?.ignore()
    else permit?.success()
    throw error
  }
}

async function runAll<T>(
  fn: Attempt<T>,
  deadline: number,
  whole: AbortSignal,
  settings: Settings,
): Promise<T> {
  const { operation, onRetry, sleep = pause(settings.timer) } = settings
  let failed: { error: unknown } | undefined
  for (let attempt = 1; ; attempt++) {
    try {
      whole.throwIfAborted()
      return await runAttempt(fn, attempt, whole, settings)
    } catch (error) {
      // That the breaker has opened meanwhile is not what went wrong with this call.
      if (error instanceof CircuitOpenError) throw failed ? failed.error : error
      failed = { error }
    }
    const { error } = failed
    const delayMs = whole.aborted ? undefined : nextDelay(error, attempt, deadline, settings)
    if (delayMs === undefined) {
      const seconds = secondsOf(error)
      // The service asked for a pause, which all calls keep.
      if (seconds && settings.isFailure(error)) settings.breaker?.open(seconds)
      throw error
    }
    guarded(() => onRetry?.({ attempt, delayMs, error, operation }))
    await sleep(delayMs, whole)
  }
}

function pause(timer: Timer): (ms: number, signal: AbortSignal) => Promise<void> {
  return (ms, signal) =>
    new Promise((resolve) => {
      // Whoever listens to retries may have ended the call.
      if (!signal.aborted) signal.addEventListener('abort', timer(ms, resolve))
    })
}

/**
 * Makes a function that runs attempts until one succeeds: 3 of them, with delays of up to 100 and
 * 200 ms (full jitter), 500 ms each and 2 s together, as long as the retry budget lasts.
 *
 * An attempt that ignores its signal is abandoned at its time limit. Retry only what may be done
 * twice. Calls share nothing but the budget and the breaker: no promise, no timer.
 *
 * @param policy Or a function that returns it, asked for every call.
 * @throws RangeError when a number is out of range, TypeError for an option that is unknown or of
 * the wrong type; from the call when the policy is a function.
 *
 * @example
 * const retry = createRetry({ attempts: 5 })
 * const user = await retry((signal) => loadUser(id, signal), { signal: request.signal })
 */
export function createRetry(policy: RetryPolicy | (() => RetryPolicy) = {}): Retry {
  expectArgument(isObject(policy), 'policy', 'an object or a function', policy)
  const own = createRetryBudget()
  const ask = typeof policy === 'function' ? policy : () => policy
  if (ask !== policy) {
    const { operations } = settle(ask(), {})
    for (const operation of Object.keys(operations)) settle(ask(), { operation })
  }
  return async (fn, call = {}) => {
    expectArgument(typeof fn === 'function', 'fn', 'a function', fn)
    const settings = settle(ask(), call)
    const { signal, deadlineMs: ms, timer, now } = settings
    signal?.throwIfAborted()
    settings.budget ??= own
    if (settings.budget) settings.budget.deposit(now())
    const late = (delay: number): unknown => timeout(settings, ms, delay)
    const deadline = now() + ms
    return await within(
      ms,
      signal,
      late,
      (whole) => runAll(fn, deadline, whole, settings),
      timer,
      now,
    )
  }
}
