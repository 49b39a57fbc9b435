/**
 * What the cookie of a session in a store carries: its id, how new the record is that it was made
 * from, and with `snapshot` a copy of the data where that fits.
 */
import { BoundedMap } from '../bounded-map.ts'
import { decodeBase64url, encodeBase64url } from '../crypto/base64url.ts'
import type { Instance } from '../instance.ts'
import { encodeRecord, ID_BYTES, idOf, type OpenedRecord, type SessionState } from '../record.ts'
import { writeCookie } from '../save.ts'
import type { Draft, FoundSession } from '../session.ts'
import { partOf } from './cookie-part.ts'

/** The copy of a session that a cookie carries. */
export interface Copy {
  readonly found: FoundSession
  /** Milliseconds since the store said so. */
  readonly age: number
  /** The store has something newer, as far as is known: it is for outages only. */
  readonly isOutdated: boolean
}

/** Reads and writes the cookies of sessions in a store. */
export interface StoredCookies {
  /** With the part of the key that only the cookie has in its place. */
  withPart(opened: OpenedRecord): OpenedRecord
  /** `null`: there is none, or this isolate knows that the session is dead. */
  copyOf(opened: OpenedRecord): Promise<Copy | null>
  /** Whether a copy of a session fits. */
  fits(found: FoundSession): boolean
  /**
   * The `Set-Cookie` values of a session as the store has it. `at`: when that was so, epoch
   * milliseconds. `version`: of its record, unless it was kept beside that of somebody else.
   */
  write(draft: Draft, state: SessionState, at: number, version?: string): Promise<string[]>
  /** Whether this isolate has written something newer, or ended the session. */
  isOutdated(about: Pick<SessionState, 'key' | 'counter'>): boolean
  /** Whether this isolate has ended the session, or moved it to another id. */
  isEnded(about: Pick<SessionState, 'key'>): boolean
  /** This isolate has written that, or kept it beside a record of that counter. */
  wrote(state: SessionState, beside: boolean): void
  /** This isolate has ended a session. */
  ended(id: string): void
}

/** Sessions of which this isolate remembers how new they are. */
const MAX_LATEST = 1000
const MAX_COOKIE_BYTES = 4096
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

export function createStoredCookies(instance: Instance): StoredCookies {
  const { cookie, format, options } = instance
  const { now, snapshot } = options
  /** The newest counter that this isolate wrote; `Infinity`: the session is dead. */
  const latest = new BoundedMap<string, number>(MAX_LATEST)
  const latestOf = (about: Pick<SessionState, 'key'>): number => latest.get(idOf(about)) ?? 0

  const carrying = (state: SessionState, extra: OpenedRecord['extra']): OpenedRecord | null => {
    const opened = { ...state, ...format.write(state), extra }
    // 36 bytes around it, then base64url.
    const size = ((encodeRecord(opened).length + 36) * 4) / 3 + cookie.name.length
    return size <= MAX_COOKIE_BYTES ? opened : null
  }

  return {
    withPart(opened) {
      const part = opened.extra?.q && decodeBase64url(opened.extra.q)
      return part
        ? { ...opened, key: Uint8Array.of(...opened.key.subarray(0, ID_BYTES), ...part) }
        : opened
    },

    async copyOf(opened) {
      const { counter, text, extra } = opened
      const newest = latestOf(opened)
      if (!snapshot || text === null || !extra?.r || newest === Infinity) return null
      try {
        const { d, k, r: version } = extra
        const state = { ...(await format.read(opened)), extra: d || k ? { k, d } : undefined }
        const at = madeAt(opened)
        const isOutdated = newest > counter || version === UNKNOWN
        return { found: { state, text, version, at }, age: now() - at, isOutdated }
      } catch {
        return null
      }
    },

    fits: ({ state, version }) => !!carrying(state, { ...state.extra, r: version! }),

    async write(draft, state, at, version = UNKNOWN) {
      const t = (at - state.renewedAt) / 1000
      const part = partOf(state)
      const extra = { ...(t && { t }), ...(part.length && { q: encodeBase64url(part) }) }
      const bare = { ...state, ...ID_ONLY, extra: Object.keys(extra).length ? extra : undefined }
      const whole = snapshot && carrying(state, { ...state.extra, ...extra, r: version })
      return writeCookie(instance, draft, state, { opened: whole || bare })
    },

    isOutdated: (about) => latestOf(about) > about.counter,
    isEnded: (about) => latestOf(about) === Infinity,
    // Of writes at once any may end last.
    wrote: (state, beside) =>
      latest.set(idOf(state), Math.max(latestOf(state), state.counter + (beside ? 1 : 0))),
    ended: (id) => latest.set(id, Infinity),
  }
}

/** When the record that a cookie was made from was read or written, epoch milliseconds. */
export function madeAt({ renewedAt, extra }: OpenedRecord): number {
  return renewedAt + 1000 * (extra?.t ?? 0)
}
