/**
 * Notes in the browser: what makes a late response harmless.
 *
 * Responses arrive in any order, so a session cookie may be replaced by one that was made before a
 * rotation or an end. A note travels in a cookie of its own name, which no other response sets: a
 * rotation sends the new credential, a sign-out that the id has ended. Whoever opens the session
 * takes cookies and notes together.
 */
import { isAhead } from '../codec/cookie-tokens.ts'
import { decodeRecord, encodeRecord, ID_BYTES, type OpenedRecord } from '../codec/session-record.ts'
import { decodeBase64url, encodeBase64url } from '../crypto/base64url.ts'
import { openToken, sealToken } from '../crypto/token.ts'
import type { Instance } from '../session/instance.ts'
import type { CookieFound } from '../transport/cookie.ts'

/** What the notes of a request say. */
export interface Notes {
  /** Credentials without data, as good as session cookies. */
  readonly opened: readonly OpenedRecord[]
  /** Ids of sessions that have ended. It speaks of those ids only, and never by time. */
  readonly ended: ReadonlySet<string>
  /** Labels of the cookies that a new credential replaces: all but those of ends. */
  readonly replaceable: readonly string[]
}

/** First byte of a note of an end; that of a credential has only low bits. */
const ENDED = 32
const ROTATION_S = 300
const ENDED_S = 3600
/** Ids that one note calls ended. */
const MAX_ENDED = 16
/** Cookies that one response removes: the headers of many more are too long for some proxies. */
export const MAX_REMOVALS = 16

const labelOf = ({ cookie }: Instance): string => `note:${cookie.name}`

/** Draws the end of a side cookie's label. */
export function newLabel(): string {
  return encodeBase64url(crypto.getRandomValues(new Uint8Array(3)))
}

/** Opens the notes of a request. */
export async function readNotes(instance: Instance, { notes }: CookieFound): Promise<Notes> {
  const { options, tokens } = instance
  const opened: OpenedRecord[] = []
  const ended = new Set<string>()
  const replaceable: string[] = []
  for (const [label, token] of notes) {
    const bytes = await openToken(tokens.ring, labelOf(instance), token, options.now())
    if (bytes?.[0] !== ENDED) {
      replaceable.push(label)
      const record = bytes && decodeRecord(bytes)
      if (record && !isAhead(record, options.now())) opened.push(record)
      continue
    }
    for (let i = 1; i < bytes.length; i += ID_BYTES) {
      ended.add(encodeBase64url(bytes.subarray(i, i + ID_BYTES)))
    }
  }
  return { opened, ended, replaceable }
}

/**
 * Returns the `Set-Cookie` values of a rotation: the new credential, instead of those before. What
 * earlier notes called ended stays so: the cookie of such a session may still be on its way.
 */
export async function noteRotation(
  instance: Instance,
  cookies: CookieFound,
  credential: OpenedRecord,
): Promise<string[]> {
  const { replaceable } = await readNotes(instance, cookies)
  return write(instance, replaceable, encodeRecord(credential), ROTATION_S)
}

/** Returns the `Set-Cookie` values of an end. What earlier notes called ended stays so. */
export async function noteEnd(
  instance: Instance,
  cookies: CookieFound,
  ids: Iterable<string>,
): Promise<string[]> {
  const { ended } = await readNotes(instance, cookies)
  const all = [...new Set([...ids, ...ended])].slice(0, MAX_ENDED)
  const bytes = all.flatMap((id) => [...(decodeBase64url(id) ?? [])])
  const labels = cookies.notes.map(([label]) => label)
  return write(instance, labels, Uint8Array.of(ENDED, ...bytes), ENDED_S)
}

async function write(
  instance: Instance,
  replaced: readonly string[],
  bytes: Uint8Array<ArrayBuffer>,
  age: number,
): Promise<string[]> {
  const { cookie, options, tokens } = instance
  if (!cookie.side) return []
  const token = await sealToken(tokens.ring, labelOf(instance), bytes, options.now())
  return [cookie.side(`n${newLabel()}`, token, age), ...removeSide(instance, replaced)]
}

/** Returns the `Set-Cookie` values that remove side cookies, or as many as one response may remove. */
export function removeSide({ cookie }: Instance, labels: readonly string[]): string[] {
  return labels.slice(0, MAX_REMOVALS).map((label) => cookie.side?.(label, '', 0) ?? '')
}
