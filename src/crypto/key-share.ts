/** With `seal: 'cookie'`: AES-256-GCM under the key share, which only the session's cookie has. */
import { ID_BYTES, type SessionState } from '../codec/session-record.ts'
import { createAesGcm } from './aes-gcm.ts'

type Bytes = Uint8Array<ArrayBuffer>
type Holder = Pick<SessionState, 'key'>

const NONCE_BYTES = 12
const NOTHING = new Uint8Array()

/** Returns the key share; empty when the secret alone seals. */
export function shareOf({ key }: Holder): Bytes {
  return key.length > ID_BYTES ? key.slice(ID_BYTES) : NOTHING
}

/** Seals bytes: nonce, then ciphertext and tag. Without a key share they stay as they are. */
export async function sealShared(holder: Holder, bytes: Bytes): Promise<Bytes> {
  const share = shareOf(holder)
  if (!share.length) return bytes
  const iv = crypto.getRandomValues(new Uint8Array(NONCE_BYTES))
  const sealed = await (await createAesGcm(share)).seal(iv, NOTHING, bytes)
  const whole = new Uint8Array(NONCE_BYTES + sealed.byteLength)
  whole.set(iv)
  whole.set(new Uint8Array(sealed), NONCE_BYTES)
  return whole
}

/** Opens what {@link sealShared} sealed, or returns `null`. */
export async function openShared(holder: Holder, bytes: Bytes | null): Promise<Bytes | null> {
  const share = shareOf(holder)
  if (!share.length || !bytes) return bytes
  try {
    const iv = bytes.subarray(0, NONCE_BYTES)
    const cipher = await createAesGcm(share)
    return new Uint8Array(await cipher.open(iv, NOTHING, bytes.subarray(NONCE_BYTES)))
  } catch {
    return null
  }
}
