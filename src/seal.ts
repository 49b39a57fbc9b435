/**
 * Sealed values: what a user carries away and brings back, in a link or a form, without being able
 * to read or change it. Magic links, invitations, the state of an OAuth flow.
 *
 * @module
 * @example
 * import { createSealer } from 'sojourn/seal'
 *
 * const sealer = createSealer({ secret: env.SESSION_SECRET })
 * const token = await sealer.seal({ email }, { purpose: 'magic-link', ttl: 900 })
 * const link = await sealer.open<{ email: string }>(token, { purpose: 'magic-link' })
 */
import {
  applyRules,
  functionRule,
  LONE_SURROGATE,
  MAX_TIMEOUT,
  numberRule,
  type Rule,
  refuseUnless,
} from './check.ts'
import { copyJson, deepFreeze } from './codec/values.ts'
import { createKeyRing } from './crypto/keyring.ts'
import { decodeText, encodeText } from './crypto/text.ts'
import { openToken, sealToken } from './crypto/token.ts'
import { resolveSecrets } from './secret.ts'

/** Options for {@link createSealer}. */
export interface SealerOptions {
  /**
   * As for sessions: at least 32 bytes each, the first seals and all open. The same one may be used
   * for both; their keys differ. No event tells of a former one: once the longest `ttl` is over since the last deployment
   * that sealed with it, it opens nothing any more and may go.
   */
  secret: string | readonly [string, ...string[]] | undefined
  /** Epoch milliseconds. (default: Date.now) */
  now?: () => number
}

/** Seals and opens values. */
export interface Sealer {
  /**
   * Seals a JSON value as a token of URL-safe characters (base64url).
   *
   * @param options.purpose What it is for; it opens for nothing else. 1 to 200 characters.
   * @param options.ttl Seconds for which it opens.
   * @throws {@link SessionSerializationError} naming what would not survive JSON; TypeError or
   * RangeError for the options, and for a token of more than 65_536 characters.
   */
  seal(value: unknown, options: { purpose: string; ttl: number }): Promise<string>
  /**
   * The value, deeply frozen; `null` for whatever was not sealed for this purpose by one of the
   * secrets, or is too old. Never throws for the token. It opens as often as it is brought back: what
   * may happen once only has to be noted where it happens.
   */
  open<T = unknown>(token: string, options: { purpose: string }): Promise<T | null>
}

const MAX_TOKEN = 65_536
const PURPOSE: Rule = [
  null,
  'a well-formed string of 1 to 200 characters',
  (value: unknown) =>
    typeof value === 'string' && /^.{1,200}$/s.test(value) && !LONE_SURROGATE.test(value),
]

const RULES: Record<string, Rule> = {
  secret: [undefined, 'a string or a list of strings', () => true],
  now: functionRule(() => Date.now()),
}

const SEAL_RULES: Record<string, Rule> = { purpose: PURPOSE, ttl: numberRule(null, 1, MAX_TIMEOUT) }

const OPEN_RULES: Record<string, Rule> = { purpose: PURPOSE }

/**
 * Makes what seals values, under keys of its own derived from the secrets. Pure: no I/O before the
 * first call.
 *
 * @throws TypeError or RangeError naming the option that is wrong.
 */
export function createSealer(options: SealerOptions): Sealer {
  const { secret, now } = applyRules<Required<SealerOptions>>('', RULES, options)
  const ring = createKeyRing(resolveSecrets(secret), 'seal')
  return {
    async seal(value, given) {
      const { purpose, ttl } = applyRules<{ purpose: string; ttl: number }>('', SEAL_RULES, given)
      const text = JSON.stringify([now() + 1000 * ttl, copyJson(value, 'value')])
      const token = await sealToken(ring, `seal:${purpose}`, encodeText(text), now())
      refuseUnless(token.length <= MAX_TOKEN, 'value', 'under 48 KB', token.length, RangeError)
      return token
    },
    async open<T>(token: string, given: { purpose: string }): Promise<T | null> {
      const { purpose } = applyRules<{ purpose: string }>('', OPEN_RULES, given)
      if (typeof token !== 'string' || token.length > MAX_TOKEN) return null
      const bytes = await openToken(ring, `seal:${purpose}`, token, now())
      if (!bytes) return null
      const [until, value]: [number, T] = JSON.parse(decodeText(bytes))
      return now() < until ? deepFreeze(value) : null
    },
  }
}
