/**
 * Writing sessions to a store, whatever others write meanwhile: creating, updating, moving and
 * burying their records.
 */

import { idOf, type SessionState } from '../codec/session-record.ts'
import { SessionConflictError, SessionError, StoreError, StoreUnavailableError } from '../errors.ts'
import type { Instance } from '../session/instance.ts'
import { emptyDraft, newerData } from '../session/open.ts'
import { applyAll } from '../session/operations.ts'
import type { Draft, FoundSession } from '../session/session.ts'
import {
  type SessionStore,
  type StoredRecord,
  TOMBSTONE,
  type WriteOptions,
} from '../stores/store.ts'
import { changesBetween } from './changes.ts'
import { newVersion, type Records } from './stored-record.ts'
import { pause, type Turn, turnsOf } from './turns.ts'

/** Writes records. */
export interface Commits {
  /**
   * Makes the operations of a draft on what the store has now; `null` when the session is dead, and
   * nothing was written.
   */
  commit(draft: Draft, last: LastSteps): Promise<Committed | null>
  /** Writes a record where that version is; else returns what is there. `null`: nothing. */
  write(
    id: string,
    record: StoredRecord,
    expected: string | null,
  ): Promise<'written' | 'patched' | StoredRecord | null>
  /** Puts a tombstone over a record, of which that `version` and so many patches are known. */
  bury(id: string, version: string, folded?: number): Promise<'buried' | 'dead'>
}

/** What a commit does after the operations of a draft. */
export interface LastSteps {
  /** Makes of a state the one to write. */
  finish(state: SessionState): SessionState
  /** Its changes can be kept beside what others write. */
  readonly patchable: boolean
  /** Nothing but the time of its last use is changed. */
  readonly renewal: boolean
}

/** How a commit went. */
export interface Committed {
  readonly state: SessionState
  /** `null` when it was kept beside that of somebody else. */
  readonly record: StoredRecord | null
  /** The id it moved away from, when nobody knows whether that is dead. */
  readonly grave?: string
}

/** Milliseconds for which a dead id tells requests under way that they are late. */
const TOMBSTONE_MS = 30_000
const MAX_ATTEMPTS = 50
/** Attempts after which it waits before the next, and for how many times an attempt's time at most. */
const CALM_ATTEMPTS = 3
const MAX_PAUSE = 32

export function createCommits(instance: Instance, store: SessionStore, records: Records): Commits {
  const { emit, format, options } = instance
  const { now } = options
  const turns = turnsOf(store)

  const guard = <T>(call: () => Promise<T>): Promise<T> => guardStore(store, call)
  const readAgain = (id: string) => guard(() => store.read(id, { fresh: true }))

  /** Writes, and returns how, or what is there instead when it is not ours. */
  const write = async (
    id: string,
    record: StoredRecord,
    expected: string | null,
    more?: WriteOptions,
  ): Promise<'written' | 'patched' | StoredRecord | null> => {
    const result = await guard(() => store.write(id, record, expected, more))
    if (result.ok) return result.patched ? 'patched' : 'written'
    // Finding our own version means that an attempt was applied and only its answer was lost.
    return result.current?.version === record.version ? 'written' : result.current
  }

  const create = async (state: SessionState): Promise<StoredRecord> => {
    const record = await records.seal(state)
    if ((await write(idOf(state), record, null)) === 'written') return record
    throw new SessionConflictError('Cannot create session: its new id is taken')
  }

  /** Removes what was created under a new id: nobody knows it, and lists are not to show it. */
  const abandon = (state: SessionState): Promise<void> =>
    guard(() => store.delete(idOf(state))).catch(() => {})

  /** Buries the id that a session moves away from; `'unknown'`: perhaps. */
  const leave = async (
    { state, version = '', folded }: FoundSession,
    next: SessionState,
  ): Promise<'written' | 'patched' | 'unknown' | StoredRecord | null> => {
    const id = idOf(state)
    const grave = tombstone(now(), version, MOVED)
    try {
      return await write(id, grave, version, { folded })
    } catch (error) {
      if (!isFailure(error)) throw error
      const there = await readAgain(id).catch(() => undefined)
      if (there === undefined) return 'unknown'
      if (there?.version !== version) return there?.version === grave.version ? 'written' : there
      await abandon(next)
      throw error
    }
  }

  /** Goes on from `base`, and from whatever others made of it meanwhile. */
  const replace = async (
    draft: Draft,
    base: FoundSession,
    { finish, patchable, renewal }: LastSteps,
    turn: Turn | null,
  ): Promise<Committed | null> => {
    const id = idOf(base.state)
    let found = base
    let state = finish(draft.current)
    const latest = await turn?.take(false)
    if (latest && isLater(latest.version, base.version!)) {
      found = await records.unseal(id, latest, base.state.key)
      state = finish(applyAll(draft.operations, found.state))
    }
    // A new id is created before the old one is buried: nobody knows it yet, and nothing is lost
    // when the store fails in between.
    const moving = state.key !== found.state.key
    let record = moving ? await create(state) : await records.seal(state)
    let patch: string | undefined
    const remake = async (from: SessionState): Promise<void> => {
      state = finish(applyAll(draft.operations, from))
      const { version: before } = record
      record = await records.seal(state)
      if (moving) await write(idOf(state), record, before)
    }
    try {
      for (let [attempt, started] = [1, Date.now()]; attempt <= MAX_ATTEMPTS; attempt++) {
        const { version = '', folded } = found
        let there = moving
          ? await leave(found, state)
          : await write(id, record, version, { folded, patch, renewal })
        if (there === 'unknown') return { state, record, grave: id }
        if (there === 'written') return { state, record }
        if (there === 'patched') return { state, record: null }
        const took = Date.now() - started
        if (there && there.value !== TOMBSTONE && attempt > CALM_ATTEMPTS) {
          // Many others: a while later, and from what is there then, chances are better. How long is
          // a while depends on how long an attempt takes.
          await pause(Math.random() * Math.min(MAX_PAUSE, 2 ** attempt) * Math.max(1, took))
          started = Date.now()
          there = await readAgain(id)
        } else started = Date.now()
        if (!there || there.value === TOMBSTONE) {
          const signsIn = draft.current.authenticatedAt !== base.state.authenticatedAt
          if (signsIn && !draft.deferred && (!there || isEnd(there))) {
            // It starts anew, without the data of the one that has ended.
            draft.status = 'missing'
            const anew = await emptyDraft(instance, draft.cookies, {
              status: 'missing',
              reason: null,
            })
            await remake(anew.current)
            return { state, record }
          }
          if (moving) await abandon(state)
          return null
        }
        emit({ type: 'commit.conflict', attempt }, state)
        const news = attempt > 1 ? await turn?.take(true) : null
        if (news && isLater(news.version, there.version)) there = news
        found = await records.unseal(id, there, found.state.key)
        const newer = newerData(found.state, options.version)
        if (newer) throw newer
        await remake(found.state)
        if (patchable && base.state.version === found.state.version) {
          patch = await records.sealPatch(id, changesBetween(format, found.state, state, []))
        }
      }
      throw new SessionConflictError(
        `Cannot commit session: others changed it ${MAX_ATTEMPTS} times meanwhile`,
      )
    } catch (error) {
      if (moving && !isFailure(error)) await abandon(state)
      throw error
    }
  }

  return {
    write,

    async commit(draft, last) {
      const { found } = draft
      if (!found) {
        const state = last.finish(draft.current)
        return { state, record: await create(state) }
      }
      // Only where a commit has to go on from what the last one wrote.
      const updates = draft.operations.some((operation) => operation.updates)
      const turn = updates ? turns.of(idOf(found.state)) : null
      let written: Committed | null = null
      try {
        written = await replace(draft, found, last, turn)
        return written
      } finally {
        // Those who wait go on from a record under this id, not from one that moved to another.
        turn?.pass(written?.state.key === found.state.key ? written.record : null)
      }
    },

    async bury(id, version, folded = 0) {
      for (let [expected, seen] = [version, folded]; ; ) {
        const there = await write(id, tombstone(now(), expected), expected, { folded: seen })
        if (there === 'written' || there === 'patched') return 'buried'
        if (!there || there.value === TOMBSTONE) return 'dead'
        expected = there.version
        seen = there.patches?.length ?? 0
      }
    },
  }
}

/** Behind the version of a tombstone: the session goes on under another id. */
const MOVED = '~'

/** What a dead id keeps. `after`: the version that it ends. */
export function tombstone(now: number, after: string, mark: '' | typeof MOVED = ''): StoredRecord {
  const version = newVersion((Number.parseInt(after, 10) || 0) + 1) + mark
  return { value: TOMBSTONE, version, expiresAt: now + TOMBSTONE_MS }
}

/** Whether a tombstone is that of a session that is over for good, and not under another id. */
export function isEnd({ version }: StoredRecord): boolean {
  return !version.endsWith(MOVED)
}

/** Calls a store, and turns what is not ours into a {@link StoreUnavailableError}. */
export async function guardStore<T>(store: SessionStore, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (cause) {
    if (cause instanceof SessionError) throw cause
    // Ours, of another copy of this package: Next bundles one for pages and one for its proxy.
    if (Object(cause).code === 'ERR_STORE')
      throw new StoreError(`The store "${store.name}" refused`)
    // The error of somebody else's client may quote keys and data, so it is not passed on.
    throw new StoreUnavailableError(`The store "${store.name}" failed`)
  }
}

/** Whether a store failed, and not whoever calls it. */
export function isFailure(error: unknown): error is StoreError | StoreUnavailableError {
  return error instanceof StoreUnavailableError || error instanceof StoreError
}

/** Whether one version of a session was written after another. */
function isLater(one: string, other: string): boolean {
  return Number.parseInt(one, 10) > Number.parseInt(other, 10)
}
