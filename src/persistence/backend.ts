/** Sessions that live in a store: opening, committing and ending them. Loaded when first needed. */
import { idOf } from '../codec/session-record.ts'
import { shareOf } from '../crypto/key-share.ts'
import { type Source, tellEnd } from '../emit.ts'
import { CircuitOpenError, StoreUnavailableError } from '../errors.ts'
import type { Backend, CommitTask } from '../session/backend.ts'
import { type Draft, signsIn } from '../session/draft.ts'
import type { Instance } from '../session/instance.ts'
import { noteEnd, noteRotation, removeOver } from '../session/notes.ts'
import { changesOf, leftOut } from '../session/operations.ts'
import { announce } from '../session/save.ts'
import { reportFailure, startCalls } from '../session/store-calls.ts'
import { withCookies } from '../transport/error-cookies.ts'
import { Commit, type Committed, type Lost } from './commit.ts'
import { canDefer, defer, dropDeferred, reportDropped, settleDeferred } from './deferred.ts'
import { openOne, openStored } from './open.ts'
import { endSession, type Persistence, persistenceOf } from './persistence.ts'
import { candidatesOf, idOnly, writeStoredCookie } from './stored-cookies.ts'

/** Returns the backend of an instance over its store. */
export function storedBackendOf(instance: Instance): Backend {
  const p = persistenceOf(instance)
  return {
    open: (...call) => openStored(p, ...call),
    commit: (...call) => commit(p, ...call),
    end: (draft) => end(p, draft),
  }
}

async function commit(p: Persistence, draft: Draft, { renewalDue, changed }: CommitTask) {
  const { current, operations, status, stored } = draft
  if (status === 'superseded' || status === 'unproven') return lose(p, draft, { status })
  const isChanged = changed || !!stored?.deferred?.applied.length
  if (!renewalDue && !isChanged && !stored?.heals)
    return [...(await refresh(p, draft)), ...settleDeferred(p.instance, draft)]
  const writing = new Commit(p, draft, renewalDue, isChanged)
  try {
    const outcome = await writing.run()
    if ('status' in outcome) return lose(p, draft, outcome)
    if (p.instance.options.maxSessions && signsIn(draft)) {
      const { endOldest } = await import('../revocation/cap.ts')
      await endOldest(p, outcome.state)
    }
    draft.outcome = 'written'
    const { length } = leftOut(changesOf(operations, current), outcome.state)
    reportDropped(p.instance, draft, length, 'conflict')
    const setCookie = await cookiesFor(p, draft, outcome, renewalDue)
    return [...setCookie, ...settleDeferred(p.instance, draft)]
  } catch (error) {
    return failed(p, draft, writing, error, changed)
  }
}

/** Returns the `Set-Cookie` values after a write. */
async function cookiesFor(
  { instance, latest, store }: Persistence,
  draft: Draft,
  stored: Committed,
  renewalDue: boolean,
): Promise<string[]> {
  const { cookies, found, refresh, removals } = draft
  const { isNew, state } = stored
  // A response that was slower than a rotation must not bring the former credential back.
  const isLate = latest.isRotated(state)
  latest.record(state)
  const rotates = isNew || state.generation.number !== found?.state.generation.number
  announce(instance, draft, state, renewalDue, isNew)
  if (isLate) return []
  const isTold = rotates || renewalDue || refresh || removals || !store.atomic
  const setCookie =
    isTold || instance.options.snapshot ? await writeStoredCookie(instance, draft, stored) : []
  // A response to an earlier request may still arrive, and set or clear the session cookie: a note tells the
  // next request of this credential all the same. Without any cookie in the request there is no such response.
  const hadCookies = cookies.tokens.length + cookies.notes.length > 0
  const isNoted = signsIn(draft) || (isNew ? hadCookies : rotates)
  if (!isNoted) return [...setCookie, ...(isTold ? await removeOver(instance, cookies) : [])]
  const note = await noteRotation(instance, cookies, idOnly(instance, stored))
  // Somebody else signed in: the cookie of whoever was there before may still be on its way.
  const end = found && isNew ? await noteEnd(instance, cookies, [idOf(found.state)]) : []
  return [...new Set([...setCookie, ...note, ...end])]
}

/** Returns the `Set-Cookie` values of a request that wrote nothing. */
async function refresh({ instance, latest }: Persistence, draft: Draft): Promise<string[]> {
  const { current, found, refresh, status } = draft
  if (!found || status !== 'active' || !refresh) return []
  // The cookie of another response may be newer than the record that was read.
  if (latest.isAfter(found.state)) return []
  return writeStoredCookie(instance, draft, { ...found, state: current })
}

/** Ends a commit whose session was rotated or ended meanwhile: no cookie is for this request. */
async function lose({ instance }: Persistence, draft: Draft, lost: Lost): Promise<string[]> {
  const { current, found, operations } = draft
  const { isWritten, rotatedAt, status } = lost
  draft.status = status
  if (found && status !== 'unproven' && instance.observe)
    (await import('../session/seldom.ts')).tellGone(instance, found.state, status, rotatedAt)
  const changes = isWritten ? 0 : changesOf(operations, current).length + Number(retags(draft))
  if (changes) draft.outcome = 'dropped'
  reportDropped(instance, draft, changes, status === 'missing' ? 'ended' : status)
  if (!isWritten) return []
  draft.outcome = 'written'
  return settleDeferred(instance, draft)
}

/** Tells whether a request changed the tags of its session, or another of its claims. */
const retags = ({ current, found }: Draft): boolean => current.claims !== found?.state.claims

/** Handles a failed commit. Changes of data may wait in a cookie; a sign-in that waits would be a fixation. */
async function failed(
  p: Persistence,
  draft: Draft,
  { isRefused, lastRotation, tag }: Commit,
  error: unknown,
  changed: boolean,
): Promise<string[]> {
  const { instance } = p
  const { cookies, current, found, removals, stored } = draft
  const isRotated = current.generation !== found?.state.generation
  const isPlain = !signsIn(draft) && !isRotated && !retags(draft)
  const isWaiting = isPlain && (changed || !!stored?.deferred?.applied.length)
  // A store that refuses is there: a visitor who makes it busy must not be able to withhold a write.
  const waits = isWaiting && !isRefused && canDefer(instance, draft, error)
  const setCookie = waits ? await defer(instance, draft, tag) : null
  if (setCookie) {
    draft.outcome = 'deferred'
    return setCookie
  }
  draft.outcome = 'failed'
  draft.stored = { ...stored, failed: { tag, operations: draft.operations.length } }
  // A breaker that is open has asked nobody.
  const isSent = error instanceof StoreUnavailableError && !(error instanceof CircuitOpenError)
  let told = error
  if (isSent && lastRotation && !shareOf(lastRotation).length && instance.cookie.side) {
    // Perhaps the rotation was applied. If not, the store is behind the new credential, which is good either way.
    const tried = { state: lastRotation }
    const setCookie = await writeStoredCookie(instance, draft, tried)
    const note = await noteRotation(instance, cookies, idOnly(instance, tried))
    told = withCookies(error, [...setCookie, ...note])
  }
  const isHarmless = isPlain && !changed && !removals
  reportFailure(p, told, isHarmless ? 'store.degraded' : 'store.unavailable', current)
  // What a note knows better is put right all the same, since notes are over soon.
  return isHarmless && cookies.notes.length ? await refresh(p, draft) : []
}

/** Ends every session that the request's cookies open, whoever writes to it meanwhile. */
async function end(p: Persistence, draft: Draft): Promise<string[]> {
  const { instance } = p
  const { cookies, endReason } = draft
  const all = await instance.tokens.openAll(cookies)
  const ending = new Map<string, Source>()
  const add = ({ found, stored: { replaced } = {} }: Draft): void => {
    const late = replaced?.isLate ? (replaced.found?.state ?? { key: replaced.key }) : null
    const about = found?.state ?? late
    if (about) ending.set(idOf(about), about)
  }
  add(draft)
  try {
    const { candidates, named } = await candidatesOf(instance, cookies, all)
    const others = candidates.filter((one) => !ending.has(idOf(one)))
    const calls = startCalls(p)
    const drafts = await Promise.all(others.map((one) => openOne(p, cookies, one, named, calls)))
    for (const one of drafts) add(one)
    const endOne = (id: string) => endSession(p, startCalls(p), id)
    const live = await Promise.all([...ending.keys()].map(endOne))
    // One that `revokeAll` has ended before is told of with a count of 0, as `revoke` does.
    for (const [i, about] of [...ending.values()].entries())
      tellEnd(instance.emit, 'destroy', about, endReason, Number(live[i]))
  } catch (error) {
    reportFailure(p, error, 'store.unavailable', draft.current)
  }
  const note = ending.size ? await noteEnd(instance, cookies, ending.keys()) : []
  return [...note, ...(await dropDeferred(instance, draft))]
}
