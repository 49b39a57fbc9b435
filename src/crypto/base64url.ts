/** Base64url without padding (RFC 4648, 5), strict: one text per byte string and no other. */
import { decodeText, encodeText } from './text.ts'

/** The digits, in the order of their values. */
export const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const INVALID = 255

const codes = encodeText(ALPHABET)
const values: Uint8Array<ArrayBuffer> = new Uint8Array(256).fill(INVALID)
codes.forEach((code, value) => {
  values[code] = value
})

/** Characters up to which joining them takes less time than calling a decoder: ids, nonces, tags. */
const SHORT = 64

/** Encodes bytes. With a table: Node 24 has no `toBase64`, and `btoa` takes three times as long. */
export function encodeBase64url(bytes: Uint8Array): string {
  const out = new Uint8Array(Math.ceil((bytes.length * 4) / 3))
  for (let i = 0, at = 0; i < bytes.length; i += 3) {
    const n = (bytes[i]! << 16) | (bytes[i + 1]! << 8) | bytes[i + 2]!
    // What lies past the end reads as 0 and is dropped when it is written.
    out[at++] = codes[n >> 18]!
    out[at++] = codes[(n >> 12) & 63]!
    out[at++] = codes[(n >> 6) & 63]!
    out[at++] = codes[n & 63]!
  }
  // Spread, they would be iterated one by one.
  return out.length <= SHORT ? Reflect.apply(String.fromCharCode, null, out) : decodeText(out)
}

/** Draws so many random bytes, as base64url. */
export function randomText(bytes: number): string {
  return encodeBase64url(crypto.getRandomValues(new Uint8Array(bytes)))
}

/** Decodes, or returns `null` for anything that {@link encodeBase64url} cannot have written. */
export function decodeBase64url(text: string): Uint8Array<ArrayBuffer> | null {
  // 6 spare bits are no byte; unused bits must be zero, or two texts would mean the same bytes.
  const spare = (text.length * 6) % 8
  if (spare === 6) return null
  if (spare && (values[text.charCodeAt(text.length - 1)] ?? 0) & ((1 << spare) - 1)) return null
  const from = text.padEnd(Math.ceil(text.length / 4) * 4, 'A')
  const out = new Uint8Array((from.length / 4) * 3)
  let seen = 0
  for (let i = 0, at = 0; i < from.length; i += 4) {
    const a = values[from.charCodeAt(i)] ?? INVALID
    const b = values[from.charCodeAt(i + 1)] ?? INVALID
    const c = values[from.charCodeAt(i + 2)] ?? INVALID
    const d = values[from.charCodeAt(i + 3)] ?? INVALID
    seen |= a | b | c | d
    out[at++] = (a << 2) | (b >> 4)
    out[at++] = (b << 4) | (c >> 2)
    out[at++] = (c << 6) | d
  }
  return seen === (seen & 63) ? out.subarray(0, Math.floor((text.length * 3) / 4)) : null
}
