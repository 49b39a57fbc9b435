import { encodeText } from './text.ts'

/** Derives 32 bytes for a purpose from a secret: HKDF with SHA-256 (RFC 5869). The caller erases them. */
export async function deriveBytes(
  secret: string,
  purpose: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const { subtle } = crypto
  const input = await subtle.importKey('raw', encodeText(secret), 'HKDF', false, ['deriveBits'])
  const info = encodeText(`sojourn v1 ${purpose}`)
  const salt = new Uint8Array(32)
  const algorithm = { name: 'HKDF', hash: 'SHA-256', salt, info }
  return new Uint8Array(await subtle.deriveBits(algorithm, input, 256))
}
