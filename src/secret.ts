import { argumentKind, refuseUnless } from './check.ts'
import { randomText } from './crypto/base64url.ts'
import { encodeText } from './crypto/text.ts'

/** Makes a secret for {@link SessionsOptions.secret}: 32 random bytes as base64url. */
export function generateSecret(): string {
  return randomText(32)
}

export const MIN_SECRET_BYTES = 32
/** Texts that examples and documents print, ours among them: everybody can read them there. */
const PRINTED =
  /(change|replace).?(me|this)|your.?secret|placeholder|this text|tests only|at.least/i

/**
 * Explains why a secret of sufficient length can be guessed, or returns `undefined`. Periods over half of the
 * least length are let pass: a text that ends as it begins is no repetition.
 */
export function weaknessOf(secret: string): string | undefined {
  if (PRINTED.test(secret)) return 'printed in examples'
  for (let period = 1; period <= MIN_SECRET_BYTES / 2; period++) {
    if (secret.startsWith(secret.slice(period))) return 'a repetition'
  }
  return new Set(secret).size < 8 ? 'a repetition' : undefined
}

/** Throws in a browser, where the secret would be everybody's. */
export function assertServer(): void {
  // Tests on a server may have a document too: that of jsdom or happy-dom.
  const { document, navigator } = globalThis as { document?: unknown; navigator?: Navigator }
  if (!document || /jsdom|HappyDOM/.test(navigator?.userAgent ?? '')) return
  throw new TypeError(
    'Sessions run on servers only: never put the secret into the browser, import them in server code',
  )
}

/**
 * Checks the secrets: the first seals, all open. Says how to make one, and shows none. White space around a
 * secret is no part of it: a file ends with a line feed, a variable made of it does not.
 */
export function resolveSecrets(secret: string | readonly string[] | undefined): readonly string[] {
  assertServer()
  const secrets = [secret as string | readonly string[]]
    .flat()
    .map((one) => (typeof one === 'string' ? one.trim() : one))
  const rule = `${MIN_SECRET_BYTES} random bytes or more, or a list whose first seals; make one with generateSecret() or "openssl rand -base64 32"`
  refuseUnless(secrets.length > 0, 'secret', rule, secret)
  for (const [i, one] of secrets.entries()) {
    const isText = typeof one === 'string'
    const length = isText ? encodeText(one).length : 0
    const weakness = length < MIN_SECRET_BYTES ? `${length} bytes` : weaknessOf(one)
    if (!weakness) continue
    const Kind = isText ? RangeError : TypeError
    // Its type, and nothing more: a number may be one that was meant to be secret.
    const got = one ? (isText ? weakness : argumentKind(one)) : 'none: is its variable set?'
    const name = secrets.length > 1 ? `secret[${i}]` : 'secret'
    throw new Kind(`Option "${name}" must be ${rule}, got ${got}`)
  }
  return secrets
}
