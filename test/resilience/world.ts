import type { RetryPolicy } from '../../src/resilience/retry.ts'

/** A clock with timers that fire only when it is moved. */
export interface TestClock {
  (): number
  readonly start: number
  /** Lets what is due within `ms` happen, in order. */
  run(ms: number): Promise<void>
  /** Moves it while nothing happens, as when the event loop is blocked; what was due meanwhile is late. */
  block(ms: number): void
  /** Whether somebody is moving it. */
  moving(): boolean
  /** Timers that are still set. */
  waiting(): number
  timer(ms: number, fire: () => void): () => void
}

/** Lets promises settle that settle without time passing. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve()
}

export function createTestClock(start = 1_767_225_600_000): TestClock {
  let time = start
  let movers = 0
  const timers = new Set<{ at: number; fire: () => void }>()

  function timer(ms: number, fire: () => void): () => void {
    const entry = { at: time + ms, fire }
    timers.add(entry)
    return () => void timers.delete(entry)
  }

  async function run(ms: number): Promise<void> {
    const end = time + ms
    movers++
    for (;;) {
      await settle()
      const [next] = [...timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)
      if (!next) break
      time = Math.max(time, next.at)
      timers.delete(next)
      next.fire()
    }
    time = end
    await settle()
    movers--
  }

  return Object.assign(() => time, {
    start,
    run,
    block: (ms: number) => {
      time += ms
    },
    moving: () => movers > 0,
    waiting: () => timers.size,
    timer,
  })
}

/**
 * Everything that a policy needs of the outside: a clock, chance that is always one half, and a
 * sleep that notes the delay, and moves the clock by it unless the test is doing so.
 */
export function createWorld() {
  const clock = createTestClock()
  const delays: number[] = []
  async function sleep(ms: number, signal: AbortSignal): Promise<void> {
    delays.push(ms)
    const woken = new Promise<void>((resolve) => {
      const cancel = clock.timer(ms, resolve)
      signal.addEventListener('abort', cancel)
    })
    if (!clock.moving()) await clock.run(ms)
    await woken
  }
  const options: RetryPolicy = {
    now: clock,
    random: () => 0.5,
    timer: (ms, fire) => clock.timer(ms, fire),
    sleep,
  }
  return { clock, delays, options }
}

export async function outcomeOf<T>(promise: Promise<T>): Promise<{ value?: T; error?: unknown }> {
  return await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  )
}
