/** Calls of the store, shared by opening, committing and ending. */
import { idOf, type SessionState } from '../codec/session-record.ts'
import { createKeyedHash, type KeyedHash } from '../crypto/keyed-hash.ts'
import { createKeyRing, type KeyRing } from '../crypto/keyring.ts'
import { type Source, tellEnd } from '../emit.ts'
import { SessionError, StoreError, StoreTimeoutError, StoreUnavailableError } from '../errors.ts'
import type { EndedBy } from '../events.ts'
import { observeCall } from '../observe/store-call.ts'
import { within } from '../resilience/deadline.ts'
import type { Instance } from '../session/instance.ts'
import { becauseOf } from '../stores/errors.ts'
import { failureOf } from '../stores/failure.ts'
import type { CallNotes, SessionStore, StoreCallOptions, StoreOperation } from '../stores/store.ts'
import { LatestKnown } from './newest.ts'

/** An instance with its store. */
export interface Persistence {
  readonly instance: Instance
  readonly store: SessionStore
  /** The keys of records, entries and leases. */
  readonly ring: KeyRing
  /** Index keys of a user, the first secret's first. */
  readonly keysOf: KeyedHash
  /** Index keys of a tag, the first secret's first. */
  readonly tagKeysOf: KeyedHash
  readonly latest: LatestKnown
}

const persistences = new WeakMap<Instance, Persistence>()

/**
 * Returns the persistence of an instance.
 *
 * @throws {@link SessionError} with code `ERR_STORE_REQUIRED` without a store; TypeError for `maxSessions` with a
 * store that cannot count.
 */
export function persistenceOf(instance: Instance): Persistence {
  const { maxSessions, seal, secrets, store } = instance.options
  if (!store) {
    throw new SessionError(
      'Sessions in cookies cannot be listed, and once() cannot run: both need the option "store". To end them "revocations" is enough',
      { code: 'ERR_STORE_REQUIRED' },
    )
  }
  const canCount = store.index && seal === 'secret'
  if (maxSessions && !canCount) {
    const why = store.index
      ? 'with seal "cookie"'
      : `with the store "${store.name}", which has no index of users`
    throw new TypeError(`Option "maxSessions" must be left out ${why}`)
  }
  let p = persistences.get(instance)
  p ??= {
    instance,
    store,
    ring: createKeyRing(secrets, 'store', instance.formerUsed),
    keysOf: createKeyedHash(secrets, 'subject'),
    tagKeysOf: createKeyedHash(secrets, 'tag'),
    latest: new LatestKnown(),
  }
  persistences.set(instance, p)
  return p
}

/** The store calls of one step of a request; all of them end at one deadline. */
export interface StoreCalls {
  isOver(): boolean
  make<T>(operation: StoreOperation, call: (options: StoreCallOptions) => Promise<T>): Promise<T>
}

/** Starts the deadline (`storeTimeout`) of a step. Its calls reject with the caller's own abort as it is. */
export function startCalls(
  { instance, store }: Pick<Persistence, 'instance' | 'store'>,
  signal?: AbortSignal,
): StoreCalls {
  const { observe, options } = instance
  const { now, storeTimeout } = options
  const until = now() + 1000 * storeTimeout
  const late = (): Error =>
    new StoreTimeoutError(`The store "${store.name}" took longer than ${storeTimeout} seconds`)
  return {
    isOver: () => now() >= until,
    make(operation, call) {
      const run = (notes?: CallNotes) =>
        within(Math.max(1, until - now()), signal, late, (inner) =>
          call(notes ? { signal: inner, notes } : { signal: inner }),
        ).catch((cause) => {
          throw signal?.aborted ? signal.reason : errorOf(store, cause)
        })
      const called = observe ? observeCall(observe, store.name, operation, signal, run) : run()
      if (operation === 'write') noteWrite(instance, called)
      return called
    },
  }
}

/** Notes whether the last write failed, for `health()`; one session that is throttled says nothing. */
function noteWrite(instance: Instance, called: Promise<unknown>): void {
  called.then(
    () => {
      instance.writeFailedAt = undefined
    },
    (error) => {
      if (isFailure(error) && !Object(error).perKey) instance.writeFailedAt = instance.options.now()
    },
  )
}

/** Returns the error of a call: one that is not ours becomes a {@link StoreUnavailableError}. */
function errorOf({ name }: SessionStore, cause: unknown): unknown {
  if (cause instanceof SessionError) return cause
  const why = becauseOf(cause)
  // Ours, of another copy of this package: Next bundles one for pages and one for its proxy.
  if (Object(cause).code === 'ERR_STORE') return new StoreError(`The store "${name}" refused`, why)
  // The error of somebody else's client may quote keys and data, so it is not passed on.
  return new StoreUnavailableError(`The store "${name}" failed`, why)
}

/** Tells whether the store failed, and not its caller. */
export function isFailure(error: unknown): error is StoreError | StoreUnavailableError {
  return error instanceof StoreUnavailableError || error instanceof StoreError
}

/** Reports a store's failure, and rethrows it if it is `store.unavailable`. */
export function reportFailure(
  { instance, store }: Pick<Persistence, 'instance' | 'store'>,
  error: unknown,
  type: 'store.degraded' | 'store.unavailable',
  about?: Pick<SessionState, 'key'>,
): void {
  if (!isFailure(error)) throw error
  instance.emit({ type, store: store.name, ...failureOf(error) }, about)
  if (type === 'store.unavailable') throw error
}

/** Ends the session with an id, whoever writes to it meanwhile. Returns whether it was live. */
export async function endSession(
  { latest, store }: Persistence,
  calls: StoreCalls,
  id: string,
): Promise<boolean> {
  const wasLive = await calls.make('end', (call) => store.end(id, call))
  latest.recordEnd(id)
  return wasLive
}

/** Ends a session that is of no use any more, and reports it; that it cannot be ended is told of, and no more. */
export async function tryToEnd(
  p: Persistence,
  calls: StoreCalls,
  by: EndedBy,
  about: Source & Pick<SessionState, 'key'>,
): Promise<void> {
  try {
    await endSession(p, calls, idOf(about))
    tellEnd(p.instance.emit, by, about)
  } catch (error) {
    reportFailure(p, error, 'store.degraded')
  }
}

/** Reports how many writes of a session the store has lost, if any. */
export function tellRollback(
  { instance, store }: Persistence,
  newest: Pick<SessionState, 'key'>,
  lost: number,
): void {
  if (lost > 0) instance.emit({ type: 'store.rolled-back', store: store.name, lost }, newest)
}

/** Tells whether a record is listed under the index keys of a user. */
export async function isListedFor(
  { keysOf }: Persistence,
  subject: string | null,
  keys: readonly string[] = [],
): Promise<boolean> {
  return subject !== null && (await keysOf(subject)).some((key) => keys.includes(key))
}

/** Waits `ms` milliseconds, and up to `jitter` more. */
export function pause(ms: number, jitter: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms + Math.random() * jitter))
}
