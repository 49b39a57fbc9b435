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

/** What a read can be told. */
export interface ReadOptions extends StoreCallOptions {
  /** Do not answer from a cache that can be passed by. */
  fresh?: boolean | undefined
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
  /** Only on what is read: what others kept beside it, the oldest first. See {@link WriteOptions.patch}. */
  patches?: readonly string[]
  /** Only on what is read: it may be outdated, because the store behind could not be asked. */
  stale?: true
}

/** What a write can be told. */
export interface WriteOptions extends StoreCallOptions {
  /**
   * Kept beside the record when that is not at `expected` any more, instead of refusing the write:
   * an opaque sealed string. Ignored by a store without {@link SessionStore.patches}.
   */
  patch?: string | undefined
  /**
   * How many of the patches at `expected` the record contains (default: 0). They go and later ones
   * stay; but a tombstone is refused when there are later ones, which would be lost.
   */
  folded?: number | undefined
  /** Nothing else is changed: not worth waiting while this one session is throttled. */
  renewal?: boolean | undefined
}

/** Written (or, with `patched`, kept beside what is there), or what is there instead. */
export type WriteResult = { ok: true; patched?: true } | { ok: false; current: StoredRecord | null }

/**
 * The value that a dead id keeps for a while, so that requests under way with it find out.
 * No sealed token equals it.
 */
export const TOMBSTONE = '!'

/** A record and the id it is kept under. */
export interface StoredEntry {
  id: string
  record: StoredRecord
}

/** What {@link SubjectIndex.bury} can be told. */
export interface BuryOptions extends StoreCallOptions {
  /** The id of a record that is spared. */
  except?: string | undefined
}

/**
 * Finds the sessions of one user. An entry appears with the write of a record that has a `subject`
 * and goes with it: when it expires, is deleted, or is replaced by a record without one.
 */
export interface SubjectIndex {
  /** The live records of `subject`, in no particular order; tombstones are left out. */
  list(subject: string, options?: StoreCallOptions): Promise<readonly StoredEntry[]>
  /**
   * Replaces every live record of `subject` by `tombstone`, whatever its version, and returns how
   * many; in one round trip where the store can. Whoever writes one of them next is refused.
   */
  bury(subject: string, tombstone: StoredRecord, options?: BuryOptions): Promise<number>
}

/** Some of the records of a store, and where to go on. */
export interface StoredPage {
  records: readonly StoredEntry[]
  /** For the next page; `null`: there is none. */
  cursor: string | null
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
  read(id: string, options?: ReadOptions): Promise<StoredRecord | null>
  /**
   * Writes in one round trip. `expected`: `null` creates, refusing an id that is there; a version
   * replaces exactly that version, and never creates. A write that is repeated with the same
   * `record.version` is applied once, whether it became the record or a patch.
   */
  write(
    id: string,
    record: StoredRecord,
    expected: string | null,
    options?: WriteOptions,
  ): Promise<WriteResult>
  /** Removes the record; idempotent. */
  delete(id: string, options?: StoreCallOptions): Promise<void>
  /**
   * How many patches it keeps beside one record; a write that would add another is refused. A
   * tombstone takes none. `undefined`: it takes none at all.
   */
  readonly patches?: number
  /** Where the store can find records by user. */
  readonly index?: SubjectIndex
  /**
   * A page of all live records, tombstones left out, where the store can: of bounded size and
   * possibly empty. `cursor`: `null` starts, then what the last page said. A record that is there
   * all the while is on at least one page.
   */
  page?(cursor: string | null, options?: StoreCallOptions): Promise<StoredPage>
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
  | {
      type: 'store.failed'
      store: string
      operation: string
      attempts: number
      code: string
      /** The word with which the store refused, where it has one: `OOM`. */
      reason?: string
    }
  | { type: 'store.recovered'; store: string; operation: string; attempts: number }
  | { type: 'store.stale'; store: string; operation: string; code: string }
  | { type: 'breaker.open' | 'breaker.half-open' | 'breaker.closed'; store: string }
