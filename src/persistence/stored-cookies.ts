/**
 * The cookie of a session in a store: its id and credential, how new the record was that it was made
 * from, and with `snapshot` a copy of the data where that fits.
 */
import type { OpenedCookie } from '../codec/cookie-tokens.ts'
import { type Credential, nameOf } from '../codec/generation.ts'
import {
  type CookieExtra,
  encodeRecord,
  ID_BYTES,
  idOf,
  madeAt,
  type OpenedRecord,
} from '../codec/session-record.ts'
import { decodeBase64url, encodeBase64url } from '../crypto/base64url.ts'
import { shareOf } from '../crypto/key-share.ts'
import type { Draft, FoundSession } from '../session/draft.ts'
import type { Instance } from '../session/instance.ts'
import { readNotes } from '../session/notes.ts'
import { isSame, writeCookie } from '../session/save.ts'
import { type CookieFound, MAX_COOKIE_BYTES } from '../transport/cookie.ts'

/**
 * A state as the store has it. Without a `version` it is a rotation whose outcome is unknown: the store
 * may never have seen it, and no snapshot is made of it.
 */
export type Stored = Pick<FoundSession, 'state' | 'at' | 'version'>

/** The credentials of a request. */
interface Candidates {
  /** The ones of the highest generation of each session, in the order in which they are tried. */
  readonly candidates: readonly OpenedRecord[]
  /** All of them, by {@link credentialName}; none where there is but one. */
  readonly named: ReadonlyMap<string, OpenedRecord>
}

/**
 * Returns every session that a request names, by its highest generation. One that somebody signed in
 * to is first: another that a browser has beside it began in a request that had no cookie yet. Then
 * comes the one that began, or that somebody signed in to, last: a late renewal must not put an older
 * session in its place. Ids decide the rest. So the order stays the same whichever clock made a cookie
 * and whichever note is over first.
 */
export async function candidatesOf(
  instance: Instance,
  cookies: CookieFound,
  all: readonly OpenedCookie[],
): Promise<Candidates> {
  const [only] = all
  if (only && all.length === 1 && !cookies.notes.length) {
    return { candidates: [withShare(only.opened)], named: new Map() }
  }
  const notes = await readNotes(instance, cookies)
  const opened = [...all.map(({ opened }) => opened), ...notes.opened].map(withShare)
  opened.sort(byRank)
  const named = new Map<string, OpenedRecord>()
  for (const one of opened) {
    const before = named.get(credentialName(one))
    if (!before || saysMore(one, before)) named.set(credentialName(one), one)
  }
  const distinct = [...named.values()]
  const isReplaced = (one: OpenedRecord): boolean =>
    distinct.some((other) => isSame(one, other) && other.generation.number > one.generation.number)
  const candidates = distinct.filter((one) => !notes.ended.has(idOf(one)) && !isReplaced(one))
  // The answer 503 to a rotation carries a credential of that number too. Among the places of a session the ones
  // that were written come first.
  const left = [...candidates].sort((a, b) => (a.extra?.u ?? 0) - (b.extra?.u ?? 0))
  const placeOf = (one: OpenedRecord): number => left.findIndex((each) => isSame(one, each))
  return { candidates: candidates.flatMap((one) => left.splice(placeOf(one), 1)), named }
}

/** Somebody is signed in; then the one that began last; then any order that is always the same. */
function byRank(a: OpenedRecord, b: OpenedRecord): number {
  const rank = ({ signedIn, subject }: OpenedRecord): number => Number(signedIn || subject !== null)
  const [first, second] = [idOf(a), idOf(b)]
  return (
    rank(b) - rank(a) ||
    b.createdAt - a.createdAt ||
    Number(first > second) - Number(first < second) ||
    madeAt(b) - madeAt(a)
  )
}

/** Compares two cookies of one credential: the newer one says more, or the one with a snapshot. */
function saysMore(one: OpenedRecord, before: OpenedRecord): boolean {
  const newer = one.counter - before.counter
  return newer > 0 || (newer === 0 && before.text === null && one.text !== null)
}

/** Names a session and one credential of it. */
export function credentialName(
  opened: OpenedRecord,
  generation: Credential = opened.generation,
): string {
  return `${idOf(opened)}.${nameOf(generation)}`
}

/** Puts the key share, a field of the cookie, behind the id. */
function withShare(opened: OpenedRecord): OpenedRecord {
  const share = opened.extra?.q && decodeBase64url(opened.extra.q)
  if (!share) return opened
  return { ...opened, key: Uint8Array.of(...opened.key.subarray(0, ID_BYTES), ...share) }
}

/** Returns the snapshot in a cookie that has one; `null` when it cannot be read. */
export async function snapshotOf(
  { format }: Instance,
  opened: OpenedRecord,
): Promise<FoundSession | null> {
  try {
    const state = await format.read(opened)
    return { state, text: opened.text, version: opened.extra?.r, at: madeAt(opened), isCopy: true }
  } catch {
    return null
  }
}

/** Returns the id-only cookie, which a note carries too. */
export function idOnly(instance: Instance, stored: Stored): OpenedRecord {
  const { createdAt, generation, idleTimeout, absoluteTimeout, key, renewedAt } = stored.state
  const { counter, persistent, subject } = stored.state
  return {
    key,
    // The time of the rotation stands in the record.
    generation: { ...generation, rotatedAt: 0, signedInAt: undefined },
    createdAt,
    renewedAt,
    subject: null,
    authenticatedAt: null,
    idleTimeout,
    absoluteTimeout,
    persistent,
    counter,
    version: 1,
    text: null,
    hasFlash: false,
    signedIn: subject === null ? undefined : true,
    extra: extraOf(instance, stored),
  }
}

/** Returns the cookie with a snapshot; `null` where there are none, or it does not fit. */
export function withSnapshot(instance: Instance, stored: Stored): OpenedRecord | null {
  const { cookie, format, options } = instance
  const { state, version } = stored
  // Data of a newer version were not read.
  if (!options.snapshot || version === undefined || state.version > options.version) return null
  const { data: _, flash: __, ...fields } = state
  const extra = { ...extraOf(instance, stored), r: version }
  const opened = { ...fields, ...format.write(state), extra }
  // A token is 36 bytes longer than what it seals, then base64url.
  const size = ((encodeRecord(opened).length + 36) * 4) / 3 + cookie.name.length
  return size <= MAX_COOKIE_BYTES ? opened : null
}

/** Returns the `Set-Cookie` values of a session as the store has it. */
export function writeStoredCookie(
  instance: Instance,
  draft: Draft,
  stored: Stored,
): Promise<string[]> {
  const opened = withSnapshot(instance, stored) ?? idOnly(instance, stored)
  return writeCookie(instance, draft, stored.state, { opened })
}

function extraOf({ options }: Instance, stored: Stored): CookieExtra | undefined {
  const { at = options.now(), state, version } = stored
  const share = shareOf(state)
  const t = (Math.floor(at) - state.renewedAt) / 1000
  if (!t && !share.length && version !== undefined) return undefined
  return {
    ...(t && { t }),
    ...(share.length && { q: encodeBase64url(share) }),
    ...(version === undefined && { u: 1 }),
  }
}
