import { StoreUnavailableError } from '../errors.ts'

/**
 * Creates the error of a write that expects a version where a store that is not atomic finds
 * nothing: the session was read, so the store's answer lags. Other sessions are not concerned.
 */
export function notShown(): StoreUnavailableError {
  const message = 'The store does not show the session that was read from it'
  return Object.assign(new StoreUnavailableError(message, { retryAfter: 1 }), { perKey: true })
}
