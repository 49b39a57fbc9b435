import { describe, expect, it } from 'vitest'
import { createRetryBudget } from '../../src/resilience/budget.ts'

describe('createRetryBudget()', () => {
  it('grants its burst, then one retry for ten calls', () => {
    const budget = createRetryBudget({ burst: 2 })
    expect([budget.withdraw(0), budget.withdraw(0), budget.withdraw(0)]).toEqual([
      true,
      true,
      false,
    ])
    for (let i = 0; i < 9; i++) budget.deposit(0)
    expect(budget.withdraw(0)).toBe(false)
    budget.deposit(0)
    expect(budget.withdraw(0)).toBe(true)
  })

  it('earns one retry in ten seconds without any call', () => {
    const budget = createRetryBudget({ burst: 1 })
    expect(budget.withdraw(1000)).toBe(true)
    expect(budget.withdraw(10_999)).toBe(false)
    expect(budget.withdraw(11_000)).toBe(true)
  })

  it('saves up no more than its burst, and survives a clock that goes back', () => {
    const budget = createRetryBudget()
    budget.deposit(1e9)
    expect(budget.left(2e9)).toBe(10)
    budget.withdraw(2e9)
    expect(budget.left(1e9)).toBe(9)
  })

  it('allows an outage of 10,000 calls 1,000 retries and its burst', () => {
    const budget = createRetryBudget()
    let retries = 0
    for (let i = 0; i < 10_000; i++) {
      budget.deposit(1)
      while (budget.withdraw(1)) retries++
    }
    expect(retries <= 1010).toBe(true)
    expect(retries >= 1000).toBe(true)
  })

  it('refuses negative options', () => {
    expect(() => createRetryBudget({ ratio: -1 })).toThrow(RangeError)
    expect(() => createRetryBudget({ burst: NaN })).toThrow(RangeError)
  })
})
