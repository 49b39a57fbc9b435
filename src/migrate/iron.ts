/** Seals of `@hapi/iron`, `iron-webcrypto` and h3, format Fe26.2. */
import { decodeBase64url } from '../crypto/base64url.ts'
import { toBytes, toText } from './bytes.ts'
import { type OldData, parseObject } from './importer.ts'

/** How {@link unseal} finds a password. */
export interface SealKeys {
  /** The passwords to try for the id that a seal names, which may be empty. */
  passwords(id: string): readonly string[]
  /** Rounds of PBKDF2 to try. */
  iterations: readonly number[]
}

const MAC = { name: 'HMAC', hash: 'SHA-256', length: 256 }
const CIPHER = { name: 'AES-CBC', length: 256 }

/** Opens a seal; `null` when it is forged, foreign, expired, or holds no object. */
export async function unseal(seal: string, keys: SealKeys, now: number): Promise<OldData | null> {
  const parts = seal.split('*')
  const [prefix, id = '', salt, iv = '', sealed = '', expiry = '', macSalt, mac = ''] = parts
  if (parts.length !== 8 || prefix !== 'Fe26.2' || !salt || !macSalt) return null
  if (expiry && !(/^\d+$/.test(expiry) && Number(expiry) > now)) return null
  const [vector, ciphertext, tag] = [iv, sealed, mac].map(decodeBase64url)
  if (!vector || !ciphertext || !tag) return null
  const signed = toBytes(parts.slice(0, 6).join('*'))
  for (const password of keys.passwords(id)) {
    for (const iterations of keys.iterations) {
      const macKey = await deriveKey(password, macSalt, iterations, MAC, 'verify')
      if (!(await crypto.subtle.verify('HMAC', macKey, tag, signed))) continue
      const key = await deriveKey(password, salt, iterations, CIPHER, 'decrypt')
      const algorithm = { name: CIPHER.name, iv: vector }
      return parseObject(toText(await crypto.subtle.decrypt(algorithm, key, ciphertext)))
    }
  }
  return null
}

async function deriveKey(
  password: string,
  salt: string,
  iterations: number,
  type: HmacKeyGenParams | AesKeyGenParams,
  usage: KeyUsage,
): Promise<CryptoKey> {
  const { subtle } = crypto
  const key = await subtle.importKey('raw', toBytes(password), 'PBKDF2', false, ['deriveKey'])
  const algorithm = { name: 'PBKDF2', hash: 'SHA-1', salt: toBytes(salt), iterations }
  return await subtle.deriveKey(algorithm, key, type, false, [usage])
}
