/** Sessions as a store saves them: sealed, bound to their id and epoch, with entries beside them. */
import { DEFLATED, expand, prefixed, shrink } from '../codec/compress.ts'
import { decodeEntries, type Entry, encodeEntries } from '../codec/entries.ts'
import { epochOf, nameOf } from '../codec/generation.ts'
import { decodeRecord, encodeRecord, idOf, type SessionState } from '../codec/session-record.ts'
import { openShared, sealShared, shareOf } from '../crypto/key-share.ts'
import { newerError } from '../crypto/newer.ts'
import { decodeText, encodeText } from '../crypto/text.ts'
import { openToken, sealToken, versionOf } from '../crypto/token.ts'
import { SessionCorruptionError, SessionEncryptionError } from '../errors.ts'
import type { FoundSession } from '../session/draft.ts'
import type { StoredRecord } from '../stores/store.ts'
import { mergeEntries } from './journal.ts'
import type { Persistence } from './persistence.ts'

/** First byte of a record that the key share seals: no other one begins so. */
const SEALED_BY_COOKIE = 16
const ENTRY = 'Cannot read session: an entry beside it'
const CLOSED = 'Cannot read session: its record does not open'

/** Seals a state. Throws what a schema says against its data. */
export async function sealRecord(p: Persistence, state: SessionState): Promise<StoredRecord> {
  const { instance, ring } = p
  const { context, format, options } = instance
  if (format.check) await format.check(state)
  const { above = Infinity } = options.compress || {}
  const { hasFlash, text } = format.write(state)
  let bytes = encodeRecord({ ...state, text, hasFlash })
  if (bytes.length > above) bytes = await shrink(bytes)
  if (shareOf(state).length) bytes = prefixed(SEALED_BY_COOKIE, await sealShared(state, bytes))
  const epoch = epochOf(state.generation, state.version)
  const { markFor } = state
  const keys = state.claims?.t || state.subject !== null ? await indexKeysOf(p, state) : []
  const value = await sealToken(ring, `store:${idOf(state)}:${epoch}`, bytes, options.now())
  return {
    value,
    version: versionOf(value),
    epoch,
    expiresAt: context.expiresAt(state),
    ...(keys.length && { keys }),
    ...(markFor !== undefined && { markFor }),
  }
}

/** Returns the index keys of a session: its user's, then those of its tags. */
async function indexKeysOf(
  { keysOf, tagKeysOf }: Persistence,
  { claims, subject }: SessionState,
): Promise<string[]> {
  const hashes = (claims?.t ?? []).map(tagKeysOf)
  if (subject !== null) hashes.unshift(keysOf(subject))
  return [...new Set((await Promise.all(hashes)).map(([newest]) => newest))]
}

/**
 * Opens a record and merges the entries beside it.
 *
 * @param holders States that may have the key share, with `seal: 'cookie'`.
 * @returns `null` when the record is sealed by the cookie of another generation.
 * @throws {@link SessionEncryptionError}, {@link SessionCorruptionError}, and as reading data does.
 */
export async function openRecord(
  p: Persistence,
  id: string,
  record: StoredRecord,
  holders: readonly Pick<SessionState, 'key' | 'generation'>[],
): Promise<FoundSession | null> {
  const { context, format, options } = p.instance
  const { copied, entries: texts = [], epoch, stale = false, value, version } = record
  const about = `${id}:${epoch}`
  const holder = holders.find(({ generation }) => epoch.startsWith(`${nameOf(generation)}.`))
  let bytes = await openToken(p.ring, `store:${about}`, value, options.now())
  if (bytes?.[0] === SEALED_BY_COOKIE) {
    if (!holder) return null
    bytes = await openShared(holder, bytes.subarray(1))
  }
  const plain = bytes?.[0] === DEFLATED ? await expand(bytes) : bytes
  const opened = plain && decodeRecord(plain)
  if (!opened) throw newerError(value) ?? new SessionEncryptionError(CLOSED)
  // That of the cookie has the key share, and its id is spelled already.
  const { key } = holder ?? opened
  // What stands beside data of a newer version is not read either, and counts.
  const isNewer = opened.version > options.version
  const whole = { ...opened, key, counter: opened.counter + (isNewer ? texts.length : 0) }
  const entries = isNewer || !texts.length ? [] : await openEntries(p, about, whole, texts)
  const reading = format.read(whole, (one) => mergeEntries(one, entries, context.same))
  const state = reading instanceof Promise ? await reading : reading
  const text = entries.length ? format.write(state).text : opened.text
  return { state, text, version, stale, isCopy: copied || stale }
}

/** Seals an entry for the place beside the record of a state. */
export async function sealEntry(
  { instance: { format, options }, ring }: Persistence,
  state: SessionState,
  entry: Entry,
): Promise<string> {
  const bytes = await sealShared(state, encodeText(encodeEntries(format, [entry], 0)))
  const epoch = epochOf(state.generation, state.version)
  return sealToken(ring, `entry:${idOf(state)}:${epoch}`, bytes, options.now())
}

async function openEntries(
  { instance: { format, options }, ring }: Persistence,
  about: string,
  holder: Pick<SessionState, 'key'>,
  texts: readonly string[],
): Promise<Entry[]> {
  const all: Entry[] = []
  for (const text of texts) {
    const sealed = await openToken(ring, `entry:${about}`, text, options.now())
    const bytes = await openShared(holder, sealed)
    if (!bytes) throw newerError(text) ?? new SessionCorruptionError(ENTRY)
    all.push(...decodeEntries(format, decodeText(bytes), 0))
  }
  return all
}
