/** Time limits. Leaf: imports nothing, has no state, leaves no timer behind. */

/** Calls `fire` after `ms` milliseconds, unless what it returns is called before. */
export type Timer = (ms: number, fire: () => void) => () => void

/** Timers take no more: 2^31 - 1 milliseconds, 24 days. */
export const MAX_MS = 2_147_483_647

/** The timer of the runtime. */
export const startTimer: Timer = (ms, fire) => {
  const timer = setTimeout(fire, ms)
  return () => clearTimeout(timer)
}

/**
 * Runs `fn` for at most `ms` milliseconds, and no longer than `parent` lets it. Settles as `fn`
 * does, or rejects the moment its time is over with what `late` makes, or with `parent`'s reason.
 *
 * `fn` learns it from its signal. What it does after that is nobody's unhandled rejection.
 */
export function within<T>(
  ms: number,
  parent: AbortSignal | undefined,
  late: () => unknown,
  fn: (signal: AbortSignal) => Promise<T>,
  timer: Timer = startTimer,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const controller = new AbortController()
    const cancel = timer(ms, () => stop(late()))
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
      running.finally(end).then(resolve, reject)
    }
  })
}
