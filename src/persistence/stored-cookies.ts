/**
 * The cookie of a session in a store: its id and credential, how new the record was that it was made
 * from, and with `snapshot` a copy of the data where that fits.
 */
import {
  type CookieExtra,
  encodeRecord,
  ID_BYTES,
  type OpenedRecord,
  type SessionState,
} from '../codec/session-record.ts'
import { decodeBase64url, encodeBase64url } from '../crypto/base64url.ts'
import { shareOf } from '../crypto/key-share.ts'
import type { Draft, FoundSession } from '../session/draft.ts'
import type { Instance } from '../session/instance.ts'
import { writeCookie } from '../session/save.ts'
import { MAX_COOKIE_BYTES } from '../transport/cookie.ts'

/** The copy of a session that a cookie carries. */
export interface Snapshot {
  readonly found: FoundSession
  /** Milliseconds since the call began that it came from. */
  readonly age: number
}

/** A state as the store has it; without a `version` no snapshot can be made of it. */
export interface Stored extends Pick<FoundSession, 'state' | 'at' | 'version'> {
  /** A rotation whose outcome is unknown: the store may never have seen it. */
  readonly isUnknown?: true
}

/** The fields that an id-only cookie leaves out. */
const ID_ONLY = {
  subject: null,
  label: undefined,
  binding: undefined,
  authenticatedAt: null,
  version: 1,
  writes: undefined,
  markFor: undefined,
  text: null,
  hasFlash: false,
} as const

/** Returns when the record that a cookie was made from was read or written, epoch milliseconds. */
export function madeAt({ renewedAt, extra }: OpenedRecord): number {
  return renewedAt + Math.round(1000 * (extra?.t ?? 0))
}

/** Puts the key share, a field of the cookie, behind the id. */
export function withShare(opened: OpenedRecord): OpenedRecord {
  const share = opened.extra?.q && decodeBase64url(opened.extra.q)
  if (!share) return opened
  return { ...opened, key: Uint8Array.of(...opened.key.subarray(0, ID_BYTES), ...share) }
}

/** Returns the snapshot in a cookie; `null` when there is none that can be read. */
export async function snapshotOf(
  { format, options }: Instance,
  opened: OpenedRecord,
): Promise<Snapshot | null> {
  const { extra, text } = opened
  if (!options.snapshot || text === null || !extra?.r) return null
  try {
    const at = madeAt(opened)
    const state = await format.read(opened)
    return { found: { state, text, version: extra.r, at, isCopy: true }, age: options.now() - at }
  } catch {
    return null
  }
}

/** Returns the id-only cookie, which a note carries too. */
export function idOnly(instance: Instance, stored: Stored): OpenedRecord {
  // This isolate remembers opened cookies, and not the data of their sessions.
  const { data: _, flash: __, generation, ...fields } = stored.state
  return {
    ...fields,
    ...ID_ONLY,
    // The time of the rotation stands in the record.
    generation: { ...generation, rotatedAt: 0, signedInAt: undefined },
    extra: extraOf(instance, stored),
  }
}

/** Tells whether a snapshot of a session fits into its cookie. */
export function fits(instance: Instance, stored: Stored): boolean {
  return withSnapshot(instance, stored) !== null
}

/** Returns the `Set-Cookie` values of a session as the store has it. */
export function writeStoredCookie(
  instance: Instance,
  draft: Draft,
  stored: Stored,
): Promise<string[]> {
  const whole = instance.options.snapshot ? withSnapshot(instance, stored) : null
  return writeCookie(instance, draft, stored.state, { opened: whole ?? idOnly(instance, stored) })
}

function withSnapshot(instance: Instance, stored: Stored): OpenedRecord | null {
  const { cookie, format } = instance
  const { state, version: r } = stored
  if (r === undefined) return null
  const { data: _, flash: __, ...fields }: SessionState = state
  const opened = { ...fields, ...format.write(state), extra: { ...extraOf(instance, stored), r } }
  // A token is 36 bytes longer than what it seals, then base64url.
  const size = ((encodeRecord(opened).length + 36) * 4) / 3 + cookie.name.length
  return size <= MAX_COOKIE_BYTES ? opened : null
}

function extraOf({ options }: Instance, stored: Stored): CookieExtra | undefined {
  const { state, at = options.now(), isUnknown } = stored
  const share = shareOf(state)
  const t = (Math.floor(at) - state.renewedAt) / 1000
  if (!t && !share.length && !isUnknown) return undefined
  return {
    ...(t && { t }),
    ...(share.length && { q: encodeBase64url(share) }),
    ...(isUnknown && { u: 1 }),
  }
}
