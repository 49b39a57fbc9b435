/** Time limits. Leaf: imports nothing, has no state, leaves no timer behind. */

/** Calls `fire` after `ms` milliseconds, unless what it returns is called before. */
export type Timer = (ms: number, fire: () => void) => () => void

/** Timers take no more: 2^31 - 1 milliseconds, 24 days. */
export const MAX_MS = 2_147_483_647

/** A timer that is later than this found the event loop busy: what has arrived gets as long to be read. */
export const BUSY_MS = 10

/** The timer of the runtime. */
export const startTimer: Timer = (ms, fire) => {
  const timer = setTimeout(fire, ms)
  return () => clearTimeout(timer)
}

/** Waits `ms` milliseconds. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/**
 * Runs `fn` for at most `ms` milliseconds, and no longer than `parent` lets it. Settles as `fn`
 * does, or rejects the moment its time is over with what `late` makes, or with `parent`'s reason.
 *
 * An answer that arrived while the event loop was busy, past that moment, still wins.
 *
 * The signal tells `fn` that its time is over. What it does after that is nobody's unhandled rejection.
 *
 * @param late Is given how late the timer was, in milliseconds; 0 where it was on time.
 * @param now The clock that `timer` goes by, in milliseconds.
 */
export function within<T>(
  ms: number,
  parent: AbortSignal | undefined,
  late: (delay: number) => unknown,
  fn: (signal: AbortSignal) => Promise<T>,
  timer: Timer = startTimer,
  now: () => number = Date.now,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const controller = new AbortController()
    const due = now() + ms
    let cancel = timer(ms, () => {
      const delay = now() - due
      if (delay <= BUSY_MS) stop(late(0))
      else cancel = timer(BUSY_MS, () => stop(late(delay)))
    })
    const follow = (): void => stop(parent?.reason)
    function end(): void {
      cancel()
      parent?.removeEventListener('abort', follow)
    }
    function stop(reason: unknown): void {
      end()
      reject(reason)
      controller.abort(reason)
    }
    parent?.addEventListener('abort', follow)
    if (parent?.aborted) follow()
    else {
      const running = (async () => await fn(controller.signal))()
      running.then(
        (value) => {
          end()
          resolve(value)
        },
        (error) => {
          end()
          reject(error)
        },
      )
    }
  })
}
