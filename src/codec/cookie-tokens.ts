/** Cookies to and from sealed tokens; each is opened once in this isolate and then known. */
import { BoundedMap } from '../bounded-map.ts'
import { createKeyRing, type FormerUsed, type KeyRing } from '../crypto/keyring.ts'
import { HOUR_MS, type OpenBudget, openToken, sealToken } from '../crypto/token.ts'
import type { Emit } from '../emit.ts'
import type { ResolvedOptions } from '../resolve-options.ts'
import type { CookieFound } from '../transport/cookie.ts'
import {
  decodeRecord,
  encodeRecord,
  type OpenedRecord,
  type SessionState,
} from './session-record.ts'

/** A cookie of ours, and the session in it once that was read. */
export interface OpenedCookie {
  readonly opened: OpenedRecord
  state?: SessionState
}

/** Opens and seals the cookies of one name. */
export interface CookieTokens {
  /** Opens those of a request that are ours, and not from more than an hour ahead; without a promise if all are known. */
  openAll(
    cookies: Pick<CookieFound, 'tokens' | 'budget'>,
  ): readonly OpenedCookie[] | Promise<readonly OpenedCookie[]>
  seal(record: OpenedRecord): Promise<string>
  /** Remembers what a token opens to. */
  keep(token: string, cookie: OpenedCookie): void
  /** The keys of the session cookies, and of the notes and deferred writes in cookies beside them. */
  readonly ring: KeyRing
}

/** Four cookies of 4096 bytes: nothing of ours is longer. */
export const MAX_TOKEN = 16_384

/** Tells whether a session is from more than an hour ahead of `now`: no clock of ours made it. */
export function isFromFuture(
  { createdAt, renewedAt }: Pick<OpenedRecord, 'createdAt' | 'renewedAt'>,
  now: number,
): boolean {
  return Math.max(renewedAt, createdAt) > now + HOUR_MS
}

export function createCookieTokens(
  { secrets, cache, codec, now, schema }: ResolvedOptions,
  name: string,
  formerUsed: FormerUsed,
  observe?: Emit,
): CookieTokens {
  const ring = createKeyRing(secrets, 'cookie', formerUsed)
  const label = `cookie:${name}`
  // Plain values only: on Workers a promise of another request may never settle.
  const known = new BoundedMap<string, { until: number; cookie: OpenedCookie }>(cache.maxEntries)
  const keep = (token: string, cookie: OpenedCookie): void => {
    if (cache.ttl) known.set(token, { until: now() + cache.ttl * 1000, cookie })
  }
  const recall = (token: string, time: number): OpenedCookie | null => {
    const entry = known.get(token)
    const hit = entry !== undefined && entry.until > time
    if (cache.ttl) observe?.({ type: 'cache.read', layer: 'cookie', hit })
    return hit ? entry.cookie : null
  }
  const open = async (token: string, budget: OpenBudget): Promise<OpenedCookie | null> => {
    if (token.length > MAX_TOKEN) return null
    const bytes = await openToken(ring, label, token, now(), budget)
    const opened = bytes && decodeRecord(bytes)
    if (!opened) return null
    const cookie = { opened }
    // A part of a header would hold the whole of it in memory: joining makes a text of its own.
    keep(` ${token}`.slice(1), cookie)
    return cookie
  }
  const usable = (
    cookies: readonly (OpenedCookie | null)[],
    budget: OpenBudget,
    time: number,
  ): OpenedCookie[] => {
    const all: OpenedCookie[] = []
    for (const cookie of cookies) {
      if (!cookie) continue
      const { opened } = cookie
      if (isFromFuture(opened, time)) budget.ahead = Math.max(opened.renewedAt, opened.createdAt)
      // What a codec makes (a Map, a Date) cannot be frozen: each request gets one of its own.
      else all.push(codec ? { opened } : cookie)
    }
    return all
  }
  return {
    ring,
    openAll({ budget, tokens }) {
      const time = now()
      const known = tokens.map((token) => recall(token, time))
      if (!known.includes(null)) return usable(known, budget, time)
      return (async () => {
        for (const [i, token] of tokens.entries()) known[i] ??= await open(token, budget)
        return usable(known, budget, time)
      })()
    },
    seal: (record) => sealToken(ring, label, encodeRecord(record), now()),
    // A schema may make something else of the data when they are read.
    keep: (token, cookie) => keep(token, schema ? { opened: cookie.opened } : cookie),
  }
}
