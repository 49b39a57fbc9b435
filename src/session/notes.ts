/**
 * Notes in the browser, which make late responses harmless.
 *
 * Responses arrive in any order, so a session cookie may be replaced by one that was made before a
 * rotation or an end. A note travels in a cookie of its own name, which no other response sets: a
 * rotation sends the new credential, a sign-out that the id has ended. Opening a session
 * reads cookies and notes together.
 */
import { isFromFuture } from '../codec/cookie-tokens.ts'
import {
  decodeRecord,
  encodeRecord,
  ID_BYTES,
  idOf,
  madeAt,
  type OpenedRecord,
  type SessionState,
  type SessionTimes,
} from '../codec/session-record.ts'
import { decodeBase64url, encodeBase64url } from '../crypto/base64url.ts'
import { tellEnd } from '../emit.ts'
import { lazy } from '../lazy.ts'
import { type CookieFound, MAX_COOKIE_AGE, type SideCookie } from '../transport/cookie.ts'
import type { Draft } from './draft.ts'
import type { Instance } from './instance.ts'
import { openSides, removeSides, writeSide } from './side-cookies.ts'

/** The content of a request's notes. */
export interface Notes {
  /** Credentials without data, as good as session cookies. */
  readonly opened: readonly OpenedRecord[]
  /** Ids of sessions that have ended. A note is about these ids only, and never about a time. */
  readonly ended: ReadonlySet<string>
  /** Epoch seconds until which they are remembered; 0 where there are none. */
  readonly until: number
  /** The cookies that a new credential replaces: all but those of ends. */
  readonly replaceable: readonly SideCookie[]
  /** The ones of these whose time is up. */
  readonly over: readonly SideCookie[]
}

/** First byte of a note of an end, before its time and the ids; that of a credential has only low bits. */
const ENDED = 32
const ENDED_HEADER = 5
/** Seconds for which a note is good; one of an end perhaps longer. */
const NOTE_S = 3600
/** Ids that one note calls ended. */
const MAX_ENDED = 16

const revocations = lazy(() => import('../revocation/marks.ts'))

/** Opens the notes of a request. */
export async function readNotes(instance: Instance, cookies: CookieFound): Promise<Notes> {
  const opened: OpenedRecord[] = []
  const ended = new Set<string>()
  const replaceable: SideCookie[] = []
  const over: SideCookie[] = []
  const now = instance.options.now()
  let until = 0
  for (const [i, bytes] of (await openSides(instance, 'note', cookies)).entries()) {
    if (bytes?.[0] === ENDED) {
      until = Math.max(until, new DataView(bytes.buffer).getUint32(1))
      for (let at = ENDED_HEADER; at < bytes.length; at += ID_BYTES) {
        ended.add(encodeBase64url(bytes.subarray(at, at + ID_BYTES)))
      }
      continue
    }
    replaceable.push(cookies.notes[i]!)
    const record = bytes && decodeRecord(bytes)
    if (!record || isFromFuture(record, now)) continue
    // Some end with the browser alone.
    if (now - madeAt(record) < 1000 * NOTE_S) opened.push(record)
    else over.push(cookies.notes[i]!)
  }
  return { opened, ended, replaceable, over, until }
}

/**
 * Returns the `Set-Cookie` values of a rotation: the new credential, instead of those before. It is as good as a
 * session cookie, so that it never outlives one. What earlier notes called ended stays so: the cookie of such a
 * session may still be on its way.
 */
export async function noteRotation(
  instance: Instance,
  cookies: CookieFound,
  credential: OpenedRecord,
): Promise<string[]> {
  const { replaceable } = await readNotes(instance, cookies)
  const { maxAge = credential.persistent ? NOTE_S : undefined } = instance.options.cookie
  const age = maxAge && Math.min(maxAge, NOTE_S)
  const note = await writeSide(instance, 'note', encodeRecord(credential), age)
  return note ? [note, ...removeSides(instance, replaceable)] : []
}

/** Returns the `Set-Cookie` values that remove notes whose time is up, for browsers that are never closed. */
export async function removeOver(instance: Instance, cookies: CookieFound): Promise<string[]> {
  return removeSides(instance, (await readNotes(instance, cookies)).over)
}

/**
 * Returns the `Set-Cookie` values of an end. What earlier notes called ended stays so.
 *
 * @param age Seconds for which a cookie of these sessions may still be good. (default: with a store
 * an hour, or as long as a snapshot may be shown)
 */
export async function noteEnd(
  instance: Instance,
  cookies: CookieFound,
  ids: Iterable<string>,
  age?: number,
): Promise<string[]> {
  const { now, snapshot } = instance.options
  const notes = await readNotes(instance, cookies)
  const all = [...new Set([...ids, ...notes.ended])].slice(0, MAX_ENDED)
  const shown = snapshot ? snapshot.maxAge + snapshot.staleIfError : 0
  const seconds = Math.floor(now() / 1000)
  const until = Math.max(notes.until, Math.ceil(seconds + (age ?? Math.max(NOTE_S, shown))))
  const bytes = new Uint8Array(ENDED_HEADER + ID_BYTES * all.length)
  bytes[0] = ENDED
  new DataView(bytes.buffer).setUint32(1, until)
  for (const [i, id] of all.entries()) {
    bytes.set(decodeBase64url(id)!, ENDED_HEADER + ID_BYTES * i)
  }
  const note = await writeSide(instance, 'note', bytes, until - seconds)
  return note ? [note, ...removeSides(instance, cookies.notes)] : []
}

/**
 * Reports the end of the session of a draft, and returns the `Set-Cookie` values for all that end. The note lives for
 * as long as a cookie of theirs may be good: one that a response under way renews, or one that this response cannot
 * remove because it was set with another domain, path or partition. With `revocations` copies of the cookie
 * are over too.
 */
export async function noteCookieEnds(
  instance: Instance,
  { cookies, endReason, found, status }: Draft,
  ended: readonly (SessionTimes & Pick<SessionState, 'key' | 'subject'>)[],
): Promise<string[]> {
  if (instance.options.revocations) await (await revocations()).markEnds(instance, ended)
  const renewedAt = instance.options.now()
  const ends = ended.map((one) => instance.context.expiresAt({ ...one, renewedAt }))
  const age = Math.min((Math.max(...ends) - renewedAt) / 1000, MAX_COOKIE_AGE)
  const by = status === 'destroyed' ? 'destroy' : 'login'
  if (found) tellEnd(instance.emit, by, found.state, endReason)
  return noteEnd(instance, cookies, ended.map(idOf), age)
}
