/** With `seal: 'cookie'`: AES-256-GCM under the key share, which only the session's cookie has. */
import { ID_BYTES, type SessionState } from '../codec/session-record.ts'

type Bytes = Uint8Array<ArrayBuffer>

const NONCE_BYTES = 12

/** Returns the key share; empty when the secret alone seals. */
export function shareOf({ key }: Pick<SessionState, 'key'>): Bytes {
  return key.slice(ID_BYTES)
}

/** Seals bytes: nonce, then ciphertext and tag. */
export async function sealShared(share: Bytes, bytes: Bytes): Promise<Bytes> {
  const key = await crypto.subtle.importKey('raw', share, 'AES-GCM', false, ['encrypt'])
  const iv = crypto.getRandomValues(new Uint8Array(NONCE_BYTES))
  const sealed = await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, key, bytes)
  const whole = new Uint8Array(NONCE_BYTES + sealed.byteLength)
  whole.set(iv)
  whole.set(new Uint8Array(sealed), NONCE_BYTES)
  return whole
}

/** Opens what {@link sealShared} sealed, or returns `null`. */
export async function openShared(share: Bytes, bytes: Bytes): Promise<Bytes | null> {
  try {
    const key = await crypto.subtle.importKey('raw', share, 'AES-GCM', false, ['decrypt'])
    const iv = bytes.subarray(0, NONCE_BYTES)
    const sealed = bytes.subarray(NONCE_BYTES)
    return new Uint8Array(await crypto.subtle.decrypt({ name: 'AES-GCM', iv }, key, sealed))
  } catch {
    return null
  }
}
