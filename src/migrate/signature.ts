import { decodeBase64url } from '../crypto/base64url.ts'
import { encodeText } from '../crypto/text.ts'

/** Tells whether `signature` (base64) is the HMAC of `text` under one of the secrets. */
export async function isSigned(
  text: string,
  signature: string,
  secrets: readonly string[],
  hash: string,
): Promise<boolean> {
  const bytes = decodeBase64(signature)
  if (!bytes) return false
  const { subtle } = crypto
  for (const secret of secrets) {
    const raw = encodeText(secret)
    const key = await subtle.importKey('raw', raw, { name: 'HMAC', hash }, false, ['verify'])
    // Compares in constant time.
    if (await subtle.verify('HMAC', key, bytes, encodeText(text))) return true
  }
  return false
}

/** Decodes base64 of either alphabet, padded or not. */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> | null {
  return decodeBase64url(
    text
      .replace(/={1,2}$/, '')
      .replaceAll('+', '-')
      .replaceAll('/', '_'),
  )
}
