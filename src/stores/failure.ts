import { SessionError } from '../errors.ts'
import type { StoreFailure } from './store.ts'

/** Returns what events tell of a failed call. */
export function failureOf(error: unknown): StoreFailure {
  if (!(error instanceof SessionError)) return { code: 'ERR_STORE' }
  const { code, reason, word } = error as SessionError & Partial<StoreFailure>
  return { code, ...(reason && { reason }), ...(word && { word }) }
}
