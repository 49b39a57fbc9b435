/** The sessions of a user or with a tag: finding them and calling them back. Loaded when it is first needed. */
import { applyRules, assertSubject, expectArgument, isObject, isTags } from '../check.ts'
import { isId } from '../codec/session-record.ts'
import { decodeBase64url } from '../crypto/base64url.ts'
import { tellEnd } from '../emit.ts'
import { SessionError, SessionNotFoundError, StoreUnavailableError } from '../errors.ts'
import { lazy } from '../lazy.ts'
import {
  endSession,
  isListedFor,
  type Persistence,
  persistenceOf,
} from '../persistence/persistence.ts'
import { openRecord } from '../persistence/stored-record.ts'
import { REVOKE_ALL_RULES, REVOKE_RULES } from '../session/argument-rules.ts'
import type { Instance } from '../session/instance.ts'
import { isOver } from '../session/open.ts'
import type {
  RevokeAllOptions,
  RevokeOptions,
  SessionInfo,
  SessionUser,
} from '../session/session-list.ts'
import { startCalls } from '../session/store-calls.ts'
import type { SessionIndex, StoredEntry } from '../stores/store.ts'

type Owner = { readonly subject: string } | { readonly tag: string }

const marks = lazy(() => import('./marks.ts'))

/** Passes over the index keys of a user or a tag at most. */
const MAX_PASSES = 3

function assertTag(tag: unknown): void {
  expectArgument(isTags([tag]), 'tag', 'a string of 1 to 200 well-formed characters', tag)
}

/**
 * Returns the user that is meant; `null`: nobody is signed in to the session that was given.
 *
 * @throws {@link StoreUnavailableError} or {@link SessionNotFoundError} where that session cannot say who is signed in.
 */
function userOf(user: SessionUser): string | null {
  if (isObject(user) && user.subject === null) {
    if (user.status === 'degraded')
      throw new StoreUnavailableError('Cannot tell who is signed in: the store could not be read')
    // Somebody may well be signed in, and "nobody" would end nothing without a word.
    if (/superseded|unproven|destroyed/.test(user.status))
      throw new SessionNotFoundError(`Cannot tell who is signed in: the session is ${user.status}`)
    return null
  }
  const subject = isObject(user) ? (user.subject ?? user) : user
  assertSubject(subject)
  return subject
}

const required = (what: string): SessionError =>
  new SessionError(`Cannot find sessions: ${what}`, { code: 'ERR_STORE_REQUIRED' })

function assertReadable({ instance: { options } }: Persistence): void {
  if (options.seal === 'cookie') throw required('with seal "cookie" only their cookies open them')
}

function indexOf({ store }: Persistence): SessionIndex {
  if (store.index) return store.index
  throw required(`the store "${store.name}" has no index of users`)
}

/** Returns the hashes of a user or a tag, the first secret's first. */
function keysOf(
  one: Pick<Persistence, 'keysOf' | 'tagKeysOf'>,
  owner: Owner,
): ReturnType<Persistence['keysOf']> {
  return 'tag' in owner ? one.tagKeysOf(owner.tag) : one.keysOf(owner.subject)
}

/** Returns a user's live sessions. */
export async function list(instance: Instance, user: SessionUser): Promise<SessionInfo[]> {
  const p = persistenceOf(instance)
  const subject = userOf(user)
  if (subject === null) return []
  const infos = await find(p, { subject })
  return infos.filter((info) => info.subject === subject)
}

/** Returns the live sessions that have a tag. */
export async function listBy(instance: Instance, tag: string): Promise<SessionInfo[]> {
  const p = persistenceOf(instance)
  assertTag(tag)
  const infos = await find(p, { tag })
  return infos.filter((info) => info.tags.includes(tag))
}

async function find(p: Persistence, owner: Owner): Promise<SessionInfo[]> {
  assertReadable(p)
  const index = indexOf(p)
  const calls = startCalls(p)
  const keys = await keysOf(p, owner)
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
  const user = isObject(given?.subject) ? userOf(given.subject) : undefined
  if (user === null) return false
  const named = user === undefined ? given : { ...given, subject: user }
  const { reason, subject } = applyRules<Revocation>('revoke.', REVOKE_RULES, named)
  const end = instance.options.revocations ? await endMarked(instance) : endStored(instance)
  // No session has another id, and not every database takes any text for one.
  const wasLive = isId(id) ? await end(id, subject) : null
  if (wasLive === null) return false
  tellEnd(instance.emit, 'id', { key: decodeBase64url(id)!, subject }, reason, Number(wasLive))
  return wasLive
}

type Revocation = RevokeOptions & { readonly subject?: string | undefined }

/** Ends one session, of that user if one is given; `null`: it is of another one. */
type End = (id: string, subject: string | undefined) => Promise<boolean | null>

async function endMarked(instance: Instance): Promise<End> {
  const { markSession, marksOf } = await marks()
  const one = marksOf(instance)
  return async (id, subject) => {
    const owners = subject === undefined ? undefined : await one.keysOf(subject)
    return markSession(one, id, startCalls(one), owners)
  }
}

function endStored(instance: Instance): End {
  const p = persistenceOf(instance)
  const { store } = p
  return async (id, subject) => {
    const calls = startCalls(p)
    if (subject !== undefined) {
      const record = await calls.make('read', (call) => store.read(id, { ...call, fresh: true }))
      if (!(await isListedFor(p, subject, record?.keys))) return null
    }
    return endSession(p, calls, id)
  }
}

/** Ends a user's sessions, and returns how many. */
export async function revokeAll(
  instance: Instance,
  user: SessionUser,
  given?: RevokeAllOptions,
): Promise<number> {
  const subject = userOf(user)
  return subject === null ? 0 : await endAll(instance, { subject }, 'revokeAll.', given)
}

/** Ends the sessions that have a tag, and returns how many. */
export async function revokeBy(
  instance: Instance,
  tag: string,
  given?: RevokeAllOptions,
): Promise<number> {
  assertTag(tag)
  return await endAll(instance, { tag }, 'revokeBy.', given)
}

/** Ends all sessions of a user or a tag. With marks nobody knows how many there are: returns 1. */
async function endAll(
  instance: Instance,
  owner: Owner,
  prefix: string,
  given: RevokeAllOptions | undefined,
): Promise<number> {
  const { except, reason } = applyRules<RevokeAllOptions>(prefix, REVOKE_ALL_RULES, given)
  const spared = isId(except) ? except : undefined
  const by = 'tag' in owner ? 'tag' : 'subject'
  const tell = (count: number): void =>
    tellEnd(instance.emit, by, { ...owner, except }, reason, count)
  if (!instance.options.revocations)
    return endAllStored(persistenceOf(instance), owner, spared, tell)
  const { marksOf, markTime } = await marks()
  const one = marksOf(instance)
  await markTime(one, await keysOf(one, owner), spared)
  tell(1)
  return 1
}

async function endAllStored(
  p: Persistence,
  owner: Owner,
  except: string | undefined,
  tell: (count: number) => void,
): Promise<number> {
  const index = indexOf(p)
  const keys = await keysOf(p, owner)
  let count = 0
  try {
    // A write under way may take a session from the key of one secret to that of another.
    for (let pass = 1; pass <= MAX_PASSES; pass++) {
      const before = count
      for (const key of keys) {
        count += await startCalls(p).make('endAll', (call) => index.end(key, { ...call, except }))
      }
      if (count === before && pass >= keys.length) break
    }
  } finally {
    // Also of one that failed half-way, which its caller will repeat.
    tell(count)
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
      // A renewal is noted in whole seconds, and a sign-in is one.
      lastSeenAt: Math.max(renewedAt, authenticatedAt ?? 0),
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
