import { encodeBase64url } from './crypto/base64url.ts'

/** Makes a secret for {@link SessionsOptions.secret}: 32 random bytes as base64url. */
export function generateSecret(): string {
  return encodeBase64url(crypto.getRandomValues(new Uint8Array(32)))
}
