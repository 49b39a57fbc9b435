import { CommandError } from '../command.ts'

/** Makes the error for commands that work on a store when none is named. */
export function noStore(): CommandError {
  return new CommandError(
    'No store is named',
    'Use --config with a module of the application, or set SESSION_STORE (redis://, postgres://, mysql://, file:), or the two variables of Upstash. Sessions that live in cookies are in no store',
  )
}
