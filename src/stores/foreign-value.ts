import { StoreError } from '../errors.ts'

/** A value under a session's key that is not ours: a failure of the store, and never "no session". */
export class ForeignValueError extends StoreError {}

/** Skips a value that is not ours: walking through sessions, and ending some, must not stop at it. */
export function skipForeign(error: unknown): null {
  if (error instanceof ForeignValueError) return null
  throw error
}
