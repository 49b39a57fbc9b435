/**
 * Writes that could not reach the store: they ride in cookies of their own, one for each response,
 * so that overlapping requests cannot overwrite each other's, until the store answers.
 *
 * Each is sealed, is bound to the id of its session, is good for 15 minutes and is applied once:
 * the record remembers their tags for as long.
 */
import { parseCookie } from 'cookie'
import type { CookieFound } from '../cookie.ts'
import { encodeBase64url } from '../crypto/base64url.ts'
import { createKeyRing } from '../crypto/keyring.ts'
import { openToken, sealToken } from '../crypto/token.ts'
import type { Instance } from '../instance.ts'
import type { Operation } from '../operations.ts'
import { idOf, type SessionState, type StoredExtra } from '../record.ts'
import { applyChanges, type Change, isChanges, joinChanges } from './changes.ts'

/** What one request could not write, or several one after the other. */
export interface Deferral {
  /** One for each request. */
  readonly tags: readonly string[]
  /** When the last of them was made, epoch milliseconds. */
  readonly at: number
  readonly changes: readonly Change[]
  /** An id that the session moved away from, and that may still be alive. */
  readonly grave?: string | 0 | undefined
  /** 1: the store may have got the last of them, and all before it, and only its answer was lost. */
  readonly unsure: number
}

/** As it is sealed. */
type Sealed = readonly [
  tags: readonly string[],
  at: number,
  changes: readonly Change[],
  grave?: string | 0,
  unsure?: number,
]

/** What the cookies of a request hold of them. */
export interface Deferrals {
  readonly all: readonly Deferral[]
  /** The cookies' names, after that of the session. */
  readonly names: readonly string[]
}

/** Finds and writes deferrals. */
export interface DeferralCookies {
  find(cookies: CookieFound, key: SessionState['key']): Promise<Deferrals>
  /** The `Set-Cookie` values that carry `all` instead of those at `names`; `null`: too large. */
  write(
    key: SessionState['key'],
    all: readonly Deferral[],
    names: readonly string[],
  ): Promise<string[] | null>
  /** The `Set-Cookie` values that end those at `names`. */
  remove(names: readonly string[]): string[]
}

/** For how long a deferral is good, and its tag remembered. */
export const DEFERRAL_MS = 900_000
const MAX_BYTES = 4096
/** Cookies of this kind that are looked at. */
const MAX_COOKIES = 16
const TAG_BYTES = 5
/** Tags that a record remembers, and more requests than can wait. */
const MAX_TAGS = 128
/**
 * No request that began before a response is under way so long after it. What is older travels
 * together from then on, and is joined to take less room.
 */
const JOIN_AFTER_MS = 30_000

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export function createDeferralCookies({ cookie, format, options }: Instance): DeferralCookies {
  const { now } = options
  const ring = createKeyRing(options.secrets, 'cookie')
  const label = `deferred:${cookie.name}`
  const prefix = `${cookie.name}.d`
  const remove = (names: readonly string[]): string[] =>
    names.map((name) => cookie.beside(name, '', 0))

  const open = async (token: string, id: string): Promise<readonly Deferral[]> => {
    const bytes = await openToken(ring, label, token, now())
    const [owner, all]: [string, Sealed[]] = bytes ? JSON.parse(decoder.decode(bytes)) : ['', []]
    if (owner !== id) return []
    return all
      .map(([tags, at, changes, grave, unsure = 0]) => ({ tags, at, changes, grave, unsure }))
      .filter(({ at, changes }) => now() - at < DEFERRAL_MS && isChanges(changes))
  }

  /** Joins those that are old enough. `apart`: not those of which the record may know some only. */
  const join = (all: readonly Deferral[], apart: boolean): Deferral[] => {
    const isOld = ({ at, grave }: Deferral): boolean => !grave && now() - at > JOIN_AFTER_MS
    const joined: Deferral[] = []
    for (const one of all) {
      const last = joined.at(-1)
      if (!last || (apart && last.unsure) || !isOld(last) || !isOld(one)) joined.push(one)
      else {
        const tags = [...last.tags, ...one.tags]
        const changes = joinChanges(format, last.changes, one.changes)
        joined[joined.length - 1] = { ...one, tags, changes }
      }
    }
    return joined
  }

  return {
    async find({ header }, key) {
      const found = header?.includes(prefix) ? parseCookie(header) : {}
      const names = Object.keys(found).filter((name) => name.startsWith(prefix))
      const id = idOf({ key })
      const all = new Map<string, Deferral>()
      for (const name of names.slice(0, MAX_COOKIES)) {
        for (const one of await open(found[name] ?? '', id)) all.set(one.tags.join(), one)
      }
      return {
        all: [...all.values()].sort((a, b) => a.at - b.at),
        names: names.map((name) => name.slice(cookie.name.length + 1)),
      }
    },

    async write(key, all, names) {
      const name = `d${newTag()}`
      if (all.flatMap(({ tags }) => tags).length > MAX_TAGS) return null
      for (const apart of [true, false]) {
        const sealed = join(all, apart).map(
          ({ tags, at, changes, grave = 0, unsure }): Sealed => [tags, at, changes, grave, unsure],
        )
        const bytes = encoder.encode(JSON.stringify([idOf({ key }), sealed]))
        const token = await sealToken(ring, label, bytes, now())
        if (prefix.length + name.length + token.length > MAX_BYTES) continue
        return [cookie.beside(name, token, DEFERRAL_MS / 1000), ...remove(names)]
      }
      return null
    },

    remove,
  }
}

/** What tells one deferral from all others. */
export function newTag(): string {
  return encodeBase64url(crypto.getRandomValues(new Uint8Array(TAG_BYTES)))
}

/** Applies those that were not applied yet, and remembers that they were. */
export function applyDeferrals({ format, options }: Instance, all: readonly Deferral[]): Operation {
  return (state) => {
    const known = new Set(state.extra?.k?.map(([tag]) => tag))
    const applied: [string, number][] = []
    let next = state
    for (const { tags, at, changes } of all) {
      // Some of them without the others: an old cookie that was kept back.
      if (!changes.length || tags.some((tag) => known.has(tag))) continue
      next = applyChanges(format, next, changes, true)
      for (const tag of tags) {
        known.add(tag)
        applied.push([tag, Math.ceil((at + DEFERRAL_MS) / 1000)])
      }
    }
    if (!applied.length) return state
    return { ...next, extra: remembering(state.extra, applied, options.now()) }
  }
}

/** Adds tags of what was applied; they go when nothing with them is good any more. */
export function remembering(
  extra: StoredExtra | undefined,
  tags: NonNullable<StoredExtra['k']>,
  now: number,
): StoredExtra {
  const k = (extra?.k ?? []).filter(([, until]) => until * 1000 > now)
  return { k: [...k, ...tags].slice(-MAX_TAGS) }
}
