/**
 * The contract between Sojourn and whatever keeps its sessions.
 *
 * A store keeps opaque sealed strings under an id, with a version and an expiry. It never sees
 * session data and never interprets a value, apart from {@link TOMBSTONE}.
 */

/** What a store can be told about one call. */
export interface StoreCallOptions {
  /** Ends the call at once; the store rejects with the signal's reason. */
  signal?: AbortSignal | undefined
}

/** One session as a store keeps it. */
export interface StoredRecord {
  /** A sealed token (base64url), or {@link TOMBSTONE}. */
  value: string
  /** Opaque; differs between any two writes. */
  version: string
  /** Epoch milliseconds. A store never returns a record at or after it, and may drop it then. */
  expiresAt: number
  /** Opaque handle of the user it belongs to, for {@link SessionStore.index}. */
  subject?: string
  /** Only on what is read: it may be outdated, because the store behind could not be asked. */
  stale?: true
}

/** Written, or what is there instead (`null`: nothing is). */
export type WriteResult = { ok: true } | { ok: false; current: StoredRecord | null }

/**
 * The value that a dead id keeps for a while, so that requests under way with it find out.
 * No sealed token equals it.
 */
export const TOMBSTONE = '!'

/** Finds the sessions of one user. */
export interface SubjectIndex {
  /** The live records of `subject`, in no particular order; tombstones are left out. */
  list(
    subject: string,
    options?: StoreCallOptions,
  ): Promise<readonly { id: string; record: StoredRecord }[]>
}

/** How a store is doing, as far as it knows without being asked for it over the network. */
export interface StoreDetails {
  readonly [name: string]: string | number | boolean | null
}

/** What every store implements. `sojourn/testing` has the suite that checks it. */
export interface SessionStore {
  /** Short, for events and error messages: `memory`, `upstash`. */
  readonly name: string
  /** `false`: compare-and-set is best effort, overlapping writes can be lost. */
  readonly atomic: boolean
  /**
   * Returns the record, or `null` when it is absent or expired. Anything that went wrong throws:
   * a failure is never `null`.
   */
  read(id: string, options?: StoreCallOptions): Promise<StoredRecord | null>
  /**
   * Writes in one round trip. `expected`: `null` creates, refusing an id that is there; a version
   * replaces exactly that version, and never creates.
   */
  write(
    id: string,
    record: StoredRecord,
    expected: string | null,
    options?: StoreCallOptions,
  ): Promise<WriteResult>
  /** Removes the record; idempotent. */
  delete(id: string, options?: StoreCallOptions): Promise<void>
  /** Where the store can find records by user. */
  readonly index?: SubjectIndex
  /** Asks the store for a sign of life; throws when there is none. Writes nothing. */
  health?(options?: StoreCallOptions): Promise<void>
  /** What a wrapper knows about itself: breaker state, retry budget. Never does I/O. */
  details?(): StoreDetails
  /** Hands over what happens inside (retries, breaker changes) as it happens. */
  subscribe?(listener: (event: StoreEvent) => void): void
  /** Ends what the store holds open. */
  close?(): Promise<void>
}

/** What a store reports by itself, through {@link SessionStore.subscribe}. */
export type StoreEvent =
  | {
      type: 'store.retry'
      store: string
      operation: string
      attempt: number
      delayMs: number
      code: string
    }
  | { type: 'store.failed'; store: string; operation: string; attempts: number; code: string }
  | { type: 'store.recovered'; store: string; operation: string; attempts: number }
  | { type: 'store.stale'; store: string; operation: string; code: string }
  | { type: 'breaker.open' | 'breaker.half-open' | 'breaker.closed'; store: string }
