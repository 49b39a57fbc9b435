/** Sessions as a store keeps them: sealed, bound to their id, with what others put beside them. */
import { encodeBase64url } from '../crypto/base64url.ts'
import { createKeyedHash } from '../crypto/keyed-hash.ts'
import { createKeyRing } from '../crypto/keyring.ts'
import { hourOf, openToken, sealToken } from '../crypto/token.ts'
import { SessionCorruptionError, SessionEncryptionError } from '../errors.ts'
import type { Instance } from '../instance.ts'
import { decodeRecord, encodeRecord, ID_BYTES, idOf, type SessionState } from '../record.ts'
import type { FoundSession } from '../session.ts'
import type { StoredRecord } from '../stores/store.ts'
import { applyChanges, type Change, isChanges } from './changes.ts'
import { deflate, inflate } from './compress.ts'

/** Seals and opens records. */
export interface Records {
  seal(state: SessionState): Promise<StoredRecord>
  /**
   * Opens a record and folds in the patches beside it. `key`: that of the cookie, with the part
   * that only it has.
   *
   * @throws {@link SessionEncryptionError}, and what reading data throws.
   */
  unseal(id: string, record: StoredRecord, key?: SessionState['key']): Promise<FoundSession>
  sealPatch(id: string, changes: readonly Change[]): Promise<string>
  /** What a store knows of a user: opaque, the first secret's first. */
  handlesOf(subject: string): Promise<readonly [string, ...string[]]>
}

type Bytes = Uint8Array<ArrayBuffer>

/** First bytes that no plain record has. */
const DEFLATED = 8
const SEALED_BY_COOKIE = 16
const NONCE_BYTES = 12

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** A counter and a random tag: differs between any two writes, and says which is later. */
export function newVersion(counter: number): string {
  return `${counter}.${encodeBase64url(crypto.getRandomValues(new Uint8Array(6)))}`
}

export function createRecords({ context, format, options }: Instance): Records {
  const { now, compress } = options
  const ring = createKeyRing(options.secrets, 'store')
  const handlesOf = createKeyedHash(options.secrets, 'subject')

  const fold = async (id: string, found: FoundSession, { patches = [], value }: StoredRecord) => {
    let { state } = found
    for (const patch of patches) {
      const bytes = await openToken(ring, `patch:${id}`, patch, now())
      const changes: unknown = bytes && JSON.parse(decoder.decode(bytes))
      // One from long before the record is in it already: somebody put it back. Clocks differ.
      if (!isChanges(changes) || hourOf(patch) < hourOf(value) - 1)
        throw new SessionCorruptionError('Cannot read session: a patch of it')
      state = applyChanges(format, state, changes, false)
    }
    return { ...found, state, text: format.write(state).text, folded: patches.length }
  }

  return {
    handlesOf,

    async seal(state) {
      if (format.check) await format.check(state)
      let bytes = encodeRecord({ ...state, ...format.write(state) })
      if (compress && bytes.length > compress.above) {
        const small = await deflate(bytes)
        if (small.length < bytes.length - 1) bytes = prefixed(DEFLATED, small)
      }
      const part = state.key.slice(ID_BYTES)
      if (part.length) bytes = prefixed(SEALED_BY_COOKIE, await sealPart(part, bytes))
      const id = idOf(state)
      const value = await sealToken(ring, `store:${id}`, bytes, now())
      const expiresAt = context.expiresAt(state)
      const record = { value, version: newVersion(state.counter), expiresAt }
      if (state.subject === null) return record
      return { ...record, subject: (await handlesOf(state.subject))[0] }
    },

    async unseal(id, record, key) {
      let bytes = await openToken(ring, `store:${id}`, record.value, now())
      if (bytes?.[0] === SEALED_BY_COOKIE) {
        bytes = await openPart((key ?? bytes).slice(ID_BYTES), bytes.subarray(1))
      }
      if (bytes?.[0] === DEFLATED) bytes = await inflate(bytes.subarray(1)).catch(() => null)
      const opened = bytes && decodeRecord(bytes)
      if (!opened) throw new SessionEncryptionError('Cannot read session: its record does not open')
      const state = { ...(await format.read(opened)), ...(key && { key }) }
      const { version, stale = false, patches } = record
      const found = { state, text: opened.text, version, stale }
      // Data of a newer version are not read, and patched by whoever reads them.
      return patches && state.version <= options.version ? await fold(id, found, record) : found
    },

    sealPatch: (id, changes) =>
      sealToken(ring, `patch:${id}`, encoder.encode(JSON.stringify(changes)), now()),
  }
}

function prefixed(first: number, bytes: Bytes): Bytes {
  const whole = new Uint8Array(bytes.length + 1)
  whole[0] = first
  whole.set(bytes, 1)
  return whole
}

/** AES-256-GCM under a key that only the cookie holds: nonce, then ciphertext and tag. */
async function sealPart(part: Bytes, bytes: Bytes): Promise<Bytes> {
  const key = await crypto.subtle.importKey('raw', part, 'AES-GCM', false, ['encrypt'])
  const iv = crypto.getRandomValues(new Uint8Array(NONCE_BYTES))
  const sealed = await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, key, bytes)
  const whole = new Uint8Array(NONCE_BYTES + sealed.byteLength)
  whole.set(iv)
  whole.set(new Uint8Array(sealed), NONCE_BYTES)
  return whole
}

async function openPart(part: Bytes, bytes: Bytes): Promise<Bytes | null> {
  try {
    const key = await crypto.subtle.importKey('raw', part, 'AES-GCM', false, ['decrypt'])
    const iv = bytes.subarray(0, NONCE_BYTES)
    const opened = await crypto.subtle.decrypt(
      { name: 'AES-GCM', iv },
      key,
      bytes.subarray(NONCE_BYTES),
    )
    return new Uint8Array(opened)
  } catch {
    return null
  }
}
