import { SessionError } from '../errors.ts'
import type { StoreFailure } from './store.ts'

/** Returns what events tell of a failed call. */
export function failureOf(error: unknown): StoreFailure {
  const own = error instanceof SessionError ? error : { code: 'ERR_STORE' }
  const { code, reason, word } = own as StoreFailure
  // While a breaker is open nobody is asked: it names the failure before, where it knows of one.
  const known = reason ?? (code === 'ERR_CIRCUIT_OPEN' ? undefined : 'unknown')
  return { code, ...(known && { reason: known }), ...(word && { word }) }
}
