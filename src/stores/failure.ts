import { SessionError } from '../errors.ts'
import type { StoreFailure } from './store.ts'

/** Returns what events tell of a failed call. */
export function failureOf(error: unknown): StoreFailure {
  if (!(error instanceof SessionError)) return { code: 'ERR_STORE', reason: 'unknown' }
  const { code, reason, word } = error as SessionError & Partial<StoreFailure>
  // While a breaker is open nobody is asked.
  const known = reason ?? (code === 'ERR_CIRCUIT_OPEN' ? undefined : 'unknown')
  return { code, ...(known && { reason: known }), ...(word && { word }) }
}
