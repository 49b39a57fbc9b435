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
import { applyChanges, type Change, isChanges } from './changes.ts'

/** What one request could not write. */
export interface Deferral {
  readonly tag: string
  /** Epoch milliseconds. */
  readonly at: number
  readonly changes: readonly Change[]
  /** An id that the session moved away from, and that may still be alive. */
  readonly grave: string | undefined
}

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
/** Tags that a record remembers. */
const MAX_TAGS = 32

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export function createDeferralCookies({ cookie, options }: Instance): DeferralCookies {
  const { now } = options
  const ring = createKeyRing(options.secrets, 'cookie')
  const label = `deferred:${cookie.name}`
  const prefix = `${cookie.name}.d`
  const remove = (names: readonly string[]): string[] =>
    names.map((name) => cookie.beside(name, '', 0))

  const open = async (token: string, id: string): Promise<readonly Deferral[]> => {
    const bytes = await openToken(ring, label, token, now())
    const [owner, all]: [string, Deferral[]] = bytes ? JSON.parse(decoder.decode(bytes)) : ['', []]
    return owner === id
      ? all.filter(({ at, changes }) => now() - at < DEFERRAL_MS && isChanges(changes))
      : []
  }

  return {
    async find({ header }, key) {
      const found = header?.includes(prefix) ? parseCookie(header) : {}
      const names = Object.keys(found).filter((name) => name.startsWith(prefix))
      const id = idOf({ key })
      const all = new Map<string, Deferral>()
      for (const name of names.slice(0, MAX_COOKIES)) {
        for (const one of await open(found[name] ?? '', id)) all.set(one.tag, one)
      }
      return {
        all: [...all.values()].sort((a, b) => a.at - b.at),
        names: names.map((name) => name.slice(cookie.name.length + 1)),
      }
    },

    async write(key, all, names) {
      const bytes = encoder.encode(JSON.stringify([idOf({ key }), all]))
      const token = await sealToken(ring, label, bytes, now())
      const name = `d${newTag()}`
      if (prefix.length + name.length + token.length > MAX_BYTES) return null
      return [cookie.beside(name, token, DEFERRAL_MS / 1000), ...remove(names)]
    },

    remove,
  }
}

/** What tells one deferral from all others. */
export function newTag(): string {
  return encodeBase64url(crypto.getRandomValues(new Uint8Array(6)))
}

/** Applies those that were not applied yet, and remembers that they were. */
export function applyDeferrals({ format, options }: Instance, all: readonly Deferral[]): Operation {
  return (state) => {
    const known = new Set(state.extra?.k?.map(([tag]) => tag))
    const open = all.filter(({ tag, changes }) => changes.length && !known.has(tag))
    if (!open.length) return state
    let next = state
    for (const { changes } of open) next = applyChanges(format, next, changes, true)
    const tags = open.map(({ tag, at }) => [tag, Math.ceil((at + DEFERRAL_MS) / 1000)] as const)
    return { ...next, extra: remembering(state.extra, tags, options.now()) }
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
