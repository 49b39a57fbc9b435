import type { SessionStore } from './store.ts'

type Write = SessionStore['write']

const writes = new WeakSet<Write>()

/** Marks the `write` of a store that takes no round trip. A wrapper has a `write` of its own, without the mark. */
export function markInProcess(write: Write): Write {
  writes.add(write)
  return write
}

/**
 * Tells whether a write sends an entry along. A store that is not atomic ignores it. Where a call takes no
 * round trip, a second one costs less than sealing an entry that is seldom needed.
 *
 * @param isRefused The store has refused the write before.
 */
export function takesEntry({ atomic, write }: SessionStore, isRefused: boolean): boolean {
  return atomic && (isRefused || !writes.has(write))
}
