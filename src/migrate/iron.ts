/** Seals of `@hapi/iron`, `iron-webcrypto` and h3, format Fe26.2. */
import { decodeBase64url } from '../crypto/base64url.ts'
import { decodeText, encodeText } from '../crypto/text.ts'
import { type OldData, parseObject } from './importer.ts'

/** A seal taken apart; nothing of it is checked yet. */
export interface Seal {
  /** The id of its password, which may be empty. */
  readonly id: string
  /** Epoch milliseconds; `undefined`: it never ends. */
  readonly expiresAt: number | undefined
  readonly salt: string
  readonly vector: Uint8Array<ArrayBuffer>
  readonly ciphertext: Uint8Array<ArrayBuffer>
  readonly macSalt: string
  readonly tag: Uint8Array<ArrayBuffer>
  /** The text that the tag authenticates. A random salt is in it, so that no other seal has it. */
  readonly signed: string
}

const MAC = { name: 'HMAC', hash: 'SHA-256', length: 256 }
const CIPHER = { name: 'AES-CBC', length: 256 }

/** Takes a seal apart; `null` when it is none, or expired. Costs no cryptography. */
export function parseSeal(text: string, now: number): Seal | null {
  const parts = text.split('*', 9)
  const [prefix, id = '', salt, iv = '', sealed = '', expiry = '', macSalt, mac = ''] = parts
  if (parts.length !== 8 || prefix !== 'Fe26.2' || !salt || !macSalt) return null
  if (expiry && !(/^\d+$/.test(expiry) && Number(expiry) > now)) return null
  const [vector, ciphertext, tag] = [iv, sealed, mac].map(decodeBase64url)
  if (!vector || !ciphertext || !tag) return null
  const signed = parts.slice(0, 6).join('*')
  const expiresAt = expiry ? Number(expiry) : undefined
  return { id, expiresAt, salt, vector, ciphertext, macSalt, tag, signed }
}

/**
 * Opens a seal; `null` when it is forged, foreign, or has no object in it. A forged one costs one key.
 *
 * @param iterations Rounds of PBKDF2.
 */
export async function openSeal(
  { ciphertext, macSalt, salt, signed, tag, vector }: Seal,
  password: string,
  iterations: number,
): Promise<OldData | null> {
  const macKey = await deriveKey(password, macSalt, iterations, MAC, 'verify')
  if (!(await crypto.subtle.verify('HMAC', macKey, tag, encodeText(signed)))) return null
  const key = await deriveKey(password, salt, iterations, CIPHER, 'decrypt')
  const algorithm = { name: CIPHER.name, iv: vector }
  // Seals of the same password may be of another cipher.
  const plain = await crypto.subtle.decrypt(algorithm, key, ciphertext).catch(() => null)
  return plain && parseObject(decodeText(plain))
}

async function deriveKey(
  password: string,
  salt: string,
  iterations: number,
  type: HmacKeyGenParams | AesKeyGenParams,
  usage: KeyUsage,
): Promise<CryptoKey> {
  const { subtle } = crypto
  const key = await subtle.importKey('raw', encodeText(password), 'PBKDF2', false, ['deriveKey'])
  const algorithm = { name: 'PBKDF2', hash: 'SHA-1', salt: encodeText(salt), iterations }
  return await subtle.deriveKey(algorithm, key, type, false, [usage])
}
