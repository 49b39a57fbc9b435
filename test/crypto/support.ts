/** What the crypto tests share. */

export function fromHex(hex: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
}

export function toHex(bytes: ArrayBuffer | Uint8Array): string {
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, '0')).join('')
}

export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text)
}

/** Random bytes of any length; WebCrypto gives 65,536 at a time. */
export function randomBytes(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i += 65_536) crypto.getRandomValues(bytes.subarray(i, i + 65_536))
  return bytes
}

/** Every copy of `bytes` with one bit flipped. */
export function* flips(bytes: Uint8Array<ArrayBuffer>): Generator<Uint8Array<ArrayBuffer>> {
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const copy = bytes.slice()
    copy[bit >> 3]! ^= 1 << (bit & 7)
    yield copy
  }
}

const METHODS = [
  'decrypt',
  'deriveBits',
  'deriveKey',
  'digest',
  'encrypt',
  'exportKey',
  'generateKey',
  'importKey',
  'sign',
  'unwrapKey',
  'verify',
  'wrapKey',
] as const

type AnyMethod = (...args: unknown[]) => unknown

/** Runs `fn` and names every call it makes to WebCrypto, in order. */
export async function subtleCalls(fn: () => unknown): Promise<string[]> {
  const prototype = Object.getPrototypeOf(crypto.subtle) as Record<string, AnyMethod>
  const calls: string[] = []
  const originals = METHODS.map((name) => [name, prototype[name]!] as const)
  for (const [name, original] of originals) {
    prototype[name] = function (this: SubtleCrypto, ...args) {
      calls.push(name)
      return original.apply(this, args)
    }
  }
  try {
    await fn()
  } finally {
    for (const [name, original] of originals) prototype[name] = original
  }
  return calls
}
