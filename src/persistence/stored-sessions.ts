/**
 * Sessions that live in a store: what becomes of each when it fails. Loaded when a store is first
 * needed.
 */

import { idOf, type OpenedRecord, type SessionState } from '../codec/session-record.ts'
import {
  CircuitOpenError,
  SessionCorruptionError,
  StoreError,
  StoreUnavailableError,
} from '../errors.ts'
import type { Instance } from '../session/instance.ts'
import { emptyDraft, goneDraft, isOver, liveDraft } from '../session/open.ts'
import { announce, renewAfterOf, say } from '../session/save.ts'
import type { Draft, FoundSession } from '../session/session.ts'
import { type SessionStore, type StoredRecord, TOMBSTONE } from '../stores/store.ts'
import type { CookieFound } from '../transport/cookie.ts'
import {
  type Committed,
  createCommits,
  guardStore,
  isEnd,
  isFailure,
  type LastSteps,
} from './commits.ts'
import { partOf } from './cookie-part.ts'
import { createMoves } from './moves.ts'
import { createNewest } from './newest.ts'
import { createStoredCookies, madeAt } from './stored-cookies.ts'
import { recordsOf } from './stored-record.ts'
import { newTag, withoutTag, withTag } from './tags.ts'
import { createWaiting } from './waiting.ts'

/** Keeps sessions in a store. */
export interface StoredSessions {
  /** Opens the session a cookie names. */
  open(cookies: CookieFound, opened: OpenedRecord, signal: AbortSignal | undefined): Promise<Draft>
  /**
   * Creates a session with that key, or goes on with the one that another request created. `isNew`
   * is told when it did not exist.
   */
  start(cookies: CookieFound, state: SessionState, isNew: () => void): Promise<Draft>
  /** Writes the draft and returns the `Set-Cookie` values. `due`: it is time to renew. */
  save(draft: Draft, due: boolean, changed: boolean): Promise<string[]>
  /** Ends a session; `null` when it is dead already, and the browser is not to be told. */
  bury(draft: Draft): Promise<string[] | null>
  /** Ends the session with an id; `false` when there is none. */
  revoke(id: string): Promise<boolean>
}

/** For how long an old answer, "there is no such key" too, may come from Cloudflare KV or a replica. */
const LAG_MS = 120_000
/** For how long after a renewal requests may still come with the cookie before it. */
const REUSE_GRACE_MS = 60_000

/** Puts a store behind the session's own terms. */
export function createStoredSessions(instance: Instance, store: SessionStore): StoredSessions {
  const { context, emit, format, options } = instance
  const { now, snapshot } = options
  const records = recordsOf(instance)
  const { commit, bury, write } = createCommits(instance, store, records)
  const newest = createNewest()
  const cookies = createStoredCookies(instance, newest)
  const moves = createMoves(instance)

  /** Reads a record; one older than the cookie knows it to be is read once more. */
  const find = async (
    opened: OpenedRecord,
    signal: AbortSignal | undefined,
  ): Promise<FoundSession | 'missing' | 'superseded' | 'ended' | 'behind'> => {
    const id = idOf(opened)
    const at = context.now()
    const before = newest.of(opened)
    for (let attempt = 1; ; attempt++) {
      const record = await guardStore(store, () => store.read(id, { signal, fresh: attempt > 1 }))
      if (record?.value === TOMBSTONE) return isEnd(record) ? 'ended' : 'superseded'
      const found = record ? { ...(await records.unseal(id, record, opened.key)), at } : 'missing'
      if (found !== 'missing') newest.saw(found, before)
      if (!isBehind(found, opened)) return found
      if (attempt > 1) return 'behind'
    }
  }

  /** Whether the store shows an earlier state than the one that the cookie was made from. */
  const isBehind = (found: FoundSession | 'missing', opened: OpenedRecord): boolean => {
    const lags = now() - madeAt(opened) < LAG_MS
    if (found === 'missing') {
      return !store.atomic && opened.counter > 0 && lags && !isOver(instance, opened)
    }
    if (found.state.counter >= opened.counter) return false
    if (lags) return true
    throw new SessionCorruptionError('Cannot read session: an older record was put in its place')
  }

  /** A retired cookie that comes back late was kept by somebody, or its successor got lost. */
  const isReused = (opened: OpenedRecord, { renewedAt }: SessionState): boolean =>
    opened.renewedAt < renewedAt && now() - renewedAt > REUSE_GRACE_MS

  const buryRecord = async (id: string, version: string, folded?: number) => {
    const outcome = await bury(id, version, folded)
    newest.ended(id)
    return outcome
  }

  /** Buries whatever is under an id. */
  const revoke = async (id: string): Promise<boolean> => {
    const record = await guardStore(store, () => store.read(id, { fresh: true }))
    if (!record || record.value === TOMBSTONE) return false
    return (await buryRecord(id, record.version, record.patches?.length)) === 'buried'
  }

  const waiting = createWaiting(instance, revoke)

  /** Requests under way are late. Where it has `ended` whoever signs in by it starts anew. */
  const lateDraft = async (
    header: CookieFound,
    about: Pick<OpenedRecord, 'key'>,
    ended: boolean,
  ): Promise<Draft> =>
    Object.assign(await goneDraft(instance, header, about, 'superseded'), { ended })

  const supersede = (draft: Draft): void => {
    draft.status = 'superseded'
    say(instance, 'session.superseded', draft.found!.state)
  }

  const failure = (
    error: unknown,
    type: 'store.degraded' | 'store.unavailable',
    about: Pick<SessionState, 'key'>,
  ): void => {
    if (!isFailure(error)) throw error
    const { code, reason } = error
    emit({ type, store: store.name, code, ...(reason && { reason }) }, about)
    if (type === 'store.unavailable') throw error
  }

  /**
   * How a draft is written. `tag`: that of the write, if it may have to wait. `from`: the counter of
   * what was there when it was last tried.
   */
  const stepsOf = (
    draft: Draft,
    due: boolean,
    changed: boolean,
    at: number,
  ): LastSteps & { tag: string; from: number } => {
    const { binding, current, deferred, found, operations } = draft
    const waits = (changed || deferred) && isPlain(draft) && options.onStoreFailure === 'degrade'
    const steps: LastSteps & { tag: string; from: number } = {
      from: 0,
      // Should only the answer get lost, what waits in a cookie was written already.
      tag: waits ? newTag() : '',
      patchable:
        !!store.patches &&
        !due &&
        !deferred &&
        !format.check &&
        isPlain(draft) &&
        // Patches are sealed with the secret alone.
        !partOf(current).length &&
        !operations.some(({ updates }) => updates),
      // A renewal can wait for the next request.
      renewal: !changed && !draft.removals,
      finish(state) {
        steps.from = state.counter
        // Whoever was faster has renewed it for this request too.
        const renews = !found || (due && now() - state.renewedAt >= renewAfterOf(instance, state))
        return {
          ...state,
          renewedAt: renews ? at : state.renewedAt,
          ...(steps.tag && { extra: withTag(state, steps.tag) }),
          binding: state.binding ?? binding,
          counter: state.counter + 1,
          version: options.version,
        }
      },
    }
    return steps
  }

  /** Writes a draft, or returns the `Set-Cookie` values with which that is over. */
  const keep = async (
    draft: Draft,
    due: boolean,
    changed: boolean,
    at: number,
  ): Promise<(Committed & { copied: SessionState }) | string[]> => {
    const steps = stepsOf(draft, due, changed, at)
    try {
      const committed = await commit(draft, steps)
      if (committed) return { ...committed, copied: withoutTag(committed.state, steps.tag) }
      supersede(draft)
    } catch (error) {
      const { from: counter, tag: tags } = steps
      const rides = tags && isOutage(error) && draft.cookies.header !== null && !draft.removals
      const sent = !(error instanceof CircuitOpenError)
      const ride = rides ? await waiting.defer(draft, { tags, counter, sent }) : null
      if (ride) return ride
      failure(error, steps.renewal ? 'store.degraded' : 'store.unavailable', draft.current)
    }
    return []
  }

  return {
    async open(header, cookie, signal) {
      const opened = cookies.withPart(cookie)
      const next = await moves.follow(header, opened)
      if (next) {
        const draft = await this.open(header, next, signal)
        return Object.assign(draft, { refresh: true, returned: true })
      }
      const copy = await cookies.copyOf(opened)
      const live = (found: FoundSession) =>
        waiting.adopt(liveDraft(instance, header, opened, found))
      const serves = (seconds: number): boolean =>
        !!copy && copy.age < 1000 * seconds && !isOver(instance, copy.found.state)
      if (copy && snapshot && !copy.isOutdated && copy.age >= 0 && serves(snapshot.maxAge)) {
        return live(copy.found)
      }
      try {
        let found = await find(opened, signal)
        if (found === 'superseded' || found === 'ended') {
          return lateDraft(header, opened, found === 'ended')
        }
        // The store lags behind this browser's own writes.
        if (found === 'behind') {
          if (!copy) throw new StoreUnavailableError(`The store "${store.name}" is out of date`)
          found = copy.found
        }
        if (isOver(instance, found === 'missing' ? opened : found.state)) {
          return goneDraft(instance, header, opened, 'expired')
        }
        if (found === 'missing') return goneDraft(instance, header, opened, found)
        if (isReused(opened, found.state)) {
          say(instance, 'session.reused', found.state)
          if (options.onReuse === 'revoke') {
            await buryRecord(idOf(opened), found.version!, found.folded)
            return lateDraft(header, opened, true)
          }
        }
        const draft = await live(found)
        // Read from the store: the next copy starts now, if there is room for one. One that is for
        // outages alone is made anew when the record has changed, or half of its time is over.
        const isGood =
          snapshot &&
          !snapshot.maxAge &&
          copy?.found.version === found.version &&
          serves(snapshot.staleIfError / 2)
        const isNews = !isGood && found !== copy?.found
        if (snapshot && isNews && draft.status === 'active' && cookies.fits(found)) {
          draft.refresh = true
        }
        return draft
      } catch (error) {
        // Whoever has hung up says nothing about the store.
        signal?.throwIfAborted()
        const reason = unavailable(store, error)
        const bridged = !!snapshot && serves(snapshot.maxAge + snapshot.staleIfError)
        const type =
          options.onStoreFailure === 'throw' && !bridged ? 'store.unavailable' : 'store.degraded'
        failure(reason, type, opened)
        if (bridged) return live({ ...copy!.found, stale: true })
        return emptyDraft(instance, header, {
          status: 'degraded',
          reason: () => reason as StoreUnavailableError,
          readOnly: reason as StoreUnavailableError,
        })
      }
    },

    async start(header, first, isNew) {
      const id = idOf(first)
      let record: StoredRecord | null = await records.seal(first)
      const there = await write(id, record, null).catch((error) => {
        throw unavailable(store, error)
      })
      if (there === 'written') {
        newest.began(id)
        isNew()
      } else record = there as StoredRecord | null
      if (!record || record.value === TOMBSTONE) {
        return lateDraft(header, first, !record || isEnd(record))
      }
      const found = await records.unseal(id, record, first.key)
      return { ...liveDraft(instance, header, found.state, found), refresh: true }
    },

    async save(draft, due, changed) {
      const { deferred, found, removals } = draft
      const adopts = deferred && deferred.base !== found!.state
      const at = context.now()
      const setCookie: string[] = []
      if (due || changed || adopts) {
        const kept = await keep(draft, due, changed, at)
        if (!('state' in kept)) return kept
        const { copied, state, record, grave } = kept
        newest.wrote(state, record === null)
        const moved = draft.current.key !== found?.state.key
        if (moved && found) newest.ended(idOf(found.state))
        announce(instance, draft, state, due)
        if (!store.atomic || due || moved || snapshot || removals) {
          const known = { state: copied, at, version: record?.version }
          setCookie.push(...(await cookies.write(draft, known)))
        }
        const isLate = moved && found && draft.cookies.header !== null
        if (isLate && (snapshot || !store.atomic)) {
          // Other responses may bring the old id's cookie back.
          setCookie.push(await moves.note(found.state.key, cookies.bare({ state, at })))
        }
        // Without cookies there is nothing that could carry it.
        if (grave && draft.cookies.header)
          setCookie.push(...(await waiting.deferBurial(state, grave)))
      } else if (found && draft.status === 'active') {
        // What was read may be outdated by now, and the cookie of a faster response newer.
        const isNews = snapshot && !newest.isAfter(found)
        if (isNews || removals || draft.returned) {
          setCookie.push(...(await cookies.write(draft, { ...found, state: draft.current })))
        }
      }
      try {
        setCookie.push(...(await waiting.end(draft)))
      } catch (error) {
        failure(error, 'store.degraded', draft.current)
      }
      return setCookie
    },

    async bury(draft) {
      const { state, version, folded } = draft.found!
      try {
        if ((await buryRecord(idOf(state), version!, folded)) === 'buried') {
          return [...waiting.remove(draft), ...moves.forget(draft.cookies)]
        }
      } catch (error) {
        failure(error, 'store.unavailable', state)
      }
      supersede(draft)
      return null
    },

    revoke,
  }
}

/** Whether only data change: the same id, nobody signed in. */
function isPlain({ current, found }: Draft): boolean {
  return current.key === found?.state.key && current.authenticatedAt === found.state.authenticatedAt
}

/**
 * Whether the store failed everybody. What it refuses, and what is unavailable for one session only, a
 * visitor can bring about: a write that waits in a cookie then could be dropped by its owner.
 */
function isOutage(error: unknown): boolean {
  return error instanceof StoreUnavailableError && !('keyOnly' in error)
}

/** Reading failed for good or for now: either way nothing is known about the session. */
function unavailable(store: SessionStore, error: unknown): unknown {
  if (!(error instanceof StoreError)) return error
  const message = `The store "${store.name}" refused to be read`
  const { reason } = error
  return Object.assign(new StoreUnavailableError(message, { cause: error }), reason && { reason })
}
