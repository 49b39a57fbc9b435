import { describe, expect, it } from 'vitest'
import { StoreTimeoutError } from '../../src/errors.ts'
import { createRetryBudget } from '../../src/resilience/budget.ts'
import { startTimer, within } from '../../src/resilience/deadline.ts'
import { createRetry } from '../../src/resilience/retry.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { resilient } from '../../src/stores/resilient.ts'
import { createFaultyStore } from '../../src/testing/index.ts'
import { createTestClock, createWorld, outcomeOf } from './world.ts'

/** Calls that hang, all begun before the event loop is blocked for a while. */
async function blockDuring(ms: number, calls: number) {
  const world = createWorld()
  const budget = createRetryBudget()
  const faulty = createFaultyStore(createMemoryStore({ now: world.clock }))
  const store = resilient(faulty, { ...world.options, attempts: 1, budget })
  faulty.down({ type: 'hang' })
  const running = Array.from({ length: calls }, () => outcomeOf(store.read('id')))
  world.clock.block(ms)
  await world.clock.run(10)
  return { ...world, budget, faulty, store, outcomes: await Promise.all(running) }
}

describe('a time limit of an event loop that was blocked', () => {
  it('is no failure of the store when its timer is late by over half of it', async () => {
    const { clock, faulty, outcomes, store } = await blockDuring(751, 20)
    expect(outcomes.every(({ error }) => error instanceof StoreTimeoutError)).toBe(true)
    expect(store.details?.().readBreaker).toBe('closed')
    faulty.up()
    expect(await store.read('id')).toBe(null)
    // Nothing is left of it: four failures in a row do not open the breaker yet, the fifth does.
    faulty.down({ type: 'throw-before' })
    for (let i = 0; i < 4; i++) await outcomeOf(store.read('id'))
    expect(store.details?.().readBreaker).toBe('closed')
    await outcomeOf(store.read('id'))
    expect([store.details?.().readBreaker, clock.waiting()]).toEqual(['open', 0])
  })

  it('counts when its timer is late by half of it or less', async () => {
    expect((await blockDuring(750, 20)).store.details?.().readBreaker).toBe('open')
  })

  it('costs no retry of the budget', async () => {
    const world = createWorld()
    const budget = createRetryBudget({ ratio: 0, perSecond: 0 })
    const faulty = createFaultyStore(createMemoryStore({ now: world.clock }))
    const store = resilient(faulty, { ...world.options, budget, deadlineMs: 60_000 })
    faulty.inject([{ type: 'hang' }, { type: 'hang' }, { type: 'pass' }])
    const running = outcomeOf(store.read('id'))
    world.clock.block(2000)
    await world.clock.run(20)
    expect([faulty.calls.length, budget.left(world.clock())]).toEqual([1, 10])
    await world.clock.run(100)
    expect([faulty.calls.length, budget.left(world.clock())]).toEqual([2, 10])
    // The second attempt was given its time: its retry is taken from the budget.
    await world.clock.run(1000)
    expect([await running, budget.left(world.clock())]).toEqual([{ value: null }, 9])
  })

  it('is not judged before an answer that has arrived was read', async () => {
    const clock = createTestClock()
    const late = (): Error => new Error('late')
    let answer = (_: string): void => {}
    const fn = (): Promise<string> =>
      new Promise((resolve) => {
        answer = resolve
      })
    const running = outcomeOf(within(500, undefined, late, fn, clock.timer, clock))
    clock.block(700)
    // It is read in the turn after that in which the timer fires.
    clock.timer(5, () => answer('there'))
    await clock.run(20)
    expect([await running, clock.waiting()]).toEqual([{ value: 'there' }, 0])
  })

  it('is judged at once when its timer is on time', async () => {
    const clock = createTestClock()
    const hang = (): Promise<never> => new Promise(() => {})
    const late = (delay: number): string => `late by ${delay}`
    const running = outcomeOf(within(500, undefined, late, hang, clock.timer, clock))
    await clock.run(500)
    expect([await running, clock.waiting()]).toEqual([{ error: 'late by 0' }, 0])
  })

  it('ends with the reason of the caller, who goes while it waits for what has arrived', async () => {
    const clock = createTestClock()
    const caller = new AbortController()
    const hang = (): Promise<never> => new Promise(() => {})
    const late = (): Error => new Error('late')
    const running = outcomeOf(within(500, caller.signal, late, hang, clock.timer, clock))
    clock.block(2000)
    await clock.run(5)
    caller.abort('gone')
    expect([await running, clock.waiting()]).toEqual([{ error: 'gone' }, 0])
  })

  it('is judged at once when its timer is late by no more than 10 milliseconds', async () => {
    const clock = createTestClock()
    const hang = (): Promise<never> => new Promise(() => {})
    const late = (delay: number): string => `late by ${delay}`
    const running = outcomeOf(within(500, undefined, late, hang, clock.timer, clock))
    clock.block(510)
    await clock.run(0)
    expect([await running, clock.waiting()]).toEqual([{ error: 'late by 0' }, 0])
  })

  it('is no other error than that of the time limit where there is no breaker', async () => {
    const { clock, options } = createWorld()
    const hang = (): Promise<never> => new Promise(() => {})
    const running = outcomeOf(createRetry({ ...options, attempts: 1 })(hang))
    clock.block(751)
    await clock.run(10)
    expect(((await running).error as Error).name).toBe('TimeoutError')
  })
})

describe('startTimer()', () => {
  it('fires nothing once it was cancelled', async () => {
    let fired = false
    startTimer(1, () => {
      fired = true
    })()
    await new Promise<void>((resolve) => startTimer(5, resolve))
    expect(fired).toBe(false)
  })
})

describe('within()', () => {
  it('asks nobody for a caller that has gone already', async () => {
    const clock = createTestClock()
    let calls = 0
    const fn = async (): Promise<number> => ++calls
    const running = within(500, AbortSignal.abort('gone'), () => 'late', fn, clock.timer, clock)
    expect([await outcomeOf(running), calls, clock.waiting()]).toEqual([{ error: 'gone' }, 0, 0])
  })

  it('goes by the timer and the clock of the runtime, where it is given none', async () => {
    const hang = (): Promise<never> => new Promise(() => {})
    expect(await outcomeOf(within(1, undefined, () => 'late', hang))).toEqual({ error: 'late' })
    expect(
      await within(
        60_000,
        undefined,
        () => 'late',
        async () => 'there',
      ),
    ).toBe('there')
  })
})
