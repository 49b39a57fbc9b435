/** Writing a session to a store, whatever others write meanwhile. */
import { type Credential, credentialOf, FIRST, nameOf } from '../codec/generation.ts'
import { idOf, type SessionState } from '../codec/session-record.ts'
import { descends, hasWrite, newTag, nextList, withoutLast } from '../codec/write-list.ts'
import { tellEnd } from '../emit.ts'
import { SessionConflictError } from '../errors.ts'
import { pause } from '../resilience/deadline.ts'
import {
  type Draft,
  type FoundSession,
  type ReplacedSession,
  type StoredDraft,
  signsIn,
} from '../session/draft.ts'
import { newerData, newState } from '../session/open.ts'
import { applyAll, changesOf, isOfOther, type Operation, setsData } from '../session/operations.ts'
import { isRenewalDue, isSame } from '../session/save.ts'
import { isFailure, type StoreCalls, startCalls } from '../session/store-calls.ts'
import type { WriteOptions, WriteResult } from '../stores/store.ts'
import { takesEntry } from '../stores/takes-entry.ts'
import { endDeferred } from './deferred.ts'
import { compare, GRACE_MS, LAG_MS, relate, withCredentialOf } from './newest.ts'
import { endSession, isListedFor, type Persistence, tellRollback, tryToEnd } from './persistence.ts'
import { openRecord, sealEntry, sealRecord } from './stored-record.ts'

/** A commit that was written. */
export interface Committed {
  readonly state: SessionState
  readonly version: string
  /** Epoch milliseconds at which the call began. */
  readonly at: number
  /** It started a new session. */
  readonly isNew: boolean
}

/** A commit whose session was rotated or ended meanwhile. */
export interface Lost {
  readonly status: 'superseded' | 'missing' | 'unproven'
  /** Epoch milliseconds. */
  readonly rotatedAt?: number
  /** It was written, and the rotation came before this request learnt of it. */
  readonly isWritten?: boolean
}

/** The session that a request has a replaced credential of. */
type Replaced = Pick<ReplacedSession, 'key' | 'keys'>

/** Refusals after which a commit pauses before it tries again, for so many milliseconds at most. */
const CALM_ATTEMPTS = 3
const PAUSE_MS = 5
/** Refusals after which a sign-in leaves its session: a browser has not so many other writes under way. */
const OUTRUN_ATTEMPTS = 16

/** One commit of a draft. */
export class Commit {
  readonly tag: string
  /** The store refused an attempt, so it can be reached. */
  isRefused = false
  /** The rotated state that the last call tried to write, with the counter before it; `null`: no rotation was tried. */
  lastRotation: SessionState | null = null
  readonly #p: Persistence
  readonly #draft: Draft
  readonly #renewalDue: boolean
  readonly #stored: StoredDraft
  /** None where they changed nothing (`changed`): what is written late then changes nothing either. */
  readonly #operations: readonly Operation[]
  readonly #calls: StoreCalls

  constructor(p: Persistence, draft: Draft, renewalDue: boolean, changed: boolean) {
    this.#p = p
    this.#draft = draft
    this.#renewalDue = renewalDue
    this.#stored = draft.stored ?? {}
    this.#operations = changed ? draft.operations : []
    // Of a commit that is repeated, the first attempt may have been applied.
    const { failed } = this.#stored
    this.tag = failed?.operations === draft.operations.length ? failed.tag : newTag()
    this.#calls = startCalls(p)
  }

  /** Writes the draft. */
  async run(): Promise<Committed | Lost> {
    const { current, found } = this.#draft
    const { replaced } = this.#stored
    if (found && isSame(current, found.state)) return await this.#replace(found, current)
    // Another user signs in: the session of the one before ends first.
    if (found) {
      const wasLive = await endSession(this.#p, this.#calls, idOf(found.state))
      tellEnd(this.#p.instance.emit, 'login', found.state, undefined, Number(wasLive))
      endDeferred(this.#draft)
    }
    const shared = this.#share(replaced?.found?.state)
    return shared ? this.#replace(replaced!.found!, shared) : this.#create(current, replaced)
  }

  /** Returns the state to write: with the counter, the list of writes and the renewal of this commit. */
  #finish(state: SessionState): SessionState {
    const { context, options } = this.#p.instance
    const { binding, found } = this.#draft
    // A request that committed first has renewed it for this one too.
    const renews = !found || (this.#renewalDue && isRenewalDue(this.#p.instance, state))
    const changesData = setsData(this.#operations)
    const { counter, writes } = nextList(state, this.tag, changesData, options.now())
    // A sign-in that changed nothing else may be shared with an overlapping one of the same user.
    const isShared = !this.#stored.deferred?.applied.length && !changesData
    const signedInAt = isShared ? counter : undefined
    return {
      ...state,
      ...(signsIn(this.#draft) && { generation: { ...state.generation, signedInAt } }),
      counter,
      writes,
      renewedAt: renews ? context.now() : state.renewedAt,
      binding: state.binding ?? binding,
      version: options.version,
    }
  }

  /** Creates a session. `replaced` ends when its user has signed in again. */
  async #create(current: SessionState, replaced?: Replaced): Promise<Committed> {
    const state = this.#finish(current)
    const { subject } = state
    const { result, written } = await this.#write(state, null).catch(async (error) => {
      // Perhaps it is there: nobody has its cookie, and lists must not show it.
      if (subject !== null && isFailure(error)) {
        await endSession(this.#p, startCalls(this.#p), idOf(state)).catch(() => {})
      }
      throw error
    })
    // Beyond `maxSessions` another sign-in ends it, on MySQL perhaps before it is read there.
    const isEnded = !result.current && this.#p.instance.options.maxSessions
    if (!result.ok && isEnded) this.#p.latest.recordEnd(idOf(state))
    else if (!result.ok) throw new SessionConflictError('Cannot create session: its id is taken')
    if (replaced && signsIn(this.#draft) && (await isListedFor(this.#p, subject, replaced.keys))) {
      await tryToEnd(this.#p, this.#calls, 'login', { key: replaced.key, subject })
    }
    return { ...written, isNew: true }
  }

  /** Signs in under a new id, where the session before has ended or belongs to another credential. */
  async #startNew(replaced?: Replaced): Promise<Committed> {
    this.#draft.status = 'missing'
    this.lastRotation = null
    return this.#create(this.#replayOwn(await newState(this.#p.instance)), replaced)
  }

  /** Replays the request's own operations; deferred writes of another credential are never applied. */
  #replayOwn(state: SessionState): SessionState {
    const { deferred } = this.#stored
    if (deferred) Object.assign(deferred, { applied: [], dropped: deferred.entries })
    const own = this.#draft.operations.filter(({ isDeferred }) => !isDeferred)
    return applyAll(own, state)
  }

  /** Returns a session that an overlapping sign-in rotated with this one on top; `null`: something else was written to it. */
  #share(state: SessionState | null | undefined): SessionState | null {
    const { now, version } = this.#p.instance.options
    if (!state || !signsIn(this.#draft) || state.version > version) return null
    const { counter, generation, key } = state
    const { claims, subject } = this.#draft.current
    const isOther = isOfOther(state, { subject: subject!, actor: claims?.a })
    if (isOther || generation.signedInAt !== counter || now() - generation.rotatedAt >= GRACE_MS)
      return null
    return { ...this.#replayOwn(state), generation, key }
  }

  /** Replaces the record, and replays the operations on every newer state it meets. */
  async #replace(base: FoundSession, current: SessionState): Promise<Committed | Lost> {
    const { instance, latest } = this.#p
    let [from, version, next] = [base.state, base.version ?? '', current]
    for (let attempt = 1; ; attempt++) {
      const state = this.#finish(next)
      const rotates = nameOf(state.generation) !== nameOf(from.generation)
      this.lastRotation = rotates ? { ...state, counter: from.counter } : null
      const { result, written } = await this.#write(state, version, from)
      const { current: there, ok } = result
      this.isRefused = !ok
      if (ok && !there) return { ...written, isNew: false }
      if (!there) {
        latest.recordEnd(idOf(state))
        return signsIn(this.#draft) ? this.#startNew() : { status: 'missing' }
      }
      version = there.version
      const credential = credentialOf(there)
      const { rotatedAt } = credential
      const found = (await openRecord(this.#p, idOf(state), there, [state, from]))?.state
      // Appended; or an earlier attempt was applied, and only its answer was lost.
      if (found && hasWrite(found, this.tag)) {
        // A rotation that came since has a credential that is not for this request.
        const isOwn = relate(state.generation, credential) === 'same'
        if (!isOwn) return { status: 'superseded', rotatedAt, isWritten: true }
        if (this.#wentBack(from, found)) continue
        return { ...written, state: found, version, isNew: false }
      }
      const met = found && this.#meet(from, credential, found)
      if (!met && !signsIn(this.#draft)) return { status: 'superseded', rotatedAt }
      if (!met) return this.#startNew({ key: from.key, keys: there.keys })
      ;({ from, next } = met)
      instance.emit({ type: 'commit.conflict', attempt }, state)
      // Others keep writing, perhaps by a stolen cookie: the sign-in takes what is there to a session of its own.
      if (attempt >= OUTRUN_ATTEMPTS && signsIn(this.#draft)) {
        this.lastRotation = null
        const key = instance.context.newKey()
        const made = await this.#create({ ...next, key, generation: FIRST })
        await tryToEnd(this.#p, startCalls(this.#p), 'login', from)
        return made
      }
      if (this.#calls.isOver()) {
        throw new SessionConflictError('Cannot commit session: other requests kept changing it')
      }
      if (attempt >= CALM_ATTEMPTS) await pause(Math.random() * PAUSE_MS)
    }
  }

  /**
   * Tells whether an entry was appended to an ancestor of the state that was read: the store has lost its
   * last writes since, and the whole state is written over that.
   */
  #wentBack(from: SessionState, found: SessionState): boolean {
    const before = withoutLast(found)
    const isBack = before.counter < from.counter && descends(from, before)
    if (!isBack || this.#calls.isOver()) return false
    tellRollback(this.#p, from, from.counter - before.counter)
    return true
  }

  /** Returns the state that a refused write goes on from, and the next one; `null`: it must not go on. */
  #meet(
    from: SessionState,
    credential: Credential,
    found: SessionState,
  ): { from: SessionState; next: SessionState } | null {
    const { instance, latest, store } = this.#p
    const { context, options } = instance
    const { failed } = this.#stored
    const relation = relate(from.generation, credential)
    if (relation === 'replaced' || !this.#draft.found) {
      latest.record(found)
      const next = this.#share(found)
      return next && { from: found, next }
    }
    // The record is older than the one that was read: the store went back or lags, and the newer state goes on.
    const isOlder = compare(found, from) < 0
    const lags = !store.atomic && options.now() - (this.#draft.found?.at ?? 0) < LAG_MS
    const isOwn = lags || descends(from, found)
    const base = !isOlder ? found : isOwn ? from : withCredentialOf(found, from, context.now())
    if (isOlder && !lags) tellRollback(this.#p, from, from.counter - found.counter)
    const newer = newerData(base, options.version)
    if (newer) throw newer
    // An earlier attempt that failed was applied after all: what came after it is left.
    const done = failed && hasWrite(base, failed.tag) ? failed.operations : 0
    return { from: base, next: applyAll(this.#operations.slice(done), base) }
  }

  /** Makes one call; `from` is the state that was read, beside which an entry may be appended. */
  async #write(
    state: SessionState,
    expected: string | null,
    from?: SessionState,
  ): Promise<{ result: WriteResult; written: Omit<Committed, 'isNew'> }> {
    const { instance, store } = this.#p
    const record = await sealRecord(this.#p, state)
    const takes = takesEntry(store, this.isRefused)
    const entry = takes && from ? await this.#entryOf(from, state) : undefined
    const more: WriteOptions = { entry, renewal: !this.#operations.length }
    const at = instance.options.now()
    const result = await this.#calls.make('write', (call) =>
      store.write(idOf(state), record, expected, Object.assign(call, more)),
    )
    return { result, written: { state, version: record.version, at } }
  }

  /** Returns the entry that may be appended instead; `undefined`: only the full record will do. */
  async #entryOf(from: SessionState, state: SessionState): Promise<string | undefined> {
    const { context, format, options } = this.#p.instance
    const { deferred, failed, heals } = this.#stored
    if (failed && failed.tag !== this.tag) return undefined
    const isFixed = this.#operations.length > 0 && this.#operations.every(({ changes }) => changes)
    if (!isFixed || deferred || heals || format.check) return undefined
    // An entry does not renew. A renewal must not be lost past half of the idle timeout, nor where a stale copy was read.
    const left = context.expiresAt({ ...from, createdAt: Infinity }) - options.now()
    const isLast = this.#draft.found?.stale || left < options.now() - from.renewedAt
    if (this.#renewalDue && isLast) return undefined
    const changes = changesOf(this.#operations, this.#draft.current)
    const entry = { tag: this.tag, counter: from.counter, at: options.now(), changes, seen: [] }
    return sealEntry(this.#p, state, entry)
  }
}
