/**
 * Retries, circuit breaking and limits of time, for stores and for `fetch`.
 *
 * @module
 * @example
 * import { resilient } from 'sojourn/resilience'
 *
 * const store = resilient(createUpstashStore({ url, token }))
 */
export { type ResilientStore, resilient } from '../stores/resilient.ts'
export type { StoreBreakers } from '../stores/resilient-calls.ts'
export type {
  BreakerPolicy,
  OperationPolicy,
  ResilientOperation,
  ResilientPolicy,
} from '../stores/resilient-policy.ts'
export { type BackoffOptions, backoff } from './backoff.ts'
export { createRetryBudget, type RetryBudget, type RetryBudgetOptions } from './budget.ts'
export {
  type CircuitBreaker,
  type CircuitBreakerOptions,
  type CircuitPermit,
  type CircuitState,
  type CircuitStatus,
  createCircuitBreaker,
} from './circuit-breaker.ts'
export type { Timer } from './deadline.ts'
export { type FetchLike, type ResilientFetchOptions, resilientFetch } from './fetch.ts'
export {
  type Attempt,
  createRetry,
  type Retry,
  type RetryCall,
  type RetryEvent,
  type RetryPolicy,
} from './retry.ts'
export { parseRetryAfter, retryAfterOf } from './retry-after.ts'
