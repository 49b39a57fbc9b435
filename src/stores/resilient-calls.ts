/** The calls of one store, behind retries, limits of time and circuit breakers. */
import {
  CircuitOpenError,
  SessionError,
  StoreError,
  StoreTimeoutError,
  StoreUnavailableError,
} from '../errors.ts'
import { guarded } from '../guarded.ts'
import { LastGood } from '../last-good.ts'
import { createRetryBudget, type RetryBudget } from '../resilience/budget.ts'
import type { CircuitBreaker } from '../resilience/circuit-breaker.ts'
import { within } from '../resilience/deadline.ts'
import {
  createRetry,
  isPerKey,
  type Retry,
  type RetryCall,
  type RetryEvent,
  secondsOf,
} from '../resilience/retry.ts'
import { becauseOf, failureOf } from './errors.ts'
import {
  type CheckedPolicy,
  checkPolicy,
  createBreaker,
  DIRECTION_OF,
  type ResilientOperation,
  type ResilientPolicy,
} from './resilient-policy.ts'
import type {
  CallDirection,
  SessionStore,
  StoreAttempt,
  StoreCallOptions,
  StoreDetails,
  StoreEvent,
  StoreFailure,
  WriteOptions,
} from './store.ts'

/** The breakers of a store; one is `undefined` where the policy says `false`. */
export interface StoreBreakers {
  readonly read: CircuitBreaker | undefined
  readonly write: CircuitBreaker | undefined
}

type Listener = (event: StoreEvent) => void

const isUnavailable = (error: unknown): boolean => error instanceof StoreUnavailableError
/** A store that refuses one session for a moment is well: nobody else must suffer for it. */
const isUnwell = (error: unknown): boolean => isUnavailable(error) && !isPerKey(error)

/** Makes an error of our own, without the words of somebody else's: those may quote keys and data. */
function classified(error: unknown, what: string): unknown {
  if (error instanceof SessionError) return error
  if ((error as Error | null)?.name === 'TimeoutError') return new StoreTimeoutError(what)
  return new StoreUnavailableError(what, { retryAfter: secondsOf(error), ...becauseOf(error) })
}

export class ResilientCalls {
  readonly breakers: StoreBreakers
  readonly #store: SessionStore
  readonly #policy: ResilientPolicy | (() => ResilientPolicy)
  readonly #last: LastGood<CheckedPolicy>
  readonly #budget: RetryBudget = createRetryBudget()
  readonly #listeners: Listener[] = []
  /** The last failure in each direction, as long as no call has succeeded since. */
  readonly #failures: { [direction in CallDirection]?: StoreFailure | undefined } = {}
  #prepared: CheckedPolicy | undefined
  #retry: Retry = createRetry()

  constructor(store: SessionStore, policy: ResilientPolicy | (() => ResilientPolicy)) {
    const { name } = store
    this.#store = store
    this.#policy = policy
    const first = checkPolicy(typeof policy === 'function' ? policy() : policy)
    this.#last = new LastGood(first, checkPolicy, (message) =>
      this.#emit({ type: 'policy.invalid', store: name, message }),
    )
    const breakerOf = (direction: CallDirection): CircuitBreaker | undefined =>
      createBreaker(first.breakers[direction], first.retry, (status) =>
        this.#emit({ type: `breaker.${status}`, store: name, direction }),
      )
    this.breakers = { read: breakerOf('read'), write: breakerOf('write') }
    this.#prepare()
  }

  /** Makes a call with these options, of which each attempt gets a signal of its own. */
  async call<T, O extends WriteOptions>(
    operation: ResilientOperation,
    options: O | undefined,
    fn: (options: O & StoreCallOptions) => Promise<T>,
  ): Promise<T> {
    const { notes, renewal, signal } = options ?? ({} as O)
    const about = { store: this.#store.name, operation }
    const what = `Cannot ${operation}: store ${this.#store.name} gave no usable answer`
    const { now = Date.now, onRetry, operations, retryIf } = this.#prepare().retry
    const tries: StoreAttempt[] = []
    if (notes) notes.tries = tries

    async function attempt(one: AbortSignal): Promise<T> {
      const own = { at: now() }
      tries.push(own)
      try {
        return await fn({ ...(options as O), signal: one })
      } catch (error) {
        const known = classified(error, what)
        Object.assign(own, failureOf(known))
        throw known
      }
    }

    const direction = DIRECTION_OF[operation]
    const breaker = this.breakers[direction]
    try {
      const result = await this.#retry(attempt, {
        operation,
        signal,
        ...(breaker && { breaker }),
        timeoutError: () => new StoreTimeoutError(what),
        onRetry: (event) => this.#onRetry(event, about, onRetry),
        // It can wait for the next request while only its session is throttled.
        ...(renewal && { retryIf: operations?.write?.retryIf ?? retryIf ?? isUnwell }),
      })
      this.#failures[direction] = undefined
      const attempts = tries.length
      if (attempts > 1) this.#emit({ type: 'store.recovered', ...about, attempts })
      return result
    } catch (error) {
      this.#explain(direction, error)
      const attempts = tries.length
      if (!signal?.aborted) {
        this.#emit({ type: 'store.failed', ...about, attempts, ...failureOf(error) })
      }
      // An earlier attempt may have been applied all the same: a rotation, say.
      throw error instanceof StoreError && attempts > 1 ? new StoreUnavailableError(what) : error
    }
  }

  /** Remembers a failure; the error of an open breaker gets the reason of the last one. */
  #explain(direction: CallDirection, error: unknown): void {
    if (error instanceof CircuitOpenError) {
      const { reason, word } = this.#failures[direction] ?? {}
      Object.assign(error, reason && { reason }, word && { word })
    } else if (isUnwell(error)) this.#failures[direction] = failureOf(error)
  }

  /** Asks the store how it is: once, with a limit of its own, whatever the breakers say. */
  async ask<T>(
    operation: string,
    signal: AbortSignal | undefined,
    fn: (options: StoreCallOptions) => Promise<T>,
  ): Promise<T> {
    const what = `Cannot ${operation}: store ${this.#store.name} gave no usable answer`
    const late = (): Error => new StoreTimeoutError(what)
    const { healthTimeoutMs, retry } = this.#prepare()
    const check = async (inner: AbortSignal): Promise<T> => fn({ signal: inner })
    return await within(healthTimeoutMs, signal, late, check, retry.timer, retry.now).catch(
      (error: unknown) => {
        throw signal?.aborted ? error : classified(error, what)
      },
    )
  }

  details(): StoreDetails {
    const { now = Date.now, budget = this.#budget } = this.#prepare().retry
    const { problem } = this.#last
    const { read, write } = this.breakers
    return {
      readBreaker: read?.status ?? 'off',
      writeBreaker: write?.status ?? 'off',
      retriesLeft: budget ? Math.floor(budget.left(now())) : null,
      ...(problem !== undefined && { policy: problem }),
    }
  }

  subscribe(listener: Listener): void {
    this.#listeners.push(listener)
  }

  /** Asks for the policy, and prepares what follows from it where it is another one. */
  #prepare(): CheckedPolicy {
    const policy = this.#ask()
    if (policy === this.#prepared) return policy
    const { budget = this.#budget, retryIf = isUnavailable, isFailure = isUnwell } = policy.retry
    this.#retry = createRetry({ ...policy.retry, budget, retryIf, isFailure })
    this.#prepared = policy
    return policy
  }

  #ask(): CheckedPolicy {
    if (typeof this.#policy !== 'function') return this.#last.value
    let given: unknown
    try {
      given = this.#policy()
    } catch (error) {
      return this.#last.fail('The policy function', error)
    }
    return this.#last.take(given)
  }

  #onRetry(
    event: RetryEvent,
    about: { store: string; operation: string },
    onRetry: RetryCall['onRetry'],
  ): void {
    const { attempt, error } = event
    const delayMs = Math.round(event.delayMs)
    this.#emit({ type: 'store.retry', ...about, attempt, delayMs, ...failureOf(error) })
    onRetry?.(event)
  }

  #emit(event: StoreEvent): void {
    for (const listener of this.#listeners) guarded(() => listener(event))
  }
}
