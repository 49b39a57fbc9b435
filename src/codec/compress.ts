/** Makes stored values smaller, and never larger on the way back than they may be. */

/** Bytes after which inflating stops, and that are not deflated: hardly a session is as large. */
export const MAX_BYTES: number = 8 * 1024 * 1024

type Bytes = Uint8Array<ArrayBuffer>

/** First byte of what is deflated: no record begins so. */
export const DEFLATED = 8

/** Deflates bytes, where that makes them smaller. The result then begins with {@link DEFLATED}. */
export async function shrink(bytes: Bytes): Promise<Bytes> {
  if (bytes.length >= MAX_BYTES) return bytes
  const small = await deflate(bytes)
  return small.length < bytes.length - 1 ? prefixed(DEFLATED, small) : bytes
}

/** Returns what {@link shrink} has deflated; `null` when that cannot be told. */
export function expand(bytes: Bytes): Promise<Bytes | null> {
  return inflate(bytes.subarray(1)).catch(() => null)
}

/** Returns the bytes behind a first one. */
export function prefixed(first: number, bytes: Bytes): Bytes {
  const whole = new Uint8Array(bytes.length + 1)
  whole[0] = first
  whole.set(bytes, 1)
  return whole
}

/** Deflates bytes (RFC 1951). */
export async function deflate(bytes: Bytes): Promise<Bytes> {
  // Not by its global name: Next's edge runtime has none, and its bundler refuses to see one.
  const { CompressionStream } = globalThis
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream('deflate-raw'))
  return new Uint8Array(await new Response(stream).arrayBuffer())
}

/** Inflates bytes; rejects when they are damaged, or grow over the limit. */
export async function inflate(bytes: Bytes): Promise<Bytes> {
  const { DecompressionStream } = globalThis
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate-raw'))
  const parts: Bytes[] = []
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
    parts.push(value as Bytes)
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer())
}
