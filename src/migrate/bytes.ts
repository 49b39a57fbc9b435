import { decodeBase64url } from '../crypto/base64url.ts'

/** Decodes base64 of either alphabet, padded or not. */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> | null {
  return decodeBase64url(
    text
      .replace(/={1,2}$/, '')
      .replaceAll('+', '-')
      .replaceAll('/', '_'),
  )
}
