/**
 * WebCrypto for a world that never ends up in another thread: it answers at once, and draws its
 * random bytes from a seed. It hides nothing, but a text opens only with the key, nonce and additional
 * data that it was sealed with, which is what a simulation needs of it.
 */

interface FakeKey {
  readonly raw: Uint8Array
  /** It is the public key of a device. */
  readonly isPublic?: boolean
}

interface Algorithm {
  readonly name: string
  readonly iv?: BufferSource
  readonly salt?: BufferSource
  readonly info?: BufferSource
  readonly additionalData?: BufferSource
}

const HASH_BYTES = 16
const NOTHING = new Uint8Array()

const bytesOf = (source: BufferSource | undefined): Uint8Array => {
  if (!source) return NOTHING
  return ArrayBuffer.isView(source)
    ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength)
    : new Uint8Array(source)
}

/** 128 bits of all parts, each with its length; no cryptographic hash. */
function hash(...parts: readonly Uint8Array[]): Uint8Array {
  let [a, b, c, d] = [0x9e3779b9, 0x243f6a88, 0xb7e15162, 0xdeadbeef]
  for (const part of parts) {
    a ^= part.length
    for (let i = 0; i < part.length; i++) {
      const byte = part[i]!
      a = Math.imul(a ^ byte, 0x01000193)
      b = Math.imul(b + byte, 0x85ebca6b) ^ (a >>> 13)
      c = Math.imul(c ^ (byte + i), 0xc2b2ae35)
      d = (d + Math.imul(b ^ c, 0x27d4eb2f)) | 0
    }
  }
  const result = new Uint8Array(HASH_BYTES)
  const view = new DataView(result.buffer)
  for (const [i, lane] of [a, b, c, d].entries()) {
    const mixed = Math.imul(lane ^ (lane >>> 16) ^ a, 0x85ebca6b)
    view.setUint32(4 * i, mixed ^ (mixed >>> 13) ^ d)
  }
  return result
}

function expand(length: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const result = new Uint8Array(length)
  for (let at = 0; at < length; at += HASH_BYTES) {
    result.set(hash(Uint8Array.of(at), ...parts).subarray(0, length - at), at)
  }
  return result
}

function joined(first: Uint8Array, second: Uint8Array): ArrayBuffer {
  const result = new Uint8Array(first.length + second.length)
  result.set(first)
  result.set(second, first.length)
  return result.buffer
}

const tagOf = ({ iv, additionalData }: Algorithm, { raw }: FakeKey, data: Uint8Array): Uint8Array =>
  hash(raw, bytesOf(iv), bytesOf(additionalData), data)

function decrypt(algorithm: Algorithm, key: FakeKey, sealed: Uint8Array): ArrayBuffer {
  const end = sealed.length - HASH_BYTES
  if (end < 0) throw new DOMException('Too short', 'OperationError')
  const data = sealed.slice(0, end)
  if (isSame(tagOf(algorithm, key, data), sealed.subarray(end))) return data.buffer
  throw new DOMException('Does not open', 'OperationError')
}

const isSame = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i])

const derive = ({ salt, info }: Algorithm, { raw }: FakeKey, bits: number): Uint8Array =>
  expand(bits / 8, raw, bytesOf(salt), bytesOf(info))

const sign = ({ raw }: FakeKey, data: BufferSource): Uint8Array => expand(32, raw, bytesOf(data))

const encoder = new TextEncoder()

/** Imports the public key of a device, which is its point and nothing else. */
const importPoint = ({ x, y }: JsonWebKey): FakeKey => ({
  raw: encoder.encode(`${x}.${y}`),
  isPublic: true,
})

/** The signature of the device that has the public key `x.y`: whoever knows that can sign, and nobody here tries. */
export function signAs(key: string, text: string): Uint8Array {
  return expand(64, encoder.encode(key), encoder.encode(text))
}

/** What Sojourn uses of WebCrypto. `random`: from 0 (inclusive) to 1 (exclusive). */
export function createFakeCrypto(random: () => number): Crypto {
  const subtle = {
    importKey: async (format: string, raw: BufferSource | JsonWebKey): Promise<FakeKey> =>
      format === 'jwk'
        ? importPoint(raw as JsonWebKey)
        : { raw: bytesOf(raw as BufferSource).slice() },
    deriveBits: async (algorithm: Algorithm, key: FakeKey, bits: number) =>
      derive(algorithm, key, bits).buffer,
    deriveKey: async (algorithm: Algorithm, key: FakeKey) => ({ raw: derive(algorithm, key, 256) }),
    digest: async (_: string, data: BufferSource) => expand(32, bytesOf(data)).buffer,
    encrypt: async (algorithm: Algorithm, key: FakeKey, data: BufferSource) =>
      algorithm.name === 'AES-CBC'
        ? expand(32, key.raw, bytesOf(algorithm.iv), bytesOf(data)).buffer
        : joined(bytesOf(data), tagOf(algorithm, key, bytesOf(data))),
    decrypt: async (algorithm: Algorithm, key: FakeKey, data: BufferSource) =>
      decrypt(algorithm, key, bytesOf(data)),
    sign: async (_: string, key: FakeKey, data: BufferSource) => sign(key, data).buffer,
    verify: async (_: string, key: FakeKey, tag: BufferSource, data: BufferSource) =>
      isSame(key.isPublic ? expand(64, key.raw, bytesOf(data)) : sign(key, data), bytesOf(tag)),
  }
  return {
    subtle,
    getRandomValues<T extends ArrayBufferView>(array: T): T {
      const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
      for (let i = 0; i < bytes.length; i++) bytes[i] = Math.floor(random() * 256)
      return array
    },
  } as unknown as Crypto
}
