import { BoundedMap } from '../bounded-map.ts'
import { lazy } from '../lazy.ts'
import type { AesGcm } from './aes-gcm.ts'
import { deriveBytes } from './derive.ts'
import { deriveSubkey, importXaesKey, PREFIX_BYTES } from './xaes.ts'

/** The purpose of a key. Each purpose has master keys of its own. */
export type KeyPurpose = 'cookie' | 'store' | 'seal'

/** The master keys of one purpose: the first seals, all open. */
export interface KeyRing {
  /** Returns the keys, without a promise once they were derived. */
  keys(): readonly MasterKey[] | Promise<readonly MasterKey[]>
  /** Is called whenever a key but the first has opened something. */
  readonly formerUsed: FormerUsed | undefined
}

/** Hears of a former secret that is still in use. */
export type FormerUsed = (key: MasterKey, position: number) => void

/** One secret's master key for one purpose. */
export interface MasterKey {
  /** The first four bytes of a hash of the key, as an unsigned 32-bit number. */
  readonly id: number
  /**
   * The ciphers of hours (unix time / 3600) that opened something or will seal. What a
   * forged token names is never put in.
   */
  readonly subkeys: BoundedMap<number, AesGcm>
  deriveSubkey(hour: number): Promise<AesGcm>
  /** The time at which the event `key.used` last told of it, epoch milliseconds. */
  toldAt?: number
}

// Ten days of hours; a subkey is one CryptoKey.
const MAX_SUBKEYS = 240

/** Derives nothing until it is used. */
export function createKeyRing(
  secrets: readonly string[],
  purpose: KeyPurpose,
  formerUsed?: FormerUsed,
): KeyRing {
  return {
    formerUsed,
    keys: lazy(() => Promise.all(secrets.map((secret) => deriveMasterKey(secret, purpose)))),
  }
}

async function deriveMasterKey(secret: string, purpose: KeyPurpose): Promise<MasterKey> {
  const bytes = await deriveBytes(secret, purpose)
  const hash = await crypto.subtle.digest('SHA-256', bytes)
  const key = await importXaesKey(bytes)
  bytes.fill(0)
  return {
    id: new DataView(hash).getUint32(0),
    subkeys: new BoundedMap(MAX_SUBKEYS),
    deriveSubkey: (hour) => deriveSubkey(key, noncePrefix(hour)),
  }
}

/** Spells the id of a key, for people: 8 hex characters. */
export function spellKey(id: number): string {
  return id.toString(16).padStart(8, '0')
}

function noncePrefix(hour: number): Uint8Array {
  const prefix = new Uint8Array(PREFIX_BYTES)
  new DataView(prefix.buffer).setUint32(PREFIX_BYTES - 4, hour)
  return prefix
}
