/** Sessions as a store keeps them: sealed, bound to their id, with what others put beside them. */

import { decodeRecord, encodeRecord, idOf, type SessionState } from '../codec/session-record.ts'
import { encodeBase64url } from '../crypto/base64url.ts'
import { createKeyedHash, type KeyedHash } from '../crypto/keyed-hash.ts'
import { createKeyRing, type KeyRing } from '../crypto/keyring.ts'
import { hourOf, openToken, sealToken } from '../crypto/token.ts'
import { SessionCorruptionError, SessionEncryptionError } from '../errors.ts'
import type { Instance } from '../session/instance.ts'
import type { FoundSession } from '../session/session.ts'
import type { StoredRecord } from '../stores/store.ts'
import { applyChanges, type Change, isChanges } from './changes.ts'
import { deflate, inflate, MAX_BYTES } from './compress.ts'
import { openPart, partOf, sealPart } from './cookie-part.ts'

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
  readonly handlesOf: KeyedHash
  /** The ids of a lease of `once`. */
  readonly leaseOf: KeyedHash
  readonly ring: KeyRing
}

type Bytes = Uint8Array<ArrayBuffer>

/** First bytes that no plain record has. */
const DEFLATED = 8
const SEALED_BY_COOKIE = 16

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** A counter and a random tag: differs between any two writes, and says which is later. */
export function newVersion(counter: number): string {
  return `${counter}.${encodeBase64url(crypto.getRandomValues(new Uint8Array(6)))}`
}

const known = new WeakMap<Instance, Records>()

/** The records of an instance: keys that were derived once serve whoever needs them. */
export function recordsOf(instance: Instance): Records {
  const records = known.get(instance) ?? createRecords(instance)
  known.set(instance, records)
  return records
}

function createRecords({ context, format, options }: Instance): Records {
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
      state = applyChanges(format, state, changes)
    }
    return { ...found, state, text: format.write(state).text, folded: patches.length }
  }

  return {
    handlesOf,
    leaseOf: createKeyedHash(options.secrets, 'once'),
    ring,

    async seal(state) {
      if (format.check) await format.check(state)
      let bytes = encodeRecord({ ...state, ...format.write(state) })
      if (compress && bytes.length > compress.above && bytes.length < MAX_BYTES) {
        const small = await deflate(bytes)
        if (small.length < bytes.length - 1) bytes = prefixed(DEFLATED, small)
      }
      const part = partOf(state)
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
        bytes = key ? await openPart(partOf({ key }), bytes.subarray(1)) : null
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
