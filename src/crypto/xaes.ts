/**
 * XAES-256-GCM ({@link https://c2sp.org/XAES-256-GCM C2SP}) on WebCrypto alone.
 *
 * A 192-bit nonce, so that random nonces are safe for any number of messages: the first 96 bits
 * select a subkey, derived with CMAC as in NIST SP 800-108r1; the last 96 are the AES-GCM nonce.
 */
import { type AesGcm, createAesGcm } from './aes-gcm.ts'

/** Bytes of the nonce that select the subkey; the remaining 12 are AES-GCM's. */
export const PREFIX_BYTES = 12

/** A master key, ready to derive subkeys from. */
export interface XaesKey {
  readonly cbc: CryptoKey
  /** The CMAC subkey K1. */
  readonly k1: Uint8Array<ArrayBuffer>
}

/** Imports 32 bytes as a master key that cannot be read back. */
export async function importXaesKey(bytes: Uint8Array<ArrayBuffer>): Promise<XaesKey> {
  const cbc = await crypto.subtle.importKey('raw', bytes, 'AES-CBC', false, ['encrypt'])
  const k1 = await aesBlock(cbc, new Uint8Array(16), new Uint8Array(16))
  const carry = k1[0]! >> 7
  for (let i = 0; i < 16; i++) k1[i] = (k1[i]! << 1) | ((k1[i + 1] ?? 0) >> 7)
  // The reduction polynomial of GF(2^128), NIST SP 800-38B, 5.3.
  k1[15]! ^= carry * 0x87
  return { cbc, k1 }
}

/** Derives the AES-256-GCM key for the first 12 bytes of a nonce, and returns its cipher. */
export async function deriveSubkey(key: XaesKey, prefix: Uint8Array): Promise<AesGcm> {
  const half = (counter: number): Promise<Uint8Array> =>
    aesBlock(key.cbc, key.k1, new Uint8Array([0, counter, 0x58, 0, ...prefix]))
  const [first, second] = await Promise.all([half(1), half(2)])
  const bytes = new Uint8Array([...first, ...second])
  const cipher = await createAesGcm(bytes)
  bytes.fill(0)
  return cipher
}

/** AES-256 of `block` xor `mask`: the first block of CBC with the mask as its IV. */
async function aesBlock(
  key: CryptoKey,
  mask: Uint8Array<ArrayBuffer>,
  block: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  const blocks = await crypto.subtle.encrypt({ name: 'AES-CBC', iv: mask }, key, block)
  return new Uint8Array(blocks, 0, 16)
}
