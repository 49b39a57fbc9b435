/** Waits for `promise`, but no longer than until the signal is aborted; then rejects with its reason. */
export async function orAbort<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return await promise
  let abort = (): void => {}
  const aborted = new Promise<never>((_, reject) => {
    abort = (): void => reject(signal.reason)
    signal.addEventListener('abort', abort)
  })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
