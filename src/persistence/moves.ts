/**
 * Where a session has gone: a slow response to a request from before may bring the cookie of its old
 * id back to the browser. A cookie of its own tells then what that id has become; it comes with the
 * response that moves a session, and helps nobody who has only the old one.
 */
import { parseCookie } from 'cookie'
import { decodeRecord, encodeRecord, ID_BYTES, type OpenedRecord } from '../codec/session-record.ts'
import { openToken, sealToken } from '../crypto/token.ts'
import type { Instance } from '../session/instance.ts'
import type { CookieFound } from '../transport/cookie.ts'

/** Remembers moves in the browser. */
export interface Moves {
  /** The `Set-Cookie` value that says that a session went on as `next`, its cookie without data. */
  note(from: OpenedRecord['key'], next: OpenedRecord): Promise<string>
  /** The `Set-Cookie` values with which the browser forgets it. */
  forget(cookies: CookieFound): string[]
  /** What became of the session that a cookie names, as far as the browser knows. */
  follow(cookies: CookieFound, opened: OpenedRecord): Promise<OpenedRecord | null>
}

/** Seconds for which it is known. */
const MOVED_S = 300
const LABEL = 'm'

export function createMoves({ cookie, options, tokens }: Instance): Moves {
  const { now } = options
  const { ring } = tokens
  const label = `moved:${cookie.name}`
  const start = `${cookie.name}.${LABEL}=`
  return {
    async note(from, next) {
      const bytes = Uint8Array.of(...from.subarray(0, ID_BYTES), ...encodeRecord(next))
      return cookie.beside(LABEL, await sealToken(ring, label, bytes, now()), MOVED_S)
    },

    forget: ({ header }) => (header?.includes(start) ? [cookie.beside(LABEL, '', 0)] : []),

    async follow({ header }, { key }) {
      const token = header?.includes(start) ? parseCookie(header)[start.slice(0, -1)] : ''
      const bytes = token ? await openToken(ring, label, token, now()) : null
      const isFrom = bytes && key.subarray(0, ID_BYTES).every((byte, i) => byte === bytes[i])
      return isFrom ? decodeRecord(bytes.subarray(ID_BYTES)) : null
    },
  }
}
