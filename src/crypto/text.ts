/** Text to bytes and back (UTF-8). */

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export function encodeText(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text)
}

export function decodeText(bytes: Uint8Array | ArrayBuffer): string {
  return decoder.decode(bytes)
}

/** Puts text behind room for a header of so many bytes. */
export function layOut(room: number, text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(room + text.length)
  // Most of it is ASCII, and calling an encoder costs more than a short loop.
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code > 127) return encodeText('\0'.repeat(room) + text)
    bytes[room + i] = code
  }
  return bytes
}
