/**
 * What the cookie of a session in a store carries: its id, how new the record is that it was made
 * from, and with `snapshot` a copy of the data where that fits.
 */

import {
  encodeRecord,
  ID_BYTES,
  type OpenedRecord,
  type StoredExtra,
} from '../codec/session-record.ts'
import { decodeBase64url, encodeBase64url } from '../crypto/base64url.ts'
import type { Instance } from '../session/instance.ts'
import { writeCookie } from '../session/save.ts'
import type { Draft, FoundSession } from '../session/session.ts'
import { MAX_COOKIE_BYTES } from '../transport/cookie.ts'
import { partOf } from './cookie-part.ts'
import type { Newest } from './newest.ts'

/** The copy of a session that a cookie carries. */
export interface Copy {
  readonly found: FoundSession
  /** Milliseconds since the store said so. */
  readonly age: number
  /** The store has something newer, as far as is known: it is for outages only. */
  readonly isOutdated: boolean
}

/** What the store has; without a `version` it was kept beside the record of somebody else. */
export type Known = Pick<FoundSession, 'state' | 'at' | 'folded' | 'version'>

/** Reads and writes the cookies of sessions in a store. */
export interface StoredCookies {
  /** With the part of the key that only the cookie has in its place. */
  withPart(opened: OpenedRecord): OpenedRecord
  /** `null`: there is none, or this isolate knows that the session is dead. */
  copyOf(opened: OpenedRecord): Promise<Copy | null>
  /** What a cookie without data holds. */
  bare(known: Known): OpenedRecord
  /** Whether a copy of a session fits. */
  fits(known: Known): boolean
  /** The `Set-Cookie` values of a session as the store has it. */
  write(draft: Draft, known: Known): Promise<string[]>
}

/** Stands for the version of a record that is not known: no record has it. */
const UNKNOWN = '0'

/** What a cookie does not say of a session whose data are in a store. */
const ID_ONLY = {
  subject: null,
  label: undefined,
  binding: undefined,
  authenticatedAt: null,
  version: 1,
  text: null,
  hasFlash: false,
} as const

export function createStoredCookies(instance: Instance, newest: Newest): StoredCookies {
  const { context, cookie, format, options } = instance
  const { now, snapshot } = options

  const extraOf = ({ state, at = context.now() }: Known): StoredExtra => {
    const t = (at - state.renewedAt) / 1000
    const part = partOf(state)
    return { ...(t && { t }), ...(part.length && { q: encodeBase64url(part) }) }
  }

  /** With a copy of the data; `null` where that does not fit. */
  const whole = (known: Known): OpenedRecord | null => {
    const { state, version: r = UNKNOWN, folded: p } = known
    const extra = { ...state.extra, ...extraOf(known), r, ...(p && { p }) }
    const opened = { ...state, ...format.write(state), extra }
    // 36 bytes around it, then base64url.
    const size = ((encodeRecord(opened).length + 36) * 4) / 3 + cookie.name.length
    return size <= MAX_COOKIE_BYTES ? opened : null
  }

  const bare = (known: Known): OpenedRecord => {
    const extra = extraOf(known)
    const isPlain = !Object.keys(extra).length
    return { ...known.state, ...ID_ONLY, extra: isPlain ? undefined : extra }
  }

  return {
    bare,

    withPart(opened) {
      const part = opened.extra?.q && decodeBase64url(opened.extra.q)
      return part
        ? { ...opened, key: Uint8Array.of(...opened.key.subarray(0, ID_BYTES), ...part) }
        : opened
    },

    async copyOf(opened) {
      const { text, extra } = opened
      if (!snapshot || text === null || !extra?.r || newest.of(opened) === Infinity) return null
      try {
        const { d, k, r: version, p: folded = 0 } = extra
        const state = { ...(await format.read(opened)), extra: d || k ? { k, d } : undefined }
        const at = madeAt(opened)
        const found = { state, text, version, folded, at }
        const isOutdated = newest.isAfter(found) || version === UNKNOWN
        return { found, age: now() - at, isOutdated }
      } catch {
        return null
      }
    },

    fits: (known) => !!whole(known),

    async write(draft, known) {
      const { state } = known
      const opened = (snapshot && whole(known)) || bare(known)
      const setCookie = await writeCookie(instance, draft, state, { opened })
      // It moved meanwhile, and the browser may have its new cookie already.
      return newest.of(state) === Infinity ? [] : setCookie
    },
  }
}

/** When the record that a cookie was made from was read or written, epoch milliseconds. */
export function madeAt({ renewedAt, extra }: OpenedRecord): number {
  return renewedAt + 1000 * (extra?.t ?? 0)
}
