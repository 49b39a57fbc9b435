/** Writing a session to a store, whatever others write meanwhile. */
import { nameOf } from '../codec/generation.ts'
import { idOf, type SessionState } from '../codec/session-record.ts'
import { descends, hasWrite, listWrite, newTag } from '../codec/write-list.ts'
import { SessionConflictError } from '../errors.ts'
import type { DropReason } from '../events.ts'
import type { Draft } from '../session/draft.ts'
import { emptyDraft, newerData } from '../session/open.ts'
import { applyAll } from '../session/operations.ts'
import { isSame, renewAfterOf } from '../session/save.ts'
import type { StoredRecord, WriteOptions, WriteResult } from '../stores/store.ts'
import { changesOf } from './journal.ts'
import { ahead, compare, relate } from './newest.ts'
import { GRACE_MS, LAG_MS } from './open.ts'
import {
  endSession,
  isOf,
  type Persistence,
  pause,
  type StoreCalls,
  startCalls,
  tryToEnd,
} from './persistence.ts'
import { credentialOf, openRecord, sealEntry, sealRecord } from './stored-record.ts'

/** A commit that was written. */
export interface Committed {
  readonly state: SessionState
  readonly version: string
  /** It started a new session. */
  readonly isNew: boolean
}

/**
 * The outcome of a commit; a reason: nothing was written. `'applied'`: it was written, and a rotation
 * came before this request learnt of it.
 */
export type Outcome = Committed | Extract<DropReason, 'superseded' | 'ended'> | 'applied'

/** Refusals after which a commit pauses before it tries again, for so many milliseconds at most. */
const CALM_ATTEMPTS = 3
const PAUSE_MS = 5

/** One commit of a draft. */
export class Commit {
  readonly tag: string
  /** The store refused an attempt, so it can be reached. */
  isRefused = false
  readonly #p: Persistence
  readonly #draft: Draft
  readonly #due: boolean
  readonly #calls: StoreCalls
  readonly #signsIn: boolean
  /** Epoch milliseconds, whole seconds. */
  readonly #at: number
  /** The last rotation of the session, epoch milliseconds; `undefined`: its record was not met. */
  rotatedAt: number | undefined
  #last: SessionState | null = null

  constructor(p: Persistence, draft: Draft, due: boolean) {
    this.#p = p
    this.#draft = draft
    this.#due = due
    // Of a commit that is repeated, the first attempt may have been applied.
    this.tag = draft.failed?.operations === draft.operations.length ? draft.failed.tag : newTag()
    this.#at = p.instance.context.now()
    this.#calls = startCalls(p)
    this.#signsIn = signsIn(draft)
  }

  /** The rotated state that the last call tried to write; `null`: no rotation was tried. */
  get lastRotation(): SessionState | null {
    return this.#last
  }

  /** Writes the draft. */
  async run(): Promise<Outcome> {
    const { current, found, replaced } = this.#draft
    if (found && isSame(current, found.state)) {
      return this.#replace(found.state, found.version ?? '', current)
    }
    if (found) {
      // Another user signs in: the session of the one before ends first.
      await endSession(this.#p, this.#calls, idOf(found.state))
      return this.#create(current)
    }
    const shared = replaced?.state
    if (this.#signsIn && shared && this.#canShare(shared)) {
      return this.#replace(shared, replaced.version, this.#share(shared))
    }
    const made = await this.#create(current)
    await this.#endReplaced(replaced, made.state)
    return made
  }

  /** Returns the state to write: with the counter, the list of writes and the renewal of this commit. */
  #finish(state: SessionState): SessionState {
    const { instance } = this.#p
    const { binding, deferred, found, operations } = this.#draft
    // A request that committed first has renewed it for this one too.
    const renews =
      !found ||
      (this.#due && instance.options.now() - state.renewedAt >= renewAfterOf(instance, state))
    const changes = operations.flatMap((one) =>
      one.updates === undefined ? (one.changes ?? []).map(([section]) => section) : [0],
    )
    const listed = listWrite(state, this.tag, changes.includes(0), instance.options.now())
    // A sign-in that changed nothing else may be shared with an overlapping one of the same user.
    const isPlain = this.#signsIn && !deferred?.applied.length && !changes.includes(0)
    const signedInAt = isPlain ? listed.counter : undefined
    return {
      ...listed,
      ...(this.#signsIn && { generation: { ...state.generation, signedInAt } }),
      renewedAt: renews ? this.#at : state.renewedAt,
      binding: state.binding ?? binding,
      version: instance.options.version,
    }
  }

  async #create(current: SessionState): Promise<Committed> {
    const state = this.#finish(current)
    const record = await sealRecord(this.#p, state)
    try {
      const { ok } = await this.#write(state, record, null)
      if (ok) return { state, version: record.version, isNew: true }
    } catch (error) {
      // Perhaps it is there: nobody has its cookie, and lists must not show it.
      if (state.subject !== null) {
        await endSession(this.#p, startCalls(this.#p), idOf(state)).catch(() => {})
      }
      throw error
    }
    throw new SessionConflictError('Cannot create session: its id is taken')
  }

  /** Signs in under a new id, where the session before has ended or belongs to another credential. */
  async #startNew(id: string, keys?: readonly string[]): Promise<Committed> {
    const { cookies } = this.#draft
    this.#draft.status = 'missing'
    this.#last = null
    const { current } = await emptyDraft(this.#p.instance, cookies, {
      status: 'missing',
      reason: null,
    })
    const made = await this.#create(this.#replayOwn(current))
    await this.#endReplaced({ id, keys }, made.state)
    return made
  }

  /** Replays the request's own operations; deferred writes of another credential are never applied. */
  #replayOwn(state: SessionState): SessionState {
    const { deferred, operations } = this.#draft
    if (deferred) Object.assign(deferred, { applied: [], dropped: deferred.entries })
    return applyAll(
      operations.filter(({ isDeferred }) => !isDeferred),
      state,
    )
  }

  /** Ends the replaced session after its user has signed in again under a new id. */
  async #endReplaced(
    replaced: { readonly id: string; readonly keys?: readonly string[] | undefined } | undefined,
    { subject }: SessionState,
  ): Promise<void> {
    if (!replaced || subject === null || !this.#signsIn) return
    const isTheirs = await isOf(this.#p, subject, replaced.keys)
    if (isTheirs) await tryToEnd(this.#p, this.#calls, replaced.id)
  }

  /** Tells whether this sign-in may go on with a session that an overlapping one rotated. */
  #canShare({ counter, generation, subject, version }: SessionState): boolean {
    const { now, version: known } = this.#p.instance.options
    return (
      version <= known &&
      subject === this.#draft.current.subject &&
      generation.signedInAt === counter &&
      now() - generation.rotatedAt < GRACE_MS
    )
  }

  #share(state: SessionState): SessionState {
    const { generation, key } = state
    return { ...this.#replayOwn(state), generation, key }
  }

  /** Replaces the record, and replays the operations on every newer state it meets. */
  async #replace(base: SessionState, expected: string, current: SessionState): Promise<Outcome> {
    let [from, version, next] = [base, expected, current]
    for (let attempt = 1; ; attempt++) {
      const state = this.#finish(next)
      if (nameOf(state.generation) !== nameOf(base.generation)) this.#last = state
      const record = await sealRecord(this.#p, state)
      const result = await this.#write(state, record, version, await this.#entryOf(from, state))
      const there = result.current
      this.isRefused = !result.ok
      if (result.ok && !there) return { state, version: record.version, isNew: false }
      if (!there) {
        this.#p.latest.recordEnd(idOf(state))
        return this.#signsIn ? this.#startNew(idOf(state)) : 'ended'
      }
      const credential = credentialOf(there)
      this.rotatedAt = credential.rotatedAt
      const found = await openRecord(this.#p, idOf(state), there, [state, from])
      version = there.version
      // Appended; or an earlier attempt was applied, and only its answer was lost.
      if (found && hasWrite(found.state, this.tag)) {
        // A rotation that came since has a credential that is not for this request.
        if (relate(state.generation, credential) !== 'same') return 'applied'
        return { state: found.state, version, isNew: false }
      }
      const shared = this.#meet(from, there, found?.state ?? null)
      if (typeof shared === 'string') {
        if (!this.#signsIn) return 'superseded'
        return this.#startNew(idOf(from), there.keys)
      }
      ;({ from, next } = shared)
      this.#p.instance.emit({ type: 'commit.conflict', attempt }, state)
      if (this.#calls.isOver()) {
        throw new SessionConflictError('Cannot commit session: other requests kept changing it')
      }
      if (attempt >= CALM_ATTEMPTS) await pause(0, PAUSE_MS)
    }
  }

  /** Returns the state that a refused write goes on from; `'replaced'`: it must not go on. */
  #meet(
    from: SessionState,
    there: StoredRecord,
    found: SessionState | null,
  ): 'replaced' | { from: SessionState; next: SessionState } {
    const { instance, latest } = this.#p
    const relation = relate(from.generation, credentialOf(there))
    if (relation === 'replaced' || !found) {
      if (found) latest.record(found)
      const canShare = relation === 'replaced' && this.#signsIn && found && this.#canShare(found)
      return canShare ? { from: found, next: this.#share(found) } : 'replaced'
    }
    // The record is older than the one that was read: the store went back or lags, and the newer state goes on.
    const isOlder = relation === 'ahead' || compare(found, from) < 0
    const isOwn = descends(from, found) || this.#lags()
    const base = !isOlder ? found : isOwn ? from : ahead(found, from, this.#at)
    const newer = newerData(base, instance.options.version)
    if (newer) throw newer
    const { failed, operations } = this.#draft
    // An earlier attempt that failed was applied after all: what came after it is left.
    const done = failed && hasWrite(base, failed.tag) ? failed.operations : 0
    return { from: base, next: applyAll(operations.slice(done), base) }
  }

  /** Tells whether what the store shows may only lag behind the state that the request found. */
  #lags(): boolean {
    const { instance, store } = this.#p
    const at = this.#draft.found?.at ?? 0
    return !store.atomic && instance.options.now() - at < LAG_MS
  }

  #write(
    state: SessionState,
    record: StoredRecord,
    expected: string | null,
    entry?: string,
  ): Promise<WriteResult> {
    const more: WriteOptions = { entry, renewal: !this.#draft.operations.length }
    return this.#calls.make('write', (call) =>
      this.#p.store.write(idOf(state), record, expected, { ...call, ...more }),
    )
  }

  /** Returns the entry that may be appended instead; `undefined`: only the full record will do. */
  async #entryOf(from: SessionState, state: SessionState): Promise<string | undefined> {
    const { context, format, options } = this.#p.instance
    const { current, deferred, failed, heals, operations } = this.#draft
    if (failed && failed.tag !== this.tag) return undefined
    const isFixed = operations.length > 0 && operations.every(({ changes }) => changes)
    if (!isFixed || deferred || heals || format.check) return undefined
    // An entry does not renew. Past half of the idle timeout a renewal must not be lost.
    const left = context.expiresAt({ ...from, createdAt: Infinity }) - options.now()
    if (this.#due && left < options.now() - from.renewedAt) return undefined
    const changes = changesOf(operations, current)
    const entry = { tag: this.tag, counter: from.counter, at: options.now(), changes, seen: [] }
    return sealEntry(this.#p, state, entry)
  }
}

/** Tells whether a request signs a user in. */
export function signsIn({ operations }: Draft): boolean {
  return operations.some((operation) => operation.signsIn)
}
