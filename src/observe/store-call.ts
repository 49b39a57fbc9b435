/** Reports the calls of the store, where somebody listens. */
import type { Emit } from '../emit.ts'
import type { StoreCallEvent } from '../events.ts'
import { failureOf } from '../stores/errors.ts'
import type { CallNotes, StoreAttempt, StoreFailure, StoreOperation } from '../stores/store.ts'

/**
 * Makes a call and reports it as `store.call`, unless memory answered it.
 *
 * @param run Makes the call; the store's wrappers fill in the notes.
 * @throws What `run` throws.
 */
export async function observeCall<T>(
  observe: Emit,
  store: string,
  operation: StoreOperation,
  signal: AbortSignal | undefined,
  run: (notes: CallNotes) => Promise<T>,
): Promise<T> {
  const notes: CallNotes = {}
  // The clock of the options may jump; a duration must not.
  const began = performance.now()
  const tell = (outcome: StoreCallEvent['outcome'], failure?: StoreFailure): void => {
    const tries = notes.tries && settled(notes.tries, failure)
    observe({
      type: 'store.call',
      store,
      operation,
      outcome,
      durationMs: Math.round((performance.now() - began) * 1000) / 1000,
      attempts: tries ? tries.length : 1,
      ...(tries && { tries }),
      ...failure,
    })
  }
  try {
    const result = await run(notes)
    if (notes.hidden) tell('failed', failureOf(notes.hidden))
    else if (!notes.cached) tell(Object(result).ok === false ? 'refused' : 'ok')
    return result
  } catch (error) {
    if (signal?.aborted) tell('aborted')
    else tell('failed', failureOf(error))
    throw error
  }
}

const OVER: StoreFailure = { code: 'ERR_STORE_TIMEOUT', reason: 'timeout' }

/** Returns the attempts; one that never ended has failed with the call, or its time was over. */
function settled(
  tries: readonly StoreAttempt[],
  failure: StoreFailure | undefined,
): readonly StoreAttempt[] {
  const last = tries.length - 1
  return tries.map((one, i) => ({ ...(one.code ? {} : i === last ? failure : OVER), ...one }))
}
