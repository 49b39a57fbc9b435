/** The delay before a retry. Pure. */

/** Options for the growth of delays. */
export interface BackoffOptions {
  /** Upper bound of the first delay, in milliseconds. (default: 100) */
  baseMs?: number
  /** Multiplies the bound from one retry to the next. (default: 2) */
  factor?: number
  /** The bound never exceeds this, in milliseconds. (default: 5000) */
  capMs?: number
  /** `false` waits for exactly the bound. (default: true) */
  jitter?: boolean
}

/**
 * Returns the delay before a retry in milliseconds: with full jitter anything from 0 to
 * `min(capMs, baseMs * factor ** retry)`, so that clients that failed together do not come back
 * together ({@link https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ AWS}).
 *
 * @param retry 0 for the first retry.
 * @param random Returns a number from 0 (inclusive) to 1 (exclusive).
 */
export function backoff(
  retry: number,
  options: BackoffOptions = {},
  random: () => number = Math.random,
): number {
  const { baseMs = 100, factor = 2, capMs = 5000, jitter = true } = options
  const bound = Math.min(capMs, baseMs * factor ** retry)
  return jitter ? random() * bound : bound
}
