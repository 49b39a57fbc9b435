/**
 * Sessions that live in a store: reading, creating, updating, moving and burying their records.
 * Loaded when a store is first needed.
 */
import type { CookieFound } from './cookie.ts'
import { encodeBase64url } from './crypto/base64url.ts'
import { createKeyRing } from './crypto/keyring.ts'
import { openToken, sealToken } from './crypto/token.ts'
import {
  SessionConflictError,
  SessionEncryptionError,
  SessionError,
  StoreError,
  StoreUnavailableError,
} from './errors.ts'
import type { Instance } from './instance.ts'
import { emptyDraft, goneDraft, isOver, liveDraft, newerData } from './open.ts'
import { applyAll } from './operations.ts'
import { decodeRecord, encodeRecord, idOf, type OpenedRecord, type SessionState } from './record.ts'
import { announce, say, writeCookie } from './save.ts'
import type { Draft, FoundSession } from './session.ts'
import { type SessionStore, type StoredRecord, TOMBSTONE } from './stores/store.ts'

/** Keeps sessions in a store. */
export interface StoredSessions {
  /** Opens the session a cookie names. */
  open(cookies: CookieFound, opened: OpenedRecord, signal: AbortSignal | undefined): Promise<Draft>
  /** Writes the draft and returns the `Set-Cookie` values. `due`: it is time to renew. */
  save(draft: Draft, due: boolean): Promise<string[]>
  /** Ends a session; `false` when it is dead already, and the browser is not to be told. */
  bury(draft: Draft): Promise<boolean>
}

/** Milliseconds for which a dead id tells requests under way that they are late. */
const TOMBSTONE_MS = 30_000
const MAX_ATTEMPTS = 50
/** For how long "there is no such key" may be an old answer (Cloudflare KV caches it too). */
const NEGATIVE_CACHE_MS = 120_000
const WRITTEN = 'written'

/** Puts a store behind the session's own terms. */
export function createStoredSessions(instance: Instance, store: SessionStore): StoredSessions {
  const { context, emit, format, options } = instance
  const { now } = options
  const ring = createKeyRing(options.secrets, 'store')

  const seal = async (state: SessionState): Promise<StoredRecord> => {
    if (format.check) await format.check(state)
    const bytes = encodeRecord({ ...state, ...format.write(state) })
    const value = await sealToken(ring, labelOf(idOf(state)), bytes, now())
    return { value, version: newVersion(state.counter), expiresAt: context.expiresAt(state) }
  }

  const unseal = async (id: string, record: StoredRecord): Promise<FoundSession> => {
    const bytes = await openToken(ring, labelOf(id), record.value, now())
    const opened = bytes && decodeRecord(bytes)
    if (!opened) throw new SessionEncryptionError('Cannot read session: its record does not open')
    const state = await format.read(opened)
    return { state, text: opened.text, version: record.version, stale: record.stale === true }
  }

  /** Writes, and returns what is there instead when it is not ours. */
  const write = async (id: string, record: StoredRecord, expected: string | null) => {
    const result = await guard(store, () => store.write(id, record, expected))
    // Finding our own version means that an attempt was applied and only its answer was lost.
    if (result.ok || result.current?.version === record.version) return WRITTEN
    return result.current
  }

  const create = async (state: SessionState): Promise<StoredRecord> => {
    const record = await seal(state)
    if ((await write(idOf(state), record, null)) === WRITTEN) return record
    throw new SessionConflictError('Cannot create session: its new id is taken')
  }

  const tombstone = (after: string): StoredRecord => ({
    value: TOMBSTONE,
    version: newVersion((Number.parseInt(after, 10) || 0) + 1),
    expiresAt: now() + TOMBSTONE_MS,
  })

  /** A record older than the cookie knows it to be is read once more, and is then a failure. */
  const find = async (
    cookie: OpenedRecord,
    signal: AbortSignal | undefined,
  ): Promise<FoundSession | 'missing' | 'superseded'> => {
    for (let attempt = 1; ; attempt++) {
      const record = await guard(store, () => store.read(idOf(cookie), { signal }))
      if (record?.value === TOMBSTONE) return 'superseded'
      const found = record ? await unseal(idOf(cookie), record) : 'missing'
      if (!isBehind(found, cookie, now())) return found
      if (attempt > 1) throw new StoreUnavailableError(`The store "${store.name}" is out of date`)
    }
  }

  /**
   * Makes the operations of a draft on what the store has now, and returns the session as it was
   * written; `null` when it is dead, and nothing was written.
   */
  const commit = async (
    draft: Draft,
    finish: (state: SessionState) => SessionState,
  ): Promise<SessionState | null> => {
    let state = finish(draft.current)
    if (!draft.found) {
      await create(state)
      return state
    }
    let found = draft.found
    const id = idOf(found.state)
    // A new id is created before the old one is buried: nobody knows it yet, and nothing is lost
    // when the store fails in between.
    const moving = state.key !== found.state.key
    let record = moving ? await create(state) : await seal(state)
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      const version = found.version!
      const there = await write(id, moving ? tombstone(version) : record, version)
      if (there === WRITTEN) return state
      if (!there || there.value === TOMBSTONE) {
        if (moving) await guard(store, () => store.delete(idOf(state)))
        return null
      }
      emit({ type: 'commit.conflict', attempt }, state)
      found = await unseal(id, there)
      const newer = newerData(found.state, options.version)
      if (newer) throw newer
      state = finish(applyAll(draft.operations, found.state))
      const { version: before } = record
      record = await seal(state)
      if (moving) await write(idOf(state), record, before)
    }
    throw new SessionConflictError(
      `Cannot commit session: others changed it ${MAX_ATTEMPTS} times meanwhile`,
    )
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

  return {
    async open(cookies, opened, signal) {
      try {
        const found = await find(opened, signal)
        if (found === 'superseded') return goneDraft(instance, cookies, opened, found)
        if (isOver(instance, found === 'missing' ? opened : found.state)) {
          return goneDraft(instance, cookies, opened, 'expired')
        }
        if (found === 'missing') return goneDraft(instance, cookies, opened, found)
        return liveDraft(instance, cookies, opened, found)
      } catch (error) {
        const reason = unavailable(store, error)
        const type = options.onStoreFailure === 'throw' ? 'store.unavailable' : 'store.degraded'
        failure(reason, type, opened)
        return emptyDraft(instance, cookies, {
          status: 'degraded',
          reason: () => reason as StoreUnavailableError,
          readOnly: reason as StoreUnavailableError,
        })
      }
    },

    async save(draft, due) {
      const { found } = draft
      const renewedAt = context.now()
      const finish = (state: SessionState): SessionState => ({
        ...state,
        renewedAt: due || !found ? renewedAt : state.renewedAt,
        counter: state.counter + 1,
        version: options.version,
      })
      let state: SessionState | null = null
      try {
        state = await commit(draft, finish)
        if (!state) supersede(draft)
      } catch (error) {
        // A renewal can wait for the next request.
        const type = draft.operations.length ? 'store.unavailable' : 'store.degraded'
        failure(error, type, draft.current)
      }
      if (!state) return []
      const moved = draft.current.key !== found?.state.key
      announce(instance, draft, state, due)
      if (store.atomic && !due && !moved) return []
      return writeCookie(instance, draft, state, { opened: idOnly(state, store.atomic) })
    },

    async bury(draft) {
      const { state, version } = draft.found!
      let expected = version!
      for (;;) {
        try {
          const there = await write(idOf(state), tombstone(expected), expected)
          if (there === WRITTEN) return true
          if (!there || there.value === TOMBSTONE) {
            supersede(draft)
            return false
          }
          expected = there.version
        } catch (error) {
          failure(error, 'store.unavailable', state)
        }
      }
    },
  }
}

function labelOf(id: string): string {
  return `store:${id}`
}

/** A counter and a random tag: differs between any two writes, and says which is later. */
function newVersion(counter: number): string {
  return `${counter}.${encodeBase64url(crypto.getRandomValues(new Uint8Array(6)))}`
}

/** Whether a store that promises no more shows an earlier state than the cookie was made from. */
function isBehind(found: FoundSession | 'missing', cookie: OpenedRecord, now: number): boolean {
  if (found === 'missing') return cookie.counter > 0 && now - cookie.renewedAt < NEGATIVE_CACHE_MS
  return found.state.counter < cookie.counter
}

/** What a cookie carries of a session in a store: its id, its times, and how new it is. */
function idOnly(state: SessionState, atomic: boolean): OpenedRecord {
  return {
    ...state,
    subject: null,
    authenticatedAt: null,
    counter: atomic ? 0 : state.counter,
    version: 1,
    text: null,
    hasFlash: false,
  }
}

/** Calls a store, and turns what is not ours into a {@link StoreUnavailableError}. */
async function guard<T>(store: SessionStore, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (cause) {
    if (cause instanceof SessionError) throw cause
    // The error of somebody else's client may quote keys and data, so it is not passed on.
    throw new StoreUnavailableError(`The store "${store.name}" failed`)
  }
}

function isFailure(error: unknown): error is StoreError | StoreUnavailableError {
  return error instanceof StoreUnavailableError || error instanceof StoreError
}

/** Reading failed for good or for now: either way nothing is known about the session. */
function unavailable(store: SessionStore, error: unknown): unknown {
  if (!(error instanceof StoreError)) return error
  return new StoreUnavailableError(`The store "${store.name}" refused to be read`, { cause: error })
}
