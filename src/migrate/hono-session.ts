import { functionRule } from '../check.ts'
import { decodeBase64url } from '../crypto/base64url.ts'
import { decodeText, encodeText } from '../crypto/text.ts'
import type { SessionData } from '../session/session.ts'
import {
  type CookieImporter,
  checkOptions,
  createImporter,
  type ImporterOptions,
  loadSession,
  nameRule,
  type OldData,
  parseObject,
  valuesOf,
} from './importer.ts'

/** Options for {@link fromHonoSession}. */
export interface HonoSessionOptions<D extends SessionData = SessionData>
  extends ImporterOptions<D> {
  /** As in @hono/session, or `AUTH_SECRET`: a text, 32 bytes, or a key for AES-GCM. */
  secret: string | Uint8Array<ArrayBuffer> | InstanceType<typeof CryptoKey>
  /** Only differs when its cookie functions were replaced. (default: `'sid'`) */
  name?: string
  /**
   * With `useSessionStorage`: what its `get` is. Returns the data, or `null` or `undefined` when
   * there are none; fails as that of `fromExpressSession`. (default: the data are in the cookie)
   */
  load?: (sid: string) => unknown
}

/** The only algorithms @hono/session writes (RFC 7518, 4.5 and 5.3). */
const isItsHeader = ({ alg, enc, crit, zip }: OldData): boolean =>
  alg === 'dir' && enc === 'A256GCM' && crit === undefined && zip === undefined

const isSecret = (value: unknown): boolean =>
  (typeof value === 'string' && value !== '') ||
  (value instanceof Uint8Array && value.length === 32) ||
  value instanceof CryptoKey

/**
 * Reads the cookies of @hono/session: JWE of `dir` and `A256GCM`.
 *
 * @throws TypeError naming the option that is wrong.
 *
 * @example
 * fromHonoSession({
 *   secret: env.AUTH_SECRET,
 *   toSession: ({ userId, ...data }) => ({ data, subject: userId ? String(userId) : null }),
 * })
 */
export function fromHonoSession<D extends SessionData = SessionData>(
  options: HonoSessionOptions<D>,
): CookieImporter<D> {
  const resolved = checkOptions<HonoSessionOptions<D>, 'name'>(options, {
    name: nameRule('sid'),
    secret: [null, 'a text, 32 bytes or a CryptoKey', isSecret],
    load: functionRule(),
  })
  const { name, secret, load } = resolved

  return createImporter<D>(resolved, async (cookies, now) => {
    const values = valuesOf(cookies, name)
    if (values.length === 0) return null
    const key = await importSecret(secret)
    for (const value of values) {
      const claims = await decrypt(value, key)
      const { sid, exp, iat, ...rest } = claims ?? {}
      if (typeof sid !== 'string') continue
      if (exp !== undefined && !(Number(exp) * 1000 > now)) continue
      const data = load ? await loadSession(load, sid) : rest
      const persistent = exp !== undefined
      const createdAt = Number(iat) * 1000
      if (data) return { data, createdAt, persistent, remove: [name], id: sid }
    }
    return null
  })
}

async function importSecret(secret: HonoSessionOptions['secret']): Promise<CryptoKey> {
  const { subtle } = crypto
  if (secret instanceof Uint8Array) {
    return await subtle.importKey('raw', secret, 'AES-GCM', false, ['decrypt'])
  }
  if (typeof secret !== 'string') return secret
  const material = await subtle.importKey('raw', encodeText(secret), 'HKDF', false, ['deriveKey'])
  const info = encodeText('session jwe cek')
  const algorithm = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(0), info }
  const type = { name: 'AES-GCM', length: 256 }
  return await subtle.deriveKey(algorithm, material, type, false, ['decrypt'])
}

/** Decrypts a JWE in compact form (RFC 7516, 7.1), without an encrypted key. */
async function decrypt(jwe: string, key: CryptoKey): Promise<OldData | null> {
  const [header = '', wrapped, ...parts] = jwe.split('.', 6)
  if (parts.length !== 3 || wrapped !== '') return null
  const [protectedHeader, iv, ciphertext, tag] = [header, ...parts].map(decodeBase64url)
  if (!protectedHeader) return null
  if (!isItsHeader(parseObject(decodeText(protectedHeader)) ?? {})) return null
  if (!ciphertext || iv?.length !== 12 || tag?.length !== 16) return null
  const algorithm = { name: 'AES-GCM', iv, additionalData: encodeText(header) }
  const sealed = new Uint8Array([...ciphertext, ...tag])
  const plain = await crypto.subtle.decrypt(algorithm, key, sealed).catch(() => null)
  return plain && parseObject(decodeText(plain))
}
