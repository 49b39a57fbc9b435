/** Limits retries to a small share of the traffic, so that an outage is not multiplied. No timers. */
import { applyRules, numberRule } from '../check.ts'

/** Options for {@link createRetryBudget}. */
export interface RetryBudgetOptions {
  /** Retries earned by each call. (default: 0.1) */
  ratio?: number
  /** Retries earned by each second, for isolates with little traffic. (default: 0.1) */
  perSecond?: number
  /** Retries that can be saved up, and that a new budget starts with. (default: 10) */
  burst?: number
}

/** A token bucket; one retry takes one token. All times are epoch milliseconds. */
export interface RetryBudget {
  /** Notes one call, retries not included. */
  deposit(now: number): void
  /** Takes a token, or returns `false` when there is none: do not retry. */
  withdraw(now: number): boolean
  /** Tokens left. */
  left(now: number): number
}

const RULES = {
  ratio: numberRule(0.1, 0, Infinity),
  perSecond: numberRule(0.1, 0, Infinity),
  burst: numberRule(10, 0, Infinity),
}

/**
 * Makes a retry budget: 10 % of the calls plus one retry per 10 seconds, per isolate. It starts
 * full and holds 10, like gRPC's
 * ({@link https://github.com/grpc/proposal/blob/master/A6-client-retries.md#throttling-retry-attempts-and-hedged-rpcs A6}).
 *
 * @throws RangeError or TypeError when an option is unknown or not a number of at least 0.
 */
export function createRetryBudget(options: RetryBudgetOptions = {}): RetryBudget {
  const { ratio, perSecond, burst } = applyRules<Required<RetryBudgetOptions>>('', RULES, options)
  let tokens = burst
  let latest = 0

  function earn(amount: number, now: number): number {
    const seconds = Math.max(0, now - (latest || now)) / 1000
    latest = now
    tokens = Math.min(burst, tokens + amount + seconds * perSecond)
    return tokens
  }

  return {
    deposit: (now) => void earn(ratio, now),
    withdraw(now: number): boolean {
      // Ten deposits of 0.1 add up to a little less than 1.
      const granted = earn(1e-9, now) >= 1
      if (granted) tokens--
      return granted
    },
    left: (now) => earn(0, now),
  }
}
