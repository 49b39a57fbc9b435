/** Hashes that only the owner of the secrets can make: index keys of users, marks of clients. */
import { BoundedMap } from '../bounded-map.ts'
import { lazy } from '../lazy.ts'
import { encodeBase64url } from './base64url.ts'
import { deriveBytes } from './derive.ts'
import { encodeText } from './text.ts'

/** One hash of a text per secret, the first secret's first: 16 bytes in base64url. */
export type KeyedHash = (text: string) => Promise<readonly [string, ...string[]]>

const HASH_BYTES = 16
const MAX_KNOWN = 1000

/** HMAC-SHA-256 under keys derived (HKDF) for `purpose`; hashes made lately are remembered. */
export function createKeyedHash(secrets: readonly string[], purpose: string): KeyedHash {
  const known = new BoundedMap<string, readonly [string, ...string[]]>(MAX_KNOWN)
  const keys = lazy(() => Promise.all(secrets.map((secret) => deriveKey(secret, purpose))))
  return async (text) => {
    const found = known.get(text)
    if (found) return found
    const hashes = await Promise.all(
      (await keys()).map(async (key) => {
        const mac = await crypto.subtle.sign('HMAC', key, encodeText(text))
        return encodeBase64url(new Uint8Array(mac).subarray(0, HASH_BYTES))
      }),
    )
    known.set(text, hashes as [string, ...string[]])
    return hashes as [string, ...string[]]
  }
}

/** Returns a hash that no secret goes into: the same in every deployment, 16 bytes of SHA-256. */
export async function plainHash(purpose: string, text: string): Promise<string> {
  const bytes = encodeText(`sojourn v1 ${purpose} ${text}`)
  const hash = await crypto.subtle.digest('SHA-256', bytes)
  return encodeBase64url(new Uint8Array(hash).subarray(0, HASH_BYTES))
}

async function deriveKey(secret: string, purpose: string): Promise<CryptoKey> {
  const bytes = await deriveBytes(secret, purpose)
  const hmac = { name: 'HMAC', hash: 'SHA-256' }
  const key = await crypto.subtle.importKey('raw', bytes, hmac, false, ['sign'])
  bytes.fill(0)
  return key
}
