/** Opening a session that lives in a store. */
import type { OpenedCookie } from '../codec/cookie-tokens.ts'
import { credentialOf } from '../codec/generation.ts'
import { idOf, madeAt, type OpenedRecord, type SessionState } from '../codec/session-record.ts'
import { descends } from '../codec/write-list.ts'
import { SessionCorruptionError, StoreError, StoreUnavailableError } from '../errors.ts'
import { nameActors } from '../session/actors.ts'
import type { Draft, FoundSession, NamedSession } from '../session/draft.ts'
import { emptyDraft, goneDraft, isOver, liveDraft, unreadableDraft } from '../session/open.ts'
import { isRenewalDue } from '../session/save.ts'
import { isFailure, reportFailure, type StoreCalls, startCalls } from '../session/store-calls.ts'
import type { SessionStore, StoredRecord } from '../stores/store.ts'
import type { CookieFound } from '../transport/cookie.ts'
import { openDeferred } from './deferred.ts'
import { compare, GRACE_MS, LAG_MS, relate, withCredentialOf } from './newest.ts'
import { type Persistence, tellRollback, tryToEnd } from './persistence.ts'
import { candidatesOf, credentialName, snapshotOf, withSnapshot } from './stored-cookies.ts'
import { openRecord } from './stored-record.ts'

/** Sessions of one request that are tried until one is live. */
const MAX_TRIED = 3

/** The opening of one cookie or note. */
interface Opening {
  readonly p: Persistence
  readonly cookies: CookieFound
  readonly opened: OpenedRecord
  readonly named: ReadonlyMap<string, OpenedRecord>
  /** `null` also where this isolate knows that the session has ended, or was rotated since. */
  readonly snapshot: FoundSession | null
  readonly calls: StoreCalls
}

/** The answer of the store. */
interface Answer {
  readonly record: StoredRecord | null | undefined
  /** `null`: there is none, or only the cookie of another generation opens it. */
  readonly found: FoundSession | null
  readonly relation: ReturnType<typeof relate>
  /** It is older than the cookie or than what this isolate knows. */
  readonly isBehind: boolean
  /** The mark of {@link LatestKnown} when the call began. */
  readonly mark: unknown
}

/** Opens the newest live session that a request names, of at most three. */
export async function openStored(
  p: Persistence,
  cookies: CookieFound,
  all: readonly OpenedCookie[],
  signal: AbortSignal | undefined,
): Promise<Draft | null> {
  let first: Draft | undefined
  let late: string | undefined
  const { candidates, named } = await candidatesOf(p.instance, cookies, all)
  const calls = startCalls(p, signal)
  for (const opened of candidates.slice(0, MAX_TRIED)) {
    // Its new credential is on the way: an older session must not take its place meanwhile.
    if (late !== undefined && idOf(opened) !== late) continue
    const draft = await openOne(p, cookies, opened, named, calls)
    if (draft.found) {
      // A note that outranks the session cookie is put right at once, on reads too.
      const isNote = !all.some((one) => credentialName(one.opened) === credentialName(opened))
      if (first || isNote) draft.refresh = true
      return draft
    }
    if (draft.status === 'degraded') return draft
    if (draft.status === 'superseded') late ??= idOf(opened)
    first ??= draft
  }
  const [ended] = all
  if (first || !ended) return first ?? null
  return goneDraft(p.instance, cookies, ended.opened, 'missing', { removesCookie: true })
}

/** Opens the session of one cookie or note; `named`: all credentials of the request, by name. */
export async function openOne(
  p: Persistence,
  cookies: CookieFound,
  opened: OpenedRecord,
  named: Opening['named'],
  calls: StoreCalls,
): Promise<Draft> {
  const { instance, latest } = p
  const hasSnapshot = instance.options.snapshot && opened.extra?.r && !latest.isRotated(opened)
  const snapshot = hasSnapshot ? await snapshotOf(instance, opened) : null
  const opening: Opening = { p, cookies, opened, named, snapshot, calls }
  const copy = copyOf(opening)
  const hit = copy !== null && !copy.stale && !latest.isAfter(copy.state)
  const { maxAge } = instance.options.snapshot || { maxAge: 0 }
  if (maxAge) instance.observe?.({ type: 'cache.read', layer: 'snapshot', hit })
  if (hit) return live(opening, copy)
  try {
    return await readSession(opening)
  } catch (error) {
    if (calls.signal?.aborted) throw error
    if (!isFailure(error)) return unreadableDraft(instance, cookies, opened, error)
    return bridge(opening, error)
  }
}

/** Returns the snapshot within its bounds: stale from `maxAge` on, for `staleIfError` seconds. */
function copyOf({ p: { instance }, snapshot: copy }: Opening): FoundSession | null {
  const { now, snapshot } = instance.options
  if (!snapshot || !copy || isOver(instance, copy.state)) return null
  const age = now() - copy.at!
  // A clock that was ahead made it: nobody knows how old it is.
  if (age >= 0 && age < 1000 * snapshot.maxAge) return copy
  const isUsable = age < 1000 * (snapshot.maxAge + snapshot.staleIfError)
  return isUsable ? { ...copy, stale: true } : null
}

/** Goes on without the store: with the snapshot, or with an empty session that is read-only. */
async function bridge(opening: Opening, error: StoreError | StoreUnavailableError): Promise<Draft> {
  const { cookies, opened, p } = opening
  const { instance, store } = p
  const refusal = { cause: error, reason: error.reason, word: error.word }
  // A store that refuses to be read says as little about a session as one that is down.
  const failure =
    error instanceof StoreError
      ? new StoreUnavailableError(`The store "${store.name}" refused to be read`, refusal)
      : error
  const copy = copyOf(opening)
  const isThrown = instance.options.onStoreFailure === 'throw' && !copy
  reportFailure(p, failure, isThrown ? 'store.unavailable' : 'store.degraded', opened)
  if (copy) return live(opening, { ...copy, stale: true })
  // A change meets the refusal itself, as it would have met it where the session could be read.
  const noSession = () => failure
  return emptyDraft(instance, cookies, { status: 'degraded', noSession, readOnly: error })
}

async function readSession(opening: Opening): Promise<Draft> {
  const { calls, cookies, opened, p } = opening
  const { instance, latest, store } = p
  let answer = await ask(opening, false)
  if (answer.isBehind) answer = await ask(opening, true)
  const { found, isBehind, mark, record, relation } = answer
  const lags = !store.atomic && isYoung(opening)
  if (!record && isOver(instance, opened)) return goneDraft(instance, cookies, opened, 'expired')
  // A store that lags may find it later, and by more rotations than the cookie names. In an atomic one
  // anything but `missing` would undo a sign-out.
  const isLate = record === undefined || (relation === 'replaced' && isBehind)
  if (lags && isLate) return lagging(opening)
  if (!record) return goneDraft(instance, cookies, opened, 'missing')
  if (relation === 'replaced') {
    // Of rotations at once, some of them answered 503, the record says which credential is good.
    const own = opening.named.get(credentialName(opened, credentialOf(record)))
    if (own) return { ...(await openOne(p, cookies, own, new Map(), calls)), refresh: true }
    return replacedDraft(p, cookies, opened, record, found)
  }
  if (found?.stale) {
    const copy = copyOf(opening)
    const isNewer = copy && compare(copy.state, found.state) > 0
    return live(opening, isNewer ? { ...copy, stale: true } : found)
  }
  if (isBehind && (relation === 'ahead' || compare(found!.state, opened) < 0)) {
    // Of a rotation of unknown outcome what it was made from is enough: it was not applied.
    const isRefused = opened.extra?.u && found && found.state.counter >= opened.counter
    if (lags && !isRefused) return lagging(opening, record.version)
    return rolledBack(opening, record, found, mark)
  }
  if (isBehind) latest.recordRollback(found!.state, mark)
  else latest.record(found!.state)
  const draft = await live(opening, found!)
  if (draft.status === 'active' && !isCopied(opening, found!)) draft.refresh = true
  return draft
}

/** Tells whether the cookie needs no new snapshot. One for outages alone is good for half its time. */
function isCopied({ p: { instance }, snapshot: copy }: Opening, found: FoundSession): boolean {
  const { now, snapshot } = instance.options
  if (!snapshot || !withSnapshot(instance, found)) return true
  if (snapshot.maxAge || copy?.version !== found.version) return false
  return now() - copy!.at! < 500 * snapshot.staleIfError
}

/** Asks the store; with `fresh` past all caches and replicas. */
async function ask(opening: Opening, fresh: boolean): Promise<Answer> {
  const { calls, opened, p } = opening
  const { instance, latest, store } = p
  const id = idOf(opened)
  const at = instance.options.now()
  const mark = latest.markOf(id)
  const record = await calls.make('read', (call) => store.read(id, Object.assign(call, { fresh })))
  if (!record) {
    const isDoubtful = record === undefined || store.atomic
    const isBehind =
      isDoubtful && opened.counter > 0 && isYoung(opening) && !isOver(instance, opened)
    return { record, found: null, relation: 'same', isBehind, mark }
  }
  const credential = credentialOf(record)
  const isFormer = credential.number < opened.generation.number
  if (record.stale && isFormer) throw outOfDate(store)
  const relation = relate(opened.generation, credential)
  const unsealed = await openRecord(p, id, record, [opened])
  const found = unsealed && { ...unsealed, at }
  const isOlder = (state: SessionState): boolean =>
    relation === 'same' && (compare(state, opened) < 0 || latest.isAfter(state))
  const isBehind = !record.stale && (isFormer || (found !== null && isOlder(found.state)))
  return { record, found, relation, isBehind, mark }
}

/** Tells whether a store may still lag behind the record that the cookie was made from. */
function isYoung({ opened, p }: Opening): boolean {
  return p.instance.options.now() - madeAt(opened) < LAG_MS
}

function outOfDate({ name }: SessionStore): StoreUnavailableError {
  return new StoreUnavailableError(`The store "${name}" lags`)
}

/** Answers while a store that is not atomic lags: from the snapshot, and nothing is written back. */
function lagging(opening: Opening, version?: string): Draft | Promise<Draft> {
  const copy = copyOf(opening)
  if (!copy) throw outOfDate(opening.p.store)
  return live(opening, version === undefined ? copy : { ...copy, version })
}

/**
 * Goes on after the store lost its last writes, or never saw a rotation whose outcome was unknown. The
 * snapshot is the session if the record is one of its ancestors and names the same user; else the record
 * is, with the cookie's credential. Either is written with this response.
 * A sign-in that the store forgot is not put back: `revokeAll` could not have found it.
 */
async function rolledBack(
  opening: Opening,
  record: StoredRecord,
  found: FoundSession | null,
  mark: unknown,
): Promise<Draft> {
  const { cookies, opened, p, snapshot } = opening
  const { options } = p.instance
  const lost = found ? opened.counter - found.state.counter : 1
  if (lost > 0 && options.onRollback === 'refuse') {
    throw new SessionCorruptionError('Cannot read session: the store went back')
  }
  tellRollback(p, opened, lost)
  if (!found) return goneDraft(p.instance, cookies, opened, 'missing')
  const heals = { stored: { heals: true }, refresh: true }
  if (snapshot?.state.subject === found.state.subject && descends(snapshot.state, found.state)) {
    return live(opening, { ...snapshot, version: record.version }, heals)
  }
  p.latest.recordRollback(found.state, mark)
  const state = withCredentialOf(found.state, opened, options.now())
  return live(opening, { ...found, state }, heals)
}

/**
 * Returns the draft of a request whose credential was replaced by a rotation. Within the grace period it
 * is a request under way. A replaced cookie that comes back later was copied, or its replacement never
 * arrived. Either way it opens nothing.
 */
export async function replacedDraft(
  p: Persistence,
  cookies: CookieFound,
  opened: NamedSession,
  record: StoredRecord,
  found: FoundSession | null,
): Promise<Draft> {
  const { options } = p.instance
  const { rotatedAt } = credentialOf(record)
  const isLate = options.now() - rotatedAt < GRACE_MS
  // That it cannot be ended now is no reason to show it.
  if (!isLate && options.onReuse === 'revoke') {
    if (found && options.onEvent.length) await nameActors(p.instance, [found.state])
    await tryToEnd(p, startCalls(p), 'reuse', found?.state ?? opened)
  }
  const stored = { replaced: { key: opened.key, keys: record.keys, isLate, found } }
  const status = isLate ? 'superseded' : 'missing'
  return goneDraft(p.instance, cookies, opened, status, { stored }, rotatedAt)
}

function live(
  { cookies, opened, p: { instance } }: Opening,
  found: FoundSession,
  more?: Partial<Draft>,
): Draft | Promise<Draft> {
  if (isOver(instance, found.state)) return goneDraft(instance, cookies, opened, 'expired')
  const draft = Object.assign(liveDraft(instance, cookies, found), more)
  // Another request has renewed the record: only the cookie needs a renewal.
  if (!found.stale && isRenewalDue(instance, found.state, opened.renewedAt)) draft.refresh = true
  return cookies.deferred.length ? openDeferred(instance, draft) : draft
}
