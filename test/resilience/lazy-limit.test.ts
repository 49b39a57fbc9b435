import { describe, expect, it } from 'vitest'
import { startTimer, type Timer, within } from '../../src/resilience/deadline.ts'
import { LazyCall, limitLazily } from '../../src/resilience/lazy-limit.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { countObjects } from '../support/runtime-objects.ts'
import { createTestClock, outcomeOf, settle } from './world.ts'

const hang = (): Promise<never> => new Promise(() => {})
const late = (): string => 'late'

/** Answers after so many turns of the microtask queue. */
async function answerAfter(turns: number): Promise<string> {
  for (let i = 0; i < turns; i++) await undefined
  return 'there'
}

/** A caller, and how many listen to it. */
function createCaller() {
  const caller = new AbortController()
  const { signal } = caller
  const listeners = new Set<unknown>()
  Object.assign(signal, {
    addEventListener(type: 'abort', listener: () => void) {
      listeners.add(listener)
      AbortSignal.prototype.addEventListener.call(signal, type, listener)
    },
    removeEventListener(type: 'abort', listener: () => void) {
      listeners.delete(listener)
      AbortSignal.prototype.removeEventListener.call(signal, type, listener)
    },
  })
  return { caller, signal, listening: () => listeners.size }
}

/** Limits a call to `ms` milliseconds from now on. */
function limitTo<T>(
  ms: number,
  parent: AbortSignal | undefined,
  fn: (call: LazyCall) => Promise<T>,
  timer: Timer = startTimer,
  now: () => number = Date.now,
): Promise<T> {
  const due = now() + ms
  return limitLazily<T>(parent, (run) => within(due - now(), parent, late, run, timer, now), fn)
}

describe('limitLazily()', () => {
  it('asks nobody for a caller that has gone already', async () => {
    const clock = createTestClock()
    let calls = 0
    const fn = async (): Promise<number> => ++calls
    const running = limitTo(500, AbortSignal.abort('gone'), fn, clock.timer, clock)
    expect([await outcomeOf(running), calls, clock.waiting()]).toEqual([{ error: 'gone' }, 0, 0])
  })

  it('goes by the timer and the clock of the runtime, where it is given none', async () => {
    expect(await outcomeOf(limitTo(1, undefined, hang))).toEqual({ error: 'late' })
    expect(await limitTo(60_000, undefined, async () => 'there')).toBe('there')
  })

  it.each([0, 1, 3, 8])(
    'makes no timer, no listener and no AbortController of a call that answers after %i turns',
    async (turns) => {
      const clock = createTestClock()
      const { signal, listening } = createCaller()
      let timers = 0
      const timer = (ms: number, fire: () => void): (() => void) => {
        timers++
        return clock.timer(ms, fire)
      }
      const counted = await countObjects(async () => {
        const running = limitTo(500, signal, () => answerAfter(turns), timer, clock)
        expect(await running).toBe('there')
        await settle()
      })
      expect([counted, timers, listening()]).toEqual([{ controllers: 0, timers: 0 }, 0, 0])
    },
  )

  it('makes one timer of a call that waits, and leaves it when the answer is there', async () => {
    const clock = createTestClock()
    const { signal, listening } = createCaller()
    let answer = (_: string): void => {}
    const fn = (): Promise<string> =>
      new Promise((resolve) => {
        answer = resolve
      })
    const running = limitTo(500, signal, fn, clock.timer, clock)
    await clock.run(499)
    expect([clock.waiting(), listening()]).toEqual([1, 1])
    answer('there')
    expect(await running).toBe('there')
    expect([clock.waiting(), listening()]).toEqual([0, 0])
  })

  it('leaves no timer of a call that fails', async () => {
    const clock = createTestClock()
    const { signal, listening } = createCaller()
    const fn = async (): Promise<never> => {
      await new Promise<void>((resolve) => void clock.timer(5, resolve))
      throw 'broken'
    }
    const running = outcomeOf(limitTo(500, signal, fn, clock.timer, clock))
    await clock.run(5)
    expect([await running, clock.waiting(), listening()]).toEqual([{ error: 'broken' }, 0, 0])
  })

  it('counts its time from the beginning of the call, not of the timer', async () => {
    const clock = createTestClock()
    const fn = (): Promise<never> => {
      clock.block(200)
      return hang()
    }
    const running = outcomeOf(limitTo(500, undefined, fn, clock.timer, clock))
    await clock.run(299)
    expect(clock.waiting()).toBe(1)
    await clock.run(1)
    expect([await running, clock.waiting()]).toEqual([{ error: 'late' }, 0])
    expect(clock() - clock.start).toBe(500)
  })

  it('gives up a call that never reads its signal', async () => {
    const clock = createTestClock()
    const running = outcomeOf(limitTo(500, undefined, hang, clock.timer, clock))
    await clock.run(499)
    expect(clock.waiting()).toBe(1)
    await clock.run(1)
    expect([await running, clock.waiting()]).toEqual([{ error: 'late' }, 0])
  })

  it('ends a call that nobody answers when its caller goes, whether or not it read its signal', async () => {
    for (const fn of [hang, (call: LazyCall) => call.signal && hang()]) {
      const clock = createTestClock()
      const { caller, signal, listening } = createCaller()
      const running = outcomeOf(limitTo(500, signal, fn, clock.timer, clock))
      await clock.run(100)
      caller.abort('gone')
      expect([await running, clock.waiting(), listening()]).toEqual([{ error: 'gone' }, 0, 0])
    }
  })

  it('ends a call whose caller goes before the timer is there', async () => {
    const clock = createTestClock()
    const { caller, signal, listening } = createCaller()
    const running = outcomeOf(limitTo(500, signal, hang, clock.timer, clock))
    caller.abort('gone')
    expect([await running, clock.waiting(), listening()]).toEqual([{ error: 'gone' }, 0, 0])
  })

  it('rejects with the error of a timer that throws', async () => {
    const timer = (): never => {
      throw 'no timer'
    }
    expect(await outcomeOf(limitTo(500, undefined, hang, timer))).toEqual({
      error: 'no timer',
    })
  })

  it('rejects once, however the call ends after its time', async () => {
    const clock = createTestClock()
    let fail = (_: unknown): void => {}
    const fn = (): Promise<never> =>
      new Promise((_, reject) => {
        fail = reject
      })
    const running = outcomeOf(limitTo(500, undefined, fn, clock.timer, clock))
    await clock.run(500)
    fail('much later')
    await settle()
    expect(await running).toEqual({ error: 'late' })
  })
})

describe('the signal of a call', () => {
  /** A call that nobody answers, limited to 500 ms. */
  function start(fn: (call: LazyCall) => unknown = () => {}, signal?: AbortSignal) {
    const clock = createTestClock()
    let call: LazyCall | undefined
    const running = outcomeOf(
      limitTo(
        500,
        signal,
        (given) => {
          call = given
          fn(given)
          return hang()
        },
        clock.timer,
        clock,
      ),
    )
    return { call: call!, clock, running }
  }

  it('is one AbortController, made when somebody reads it', async () => {
    const counts = await countObjects(async () => {
      const { call } = start()
      expect(call.signal).toBe(call.signal)
      expect(call.signal.aborted).toBe(false)
    })
    expect(counts.controllers).toBe(1)
  })

  it('is aborted with the error of the time limit at its moment, in copies of the call too', async () => {
    const copies: { signal: AbortSignal }[] = []
    const { call, clock, running } = start((given) => copies.push({ ...given }))
    await clock.run(499)
    expect(copies[0]?.signal.aborted).toBe(false)
    await clock.run(1)
    expect(await running).toEqual({ error: 'late' })
    expect(copies[0]?.signal).toBe(call.signal)
    expect([call.signal.aborted, call.signal.reason]).toEqual([true, 'late'])
  })

  it('is aborted already where it is read after its time', async () => {
    const { call, clock, running } = start()
    await clock.run(500)
    await running
    expect([call.signal.aborted, call.signal.reason]).toEqual([true, 'late'])
  })

  it('follows the caller from the moment on at which it is read', async () => {
    const { caller, signal } = createCaller()
    const { call } = start(({ signal: own }) => own, signal)
    caller.abort('gone')
    expect([call.signal.aborted, call.signal.reason]).toEqual([true, 'gone'])
    const other = createCaller()
    const later = start(() => other.caller.abort('gone'), other.signal)
    expect([later.call.signal.aborted, later.call.signal.reason]).toEqual([true, 'gone'])
    expect(await later.running).toEqual({ error: 'gone' })
  })

  it('is not aborted by an answer, and leaves nothing behind where it is read after one', async () => {
    for (const answer of [async () => 'there', () => Promise.reject('broken')]) {
      const clock = createTestClock()
      const { signal, listening } = createCaller()
      let call: LazyCall | undefined
      const fn = (given: LazyCall): Promise<string> => {
        call = given
        return answer()
      }
      await outcomeOf(limitTo(500, signal, fn, clock.timer, clock))
      expect(call?.signal.aborted).toBe(false)
      await settle()
      expect([call?.signal.aborted, clock.waiting(), listening()]).toEqual([false, 0, 0])
    }
  })

  it("is the caller's own where it is read after the caller has gone", async () => {
    const { caller, signal } = createCaller()
    const [call] = await limitTo(500, signal, async (given) => [given] as const)
    caller.abort('gone')
    expect([call.signal.aborted, call.signal.reason]).toEqual([true, 'gone'])
  })
})

describe('LazyCall.throwIfOver()', () => {
  it('throws the reason of a call that is over, and makes no signal to find out', async () => {
    const clock = createTestClock()
    const store = createMemoryStore()
    const outcomes: unknown[] = []
    const fn = async (call: LazyCall): Promise<void> => {
      outcomes.push(await outcomeOf(store.read('id', call)))
      await new Promise<void>((resolve) => void clock.timer(600, resolve))
      outcomes.push(await outcomeOf(store.read('id', call)))
      outcomes.push(await outcomeOf(store.end('id', call)))
    }
    const counted = await countObjects(async () => {
      const running = outcomeOf(limitTo(500, undefined, fn, clock.timer, clock))
      await clock.run(600)
      await running
    })
    const over = { error: 'late' }
    expect(outcomes).toEqual([{ value: null }, over, over])
    // The one that is aborted when the time is over.
    expect(counted.controllers).toBe(1)
  })

  it('throws the reason of any other signal', () => {
    expect(() => LazyCall.throwIfOver({ signal: AbortSignal.abort(new Error('gone')) })).toThrow(
      'gone',
    )
    LazyCall.throwIfOver({ signal: new AbortController().signal })
    LazyCall.throwIfOver({})
    LazyCall.throwIfOver(undefined)
  })
})
