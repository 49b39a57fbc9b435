/** Makes stored values smaller, and never larger on the way back than they may be. */

/** Bytes after which inflating stops, and that are not deflated: hardly a session is as large. */
export const MAX_BYTES: number = 8 * 1024 * 1024

/** Deflates bytes (RFC 1951). */
export async function deflate(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  // Not by its global name: Next's edge runtime has none, and its bundler refuses to see one.
  const { CompressionStream } = globalThis
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream('deflate-raw'))
  return new Uint8Array(await new Response(stream).arrayBuffer())
}

/** Inflates bytes; rejects when they are damaged, or grow over the limit. */
export async function inflate(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const { DecompressionStream } = globalThis
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate-raw'))
  const parts: Uint8Array<ArrayBuffer>[] = []
  let size = 0
  const reader = stream.getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    size += value.length
    if (size > MAX_BYTES) {
      await reader.cancel()
      throw new RangeError(`An inflated value is larger than ${MAX_BYTES} bytes`)
    }
    parts.push(value as Uint8Array<ArrayBuffer>)
  }
  const whole = new Uint8Array(size)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
