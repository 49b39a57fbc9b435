import { decodeBase64, toBytes } from './bytes.ts'

/** Tells whether `signature` (base64) is the HMAC of `text` under one of the secrets. */
export async function isSigned(
  text: string,
  signature: string,
  secrets: readonly string[],
  hash: string,
): Promise<boolean> {
  const bytes = decodeBase64(signature)
  if (!bytes) return false
  for (const secret of secrets) {
    const algorithm = { name: 'HMAC', hash }
    const key = await crypto.subtle.importKey('raw', toBytes(secret), algorithm, false, ['verify'])
    // Compares in constant time.
    if (await crypto.subtle.verify('HMAC', key, bytes, toBytes(text))) return true
  }
  return false
}
