import { StoreError } from '../errors.ts'

/** A value under a session's key that is not ours: a failure of the store, and never "no session". */
export class ForeignValueError extends StoreError {}

/** Creates the error for a value that a newer version of Sojourn stored. It may be a live session: nothing is written over it. */
export function newerValue(where: string): ForeignValueError {
  return new ForeignValueError(`${where} stores a newer format: update this version of Sojourn`)
}

/** Skips a value that is not ours: walking through sessions, and ending some, must not stop at it. */
export function skipForeign(error: unknown): null {
  if (error instanceof ForeignValueError) return null
  throw error
}
