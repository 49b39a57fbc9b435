import { BoundedMap } from '../bounded-map.ts'
import { deriveSubkey, importXaesKey, PREFIX_BYTES, type XaesKey } from './xaes.ts'

/** What keys are for. Each purpose has master keys of its own. */
export type KeyPurpose = 'cookie' | 'store' | 'seal'

/** The master keys of one purpose: the first seals, all open. */
export interface KeyRing {
  /** The sealing key. */
  first(): Promise<MasterKey>
  /** The key with this id, or `undefined`: what names an unknown key costs no crypto. */
  find(id: number): Promise<MasterKey | undefined>
}

/** One secret's master key for one purpose. */
export interface MasterKey {
  /** The first four bytes of a hash of the key, as an unsigned 32-bit number. */
  readonly id: number
  /** The AES-GCM key of an hour (unix time / 3600), and whether it was already known. */
  subkey(hour: number): Promise<CryptoKey>
  /** Keeps a subkey for the next time: only after it has opened something or will seal. */
  remember(hour: number, subkey: CryptoKey): void
}

// Ten days of hours; a subkey is one CryptoKey.
const MAX_SUBKEYS = 240
const encoder = new TextEncoder()

/** Derives nothing until it is used. */
export function createKeyRing(secrets: readonly string[], purpose: KeyPurpose): KeyRing {
  let keys: readonly MasterKey[] | undefined
  // The keys are kept, never their promise: a promise of another request may hang on Workers.
  const all = async (): Promise<readonly MasterKey[]> => {
    if (keys) return keys
    const derived = await Promise.all(secrets.map((secret) => deriveMasterKey(secret, purpose)))
    keys ??= derived
    return keys
  }
  return {
    first: async () => (keys ?? (await all()))[0]!,
    find: async (id) => (keys ?? (await all())).find((key) => key.id === id),
  }
}

async function deriveMasterKey(secret: string, purpose: KeyPurpose): Promise<MasterKey> {
  const info = encoder.encode(`sojourn v1 ${purpose}`)
  const input = await crypto.subtle.importKey('raw', encoder.encode(secret), 'HKDF', false, [
    'deriveBits',
  ])
  const bits = await crypto.subtle.deriveBits(
    { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(32), info },
    input,
    256,
  )
  const hash = await crypto.subtle.digest('SHA-256', bits)
  const bytes = new Uint8Array(bits)
  const key = await importXaesKey(bytes)
  bytes.fill(0)
  return createMasterKey(new DataView(hash).getUint32(0), key)
}

function createMasterKey(id: number, key: XaesKey): MasterKey {
  const subkeys = new BoundedMap<number, CryptoKey>(MAX_SUBKEYS)
  return {
    id,
    subkey: async (hour) => subkeys.get(hour) ?? deriveSubkey(key, noncePrefix(hour)),
    remember: (hour, subkey) => subkeys.set(hour, subkey),
  }
}

function noncePrefix(hour: number): Uint8Array {
  const prefix = new Uint8Array(PREFIX_BYTES)
  new DataView(prefix.buffer).setUint32(PREFIX_BYTES - 4, hour)
  return prefix
}
