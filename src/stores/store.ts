/**
 * The contract between Sojourn and the stores of its sessions.
 *
 * A store saves opaque sealed strings under an id, with a version, an epoch and an expiry. It never
 * sees session data and never interprets a value. It reads, writes and ends.
 */
import type { StoreReason } from '../errors.ts'

/** Options for every call of a store. */
export interface StoreCallOptions {
  /** Ends the call at once: the store rejects with the signal's reason. (default: none) */
  signal?: AbortSignal | undefined
  /** Is filled in by wrappers of the store, for the event `store.call`. (default: nobody asks) */
  notes?: CallNotes | undefined
}

/** The calls that Sojourn makes of a store. */
export type StoreOperation = 'read' | 'write' | 'end' | 'list' | 'endAll' | 'page' | 'prune'

/** `read`: asks only (`read`, `list`, `page`). `write`: changes something (`write`, `end`, `endAll`). */
export type CallDirection = 'read' | 'write'

/** One attempt of a call. Without a code it succeeded. */
export interface StoreAttempt extends Partial<StoreFailure> {
  /** Epoch milliseconds at which it began. */
  readonly at: number
}

/** The course of one call, as the wrappers of a store see it. */
export interface CallNotes {
  /** The attempts that were made, by a wrapper that repeats calls. */
  tries?: readonly StoreAttempt[]
  /** The answer came from memory: the store was not asked. */
  cached?: boolean
  /** The error of the store, which an older copy from memory hides. */
  hidden?: unknown
}

/** Options for {@link SessionStore.read}. */
export interface ReadOptions extends StoreCallOptions {
  /**
   * Passes every cache and reaches the primary, where the store has one, so that the answer
   * contains all acknowledged writes. (default: false)
   */
  fresh?: boolean | undefined
}

/** One session as a store saves it. */
export interface StoredRecord {
  /** A sealed token (base64url). */
  value: string
  /**
   * Opaque, and new with every write. A read returns the version of the write that made the record;
   * with `n` entries appended to it, that version, a plus sign, `n`, a full stop and the last eight
   * characters of the last entry.
   */
  version: string
  /** Opaque. An entry is appended only to a record of the same epoch. */
  epoch: string
  /** Epoch milliseconds. A store never returns a record at or after it, and may drop it then. */
  expiresAt: number
  /**
   * Opaque index keys for {@link SessionStore.index}: the user's first, then at most eight tags. A
   * record without keys belongs to nobody, and goes first when a store has to evict; one with an empty
   * list belongs to somebody, and no index has it.
   */
  keys?: readonly string[]
  /**
   * Seconds for which the id is marked as ended after its end, where {@link EndOptions.markFor} asks
   * for less. Then the mark is part of the end: an end whose mark fails rejects.
   */
  markFor?: number
  /** Appended entries, the oldest first. Only on what a store returns. */
  entries?: readonly string[]
  /** The record may be outdated, because the store behind could not be asked. Only on reads. */
  stale?: true
  /**
   * Only on what is read: a cache or a replica had it, so that the store behind may have something
   * newer. A change that changes nothing in such a record is written all the same.
   */
  copied?: true
}

/** Options for {@link SessionStore.write}. */
export interface WriteOptions extends StoreCallOptions {
  /**
   * An opaque sealed string with the change alone. The store appends it to what is there instead of
   * refusing the write, if that has another version, the same epoch, and room for it. A store that
   * is not atomic ignores it, because what it finds may be older than what the writer read. (default: none)
   */
  entry?: string | undefined
  /** Nothing but the expiry changes, so the write need not wait while this one session is throttled. (default: `false`) */
  renewal?: boolean | undefined
}

/**
 * `ok`: the record was written. With `current`, the entry is (or was already) appended to that, or
 * others have appended to the record since: `current` is the whole record as it is now.
 * Not `ok`: the write was refused, because `current` is there; `null`: nothing is.
 */
export type WriteResult =
  | { ok: true; current?: StoredRecord }
  | { ok: false; current: StoredRecord | null }

/** Options for {@link SessionStore.end}. */
export interface EndOptions extends StoreCallOptions {
  /**
   * Seconds for which nothing can be created under the id, so that a creation that arrives late
   * fails; 0 leaves no mark. (default: 600)
   */
  markFor?: number | undefined
}

/** A record and the id it is saved under. */
export interface StoredEntry {
  id: string
  record: StoredRecord
}

/** Options for {@link SessionIndex.end}. */
export interface EndAllOptions extends EndOptions {
  /** The id of a record that is spared. (default: none) */
  except?: string | undefined
}

/**
 * Finds sessions by index key. A session appears with the write of a record that has the key in its
 * `keys`, and goes when the record ends, expires, or is replaced by a record without that key.
 */
export interface SessionIndex {
  /** Returns the live records of `key`, in no particular order. */
  list(key: string, options?: StoreCallOptions): Promise<readonly StoredEntry[]>
  /**
   * Ends every record of `key`, whatever its version, and marks its id as {@link SessionStore.end}
   * does; in one round trip where the store can. What is listed and cannot be read is ended too.
   *
   * @returns Number of records that were live.
   */
  end(key: string, options?: EndAllOptions): Promise<number>
}

/** Some of the records of a store, and where the next page starts. */
export interface StoredPage {
  records: readonly StoredEntry[]
  /** Opaque, for the next page; `null`: this was the last one. */
  cursor: string | null
}

/** Figures about a store, known without asking it over the network. */
export interface StoreDetails {
  readonly [name: string]: string | number | boolean | null
}

/**
 * A state in which a store does not serve sessions as it should.
 *
 * - `full`: it takes no more data.
 * - `read-only`: it takes no writes, as a replica does.
 * - `emptied`: it lost everything that was in it.
 * - `lagging`: its answers, or its replicas, are seconds behind.
 * - `migrations`: a table or column is missing.
 */
export type StoreProblem = 'full' | 'read-only' | 'emptied' | 'lagging' | 'migrations'

/**
 * A state in which a store serves sessions today and may not tomorrow.
 *
 * - `eviction-policy`: it drops sessions to make room.
 * - `clock`: its clock and this machine's are over a minute apart.
 */
export type StoreWarning = 'eviction-policy' | 'clock'

/** The answer of {@link SessionStore.inspect}. */
export interface StoreInspection {
  /** Figures as {@link SessionStore.details} has them, but asked for over the network. */
  readonly figures: StoreDetails
  readonly problems: readonly StoreProblem[]
  readonly warnings?: readonly StoreWarning[]
}

/** The interface that every store implements. `sojourn/testing` has the suite that checks it. */
export interface SessionStore {
  /** Short, for events and error messages: `memory`, `upstash`. */
  readonly name: string
  /** `false`: compare-and-set is best effort, overlapping writes can be lost, and answers may lag. */
  readonly atomic: boolean
  /**
   * Returns the record. `null`: there is certainly no live record. `undefined`, only from a store
   * that is not atomic: there is none, or the answer lags behind.
   *
   * @throws Whatever went wrong: a failure is never `null`.
   */
  read(id: string, options?: ReadOptions): Promise<StoredRecord | null | undefined>
  /**
   * Writes in one round trip, as `applyWrite` specifies: `expected` is the version to replace, as it
   * was read; `null` creates, and is refused where a record or a mark is. A write never creates when
   * it expects a version. It can be repeated: a write that was applied already is `ok`.
   *
   * @throws StoreUnavailableError from a store that is not atomic, where it finds nothing although a
   * version is expected, and knows of no end: its answer may lag, and the write must not be lost.
   */
  write(
    id: string,
    record: StoredRecord,
    expected: string | null,
    options?: WriteOptions,
  ): Promise<WriteResult>
  /**
   * Ends a session, whatever its version is: removes the record and its index entries, then marks
   * the id for `markFor` seconds, whether or not a record was there. Works when the store is full;
   * the mark may fail without a word, unless the record asked for it.
   *
   * @returns `true` when a live record was there.
   */
  end(id: string, options?: EndOptions): Promise<boolean>
  /** Finds sessions by index key. `undefined`: the store cannot. */
  readonly index?: SessionIndex
  /**
   * Returns a page of all live records: of bounded size, and possibly empty. `null` starts; after
   * that pass the `cursor` of the last page. A record that is there all the while is on at least
   * one page.
   */
  page?(cursor: string | null, options?: StoreCallOptions): Promise<StoredPage>
  /** Asks the store for a sign of life, and rejects when there is none. Writes nothing. */
  health?(options?: StoreCallOptions): Promise<void>
  /**
   * Asks the store about itself: role, memory, replicas, clock, tables. Writes nothing. What the store
   * does not tell, because it forbids the question for example, is left out and is no failure.
   *
   * @throws Whatever went wrong when it cannot be reached.
   */
  inspect?(options?: StoreCallOptions): Promise<StoreInspection>
  /**
   * Removes expired records and marks, where the store does not do that by itself.
   *
   * @param limit Number of records removed at most; every store has a default of its own.
   * @returns Number of records removed.
   */
  prune?(limit?: number): Promise<number>
  /** Returns figures about the store itself: breaker state, retry budget. Never does I/O. */
  details?(): StoreDetails
  /** Passes on what happens inside the store (retries, breaker changes) as it happens. */
  subscribe?(listener: (event: StoreEvent) => void): void
  /** Closes the store's connections. */
  close?(): Promise<void>
}

/**
 * One look into a cache. `cookie`: the memory for opened cookies; a miss is decrypted. `snapshot`: the copy
 * in the cookie, with `snapshot.maxAge`. `memory`: `cached`. A miss of the last two asks the store.
 */
export interface CacheReadEvent {
  readonly type: 'cache.read'
  readonly layer: 'cookie' | 'snapshot' | 'memory'
  readonly hit: boolean
}

/** The failure of a call, as events tell it. */
export interface StoreFailure {
  /** Code of the error. */
  readonly code: string
  /** Its class; absent where nobody was asked, as while a breaker is open. */
  readonly reason?: StoreReason
  /** The store's own first word, which quotes nothing: `OOM`, `SQLITE_FULL`, `53100`. */
  readonly word?: string
}

/** Events that a store reports by itself, through {@link SessionStore.subscribe}. */
export type StoreEvent =
  | ({
      type: 'store.retry'
      store: string
      operation: string
      attempt: number
      delayMs: number
    } & StoreFailure)
  | ({ type: 'store.failed'; store: string; operation: string; attempts: number } & StoreFailure)
  | { type: 'store.recovered'; store: string; operation: string; attempts: number }
  | ({ type: 'store.stale'; store: string; operation: string } & StoreFailure)
  | CacheReadEvent
  | {
      type: 'breaker.open' | 'breaker.half-open' | 'breaker.closed'
      store: string
      direction: CallDirection
    }
  | {
      /** An answer of a function that the application may change while it runs is refused. */
      type: 'policy.invalid'
      /** Left out where it is that of the option `controls`. */
      store?: string
      /** Names option, kind of value and rule; quotes no text. */
      message: string
    }
  | { type: 'store.emptied'; store: string }
