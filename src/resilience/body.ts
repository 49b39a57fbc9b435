/** Reads response bodies without trusting their size. */

/**
 * Reads a body to its end, cancelling it when it is too large or when `signal` aborts.
 *
 * @param maxBytes Bytes accepted, after the runtime has decompressed them.
 * @param tooLarge Makes what it rejects with when there are more.
 * @returns `null` when the response has no body.
 */
export async function readBody(
  response: Response,
  maxBytes: number,
  signal: AbortSignal,
  tooLarge: () => unknown,
): Promise<Blob | null> {
  const reader = response.body?.getReader()
  if (!reader) return null
  // A cut or aborted stream refuses to be cancelled; there is nothing left to free then.
  const cancel = (): void => void reader.cancel().catch(() => {})
  signal.addEventListener('abort', cancel)
  try {
    const chunks: Uint8Array<ArrayBuffer>[] = []
    let size = 0
    for (;;) {
      const { done, value } = await reader.read()
      signal.throwIfAborted()
      if (done) return new Blob(chunks)
      chunks.push(value)
      size += value.byteLength
      if (size > maxBytes) throw tooLarge()
    }
  } catch (error) {
    cancel()
    throw error
  } finally {
    signal.removeEventListener('abort', cancel)
  }
}

/** Frees the connection of a response that nobody will read. */
export function discard(response: Response): void {
  response.body?.cancel().catch(() => {})
}
