/** Seconds for which an id stays marked as ended: longer than any client queues a call. */
export const MARK_SECONDS = 600

/** Seconds for which the answers of a store that is not atomic may lag, also "there is nothing": places far away, caches. */
export const LAG_SECONDS = 120

/** Entries that a store appends to one record at most. */
export const MAX_ENTRIES = 64

/** Characters of all entries of one record together, at most. */
export const MAX_ENTRIES_LENGTH: number = 64 * 1024

/**
 * The error of Workers when one request has made more calls than it may. The store is well, another
 * attempt is one call more, and other requests have calls of their own.
 */
export const OVER_LIMIT: RegExp = /Too many (API |sub)requests/
