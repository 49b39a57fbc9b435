/** The policy of `resilient`, which may change while the application runs. */
import {
  applyRules,
  expectOptions,
  isObject,
  isOptions,
  numberRule,
  type Rule,
  refuseUnless,
} from '../check.ts'
import {
  type CircuitBreaker,
  type CircuitBreakerOptions,
  type CircuitStatus,
  createCircuitBreaker,
} from '../resilience/circuit-breaker.ts'
import { MAX_MS } from '../resilience/deadline.ts'
import { createRetry, type RetryPolicy } from '../resilience/retry.ts'
import type { CallDirection, StoreOperation } from './store.ts'

/** The operations that are retried, and may have a policy of their own. */
export type ResilientOperation = Exclude<StoreOperation, 'prune'>

/** The breaker that an operation has. */
export const DIRECTION_OF: Readonly<Record<ResilientOperation, CallDirection>> = {
  read: 'read',
  write: 'write',
  end: 'write',
  list: 'read',
  endAll: 'write',
  page: 'read',
}

/** Settings for one operation. Its breaker is that of its direction. */
export type OperationPolicy = Omit<RetryPolicy, 'breaker' | 'operations'>

/** A breaker of one's own (which tells its own `onChange` only, and no event), settings, or none. */
export type BreakerPolicy = CircuitBreaker | CircuitBreakerOptions | false

/** Options for `resilient`, per operation where wanted. */
export interface ResilientPolicy extends OperationPolicy {
  /** Other settings for single operations. */
  operations?: { readonly [operation in ResilientOperation]?: OperationPolicy }
  /**
   * Reads and writes have a breaker each, so that a store which takes no writes is still read: given
   * once, the settings are for both, and a breaker of one's own is the same for both. Taken once, at
   * creation: a policy function cannot change it later.
   */
  breaker?: BreakerPolicy | { readonly [direction in CallDirection]?: BreakerPolicy }
  /** Time limit of `health` and `inspect`, in milliseconds. (default: 1000) */
  healthTimeoutMs?: number
}

/** A policy that was checked, with what `createRetry` does not know apart. */
export interface CheckedPolicy {
  readonly retry: RetryPolicy
  readonly breakers: Readonly<Record<CallDirection, BreakerPolicy>>
  readonly healthTimeoutMs: number
}

const isBreaker = (value: unknown): boolean => value === false || isObject(value)
const breakerRule: Rule = [{}, 'a circuit breaker, its options or false', isBreaker]

const RULES: Record<'breaker' | 'healthTimeoutMs', Rule> = {
  breaker: breakerRule,
  healthTimeoutMs: numberRule(1000, 0, MAX_MS),
}

const DIRECTIONS: Record<CallDirection, Rule> = { read: breakerRule, write: breakerRule }

const operationRule: Rule = [
  undefined,
  'an object without breaker and operations',
  (value: object) => isObject(value) && !('breaker' in value || 'operations' in value),
]

const OPERATIONS: Record<string, Rule> = Object.fromEntries(
  Object.keys(DIRECTION_OF).map((name) => [name, operationRule]),
)

/**
 * Checks a policy and copies it, so that nothing that happens to it later takes effect unchecked.
 *
 * @throws RangeError when a number is out of range, TypeError for what is unknown or of the wrong type.
 */
export function checkPolicy(policy: unknown): CheckedPolicy {
  refuseUnless(isObject(policy) && isOptions(policy), 'policy', 'a plain object', policy)
  const { breaker, healthTimeoutMs, operations, ...given } = policy as ResilientPolicy
  const own = applyRules<{ breaker: ResilientPolicy['breaker']; healthTimeoutMs: number }>(
    '',
    RULES,
    { breaker, healthTimeoutMs },
  )
  const checked = applyRules<NonNullable<typeof operations>>('operations.', OPERATIONS, operations)
  const copies = Object.entries(checked).map(([name, one]) => {
    expectOptions(`operations.${name}`, one)
    return [name, { ...one }]
  })
  const retry = { ...given, operations: Object.fromEntries(copies) }
  createRetry(retry)
  return { retry, breakers: breakersOf(own.breaker), healthTimeoutMs: own.healthTimeoutMs }
}

function breakersOf(given: ResilientPolicy['breaker'] = {}): CheckedPolicy['breakers'] {
  const isEach = given && ('read' in given || 'write' in given)
  const both = isEach ? given : { read: given, write: given }
  const breakers = applyRules<CheckedPolicy['breakers']>('breaker.', DIRECTIONS, both)
  createBreaker(breakers.read)
  createBreaker(breakers.write)
  return breakers
}

/** Makes a breaker of settings, whose status is told to `emit` too; a breaker of one's own is returned. */
export function createBreaker(
  given: BreakerPolicy,
  { now, random }: RetryPolicy = {},
  emit: (status: CircuitStatus) => void = () => {},
): CircuitBreaker | undefined {
  if (!given || 'acquire' in given) return given || undefined
  expectOptions('breaker', given)
  const onChange = (status: CircuitStatus): void => {
    emit(status)
    given.onChange?.(status)
  }
  return createCircuitBreaker({ now, random, ...given, onChange } as CircuitBreakerOptions)
}
