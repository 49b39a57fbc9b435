/** A clock that moves only when told to. Call it to read it: it fits every `now` option. */
export interface Clock {
  /** The current time in epoch milliseconds. */
  (): number
  /** Moves on by seconds; negative goes back. Returns the new time. */
  advance(seconds: number): number
  /** Moves on by milliseconds; negative goes back. Returns the new time. */
  advanceMs(ms: number): number
  /** Jumps to this epoch millisecond. Returns the new time. */
  set(ms: number): number
  /** Resolves once the clock has moved on by `ms`, or rejects with the signal's reason. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

interface Sleeper {
  readonly until: number
  readonly wake: () => void
}

/** 2026-01-01T00:00:00Z: a date that a reader of a failing test recognises. */
const START = 1_767_225_600_000

/**
 * Makes a clock that stands still until it is moved.
 *
 * @param start Epoch milliseconds. (default: 2026-01-01T00:00:00Z)
 * @throws TypeError when `start`, or what the clock is moved by, is not a finite number.
 *
 * @example
 * const clock = createClock()
 * const sessions = createSessions({ secret, now: clock })
 * clock.advance(3600) // an hour later
 */
export function createClock(start: number = START): Clock {
  let time = finite(start)
  const sleepers = new Set<Sleeper>()

  function set(ms: number): number {
    time = finite(ms)
    const due = [...sleepers].filter(({ until }) => until <= time)
    for (const { wake } of due.sort((a, b) => a.until - b.until)) wake()
    return time
  }

  function sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      if (ms <= 0) return resolve()
      const settle = (then: () => void): void => {
        sleepers.delete(sleeper)
        signal?.removeEventListener('abort', abort)
        then()
      }
      const abort = (): void => settle(() => reject(signal?.reason))
      const sleeper: Sleeper = { until: time + finite(ms), wake: () => settle(resolve) }
      sleepers.add(sleeper)
      signal?.addEventListener('abort', abort)
    })
  }

  return Object.assign((): number => time, {
    advance: (seconds: number): number => set(time + finite(seconds) * 1000),
    advanceMs: (ms: number): number => set(time + finite(ms)),
    set,
    sleep,
  })
}

function finite(value: number): number {
  if (Number.isFinite(value)) return value
  throw new TypeError(`createClock: a time must be a finite number, got ${typeof value}`)
}
