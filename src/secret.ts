import { refuseUnless } from './check.ts'
import { encodeBase64url } from './crypto/base64url.ts'

/** Makes a secret for {@link SessionsOptions.secret}: 32 random bytes as base64url. */
export function generateSecret(): string {
  return encodeBase64url(crypto.getRandomValues(new Uint8Array(32)))
}

const MIN_SECRET_BYTES = 32

/** Checks the secrets: the first seals, all open. Says how to make one, and shows none. */
export function resolveSecrets(secret: string | readonly string[]): readonly string[] {
  const secrets = [secret].flat()
  const rule = `at least one string of ${MIN_SECRET_BYTES} bytes or more, newest first; make one with generateSecret() or "openssl rand -base64 32"`
  refuseUnless(secrets.length > 0, 'secret', rule, secret)
  for (const one of secrets) {
    const isText = typeof one === 'string'
    const length = isText ? new TextEncoder().encode(one).length : 0
    if (length >= MIN_SECRET_BYTES) continue
    const Kind = isText ? RangeError : TypeError
    // Its type, and nothing more: a number may be one that was meant to be secret.
    const got = one ? (isText ? `${length} bytes` : typeof one) : 'none: is its variable set?'
    throw new Kind(`Option "secret" must be ${rule}, got ${got}`)
  }
  return secrets
}
