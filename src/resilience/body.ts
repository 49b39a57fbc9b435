/** Reads response bodies without trusting their size. */

/**
 * Reads a whole body, cancelling it when it is too large or when `signal` aborts.
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
): Promise<Uint8Array<ArrayBuffer> | null> {
  const reader = response.body?.getReader()
  if (!reader) return null
  // A cut or aborted stream refuses to be cancelled; there is nothing left to free then.
  const cancel = (): void => void reader.cancel().catch(() => {})
  signal.addEventListener('abort', cancel)
  try {
    const chunks: Uint8Array[] = []
    let size = 0
    for (;;) {
      const { done, value } = await reader.read()
      signal.throwIfAborted()
      if (done) return join(chunks, size)
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

function join(chunks: readonly Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size)
  let offset = 0
  for (const chunk of chunks) {
    bytes.set(chunk, offset)
    offset += chunk.byteLength
  }
  return bytes
}

/** Frees the connection of a response that nobody will read. */
export function discard(response: Response): void {
  response.body?.cancel().catch(() => {})
}
