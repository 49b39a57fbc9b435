/** Puts retries, limits of time and a circuit breaker in front of any store. */
import { applyRules, numberRule, type Rule, refuseUnless } from '../check.ts'
import { SessionError, StoreTimeoutError, StoreUnavailableError } from '../errors.ts'
import { createRetryBudget } from '../resilience/budget.ts'
import {
  type CircuitBreaker,
  type CircuitBreakerOptions,
  type CircuitStatus,
  createCircuitBreaker,
} from '../resilience/circuit-breaker.ts'
import { MAX_MS, within } from '../resilience/deadline.ts'
import {
  createRetry,
  isPerKey,
  type RetryCall,
  type RetryPolicy,
  secondsOf,
} from '../resilience/retry.ts'
import { failureOf } from './failure.ts'
import type { SessionStore, StoreAttempt, StoreCallOptions, StoreEvent } from './store.ts'

/** The operations that are retried, and may have a policy of their own. */
export type ResilientOperation = 'read' | 'write' | 'end' | 'list' | 'endAll' | 'page'

/** Options for {@link resilient}, per operation where wanted. */
export interface ResilientPolicy extends Omit<RetryPolicy, 'breaker' | 'operations'> {
  /** Other settings for single operations. */
  operations?: { readonly [operation in ResilientOperation]?: RetryPolicy }
  /**
   * Settings for it, a breaker of one's own (which tells its own `onChange` only, and no event), or
   * `false`. Taken once, at creation.
   */
  breaker?: CircuitBreaker | CircuitBreakerOptions | false
  /** Time limit of `health`, in milliseconds. (default: 1000) */
  healthTimeoutMs?: number
}

type OwnOptions = Required<Pick<ResilientPolicy, 'breaker' | 'healthTimeoutMs'>>

const RULES: Record<keyof OwnOptions, Rule> = {
  breaker: [
    {},
    'a circuit breaker, its options or false',
    (value: unknown) => value === false || Object(value) === value,
  ],
  healthTimeoutMs: numberRule(1000, 0, MAX_MS),
}

const policyRule: Rule = [undefined, 'an object', (value: unknown) => Object(value) === value]
const OPERATIONS: Record<ResilientOperation, Rule> = {
  read: policyRule,
  write: policyRule,
  end: policyRule,
  list: policyRule,
  endAll: policyRule,
  page: policyRule,
}

type Listener = (event: StoreEvent) => void

const isUnavailable = (error: unknown): boolean => error instanceof StoreUnavailableError
/** A store that refuses one session for a moment is well: nobody else must suffer for it. */
const isUnwell = (error: unknown): boolean => isUnavailable(error) && !isPerKey(error)

/** Makes an error of our own, without the words of somebody else's: those may quote keys and data. */
function classified(error: unknown, what: string): unknown {
  if (error instanceof SessionError) return error
  if ((error as Error | null)?.name === 'TimeoutError') return new StoreTimeoutError(what)
  return new StoreUnavailableError(what, { retryAfter: secondsOf(error) })
}

/**
 * Wraps a store so that it fails well: attempts that could not reach it are repeated within
 * limits of time and traffic, and while it is down it is left alone. The policy's defaults are those of
 * {@link createRetry} and {@link createCircuitBreaker}.
 *
 * Retried and counted: {@link StoreUnavailableError}, timeouts, and unknown errors, which become a
 * `StoreUnavailableError` of our own words (a `TypeError` is what `fetch` rejects with when it cannot
 * connect). Never: other session errors, the caller's
 * own abort. A conflict or an unknown id is an answer and no failure, and what is unavailable for one
 * session only (`perKey: true` on the error, as for KV's one write per second) does not count, and
 * its retries are not taken from the budget of the others.
 * `health` is asked once, with a limit of its own, and does not count either.
 *
 * @param policy Or a function that returns it, asked for every call (its `breaker` only once). When what it
 * returns later is wrong, or it throws, the last policy that was right stays: `details()` and so `health()`
 * say `policy: 'invalid'`.
 * @throws RangeError when a number in the policy is out of range, TypeError for an option or an operation
 * that it does not know and for what is no store.
 *
 * @example
 * const store = resilient(createUpstashStore({ url, token }), { attempts: 2 })
 */
export function resilient(
  store: SessionStore,
  policy: ResilientPolicy | (() => ResilientPolicy) = {},
): SessionStore {
  if (typeof store?.read !== 'function') throw new TypeError('resilient: expected a session store')
  let good: ResilientPolicy = assertPolicy(typeof policy === 'function' ? policy() : policy)
  let isInvalid = false
  const ask = (): ResilientPolicy => {
    if (typeof policy !== 'function') return good
    try {
      good = assertPolicy(policy())
      isInvalid = false
    } catch {
      isInvalid = true
    }
    return good
  }
  const { name, atomic, index } = store
  const bucket = createRetryBudget()
  const listeners: Listener[] = []

  function emit(event: StoreEvent): void {
    for (const listener of listeners) {
      try {
        listener(event)
      } catch {
        // A broken listener is its owner's business.
      }
    }
  }

  /** The options that `createRetry` does not know. */
  function own(): OwnOptions {
    const { breaker, healthTimeoutMs } = ask()
    return applyRules('', RULES, { breaker, healthTimeoutMs })
  }

  const breaker = breakerOf(own().breaker, ask(), (status) =>
    emit({ type: `breaker.${status}`, store: name }),
  )

  function settings(): RetryPolicy {
    const { healthTimeoutMs: _, breaker: __, ...given } = ask()
    const { budget = bucket, retryIf = isUnavailable, isFailure = isUnwell } = given
    return { ...given, budget, retryIf, isFailure, ...(breaker && { breaker }) }
  }
  const retry = createRetry(typeof policy === 'function' ? settings : settings())

  async function call<T>(
    operation: string,
    { notes, signal }: StoreCallOptions = {},
    fn: (options: StoreCallOptions) => Promise<T>,
    more?: RetryCall | false,
  ): Promise<T> {
    const about = { store: name, operation }
    const what = `Cannot ${operation}: store ${name} gave no usable answer`
    const { now = Date.now, onRetry } = ask()
    const tries: StoreAttempt[] = []
    if (notes) notes.tries = tries

    async function attempt(one: AbortSignal): Promise<T> {
      const own = { at: now() }
      tries.push(own)
      try {
        return await fn({ signal: one })
      } catch (error) {
        const known = classified(error, what)
        Object.assign(own, failureOf(known))
        throw known
      }
    }

    try {
      const result = await retry(attempt, {
        ...more,
        operation,
        signal,
        timeoutError: () => new StoreTimeoutError(what),
        onRetry(event) {
          const { attempt: number, error } = event
          const delayMs = Math.round(event.delayMs)
          emit({ type: 'store.retry', ...about, attempt: number, delayMs, ...failureOf(error) })
          onRetry?.(event)
        },
      })
      const attempts = tries.length
      if (attempts > 1) emit({ type: 'store.recovered', ...about, attempts })
      return result
    } catch (error) {
      if (!signal?.aborted) {
        const attempts = tries.length
        emit({ type: 'store.failed', ...about, attempts, ...failureOf(error) })
      }
      throw error
    }
  }

  return {
    name,
    atomic,
    read: (id, options) =>
      call('read', options, (inner) => store.read(id, { ...options, ...inner })),
    write: (id, record, expected, options) =>
      call(
        'write',
        options,
        (inner) => store.write(id, record, expected, { ...options, ...inner }),
        // It can wait for the next request while only its session is throttled.
        options?.renewal && {
          retryIf: ask().operations?.write?.retryIf ?? ask().retryIf ?? isUnwell,
        },
      ),
    end: (id, options) => call('end', options, (inner) => store.end(id, { ...options, ...inner })),
    ...(index && {
      index: {
        list: (key, options) => call('list', options, (inner) => index.list(key, inner)),
        end: (key, options) =>
          call('endAll', options, (inner) => index.end(key, { ...options, ...inner })),
      },
    }),
    ...(store.page && {
      page: (cursor, options) => call('page', options, (inner) => store.page!(cursor, inner)),
    }),
    ...(store.prune && { prune: (limit) => store.prune!(limit) }),
    async health({ signal }: StoreCallOptions = {}): Promise<void> {
      const what = `Cannot check health: store ${name} gave no usable answer`
      const late = (): Error => new StoreTimeoutError(what)
      const check = async (inner: AbortSignal): Promise<void> => store.health?.({ signal: inner })
      await within(own().healthTimeoutMs, signal, late, check, ask().timer).catch((error) => {
        throw signal?.aborted ? error : classified(error, what)
      })
    },
    details() {
      const { now = Date.now, budget = bucket } = ask()
      const retriesLeft = budget ? Math.floor(budget.left(now())) : null
      const validity = isInvalid && { policy: 'invalid' }
      return { ...store.details?.(), breaker: breaker?.status ?? 'off', retriesLeft, ...validity }
    },
    subscribe(listener) {
      listeners.push(listener)
      store.subscribe?.(listener)
    },
    close: async () => await store.close?.(),
  }
}

/** Returns a policy unless one of its numbers, options or operations is wrong. */
function assertPolicy(policy: ResilientPolicy): ResilientPolicy {
  refuseUnless(Object(policy) === policy, 'policy', 'an object', policy)
  const { breaker, healthTimeoutMs, ...retry } = policy
  applyRules('', RULES, { breaker, healthTimeoutMs })
  createRetry(retry)
  applyRules('operations.', OPERATIONS, policy.operations)
  return policy
}

function breakerOf(
  breaker: OwnOptions['breaker'],
  { now, random }: ResilientPolicy,
  emit: (status: CircuitStatus) => void,
): CircuitBreaker | undefined {
  if (!breaker || 'acquire' in breaker) return breaker || undefined
  const onChange = (status: CircuitStatus): void => {
    emit(status)
    breaker.onChange?.(status)
  }
  return createCircuitBreaker({ now, random, ...breaker, onChange } as CircuitBreakerOptions)
}
