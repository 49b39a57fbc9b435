/** The calls of session objects, which go over RPC, and the messages of errors that come back. */
import type { StoredEntry, StoredRecord, WriteResult } from './store.ts'

/** The other arguments of a write. Plain data: they go over RPC. */
export interface WriteCall {
  readonly now: number
  readonly expected: string | null
  readonly entry: string | undefined
}

/** The arguments of an end. */
export interface EndCall {
  readonly now: number
  /** Seconds. */
  readonly markFor: number
}

/** The calls of the store, and of the objects to each other. */
export interface SessionObjectCalls {
  read(now: number): Promise<StoredRecord | null>
  write(id: string, record: StoredRecord, call: WriteCall): Promise<WriteResult>
  end(id: string, call: EndCall): Promise<boolean>
  list(key: string, now: number): Promise<StoredEntry[]>
  endAll(key: string, except: string, call: EndCall): Promise<number>
  join(id: string, lasts: number): Promise<void>
  leave(id: string): Promise<void>
  look(
    id: string,
    key: string,
    now: number,
    end?: EndCall,
  ): Promise<StoredRecord | typeof NOT_OURS | null>
}

/** The message of an object that cannot reach others. */
export const NO_BINDING = 'The Worker that exports SessionObject needs a binding to it'

/** The message of an object whose storage has something else in the place of a session or of a mark. */
export const NOT_OURS = 'The Durable Object stores no record of ours'
