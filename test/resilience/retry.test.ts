import { describe, expect, it } from 'vitest'
import { CircuitOpenError, StoreError, StoreUnavailableError } from '../../src/errors.ts'
import { createRetryBudget } from '../../src/resilience/budget.ts'
import { createCircuitBreaker } from '../../src/resilience/circuit-breaker.ts'
import { createRetry, type RetryPolicy } from '../../src/resilience/retry.ts'
import { createWorld, outcomeOf } from './world.ts'

const down = (retryAfter?: number): StoreUnavailableError =>
  new StoreUnavailableError('down', { retryAfter })

function setUp(policy: RetryPolicy = {}) {
  const world = createWorld()
  return { ...world, retry: createRetry({ ...world.options, ...policy }) }
}

/** Fails as often as there are errors, then answers with the number of the attempt. */
function script(...errors: readonly unknown[]) {
  let calls = 0
  const fn = async (_: AbortSignal, attempt: number): Promise<number> => {
    const error = errors[calls++]
    if (error !== undefined) throw error
    return attempt
  }
  return Object.assign(fn, { calls: () => calls })
}

describe('createRetry()', () => {
  it('makes three attempts with up to 100 and 200 ms between them, then gives the last error', async () => {
    const { retry, delays } = setUp()
    const [first, second, third] = [down(), down(), down()]
    const fn = script(first, second, third)
    expect(await outcomeOf(retry(fn))).toEqual({ error: third })
    expect(delays).toEqual([50, 100])
    expect(fn.calls()).toBe(3)
  })

  it('returns what the first successful attempt returns', async () => {
    const { retry, delays } = setUp()
    expect(await retry(script(down()))).toBe(2)
    expect(delays).toEqual([50])
  })

  it('grows delays by its factor up to its cap, without jitter exactly', async () => {
    const options = { attempts: 6, baseMs: 10, factor: 3, capMs: 100, jitter: false }
    const { retry, delays } = setUp(options)
    await outcomeOf(retry(script(1, 2, 3, 4, 5, 6)))
    expect(delays).toEqual([10, 30, 90, 100, 100])
  })

  it('makes one attempt when it is switched off', async () => {
    const { retry, delays } = setUp({ enabled: false })
    expect((await outcomeOf(retry(script(down())))).error instanceof StoreUnavailableError).toBe(
      true,
    )
    expect(delays).toEqual([])
  })

  it('never repeats what says that it is no use, nor what the predicate refuses', async () => {
    const fatal = script(new StoreError('no'))
    await outcomeOf(setUp().retry(fatal))
    expect(fatal.calls()).toBe(1)
    const refused = script(down(), down())
    await outcomeOf(setUp({ retryIf: (_, attempt) => attempt < 1 }).retry(refused))
    expect(refused.calls()).toBe(1)
  })

  it('waits as long as Retry-After says, in place of its own delay', async () => {
    const { retry, delays } = setUp()
    expect(await retry(script(down(1.5)))).toBe(2)
    expect(delays).toEqual([1500])
  })

  it.each(['1', -1, NaN, Infinity, null])(
    'waits as ever for a Retry-After that is no number of seconds: %j',
    async (retryAfter) => {
      const { retry, delays } = setUp()
      expect(await retry(script(Object.assign(new Error('down'), { retryAfter })))).toBe(2)
      expect(delays).toEqual([50])
    },
  )

  it.each([null, 'text', 5])('retries what was thrown and is no Error: %j', async (thrown) => {
    const { retry, delays } = setUp()
    expect(await outcomeOf(retry(() => Promise.reject(thrown)))).toEqual({ error: thrown })
    expect(delays).toEqual([50, 100])
  })

  it('waits by its timer where it is given no sleep', async () => {
    const { clock } = createWorld()
    const retry = createRetry({ now: clock, timer: clock.timer, jitter: false })
    const fn = script(down())
    const running = retry(fn)
    await clock.run(99)
    expect(fn.calls()).toBe(1)
    await clock.run(1)
    expect([await running, clock.waiting()]).toEqual([2, 0])
  })

  it('makes no other attempt when the caller goes between two of them', async () => {
    const caller = new AbortController()
    const { retry } = setUp({ sleep: async () => caller.abort('gone') })
    const fn = script(down())
    expect(await outcomeOf(retry(fn, { signal: caller.signal }))).toEqual({ error: 'gone' })
    expect(fn.calls()).toBe(1)
  })

  it('fails at once when Retry-After does not fit the deadline', async () => {
    const { retry, delays, clock } = setUp()
    const started = clock()
    const fn = script(down(2))
    await outcomeOf(retry(fn))
    expect([delays, fn.calls(), clock() - started]).toEqual([[], 1, 0])
  })

  it('fails at once when its own delay does not fit what is left', async () => {
    const { retry, delays, clock } = setUp({ jitter: false, baseMs: 900, attempts: 9 })
    const fn = script(down(), down(), down())
    await outcomeOf(retry(fn))
    expect([delays, fn.calls()]).toEqual([[900], 2])
    expect(clock.waiting()).toBe(0)
  })

  it('abandons an attempt that ignores its signal at 500 ms, and the whole at 2 s', async () => {
    const { retry, clock, delays } = setUp({ attempts: 100, jitter: false, baseMs: 0 })
    const started: number[] = []
    const running = outcomeOf(
      retry(() => {
        started.push(clock() - clock.start)
        return new Promise<never>(() => {})
      }),
    )
    await clock.run(2000)
    const { error } = await running
    expect((error as Error).name).toBe('TimeoutError')
    expect(started).toEqual([0, 500, 1000, 1500])
    expect(clock() - clock.start).toBe(2000)
    expect([clock.waiting(), delays.length]).toEqual([0, 3])
  })

  it('ends an attempt in the middle when the whole is over', async () => {
    const { retry, clock } = setUp({ deadlineMs: 700, jitter: false })
    let reason: unknown
    const running = outcomeOf(
      retry((signal) => {
        signal.addEventListener('abort', () => {
          reason = signal.reason
        })
        return new Promise<never>(() => {})
      }),
    )
    await clock.run(700)
    expect((await running).error).toBe(reason)
    expect(clock.waiting()).toBe(0)
  })

  it('ignores what an abandoned attempt does later', async () => {
    const { retry, clock } = setUp({ attempts: 1 })
    let late = (_: Error): void => {}
    const running = outcomeOf(retry(() => new Promise<never>((_, reject) => (late = reject))))
    await clock.run(500)
    await running
    late(new Error('too late, and nobody may see it as unhandled'))
    await clock.run(0)
  })

  it("ends at once with the reason of the caller's signal: before, during and between attempts", async () => {
    const reason = new Error('The caller has gone')
    const before = setUp()
    const never = script()
    expect(await outcomeOf(before.retry(never, { signal: AbortSignal.abort(reason) }))).toEqual({
      error: reason,
    })
    expect(never.calls()).toBe(0)
    for (const fn of [() => new Promise<never>(() => {}), script(down(1))]) {
      const { retry, clock } = setUp()
      const controller = new AbortController()
      const running = outcomeOf(retry(fn, { signal: controller.signal }))
      await clock.run(10)
      controller.abort(reason)
      expect(await running).toEqual({ error: reason })
      expect(clock.waiting()).toBe(0)
    }
  })

  it('leaves no timer and no listener behind', async () => {
    const { retry, clock } = setUp()
    const { signal } = new AbortController()
    let listeners = 0
    const add = signal.addEventListener.bind(signal)
    const remove = signal.removeEventListener.bind(signal)
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners++
      add(...args)
    }
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners--
      remove(...args)
    }
    await retry(script(down(), down()), { signal })
    await outcomeOf(retry(script(down(), down(), down()), { signal }))
    await outcomeOf(retry(script(new StoreError('no')), { signal }))
    expect([clock.waiting(), listeners]).toEqual([0, 0])
  })

  it('takes what single operations and single calls want differently', async () => {
    const { retry, delays } = setUp({ jitter: false, operations: { write: { attempts: 2 } } })
    await outcomeOf(retry(script(1, 2, 3), { operation: 'write' }))
    expect(delays).toEqual([100])
    await outcomeOf(retry(script(1, 2, 3), { operation: 'write', attempts: 3, baseMs: 7 }))
    expect(delays).toEqual([100, 7, 14])
  })

  it('takes undefined for not given', async () => {
    const operations = { write: { attempts: undefined } } as unknown as RetryPolicy['operations']
    const { retry, delays } = setUp({ attempts: 2, ...(operations && { operations }) })
    const call = { operation: 'write', attempts: undefined } as unknown as RetryPolicy
    await outcomeOf(retry(script(1, 2, 3), call))
    expect(delays).toEqual([50])
  })

  it('takes one attempt that may last as long as all', async () => {
    const { retry } = setUp({ attemptTimeoutMs: 700, deadlineMs: 700 })
    expect(await retry(script())).toBe(1)
  })

  it('asks a policy that is a function for every call', async () => {
    const world = createWorld()
    let attempts = 1
    const retry = createRetry(() => ({ ...world.options, attempts }))
    await outcomeOf(retry(script(1, 2, 3)))
    expect(world.delays).toEqual([])
    attempts = 2
    await outcomeOf(retry(script(1, 2, 3)))
    expect(world.delays).toEqual([50])
  })

  it('reports each retry', async () => {
    const seen: unknown[] = []
    const { retry } = setUp({ onRetry: (event) => void seen.push(event) })
    const error = down()
    await retry(script(error), { operation: 'read' })
    expect(seen).toEqual([{ attempt: 1, delayMs: 50, error, operation: 'read' }])
  })

  it('leaves no timer when a call is ended by who hears of its retry', async () => {
    const { clock } = createWorld()
    const caller = new AbortController()
    const onRetry = (): void => caller.abort('enough')
    const retry = createRetry({ now: clock, timer: clock.timer, onRetry })
    const outcome = await outcomeOf(retry(script(down()), { signal: caller.signal }))
    expect(outcome).toEqual({ error: 'enough' })
    expect(clock.waiting()).toBe(0)
  })

  it('stops retrying when the budget is spent, and never spends it on what does not fit', async () => {
    const { retry, delays, clock } = setUp()
    for (let i = 0; i < 100; i++) await outcomeOf(retry(script(down(9))))
    expect(delays.length).toBe(0)
    let calls = 0
    for (let i = 0; i < 1000; i++) {
      const fn = script(1, 2, 3)
      await outcomeOf(retry(fn))
      calls += fn.calls()
    }
    const seconds = (clock() - clock.start) / 1000
    expect(calls - 1000 <= 100 + 10 + seconds / 10).toBe(true)
    expect(calls - 1000 >= 100).toBe(true)
  })

  it('shares a budget that is given, or has none', async () => {
    const budget = createRetryBudget({ burst: 0 })
    const poor = setUp({ budget })
    await outcomeOf(poor.retry(script(1, 2, 3)))
    expect(poor.delays.length).toBe(0)
    const rich = setUp({ budget: false })
    for (let i = 0; i < 50; i++) await outcomeOf(rich.retry(script(1, 2, 3)))
    expect(rich.delays.length).toBe(100)
  })

  it.each([
    { attempts: -1 },
    { attempts: NaN },
    { attempts: 0 },
    { deadlineMs: 0 },
    { attemptTimeoutMs: 0 },
    { attemptTimeoutMs: 600, deadlineMs: 500 },
    { deadlineMs: 500, operations: { read: { attemptTimeoutMs: 600 } } },
    { deadlineMs: Infinity },
    { baseMs: -1 },
    { operations: { read: { capMs: NaN } } },
  ])('refuses numbers out of range when it is made, case %#', (policy) => {
    expect(() => createRetry(policy)).toThrow(RangeError)
  })

  it.each([null, 5, 'often'])('refuses %j in place of options', (policy) => {
    expect(() => createRetry(policy as unknown as RetryPolicy)).toThrow(/Argument "policy" must be/)
  })

  it.each([{ attempt: 5 }, { operations: { read: { deadline: 5 } } }])(
    'refuses an option that it does not know, case %#',
    (policy) => {
      expect(() => createRetry(policy as RetryPolicy)).toThrow(
        /Unknown option "(attempt|deadline)"/,
      )
    },
  )

  it.each([
    { attempts: '3' },
    { enabled: 'no' },
    { budget: true },
    { budget: null },
    { breaker: {} },
    { breaker: null },
    { retryIf: 5 },
    { sleep: 5 },
    { operations: 5 },
    { operations: { read: { jitter: 1 } } },
  ])('refuses an option of the wrong type, case %#', async (policy) => {
    expect(() => createRetry(policy as unknown as RetryPolicy)).toThrow(TypeError)
    expect(() => createRetry(policy as unknown as RetryPolicy)).toThrow(/Option ".*" must be/)
    const late = createRetry(() => policy as unknown as RetryPolicy)
    const { error } = await outcomeOf(late(script(), { operation: 'read' }))
    expect(error instanceof TypeError).toBe(true)
  })
})

describe('createRetry() with a breaker', () => {
  it("stops when the breaker opens, with its own error and not the breaker's", async () => {
    const world = createWorld()
    const breaker = createCircuitBreaker({ now: world.clock, consecutiveFailures: 2 })
    const retry = createRetry({ ...world.options, breaker })
    const second = down()
    expect(await outcomeOf(retry(script(down(), second)))).toEqual({ error: second })
    expect(world.delays).toEqual([50])
    const refused = script()
    expect((await outcomeOf(retry(refused))).error instanceof CircuitOpenError).toBe(true)
    expect(refused.calls()).toBe(0)
  })

  it('gives its own error when others open the breaker while it waits', async () => {
    const world = createWorld()
    const breaker = createCircuitBreaker({ now: world.clock })
    const retry = createRetry({ ...world.options, breaker, onRetry: () => breaker.open(60) })
    const first = down()
    const fn = script(first)
    expect(await outcomeOf(retry(fn))).toEqual({ error: first })
    expect(fn.calls()).toBe(1)
  })

  it('counts an answer that is no failure as one, and nothing for what concerns one key', async () => {
    const world = createWorld()
    const breaker = createCircuitBreaker({ now: world.clock })
    const policy = { ...world.options, breaker, attempts: 1 }
    await outcomeOf(createRetry(policy)(script(down())))
    expect(breaker.state().consecutive).toBe(1)
    const retry = createRetry({ ...policy, isFailure: () => false })
    const busy = Object.assign(down(), { perKey: true })
    expect(await outcomeOf(retry(script(busy)))).toEqual({ error: busy })
    expect(breaker.state().consecutive).toBe(1)
    await outcomeOf(retry(script(down())))
    expect(breaker.state().consecutive).toBe(0)
    const without = setUp({ isFailure: () => false, attempts: 1 })
    expect(await outcomeOf(without.retry(script(busy)))).toEqual({ error: busy })
  })

  it('counts no attempt that is not made, because the pause took all the time', async () => {
    const world = createWorld()
    const breaker = createCircuitBreaker({ now: world.clock })
    const sleep = (): Promise<void> => world.clock.run(5000)
    const retry = createRetry({ ...world.options, breaker, sleep })
    const fn = script(down())
    expect(((await outcomeOf(retry(fn))).error as Error).name).toBe('TimeoutError')
    await world.clock.run(0)
    expect([fn.calls(), breaker.state().consecutive]).toEqual([1, 1])
  })

  it('counts what it abandons, and not what the caller gave up', async () => {
    const world = createWorld()
    const breaker = createCircuitBreaker({ now: world.clock })
    const retry = createRetry({ ...world.options, breaker, attempts: 1 })
    const hang = (): Promise<never> => new Promise(() => {})
    const running = outcomeOf(retry(hang))
    await world.clock.run(500)
    await running
    expect(breaker.state().consecutive).toBe(1)
    const controller = new AbortController()
    const gone = outcomeOf(retry(hang, { signal: controller.signal }))
    await world.clock.run(1)
    controller.abort()
    await gone
    expect(breaker.state().consecutive).toBe(1)
  })

  it('opens the breaker for a Retry-After that it cannot wait for', async () => {
    const world = createWorld()
    const breaker = createCircuitBreaker({ now: world.clock })
    const retry = createRetry({ ...world.options, breaker })
    await outcomeOf(retry(script(down(30))))
    const { error } = await outcomeOf(retry(script()))
    expect((error as CircuitOpenError).retryAfter).toBe(30)
  })
})
