/**
 * Writes that could not reach the store: they ride in cookies of their own, one for each response,
 * so that overlapping requests cannot overwrite each other's, until the store answers.
 *
 * Each is sealed, is bound to the id of its session, is good for 15 minutes and is applied once:
 * the record remembers their tags.
 */
import { parseCookie } from 'cookie'
import { idOf, type SessionState } from '../codec/session-record.ts'
import { openToken, sealToken } from '../crypto/token.ts'
import type { Instance } from '../session/instance.ts'
import type { Operation } from '../session/operations.ts'
import { type CookieFound, MAX_COOKIE_BYTES } from '../transport/cookie.ts'
import { applyChanges, type Change, isChanges, joinChanges } from './changes.ts'
import { eachTag, newTag, REMEMBERED, tagsOf, withTags } from './tags.ts'

/** What one request could not write, or several one after the other. */
export interface Deferral {
  /** One for each request, one after the other. */
  readonly tags: string
  /** When the last of them was made, epoch milliseconds. */
  readonly at: number
  readonly changes: readonly Change[]
  /** That of the record which they were to be written over. */
  readonly counter: number
  /** They were sent to the store: perhaps they are applied, and only the answer was lost. */
  readonly sent: boolean
  /** An id that the session moved away from, and that may still be alive. */
  readonly grave?: string | undefined
}

/** As it is sealed. */
type Sealed = readonly [
  tags: string,
  at: number,
  changes: readonly Change[],
  counter: number,
  sent: 0 | 1,
  grave?: string | undefined,
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
  /** The `Set-Cookie` values that end those at `names`, or as many as one response may end. */
  remove(names: readonly string[]): string[]
}

/** For how long a deferral is good, from the last that travels with it. */
const DEFERRAL_MS = 900_000
/** Cookies of this kind that one request takes up; the next one takes up the others. */
const MAX_COOKIES = 64
/** Cookies that one response removes: the headers of many more are too long for some proxies. */
const MAX_REMOVALS = 16
/** Requests that can wait in one cookie. */
const MAX_WAITING = 128
/** Tags that a record knows before it takes up no more: many more than an honest browser brings. */
const MAX_TAGS = 300
/**
 * No request that began before a response is under way so long after it. What is older travels
 * together from then on, and is joined to take less room.
 */
const JOIN_AFTER_MS = 30_000

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export function createDeferralCookies({
  cookie,
  format,
  options,
  tokens,
}: Instance): DeferralCookies {
  const { now } = options
  const { ring } = tokens
  const label = `deferred:${cookie.name}`
  const prefix = `${cookie.name}.d`
  const remove = (names: readonly string[]): string[] =>
    names.slice(0, MAX_REMOVALS).map((name) => cookie.beside(name, '', 0))

  const open = async (token: string, id: string): Promise<readonly Deferral[]> => {
    const bytes = await openToken(ring, label, token, now())
    const [owner, all]: [string, Sealed[]] = bytes ? JSON.parse(decoder.decode(bytes)) : ['', []]
    // Those that came later were made from what the earlier ones made: they last together.
    const newest = Math.max(...all.map(([, at]) => at))
    if (owner !== id || now() - newest >= DEFERRAL_MS) return []
    return all
      .map(([tags, at, changes, counter, sent, grave]) => {
        return { tags, at, changes, counter, sent: sent === 1, grave }
      })
      .filter(({ tags, changes }) => typeof tags === 'string' && isChanges(changes))
  }

  /** Joins those next to each other that are old enough. What was `sent` may be applied in part. */
  const join = (all: readonly Deferral[], sentToo: boolean): Deferral[] => {
    const joined: Deferral[] = []
    let last: Deferral | undefined
    for (const one of all) {
      const { at, counter, grave, sent, tags } = one
      const joins = !grave && now() - at > JOIN_AFTER_MS && (sentToo || !sent)
      if (joins && last) {
        joined[joined.length - 1] = {
          tags: last.tags + tags,
          at,
          changes: joinChanges(format, last.changes, one.changes),
          counter: Math.min(last.counter, counter),
          sent: last.sent || sent,
        }
      } else joined.push(one)
      last = joins ? joined.at(-1) : undefined
    }
    return joined
  }

  const seal = (id: string, all: readonly Deferral[]): Promise<string> => {
    const sealed = all.map(({ tags, at, changes, counter, sent, grave }): Sealed => {
      return [tags, at, changes, counter, sent ? 1 : 0, grave]
    })
    return sealToken(ring, label, encoder.encode(JSON.stringify([id, sealed])), now())
  }

  return {
    async find({ header }, key) {
      const found = header?.includes(prefix) ? parseCookie(header) : {}
      const names = Object.keys(found)
        .filter((name) => name.startsWith(prefix))
        .slice(0, MAX_COOKIES)
      const id = idOf({ key })
      const opened = await Promise.all(names.map((name) => open(found[name] ?? '', id)))
      return {
        all: withoutCopies(opened.flat()),
        names: names.map((name) => name.slice(cookie.name.length + 1)),
      }
    },

    async write(key, all, names) {
      if (eachTag(all.map(({ tags }) => tags).join('')).length > MAX_WAITING) return null
      const name = `d${newTag()}`
      for (const sentToo of [false, true]) {
        const token = await seal(idOf({ key }), join(all, sentToo))
        if (prefix.length + name.length + token.length > MAX_COOKIE_BYTES) continue
        return [cookie.beside(name, token, DEFERRAL_MS / 1000), ...remove(names)]
      }
      return null
    },

    remove,
  }
}

/** Overlapping requests carry what came before them each, some of it joined already; by age. */
function withoutCopies(all: readonly Deferral[]): Deferral[] {
  const seen = new Set<string>()
  return [...all]
    .sort((a, b) => b.tags.length - a.tags.length)
    .filter(({ tags }) => {
      const each = eachTag(tags)
      if (each.some((tag) => seen.has(tag))) return false
      for (const tag of each) seen.add(tag)
      return true
    })
    .sort((a, b) => a.at - b.at)
}

/** Applies those that were not applied yet, and remembers that they were; tells of what it drops. */
export function applyDeferrals(
  { format }: Instance,
  all: readonly Deferral[],
  onDrop?: () => void,
): Operation {
  return (state) => {
    const known = tagsOf(state)
    let next = state
    let applied = ''
    for (const { tags, changes, counter } of all) {
      const each = eachTag(tags)
      const isForgotten = state.counter - counter > REMEMBERED
      // Some of them without the others: an old cookie that was kept back.
      const isKnown = each.some((tag) => known.has(tag))
      if (!changes.length || isKnown) continue
      if (isForgotten || known.size + each.length > MAX_TAGS) {
        for (const _ of changes) onDrop?.()
        continue
      }
      next = applyChanges(format, next, changes, onDrop)
      for (const tag of each) known.add(tag)
      applied += tags
    }
    return applied ? { ...next, extra: withTags(state, applied) } : state
  }
}
