import { describe, expect, it } from 'vitest'
import { backoff } from '../../src/resilience/backoff.ts'

describe('backoff()', () => {
  it('doubles from 100 ms and stops at 5 s', () => {
    const delays = [0, 1, 2, 3, 4, 5, 6, 7].map((n) => backoff(n, { jitter: false }))
    expect(delays).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000])
  })

  it('with full jitter takes a share of that, from nothing to all', () => {
    expect([0, 1, 2].map((n) => backoff(n, {}, () => 0.5))).toEqual([50, 100, 200])
    expect(backoff(3, {}, () => 0)).toBe(0)
    expect(backoff(3, {}, () => 0.999)).toBeCloseTo(799.2)
  })

  it('takes its own base, factor and cap', () => {
    const options = { baseMs: 25, factor: 3, capMs: 250, jitter: false }
    expect([0, 1, 2, 3].map((n) => backoff(n, options))).toEqual([25, 75, 225, 250])
  })

  it('spreads evenly', () => {
    const delays = Array.from({ length: 10_000 }, () => backoff(0)).sort((a, b) => a - b)
    // Kolmogorov-Smirnov: 1.95 / sqrt(n) is exceeded by chance once in a thousand.
    const gap = Math.max(...delays.map((delay, i) => Math.abs(delay / 100 - i / 10_000)))
    expect(gap < 0.0195 * 1.5).toBe(true)
  })
})
