import { type StoreReason, StoreUnavailableError } from '../errors.ts'

/** Creates the error of a store that is unavailable for one session alone: it does not count against the others. */
export function unavailableForOne(
  message: string,
  options: { retryAfter: number; reason?: StoreReason },
): StoreUnavailableError {
  return Object.assign(new StoreUnavailableError(message, options), { perKey: true })
}

/**
 * Creates the error of a write that expects a version where a store that is not atomic finds
 * nothing: the session was read, so the store's answer lags.
 */
export const notShown = (): StoreUnavailableError =>
  unavailableForOne('The store does not show the session that was read from it', { retryAfter: 1 })
