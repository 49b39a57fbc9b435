/** A user's sessions: finding them and calling them back. Loaded when it is first needed. */
import { applyRules, assertSubject, expectArgument, isTags } from '../check.ts'
import { isId } from '../codec/session-record.ts'
import { decodeBase64url } from '../crypto/base64url.ts'
import type { KeyedHash } from '../crypto/keyed-hash.ts'
import { tellEnd } from '../emit.ts'
import { SessionError } from '../errors.ts'
import { REVOKE_ALL_RULES, REVOKE_RULES } from '../session/argument-rules.ts'
import type { Instance } from '../session/instance.ts'
import { isOver } from '../session/open.ts'
import type { RevokeAllOptions, RevokeOptions, SessionInfo } from '../session/session.ts'
import type { SessionIndex, StoredEntry } from '../stores/store.ts'
import {
  endSession,
  isListedFor,
  type Persistence,
  persistenceOf,
  startCalls,
} from './persistence.ts'
import { openRecord } from './stored-record.ts'

function assertTag(tag: unknown): void {
  expectArgument(isTags([tag]), 'tag', '1 to 200 well-formed characters', tag)
}

const required = (what: string): SessionError =>
  new SessionError(`Cannot find sessions: ${what}`, { code: 'ERR_STORE_REQUIRED' })

/** Passes over a user's index keys at most. */
const MAX_PASSES = 3

function assertReadable({ instance: { options } }: Persistence): void {
  if (options.seal === 'cookie') throw required('with seal "cookie" only their cookies open them')
}

function indexOf({ store }: Persistence): SessionIndex {
  if (store.index) return store.index
  throw required(`the store "${store.name}" has no index of users`)
}

/** Returns a user's live sessions. */
export async function list(instance: Instance, subject: string): Promise<SessionInfo[]> {
  const p = persistenceOf(instance)
  assertSubject(subject)
  const infos = await find(p, () => p.keysOf(subject))
  return infos.filter((info) => info.subject === subject)
}

/** Returns the live sessions that have a tag. */
export async function listBy(instance: Instance, tag: string): Promise<SessionInfo[]> {
  const p = persistenceOf(instance)
  assertTag(tag)
  const infos = await find(p, () => p.tagKeysOf(tag))
  return infos.filter((info) => info.tags.includes(tag))
}

/** Returns the live sessions of some index keys, which are made once it is clear that the store can be asked. */
async function find(p: Persistence, makeKeys: () => ReturnType<KeyedHash>): Promise<SessionInfo[]> {
  assertReadable(p)
  const index = indexOf(p)
  const calls = startCalls(p)
  const keys = await makeKeys()
  const lists = await Promise.all(
    keys.map((key) => calls.make('list', (call) => index.list(key, call))),
  )
  return (await Promise.all(lists.flat().map((entry) => infoOf(p, entry)))).flat()
}

/** Returns all live sessions, page by page. */
export async function* all(instance: Instance): AsyncIterable<SessionInfo> {
  const p = persistenceOf(instance)
  assertReadable(p)
  const { name, page } = p.store
  if (!page) throw required(`the store "${name}" cannot go through all of them`)
  for (let cursor: string | null = null; ; ) {
    const next = await startCalls(p).make('page', (call) => page(cursor, call))
    for (const entry of next.records) yield* await infoOf(p, entry)
    if (next.cursor === null) return
    cursor = next.cursor
  }
}

/** Ends a session; with `subject` only if it is that user's. */
export async function revoke(
  instance: Instance,
  id: string,
  given?: RevokeOptions,
): Promise<boolean> {
  expectArgument(typeof id === 'string' && id, 'id', 'the id of a session', id)
  const options = applyRules<RevokeOptions>('revoke.', REVOKE_RULES, given)
  if (instance.options.revocations) {
    return (await import('../revocation/marks.ts')).revokeMarked(instance, id, options)
  }
  const { reason, subject } = options
  const p = persistenceOf(instance)
  if (!isId(id)) return false
  const calls = startCalls(p)
  if (subject !== undefined) {
    const record = await calls.make('read', (call) => p.store.read(id, { ...call, fresh: true }))
    if (!(await isListedFor(p, subject, record?.keys))) return false
  }
  const wasLive = await endSession(p, calls, id)
  const key = decodeBase64url(id) ?? undefined
  tellEnd(instance.emit, 'id', { key, subject }, reason, Number(wasLive))
  return wasLive
}

/** Ends a user's sessions, and returns how many. */
export async function revokeAll(
  instance: Instance,
  subject: string,
  given?: RevokeAllOptions,
): Promise<number> {
  assertSubject(subject)
  const options = applyRules<RevokeAllOptions>('revokeAll.', REVOKE_ALL_RULES, given)
  if (instance.options.revocations) {
    return (await import('../revocation/marks.ts')).revokeAllMarked(instance, subject, options)
  }
  const p = persistenceOf(instance)
  return await endAll(p, () => p.keysOf(subject), options, { subject })
}

/** Ends the sessions that have a tag, and returns how many. */
export async function revokeBy(
  instance: Instance,
  tag: string,
  given?: RevokeAllOptions,
): Promise<number> {
  assertTag(tag)
  const options = applyRules<RevokeAllOptions>('revokeBy.', REVOKE_ALL_RULES, given)
  if (instance.options.revocations) {
    return (await import('../revocation/marks.ts')).revokeByMarked(instance, tag, options)
  }
  const p = persistenceOf(instance)
  return await endAll(p, () => p.tagKeysOf(tag), options, { tag })
}

async function endAll(
  p: Persistence,
  makeKeys: () => ReturnType<KeyedHash>,
  { except, reason }: RevokeAllOptions,
  about: { readonly subject: string } | { readonly tag: string },
): Promise<number> {
  const index = indexOf(p)
  const keys = await makeKeys()
  // No session has another id, and not every database takes any text for one.
  const spared = isId(except) ? except : undefined
  let count = 0
  try {
    // A write under way may take a session from the key of one secret to that of another.
    for (let pass = 1; pass <= MAX_PASSES; pass++) {
      const before = count
      for (const key of keys) {
        count += await startCalls(p).make('endAll', (call) =>
          index.end(key, { ...call, except: spared }),
        )
      }
      if (count === before && pass >= keys.length) break
    }
  } finally {
    // Also of one that failed half-way, which its caller will repeat.
    const by = 'tag' in about ? 'tag' : 'subject'
    tellEnd(p.instance.emit, by, { ...about, except }, reason, count)
  }
  return count
}

async function infoOf(p: Persistence, { id, record }: StoredEntry): Promise<SessionInfo[]> {
  try {
    const found = await openRecord(p, id, record, [])
    if (!found || isOver(p.instance, found.state)) return []
    const { subject, label = null, createdAt, renewedAt, authenticatedAt, claims } = found.state
    const info: SessionInfo = {
      id,
      subject,
      label,
      createdAt,
      lastSeenAt: renewedAt,
      expiresAt: p.instance.context.expiresAt(found.state),
      authenticatedAt,
      factors: { ...claims?.f },
      actor: claims?.a ?? null,
      tags: claims?.t ?? [],
      bound: claims?.d !== undefined,
    }
    return [info]
  } catch (error) {
    // Nobody can use it any more, and it must not hide the others.
    if (error instanceof SessionError) return []
    throw error
  }
}
