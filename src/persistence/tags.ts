/**
 * The tags of writes, by which a record knows those that it has seen: what waited in a cookie is
 * applied once, and not at all when it had been applied and only the answer was lost.
 *
 * A record remembers the writes of its last 32 versions. What was made before them is applied no
 * more, so nobody has to remember for longer.
 */

import type { SessionState, StoredExtra } from '../codec/session-record.ts'
import { encodeBase64url } from '../crypto/base64url.ts'

/** Versions of which the tags are remembered. */
export const REMEMBERED: number = 32
const TAG_BYTES = 5
/** 5 bytes, base64url. */
const TAG = /.{7}/g
const TAG_LENGTH = 7

/** What tells one write from all others. */
export function newTag(): string {
  return encodeBase64url(crypto.getRandomValues(new Uint8Array(TAG_BYTES)))
}

/** Takes tags apart that are written one after the other. */
export function eachTag(tags: string): readonly string[] {
  return tags.match(TAG) ?? []
}

/** What a record remembers. */
export function tagsOf({ extra }: SessionState): Set<string> {
  const others = extra?.d?.map(([, tags]) => tags) ?? []
  return new Set(eachTag([extra?.k, ...others].join('')))
}

/** Remembers the tag of the write that is about to be made of `state`. */
export function withTag({ counter, extra }: SessionState, tag: string): StoredExtra {
  const { k = '', d = [] } = extra ?? {}
  const recent = d.filter(([from]) => counter - from < REMEMBERED)
  return {
    k: (k + tag).slice(-REMEMBERED * TAG_LENGTH),
    d: recent.length ? recent : undefined,
  }
}

/** Forgets the last tag: its write was answered, so that it waits in no cookie. */
export function withoutTag(state: SessionState, tag: string): SessionState {
  const { extra } = state
  if (!tag || !extra?.k?.endsWith(tag)) return state
  return { ...state, extra: { ...extra, k: extra.k.slice(0, -TAG_LENGTH) } }
}

/** Remembers the tags of what that write has taken up. */
export function withTags({ counter, extra }: SessionState, tags: string): StoredExtra {
  return { ...extra, d: [...(extra?.d ?? []), [counter + 1, tags]] }
}
