/**
 * Marks of ended sessions that live in cookies, in the store of the option `revocations`.
 *
 * A mark is a record under an id of its own, one for each session, user and tag. It lists conditions: that
 * of a session says whose session it has to be, that of a user or a tag before which sign-in. Marks are
 * in the clear: there is nothing in them but hashes and times.
 */
import { BoundedMap } from '../bounded-map.ts'
import { idOf, type SessionState, type SessionTimes } from '../codec/session-record.ts'
import { randomText } from '../crypto/base64url.ts'
import { createKeyedHash, type KeyedHash } from '../crypto/keyed-hash.ts'
import { SessionConflictError, StoreUnavailableError } from '../errors.ts'
import { pause } from '../resilience/deadline.ts'
import type { Instance } from '../session/instance.ts'
import { perInstance } from '../session/instances.ts'
import { isOver } from '../session/open.ts'
import { reportFailure, type StoreCalls, startCalls } from '../session/store-calls.ts'
import type { SessionStore, StoredRecord } from '../stores/store.ts'

/** The conditions of one mark, the oldest first; none where there is no mark. */
type Conditions = readonly string[]

/** The marks of one instance. */
export interface Marks {
  readonly instance: Instance
  readonly store: SessionStore
  /** Hashes of a user, the first secret's first. */
  readonly keysOf: KeyedHash
  /** Hashes of a tag, the first secret's first. */
  readonly tagKeysOf: KeyedHash
  /** The marks that were asked for lately, with the time at which each question began, epoch milliseconds. */
  readonly known: BoundedMap<string, { readonly at: number; readonly conditions: Conditions }>
}

/** The answer about one session. */
export interface Look {
  readonly hasEnded: boolean
  /** The error of a store that could not be asked. */
  readonly failure?: unknown
}

const MAX_KNOWN = 10_000
/** Users' conditions of one mark that spare a session each. Then the older ones spare none. */
const MAX_SPARED = 8
/** Condition of an end that does not depend on the session's user. */
const ANY = '*'
/** Condition of an end that means a session only while nobody is signed in. */
const NOBODY = '-'
/** No entry is ever appended to a mark. */
const EPOCH = 'revoked'
/** Seconds for which a mark lasts longer than a session: requests under way, and clocks that differ. */
const SLACK = 3600
/** Milliseconds at most before a write that was refused is tried again. */
const PAUSE_MS = 5
const VERSION_BYTES = 9
/** Milliseconds since 1970, and the id of a session that is spared. */
const TIME = /^(\d{1,16})(?:\.([\w-]{22}))?$/

/** Returns the marks of an instance that has the option `revocations`. */
export const marksOf: (instance: Instance) => Marks = perInstance((instance) => {
  const { revocations, secrets } = instance.options
  return {
    instance,
    store: revocations!.store,
    keysOf: createKeyedHash(secrets, 'subject'),
    tagKeysOf: createKeyedHash(secrets, 'tag'),
    known: new BoundedMap(MAX_KNOWN),
  }
})

/** Returns the lifetime that timeouts mean, in seconds. (default: those of the options) */
export function lifetimeOf(
  { context }: Instance,
  { idleTimeout, absoluteTimeout }: Partial<SessionTimes> = {},
): number {
  const times = { createdAt: 0, renewedAt: Infinity, idleTimeout, absoluteTimeout }
  return context.expiresAt(times) / 1000
}

/** Returns the longest lifetime of a session, in seconds. */
export function maxLifetimeOf(instance: Instance): number {
  return Math.max(lifetimeOf(instance), instance.options.revocations!.maxLifetime ?? 0)
}

/** Tells whether a session was ended: by its own mark, or by that of its user or of one of its tags. */
export async function lookFor(
  marks: Marks,
  session: SessionState,
  calls: StoreCalls,
): Promise<Look> {
  const { authenticatedAt, claims, createdAt, subject } = session
  const id = idOf(session)
  const since = authenticatedAt ?? createdAt
  const users: readonly string[] = subject === null ? [] : await marks.keysOf(subject)
  const tags = await Promise.all((claims?.t ?? []).map(marks.tagKeysOf))
  const owners: readonly string[] = [ANY, ...(subject === null ? [NOBODY] : users)]
  const isBefore = (one: string): boolean => {
    const [time, spared] = parse(one)
    return since < time && spared !== id
  }
  const answers = await Promise.allSettled([
    conditionsOf(marks, id, calls).then((all) => all.some((one) => owners.includes(one))),
    ...[...users, ...tags.flat()].map(async (key) =>
      (await conditionsOf(marks, key, calls)).some(isBefore),
    ),
  ])
  const failed = answers.find(({ status }) => status === 'rejected')
  return {
    hasEnded: answers.some((one) => one.status === 'fulfilled' && one.value),
    ...(failed && { failure: (failed as PromiseRejectedResult).reason }),
  }
}

/**
 * Marks a session as ended, for as long as it could have lived. Returns `false` where it was marked already.
 *
 * @param owners Hashes of the user whose session alone is meant, and {@link NOBODY}. (default: whoever's it is)
 */
export async function markSession(
  marks: Marks,
  id: string,
  calls: StoreCalls,
  owners: Conditions = [ANY],
): Promise<boolean> {
  let isMarked = false
  const add = (there: Conditions): Conditions => {
    const isAny = owners.includes(ANY)
    isMarked = there.some((one) => one === ANY || (isAny ? one !== NOBODY : owners.includes(one)))
    return there.includes(ANY) ? there : [...new Set([...there, ...owners])]
  }
  await leave(marks, id, calls, add)
  return !isMarked
}

/**
 * Leaves a mark for each session that may live: for its user, and for whoever has it while nobody is signed in. A
 * copy from before the sign-in has the same id, and may be that of somebody who planted the session: neither with
 * that, nor after a sign-in of their own, can they end what another user has since.
 */
export async function markEnds(
  instance: Instance,
  all: readonly (SessionTimes & Pick<SessionState, 'key' | 'subject'>)[],
): Promise<void> {
  const marks = marksOf(instance)
  const calls = startCalls(marks)
  // Another copy may have been renewed since this one.
  const live = all.filter((one) => !isOver(instance, { ...one, renewedAt: Infinity }))
  try {
    await Promise.all(
      live.map(async (one) => {
        const users = one.subject === null ? [] : await marks.keysOf(one.subject)
        await markSession(marks, idOf(one), calls, [NOBODY, ...users])
      }),
    )
  } catch (error) {
    reportFailure(marks, error, 'store.unavailable', live[0])
  }
}

/**
 * Leaves a mark of this moment: it ends the sessions that signed in before, but for `spared`.
 *
 * @param keys Hashes of a user or a tag, under all secrets.
 */
export async function markTime(
  marks: Marks,
  keys: readonly string[],
  spared: string | undefined,
): Promise<void> {
  const now = Math.floor(marks.instance.options.now())
  const calls = startCalls(marks)
  const add = (there: Conditions): Conditions => withTime(there, now, spared)
  await Promise.all(keys.map((key) => leave(marks, key, calls, add)))
}

/** Adds a time. Earlier ones stay where they end a session that this one spares. */
function withTime(there: Conditions, now: number, spared: string | undefined): Conditions {
  const at = Math.max(now, ...there.map((one) => parse(one)[0]))
  if (spared === undefined) return [String(at)]
  const all = [...there.filter((one) => parse(one)[1] !== spared), `${at}.${spared}`]
  if (all.length <= MAX_SPARED) return all
  const [, second = '', ...rest] = all
  return [String(parse(second)[0]), ...rest]
}

/** Reads a condition of a user: the time of a mark, and the session that it spares. */
function parse(condition: string): [time: number, spared: string | undefined] {
  const found = TIME.exec(condition)
  if (!found) throw unreadable()
  return [Number(found[1]), found[2]]
}

/** Returns the conditions of one mark, from memory for `ttl` seconds. */
async function conditionsOf(marks: Marks, name: string, calls: StoreCalls): Promise<Conditions> {
  const { instance, known, store } = marks
  const { now, revocations } = instance.options
  const at = now()
  const there = known.get(name)
  if (there && Math.abs(at - there.at) < 1000 * revocations!.ttl) return there.conditions
  try {
    const record = await calls.make('read', (call) => store.read(idOfMark(name), call))
    const conditions = read(record)
    // What was left here meanwhile is newer.
    if (known.get(name) === there) known.set(name, { at, conditions })
    return conditions
  } catch (error) {
    // What has ended stays so.
    if (there?.conditions.length) return there.conditions
    throw error
  }
}

/** Writes a mark, where that changes anything: in one call where there is none yet. */
async function leave(
  marks: Marks,
  name: string,
  calls: StoreCalls,
  add: (there: Conditions) => Conditions,
): Promise<void> {
  const { instance, known, store } = marks
  const id = idOfMark(name)
  const { now } = instance.options
  const expiresAt = now() + 1000 * (maxLifetimeOf(instance) + SLACK)
  const look = () => calls.make('read', (call) => store.read(id, call))
  // A store that is not atomic may create without looking.
  let current: StoredRecord | null | undefined = store.atomic ? null : await look()
  while (!calls.isOver()) {
    const there = read(current)
    const conditions = add(there)
    const value = conditions.join()
    if (value === there.join()) return
    const { version = null } = current ?? {}
    const record = { value, version: randomText(VERSION_BYTES), epoch: EPOCH, expiresAt }
    // Where a store has to evict, marks of visitors go first: they can make as many as they like.
    const isVisitors = conditions.every((one) => one === NOBODY)
    const owned = isVisitors ? record : { ...record, keys: [] }
    const at = now()
    const result = await calls.make('write', (call) => store.write(id, owned, version, call))
    if (result.ok) {
      known.set(name, { at, conditions })
      return
    }
    current = result.current
    await pause(Math.random() * PAUSE_MS)
  }
  throw new SessionConflictError('Cannot revoke: other requests kept changing the mark')
}

const idOfMark = (name: string): string => `revoked-${name}`

/** Returns the conditions in a record. Throws for what is no mark: who can tell what it was meant to say. */
function read(record: StoredRecord | null | undefined): Conditions {
  if (!record) return []
  if (record.epoch !== EPOCH) throw unreadable()
  return record.value.split(',')
}

const unreadable = (): Error =>
  new StoreUnavailableError('Cannot read a revocation: what is stored is no mark of ours')
