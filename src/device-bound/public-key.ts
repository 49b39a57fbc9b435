/** Public keys of devices: their check, their thumbprint (RFC 7638) and their signatures. WebCrypto alone. */
import { isObject } from '../check.ts'
import { decodeBase64url, encodeBase64url } from '../crypto/base64url.ts'
import { encodeText } from '../crypto/text.ts'

/** The algorithms that browsers sign with. */
export type DeviceAlgorithm = 'ES256' | 'RS256'

/**
 * A public key as text: `x.y` of a point on P-256, or the modulus of an RSA key whose exponent is
 * 65537, in base64url. It says which algorithm it is for.
 */
export type PublicKeyText = string

/** A public key as a JWK. Not every environment has the type of the DOM. */
type PublicJwk =
  | { readonly crv: string; readonly kty: string; readonly x: string; readonly y: string }
  | { readonly e: string; readonly kty: string; readonly n: string }

const EC_BYTES = 32
/** Bytes of an RSA modulus: 2048 to 4096 bits. */
const RSA_BYTES = [256, 512] as const
/** Members that only a private or a symmetric key has (RFC 7518, 6). */
const PRIVATE = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

/**
 * Returns the public key of a JWK for `algorithm`; `null` for another type, curve, size or exponent, for a
 * key with private parts, and for one that says it is for something else.
 */
export function publicKeyOf(jwk: unknown, algorithm: DeviceAlgorithm): PublicKeyText | null {
  if (!isObject(jwk)) return null
  const { alg = algorithm, crv, e, kty, n, use = 'sig', x, y } = jwk as Record<string, unknown>
  if (PRIVATE.some((name) => name in jwk) || alg !== algorithm || use !== 'sig') return null
  if (algorithm === 'ES256') {
    const isPoint = kty === 'EC' && crv === 'P-256' && sizeOf(x) === EC_BYTES
    return isPoint && sizeOf(y) === EC_BYTES ? `${x}.${y}` : null
  }
  const size = sizeOf(n)
  // A modulus with zeros in front is shorter than it looks.
  const isWhole = (decodeBase64url(String(n))?.[0] ?? 0) >= 128
  const holds = kty === 'RSA' && e === 'AQAB' && size >= RSA_BYTES[0] && size <= RSA_BYTES[1]
  return holds && isWhole ? String(n) : null
}

export function algorithmOf(key: PublicKeyText): DeviceAlgorithm {
  return key.includes('.') ? 'ES256' : 'RS256'
}

/** Returns the JWK with the members that RFC 7638 hashes, in its order, and no others. */
export function jwkOf(key: PublicKeyText): PublicJwk {
  const [x, y] = key.split('.') as [string, string?]
  return y === undefined ? { e: 'AQAB', kty: 'RSA', n: x } : { crv: 'P-256', kty: 'EC', x, y }
}

/** Returns the thumbprint of a key (RFC 7638, SHA-256), 43 characters of base64url. */
export async function thumbprintOf(key: PublicKeyText): Promise<string> {
  const hash = await crypto.subtle.digest('SHA-256', encodeText(JSON.stringify(jwkOf(key))))
  return encodeBase64url(new Uint8Array(hash))
}

/** Tells whether `signature` is that of a key over `signed`. Never throws for what it is given. */
export async function isSignedBy(
  key: PublicKeyText,
  signature: Uint8Array<ArrayBuffer>,
  signed: string,
): Promise<boolean> {
  // Of ES256 WebCrypto takes the two numbers as they are (RFC 7518, 3.4), and no DER.
  const kind =
    algorithmOf(key) === 'ES256'
      ? { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
      : { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }
  try {
    const { subtle } = crypto
    const imported = await subtle.importKey('jwk', jwkOf(key), kind, false, ['verify'])
    return await subtle.verify(kind, imported, signature, encodeText(signed))
  } catch {
    // A point that is not on the curve: the runtimes disagree on the error.
    return false
  }
}

/** Bytes of a base64url text; 0 for anything else. */
function sizeOf(value: unknown): number {
  return typeof value === 'string' ? (decodeBase64url(value)?.length ?? 0) : 0
}
