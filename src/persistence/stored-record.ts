/** Sessions as a store saves them: sealed, bound to their id and epoch, with entries beside them. */

import { deflate, inflate, MAX_BYTES } from '../codec/compress.ts'
import type { Generation } from '../codec/generation.ts'
import { decodeRecord, encodeRecord, idOf, type SessionState } from '../codec/session-record.ts'
import { encodeBase64url } from '../crypto/base64url.ts'
import { openShared, sealShared, shareOf } from '../crypto/key-share.ts'
import { createKeyedHash, type KeyedHash } from '../crypto/keyed-hash.ts'
import { createKeyRing, type KeyRing } from '../crypto/keyring.ts'
import { openToken, sealToken } from '../crypto/token.ts'
import { SessionCorruptionError, SessionEncryptionError } from '../errors.ts'
import type { Entry, FoundSession } from '../session/draft.ts'
import type { Instance } from '../session/instance.ts'
import type { StoredRecord } from '../stores/store.ts'
import { decodeEntries, encodeEntries, mergeEntries } from './journal.ts'
import type { Credential } from './newest.ts'

/** Seals and opens records. */
export interface Records {
  seal(state: SessionState): Promise<StoredRecord>
  /**
   * Opens a record and merges the entries beside it.
   *
   * @param holders States that may have the key share, with `seal: 'cookie'`.
   * @returns `null` when the record is sealed by the cookie of another generation.
   * @throws {@link SessionEncryptionError}, {@link SessionCorruptionError}, and what reading data
   * throws.
   */
  unseal(
    id: string,
    record: StoredRecord,
    holders: readonly Pick<SessionState, 'key' | 'generation'>[],
  ): Promise<FoundSession | null>
  sealEntry(state: SessionState, entry: Entry): Promise<string>
  /** Index keys of a user, the first secret's first. */
  readonly keysOf: KeyedHash
  readonly ring: KeyRing
}

type Bytes = Uint8Array<ArrayBuffer>

/** First bytes that no plain record has. */
const DEFLATED = 8
const SEALED_BY_COOKIE = 16
const VERSION_BYTES = 9

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** Draws a version: different for any two writes. */
export function newVersion(): string {
  return encodeBase64url(crypto.getRandomValues(new Uint8Array(VERSION_BYTES)))
}

/**
 * The epoch of a record: its generation, the time of the rotation, and the version of its data.
 * Entries are appended only where it is equal. It stands in the clear, and is additional
 * authenticated data of record and entries: the clear copy can refuse a cookie, never admit one.
 */
export function epochOf({
  generation,
  version,
}: Pick<SessionState, 'generation' | 'version'>): string {
  const { number, nonce, rotatedAt } = generation
  return [number, nonce, rotatedAt, version].join('.')
}

/** Reads the credential in a record's epoch. */
export function credentialOf({ epoch }: StoredRecord): Credential & Pick<Generation, 'rotatedAt'> {
  const [number, nonce = '', rotatedAt] = epoch.split('.')
  return { number: Number(number), nonce, rotatedAt: Number(rotatedAt) }
}

export function createRecords(instance: Instance): Records {
  const { context, format, options } = instance
  const { now } = options
  const ring = createKeyRing(options.secrets, 'store', instance.formerUsed)
  const keysOf = createKeyedHash(options.secrets, 'subject')
  return {
    keysOf,
    ring,

    async seal(state) {
      if (format.check) await format.check(state)
      let bytes = await shrink(instance, encodeRecord({ ...state, ...format.write(state) }))
      if (shareOf(state).length) bytes = prefixed(SEALED_BY_COOKIE, await sealShared(state, bytes))
      const epoch = epochOf(state)
      const { markFor, subject } = state
      return {
        value: await sealToken(ring, `store:${idOf(state)}:${epoch}`, bytes, now()),
        version: newVersion(),
        epoch,
        expiresAt: context.expiresAt(state),
        ...(subject !== null && { keys: [(await keysOf(subject))[0]] }),
        ...(markFor !== undefined && { markFor }),
      }
    },

    async unseal(id, record, holders) {
      const { copied = false, epoch, stale = false, version } = record
      const isCopy = copied || stale
      let bytes = await openToken(ring, `store:${id}:${epoch}`, record.value, now())
      const { number, nonce } = credentialOf(record)
      const holder = holders.find(
        ({ generation }) => generation.number === number && generation.nonce === nonce,
      )
      if (bytes?.[0] === SEALED_BY_COOKIE) {
        if (!holder) return null
        bytes = await openShared(holder, bytes.subarray(1))
      }
      if (bytes?.[0] === DEFLATED) bytes = await inflate(bytes.subarray(1)).catch(() => null)
      const opened = bytes && decodeRecord(bytes)
      if (!opened) throw new SessionEncryptionError('Cannot read session: its record does not open')
      const whole = holder && shareOf(holder).length ? { ...opened, key: holder.key } : opened
      const texts = record.entries ?? []
      if (!texts.length || opened.version > options.version) {
        const state = await format.read({ ...whole, counter: opened.counter + texts.length })
        return { state, text: opened.text, version, stale, isCopy }
      }
      const entries = await openEntries(instance, ring, `${id}:${epoch}`, whole, texts)
      const state = await format.read(whole, (one) => mergeEntries(one, entries, context.same))
      return { state, text: format.write(state).text, version, stale, isCopy }
    },

    async sealEntry(state, entry) {
      const bytes = encoder.encode(encodeEntries(format, [entry], 0))
      const inner = await sealShared(state, bytes)
      return sealToken(ring, `entry:${idOf(state)}:${epochOf(state)}`, inner, now())
    },
  }
}

async function openEntries(
  { format, options }: Instance,
  ring: KeyRing,
  label: string,
  about: Pick<SessionState, 'key'>,
  texts: readonly string[],
): Promise<Entry[]> {
  const all: Entry[] = []
  for (const text of texts) {
    const inner = await openToken(ring, `entry:${label}`, text, options.now())
    const bytes = await openShared(about, inner)
    if (!bytes) throw new SessionCorruptionError('Cannot read session: an entry beside it')
    all.push(...decodeEntries(format, decoder.decode(bytes), 0))
  }
  return all
}

async function shrink({ options: { compress } }: Instance, bytes: Bytes): Promise<Bytes> {
  if (!compress || bytes.length <= compress.above || bytes.length >= MAX_BYTES) return bytes
  const small = await deflate(bytes)
  return small.length < bytes.length - 1 ? prefixed(DEFLATED, small) : bytes
}

function prefixed(first: number, bytes: Bytes): Bytes {
  const whole = new Uint8Array(bytes.length + 1)
  whole[0] = first
  whole.set(bytes, 1)
  return whole
}
