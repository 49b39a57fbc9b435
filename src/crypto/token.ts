/**
 * The sealed token: the value of a cookie, and of a record in a store.
 *
 * | bytes | field |
 * | ----- | ----- |
 * | 1     | format version, 1 |
 * | 4     | key id |
 * | 3     | hour number (unix time / 3600), big endian |
 * | 12    | random nonce |
 * | n     | ciphertext |
 * | 16    | tag |
 *
 * XAES-256-GCM with the hour number, left-padded to 12 bytes, as the nonce prefix. Every isolate
 * thus derives one subkey an hour and pays one AES-GCM call per token, and 2^32 random nonces an
 * hour stay within the bound of NIST SP 800-38D, 8.3. The additional data are the 8 header bytes
 * and a label of what the token is for, so that it opens nowhere else.
 */
import { MAX_TIMEOUT } from '../check.ts'
import { decodeBase64url, encodeBase64url } from './base64url.ts'
import type { KeyRing, MasterKey } from './keyring.ts'
import { layOut } from './text.ts'

const VERSION = 1
const HEADER_BYTES = 8
const NONCE_END = 20
const TAG_BYTES = 16
export const HOUR_MS = 3_600_000
/** No session is older than that: the longest timeout, in hours. */
const MAX_HOURS = MAX_TIMEOUT / 3600 + 1

/**
 * Limits what the tokens of one request may cost together. The hour of a token is known before the
 * token is, so that forged ones could name as many hours as they are, and each costs a derived key.
 */
export interface OpenBudget {
  /** Hours that this isolate has no key for; counts down. */
  newHours: number
  /** The time of a session from the future that opened, epoch milliseconds. */
  ahead?: number
}

/** A token taken apart. Nothing of it is authenticated. */
interface Parts {
  readonly token: Uint8Array<ArrayBuffer>
  readonly hour: number
  /** The id of its key. */
  readonly id: number
}

/** Takes a token apart; `null` for what none of ours looks like. */
export function parseToken(text: string): Parts | null {
  const token = decodeBase64url(text)
  if (!token || token.length < NONCE_END + TAG_BYTES || token[0] !== VERSION) return null
  const view = new DataView(token.buffer, token.byteOffset)
  return { token, hour: view.getUint32(4) & 0xffffff, id: view.getUint32(1) }
}

/** Milliseconds by which a token was sealed ahead of `now`; over an hour is too far. */
export function aheadBy({ hour }: Pick<Parts, 'hour'>, now: number): number {
  return hour * HOUR_MS - now
}

/** Seals `plaintext` under the first key of the ring. `now` in epoch milliseconds. */
export async function sealToken(
  ring: KeyRing,
  label: string,
  plaintext: Uint8Array<ArrayBuffer>,
  now: number,
): Promise<string> {
  const keys = ring.keys()
  const [key] = (keys instanceof Promise ? await keys : keys) as [MasterKey]
  const hour = Math.floor(now / HOUR_MS)
  const known = key.subkeys.get(hour)
  const subkey = known ?? (await key.deriveSubkey(hour))
  if (!known) key.subkeys.set(hour, subkey)
  const token = new Uint8Array(NONCE_END + plaintext.length + TAG_BYTES)
  const view = new DataView(token.buffer)
  // The hour's empty top byte is overwritten by the key id.
  view.setUint32(4, hour)
  view.setUint32(1, key.id)
  token[0] = VERSION
  const iv = crypto.getRandomValues(token.subarray(HEADER_BYTES, NONCE_END))
  const sealed = await subkey.seal(iv, additionalDataOf(token, label), plaintext)
  token.set(new Uint8Array(sealed), NONCE_END)
  return encodeBase64url(token)
}

/**
 * Returns a version for what is stored as this token, different for any two: the first 9 bytes of the
 * nonce that was drawn to seal it, from the second on.
 */
export function versionOf(token: string): string {
  return token.slice(12, 24)
}

/**
 * Opens a token, or returns `null` for whatever was not sealed by this ring for this label.
 *
 * Never throws for what it is given. A wrong length, version, hour or key id costs no crypto, and
 * exactly one key is tried.
 *
 * @param budget That of the request, where a visitor chooses how many tokens there are.
 */
export async function openToken(
  ring: KeyRing,
  label: string,
  text: string,
  now: number,
  budget?: OpenBudget,
): Promise<Uint8Array<ArrayBuffer> | null> {
  const parts = parseToken(text)
  if (!parts || aheadBy(parts, now) > HOUR_MS) return null
  const { hour, id, token } = parts
  const derived = ring.keys()
  const keys = derived instanceof Promise ? await derived : derived
  const position = keys.findIndex((one) => one.id === id)
  const key = keys[position]
  if (!key) return null
  const known = key.subkeys.get(hour)
  if (!known && budget && (hour < now / HOUR_MS - MAX_HOURS || budget.newHours-- < 1)) return null
  const subkey = known ?? (await key.deriveSubkey(hour))
  const iv = token.subarray(HEADER_BYTES, NONCE_END)
  try {
    const additionalData = additionalDataOf(token, label)
    const plaintext = await subkey.open(iv, additionalData, token.subarray(NONCE_END))
    if (!known) key.subkeys.set(hour, subkey)
    if (position) ring.formerUsed?.(key, position)
    return new Uint8Array(plaintext)
  } catch {
    // The runtimes disagree on the error of a forged token; they all mean the same.
    return null
  }
}

function additionalDataOf(token: Uint8Array<ArrayBuffer>, label: string): Uint8Array<ArrayBuffer> {
  const additionalData = layOut(HEADER_BYTES, label)
  for (let i = 0; i < HEADER_BYTES; i++) additionalData[i] = token[i]!
  return additionalData
}
