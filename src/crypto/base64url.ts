/** Base64url without padding (RFC 4648, 5), strict: one text per byte string and no other. */

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const INVALID = 255

interface NativeBase64 {
  toBase64(options: { alphabet: 'base64url'; omitPadding: true }): string
}
interface NativeBase64Constructor {
  fromBase64(text: string, options: { alphabet: 'base64url' }): Uint8Array<ArrayBuffer>
}

// Node 24 has neither method.
const hasNative = 'fromBase64' in Uint8Array
const encoder = new TextEncoder()
const decoder = new TextDecoder()
const codes: Uint8Array<ArrayBuffer> = encoder.encode(ALPHABET)
const values: Uint8Array<ArrayBuffer> = new Uint8Array(256).fill(INVALID)
codes.forEach((code, value) => {
  values[code] = value
})

/** Encodes bytes with whatever is fastest here. */
export function encodeBase64url(bytes: Uint8Array): string {
  return hasNative
    ? (bytes as unknown as NativeBase64).toBase64({ alphabet: 'base64url', omitPadding: true })
    : encodeWithTable(bytes)
}

/** Decodes, or returns `null` for anything that {@link encodeBase64url} cannot have written. */
export function decodeBase64url(text: string): Uint8Array<ArrayBuffer> | null {
  // 6 spare bits are no byte; unused bits must be zero, or two texts would mean the same bytes.
  const spare = (text.length * 6) % 8
  if (spare === 6) return null
  if (spare && (values[text.charCodeAt(text.length - 1)] ?? 0) & ((1 << spare) - 1)) return null
  if (!hasNative) return decodeWithTable(text)
  return /^[\w-]*$/.test(text)
    ? (Uint8Array as unknown as NativeBase64Constructor).fromBase64(text, { alphabet: 'base64url' })
    : null
}

export function encodeWithTable(bytes: Uint8Array): string {
  const out = new Uint8Array(Math.ceil((bytes.length * 4) / 3))
  for (let i = 0, at = 0; i < bytes.length; i += 3) {
    const n = (bytes[i]! << 16) | (bytes[i + 1]! << 8) | bytes[i + 2]!
    // What lies past the end reads as 0 and is dropped when it is written.
    out[at++] = codes[n >> 18]!
    out[at++] = codes[(n >> 12) & 63]!
    out[at++] = codes[(n >> 6) & 63]!
    out[at++] = codes[n & 63]!
  }
  return decoder.decode(out)
}

export function decodeWithTable(text: string): Uint8Array<ArrayBuffer> | null {
  const groups = Math.ceil(text.length / 4)
  const from = new Uint8Array(groups * 4).fill(codes[0]!)
  // Anything beyond ASCII takes more bytes than characters, or does not fit at all.
  if (encoder.encodeInto(text, from).written !== text.length) return null
  const out = new Uint8Array(groups * 3)
  let seen = 0
  for (let i = 0, at = 0; i < from.length; i += 4) {
    const a = values[from[i]!]!
    const b = values[from[i + 1]!]!
    const c = values[from[i + 2]!]!
    const d = values[from[i + 3]!]!
    seen |= a | b | c | d
    out[at++] = (a << 2) | (b >> 4)
    out[at++] = (b << 4) | (c >> 2)
    out[at++] = (c << 6) | d
  }
  return seen === (seen & 63) ? out.subarray(0, Math.floor((text.length * 3) / 4)) : null
}
