/** Calls of a store: the deadline that those of one step share, and the meaning of their failures. */
import type { SessionState } from '../codec/session-record.ts'
import { SessionError, StoreError, StoreTimeoutError, StoreUnavailableError } from '../errors.ts'
import { observeCall } from '../observe/store-call.ts'
import { BUSY_MS, within } from '../resilience/deadline.ts'
import { limitLazily } from '../resilience/lazy-limit.ts'
import { answerOf } from '../stores/answers.ts'
import { becauseOf, failureOf } from '../stores/errors.ts'
import type { CallNotes, SessionStore, StoreCallOptions, StoreOperation } from '../stores/store.ts'
import type { Instance } from './instance.ts'

/** An instance, and a store that it asks: that of its sessions, or of its revocations. */
interface Asked {
  readonly instance: Instance
  readonly store: SessionStore
}

/** The store calls of one step of a request; all of them end at one deadline. */
export interface StoreCalls {
  /** The caller's own: ends them all. */
  readonly signal: AbortSignal | undefined
  isOver(): boolean
  make<T>(operation: StoreOperation, call: (options: StoreCallOptions) => Promise<T>): Promise<T>
}

/** Starts the deadline (`storeTimeout`) of a step. Its calls reject with the caller's own abort as it is. */
export function startCalls({ instance, store }: Asked, signal?: AbortSignal): StoreCalls {
  const { observe, options } = instance
  const { now, storeTimeout } = options
  const until = now() + 1000 * storeTimeout
  const late = (): Error =>
    new StoreTimeoutError(`The store "${store.name}" took longer than ${storeTimeout} seconds`)
  // At least long enough to read what arrived while the event loop was busy for all of it.
  const limit = <T>(run: (signal: AbortSignal) => Promise<T>): Promise<T> =>
    within(Math.max(BUSY_MS, until - now()), signal, late, run)
  return {
    signal,
    isOver: () => now() >= until,
    make<T>(operation: StoreOperation, call: (options: StoreCallOptions) => Promise<T>) {
      const run = (notes?: CallNotes) =>
        limitLazily<T>(signal, limit, (lazy) =>
          call(notes ? Object.assign(lazy, { notes }) : lazy),
        ).then(
          (answer) => answerOf(store.name, operation, answer),
          (cause) => {
            throw signal?.aborted ? signal.reason : errorOf(store, cause)
          },
        )
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
  let why = {}
  try {
    if (cause instanceof SessionError) return cause
    why = becauseOf(cause)
    // Ours, of another copy of this package: Next bundles one for pages and one for its proxy.
    if (Object(cause).code === 'ERR_STORE')
      return new StoreError(`The store "${name}" refused`, why)
  } catch {
    // Anything can be thrown: this cannot even be looked at.
  }
  // The error of somebody else's client may quote keys and data, so it is not passed on.
  return new StoreUnavailableError(`The store "${name}" failed`, why)
}

/** Tells whether the store failed, and not its caller. */
export function isFailure(error: unknown): error is StoreError | StoreUnavailableError {
  return error instanceof StoreUnavailableError || error instanceof StoreError
}

/** Reports a store's failure, and rethrows it if it is `store.unavailable`. */
export function reportFailure(
  { instance, store }: Asked,
  error: unknown,
  type: 'store.degraded' | 'store.unavailable',
  about?: Pick<SessionState, 'key'>,
): void {
  if (!isFailure(error)) throw error
  instance.emit({ type, store: store.name, ...failureOf(error) }, about)
  if (type === 'store.unavailable') throw error
}
