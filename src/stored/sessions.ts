/**
 * Sessions that live in a store: what their cookies carry, and what becomes of each when it fails.
 * Loaded when a store is first needed.
 */
import { BoundedMap } from '../bounded-map.ts'
import type { CookieFound } from '../cookie.ts'
import { decodeBase64url, encodeBase64url } from '../crypto/base64url.ts'
import { SessionCorruptionError, StoreError, StoreUnavailableError } from '../errors.ts'
import type { Instance } from '../instance.ts'
import { emptyDraft, goneDraft, isOver, liveDraft } from '../open.ts'
import { encodeRecord, ID_BYTES, idOf, type OpenedRecord, type SessionState } from '../record.ts'
import { announce, renewAfterOf, say, writeCookie } from '../save.ts'
import type { Draft, FoundSession } from '../session.ts'
import { type SessionStore, type StoredRecord, TOMBSTONE } from '../stores/store.ts'
import { changesBetween } from './changes.ts'
import { type Committed, createCommits, guardStore, isFailure } from './commits.ts'
import {
  applyDeferrals,
  createDeferralCookies,
  DEFERRAL_MS,
  type Deferral,
  newTag,
  remembering,
} from './deferrals.ts'
import { recordsOf } from './records.ts'

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
/** Sessions of which this isolate remembers how new they are. */
const LATEST = 1000
/** The counter of a session that the store was asked to end. */
const PERHAPS_DEAD = 1e9
const MAX_COOKIE_BYTES = 4096

/** Puts a store behind the session's own terms. */
export function createStoredSessions(instance: Instance, store: SessionStore): StoredSessions {
  const { context, cookie, emit, format, options } = instance
  const { now, snapshot } = options
  const records = recordsOf(instance)
  const { commit, bury, write } = createCommits(instance, store, records)
  const deferrals = createDeferralCookies(instance)
  /**
   * The newest counter that this isolate wrote: a snapshot from before it is not used. Infinity for
   * an id that is dead.
   */
  const latest = new BoundedMap<string, number>(LATEST)

  const guard = <T>(call: () => Promise<T>): Promise<T> => guardStore(store, call)

  /** Reads a record; one older than the cookie knows it to be is read once more. */
  const find = async (
    opened: OpenedRecord,
    signal: AbortSignal | undefined,
  ): Promise<FoundSession | 'missing' | 'superseded' | 'behind'> => {
    const id = idOf(opened)
    for (let attempt = 1; ; attempt++) {
      const record = await guard(() => store.read(id, { signal, fresh: attempt > 1 }))
      if (record?.value === TOMBSTONE) return 'superseded'
      const found = record ? await records.unseal(id, record, opened.key) : 'missing'
      if (!isBehind(found, opened)) return found
      if (attempt > 1) return 'behind'
    }
  }

  /** Whether the store shows an earlier state than the one that the cookie was made from. */
  const isBehind = (found: FoundSession | 'missing', opened: OpenedRecord): boolean => {
    const lags = now() - madeAt(opened) < LAG_MS
    if (found === 'missing') return !store.atomic && opened.counter > 0 && lags
    if (found.state.counter >= opened.counter) return false
    if (lags) return true
    throw new SessionCorruptionError('Cannot read session: an older record was put in its place')
  }

  /** The copy of the data that the cookie carries, and how old that is, in milliseconds. */
  const snapshotOf = async (
    opened: OpenedRecord,
  ): Promise<{ found: FoundSession; age: number } | null> => {
    const { text, extra } = opened
    if (!snapshot || text === null || !extra?.r) return null
    if ((latest.get(idOf(opened)) ?? 0) > opened.counter) return null
    try {
      const state = { ...(await format.read(opened)), extra: extra.k && { k: extra.k } }
      return { found: { state, text, version: extra.r }, age: now() - madeAt(opened) }
    } catch {
      return null
    }
  }

  /** Takes up what could not be written before. */
  const adopt = async (draft: Draft): Promise<Draft> => {
    if (!draft.found || draft.readOnly) return draft
    const { all, names } = await deferrals.find(draft.cookies, draft.found.state.key)
    if (!names.length) return draft
    const operation = applyDeferrals(instance, all)
    draft.current = operation(draft.current)
    if (draft.current !== draft.found.state) draft.operations.push(operation)
    return Object.assign(draft, { deferred: { all, names, base: draft.current }, refresh: true })
  }

  /** A retired cookie that comes back late was kept by somebody, or its successor got lost. */
  const isReused = (opened: OpenedRecord, { renewedAt }: SessionState): boolean =>
    opened.renewedAt < renewedAt && now() - renewedAt > REUSE_GRACE_MS

  const buryRecord = async (id: string, version: string, folded?: number) => {
    latest.set(id, Math.max(latest.get(id) ?? 0, PERHAPS_DEAD))
    const result = await bury(id, version, folded)
    latest.set(id, Infinity)
    return result
  }

  /** Buries whatever is under an id. */
  const revoke = async (id: string): Promise<boolean> => {
    const record = await guard(() => store.read(id, { fresh: true }))
    if (!record || record.value === TOMBSTONE) return false
    return (await buryRecord(id, record.version, record.patches?.length)) === 'buried'
  }

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
    emit({ type, store: store.name, code: error.code }, about)
    if (type === 'store.unavailable') throw error
  }

  /** Puts a write that failed into a cookie; `null` when it cannot ride there. */
  const defer = async (draft: Draft, tag: string, error: unknown): Promise<string[] | null> => {
    const { current, deferred, found, operations } = draft
    const { all = [], names = [], base = found?.state } = deferred ?? {}
    const rides =
      isFailure(error) && options.onStoreFailure === 'degrade' && draft.cookies.header !== null
    if (!rides || !base || !isPlain(draft) || draft.removals) return null
    const updated = operations.map(({ updates }) => updates)
    const changes = changesBetween(format, base, current, updated)
    // What was deferred before is still in its cookies.
    if (!changes.length) return []
    const one: Deferral = { tags: [tag], at: now(), changes }
    const setCookie = await deferrals.write(current.key, [...all, one], names)
    if (setCookie) emit({ type: 'commit.deferred', changes: changes.length }, current)
    return setCookie
  }

  /** The cookie of a session as the store has it, with a copy of the data where that fits. */
  const cookieFor = (draft: Draft, state: SessionState, version?: string): Promise<string[]> => {
    const t = (context.now() - state.renewedAt) / 1000
    const part = state.key.subarray(ID_BYTES)
    const extra = {
      ...(t && { t }),
      ...(part.length && { q: encodeBase64url(part.slice()) }),
    }
    const bare = { ...state, ...ID_ONLY, extra: Object.keys(extra).length ? extra : undefined }
    const whole = snapshot && version && carrying(state, { ...state.extra, ...extra, r: version })
    return writeCookie(instance, draft, state, { opened: whole || bare })
  }

  const carrying = (state: SessionState, extra: OpenedRecord['extra']): OpenedRecord | null => {
    const opened = { ...state, ...format.write(state), extra }
    // 36 bytes around it, then base64url.
    const size = ((encodeRecord(opened).length + 36) * 4) / 3 + cookie.name.length
    return size <= MAX_COOKIE_BYTES ? opened : null
  }

  return {
    async open(cookies, found, signal) {
      const { q } = found.extra ?? {}
      const opened = q ? { ...found, key: joined(found.key, decodeBase64url(q)) } : found
      const copy = await snapshotOf(opened)
      const fresh = copy && snapshot && copy.age < snapshot.maxAge * 1000 && copy.age >= 0
      if (fresh && !isOver(instance, copy.found.state)) {
        return adopt(liveDraft(instance, cookies, opened, copy.found))
      }
      try {
        let found = await find(opened, signal)
        if (found === 'superseded') return goneDraft(instance, cookies, opened, found)
        // The store lags behind this browser's own writes.
        if (found === 'behind') {
          if (!copy) throw new StoreUnavailableError(`The store "${store.name}" is out of date`)
          found = copy.found
        }
        if (isOver(instance, found === 'missing' ? opened : found.state)) {
          return goneDraft(instance, cookies, opened, 'expired')
        }
        if (found === 'missing') return goneDraft(instance, cookies, opened, found)
        if (isReused(opened, found.state)) {
          say(instance, 'session.reused', found.state)
          if (options.onReuse === 'revoke') {
            await buryRecord(idOf(opened), found.version!, found.folded)
            return goneDraft(instance, cookies, opened, 'superseded')
          }
        }
        const draft = await adopt(liveDraft(instance, cookies, opened, found))
        // Read from the store: the next copy starts now, if there is room for one.
        if (snapshot && draft.status === 'active' && carrying(found.state, { r: found.version! })) {
          draft.refresh = true
        }
        return draft
      } catch (error) {
        const reason = unavailable(store, error)
        const usable =
          copy && snapshot && copy.age < 1000 * (snapshot.maxAge + (snapshot.staleIfError ?? 0))
        const type =
          options.onStoreFailure === 'throw' && !usable ? 'store.unavailable' : 'store.degraded'
        failure(reason, type, opened)
        if (usable && !isOver(instance, copy.found.state)) {
          return adopt(liveDraft(instance, cookies, opened, { ...copy.found, stale: true }))
        }
        return emptyDraft(instance, cookies, {
          status: 'degraded',
          reason: () => reason as StoreUnavailableError,
          readOnly: reason as StoreUnavailableError,
        })
      }
    },

    async start(cookies, first, isNew) {
      const id = idOf(first)
      let record: StoredRecord | null = await records.seal(first)
      const there = await write(id, record, null).catch((error) => {
        throw unavailable(store, error)
      })
      if (there === 'written') isNew()
      else record = there as StoredRecord | null
      if (!record || record.value === TOMBSTONE) {
        return goneDraft(instance, cookies, first, 'superseded')
      }
      const found = await records.unseal(id, record, first.key)
      return { ...liveDraft(instance, cookies, found.state, found), refresh: true }
    },

    async save(draft, due, changed) {
      const { deferred, found, operations } = draft
      const setCookie: string[] = []
      const renewedAt = context.now()
      // What an update adds must not be added again should only the answer get lost.
      const tag = newTag()
      const applied: [string, number][] = operations.some(({ updates }) => updates)
        ? [[tag, Math.ceil((now() + DEFERRAL_MS) / 1000)]]
        : []
      // Whoever was faster has renewed it for this request too.
      const finish = (state: SessionState): SessionState => {
        const renews = !found || (due && now() - state.renewedAt >= renewAfterOf(instance, state))
        return {
          ...state,
          renewedAt: renews ? renewedAt : state.renewedAt,
          ...(applied.length && { extra: remembering(state.extra, applied, now()) }),
          binding: state.binding ?? draft.binding,
          counter: state.counter + 1,
          version: options.version,
        }
      }
      if (changed || due) {
        const patchable =
          !!store.patches &&
          !due &&
          !deferred &&
          !format.check &&
          isPlain(draft) &&
          !operations.some(({ updates }) => updates)
        let committed: Committed | null = null
        try {
          committed = await commit(draft, finish, patchable)
        } catch (error) {
          const ride = changed ? await defer(draft, tag, error) : null
          if (ride) return ride
          // A renewal can wait for the next request.
          const waits = !changed && !draft.removals
          failure(error, waits ? 'store.degraded' : 'store.unavailable', draft.current)
          return []
        }
        if (!committed) {
          supersede(draft)
          return []
        }
        const { state, record, grave } = committed
        const id = idOf(state)
        if (!(latest.get(id)! > state.counter)) latest.set(id, state.counter)
        const moved = draft.current.key !== found?.state.key
        if (moved && found) latest.set(idOf(found.state), Infinity)
        announce(instance, draft, state, due)
        if (!store.atomic || due || moved || snapshot || draft.removals) {
          setCookie.push(...(await cookieFor(draft, state, record?.version)))
        }
        if (grave) {
          const one = { tags: [newTag()], at: now(), changes: [], grave }
          setCookie.push(...((await deferrals.write(state.key, [one], [])) ?? []))
          emit({ type: 'commit.deferred', changes: 0 }, state)
        }
      } else if ((snapshot || draft.removals) && found && draft.status === 'active') {
        setCookie.push(...(await cookieFor(draft, draft.current, found.version)))
      }
      for (const { grave } of deferred?.all ?? []) if (grave) await revoke(grave)
      // Another request of this isolate has moved or ended it meanwhile: its cookie is the newer one.
      const isDead = latest.get(idOf(draft.current)) === Infinity
      return [...(isDead ? [] : setCookie), ...deferrals.remove(deferred?.names ?? [])]
    },

    async bury(draft) {
      const { state, version, folded } = draft.found!
      try {
        if ((await buryRecord(idOf(state), version!, folded)) === 'buried') {
          return deferrals.remove(draft.deferred?.names ?? [])
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

/** What a cookie does not say of a session whose data are in a store. */
const ID_ONLY = {
  subject: null,
  label: undefined,
  binding: undefined,
  authenticatedAt: null,
  version: 1,
  text: null,
  hasFlash: false,
} as const

/** Whether only data change: the same id, nobody signed in. */
function isPlain({ current, found }: Draft): boolean {
  return current.key === found?.state.key && current.authenticatedAt === found.state.authenticatedAt
}

/** When a cookie was made, epoch milliseconds. */
function madeAt({ renewedAt, extra }: OpenedRecord): number {
  return renewedAt + 1000 * (extra?.t ?? 0)
}

function joined(id: SessionState['key'], part: Uint8Array | null): SessionState['key'] {
  return Uint8Array.of(...id.subarray(0, ID_BYTES), ...(part ?? []))
}

/** Reading failed for good or for now: either way nothing is known about the session. */
function unavailable(store: SessionStore, error: unknown): unknown {
  if (!(error instanceof StoreError)) return error
  return new StoreUnavailableError(`The store "${store.name}" refused to be read`, { cause: error })
}
