/**
 * Makes a call of a platform or a driver that knows no signals: an abort ends the wait at once, and rejects with
 * its reason.
 *
 * @param toError Makes the error of ours for what the call rejected with.
 */
export async function abortable<T>(
  signal: AbortSignal | undefined,
  run: () => Promise<T>,
  toError: (error: unknown) => unknown,
): Promise<T> {
  signal?.throwIfAborted()
  let abort = (): void => {}
  const aborted = new Promise<never>((_, reject) => {
    abort = (): void => reject(signal!.reason)
    signal?.addEventListener('abort', abort)
  })
  try {
    return await Promise.race([run(), aborted])
  } catch (error) {
    signal?.throwIfAborted()
    throw toError(error)
  } finally {
    signal?.removeEventListener('abort', abort)
  }
}
