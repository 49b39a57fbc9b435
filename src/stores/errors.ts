/** The class of a store's failure, from what the store itself said, what events tell of it, and the errors that several stores make. */
import { SessionError, StoreError, type StoreReason, StoreUnavailableError } from '../errors.ts'
import type { StoreFailure } from './store.ts'

/** Patterns by class; the first that matches counts. */
export type ReasonTable = { readonly [reason in StoreReason]?: RegExp }

/** Words of Redis, SQLite and Node, and texts of services that have none. */
const TABLE: ReasonTable = {
  cluster: /^(CROSSSLOT|MOVED|TRYAGAIN|ASK$|\w+DOWN$)/,
  auth: /^(NOAUTH|WRONGPASS|NOPERM|EACCES)|_(AUTH|PERM)$|unauthori|forbidden/i,
  'read-only': /(^|_)READONLY|MISCONF|NOREPLICAS|EROFS/,
  timeout: /time(d ?|-?)out/i,
  full: /^(OOM|ENOSPC|EDQUOT)|_(FULL|NOMEM)$|(db|disk|storage) (size|limit|capacity)|is full/i,
  'too-large': /exceeds|request size|too ?(big|large)/i,
  quota: /quota|free tier|for the day|daily|max requests? limit|too many (api|sub)/i,
  rate: /_(BUSY|LOCKED)$|overload|too (many|much)|of clients|concurrent|limit exceeded/i,
  network:
    /network|connection|fetch failed|per request|socket|\bE(CONN|PIPE|NOTFOUND|HOST|NET|AI_)/i,
  loading: /^(LOADING|BUSY)|reset/,
}

const STATUSES: Readonly<Record<string, StoreReason>> = {
  401: 'auth',
  403: 'auth',
  408: 'timeout',
  413: 'too-large',
  429: 'rate',
  504: 'timeout',
}

/**
 * Returns the class of a failure.
 *
 * @param said The store's first word or code (`OOM`, `53100`, `SQLITE_FULL`), its text where it has none, or an
 * HTTP status.
 * @param table Another table, such as that of SQL.
 */
export function reasonOf(
  said: string | number | undefined,
  table: ReasonTable = TABLE,
): StoreReason {
  const [reason = STATUSES[said ?? ''] ?? 'unknown'] =
    Object.entries(table).find(([, pattern]) => pattern.test(String(said))) ?? []
  return reason as StoreReason
}

/** Tells whether trying again will not help. */
export const isFinal = (reason: StoreReason | undefined): boolean =>
  /^(auth|full|too-large|quota)$/.test(reason ?? '')

/** The class of a failure, and the store's own word. */
export interface Because {
  readonly reason?: StoreReason
  readonly word?: string | undefined
}

/**
 * The forms of a word that is told: upper-case words as of Redis and Node, codes such as `SQLITE_FULL`, and a
 * SQLSTATE. Whatever else a store says may quote a command, a key or a value.
 */
const WORD = /^(?!ERR_)([A-Z]{3,20}|[A-Z]{1,10}\d?(_[A-Z]{1,20}){1,6}|\d[\dA-Z]{4})$/

/**
 * Returns `reason` and `word` for the error of a store.
 *
 * @param said The store's own word; it is left out unless it has the form of one.
 * @param text What else it said, or an HTTP status: for the class alone.
 */
export function because(said: unknown, text?: string | number): Because {
  const word = WORD.test(String(said)) ? String(said) : undefined
  const reason = reasonOf(word)
  return { reason: reason === 'unknown' ? reasonOf(text) : reason, word }
}

/** Returns the same for an error of somebody else's client, whose text may quote and is told to nobody. */
export function becauseOf(error: unknown): Because {
  // The error may be ours, of another copy of this package, with its word.
  const { cause, code = Object(cause).code, message, status, word = code } = Object(error)
  const { statusCode = status } = Object(error)
  const [first] = /^[A-Z]+(?= )/.exec(message) ?? []
  // A word is told only where stores are known to say it: anything can be in the code of an error.
  const said = [word, first].find((one) => reasonOf(one) !== 'unknown')
  return because(said, Number(statusCode) || String(message))
}

/** Returns what events tell of a failed call. */
export function failureOf(error: unknown): StoreFailure {
  const own = error instanceof SessionError ? error : { code: 'ERR_STORE' }
  const { code, reason, word } = own as StoreFailure
  // While a breaker is open nobody is asked: it names the failure before, where it knows of one.
  const known = reason ?? (code === 'ERR_CIRCUIT_OPEN' ? undefined : 'unknown')
  return { code, ...(known && { reason: known }), ...(word && { word }) }
}

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

/** Creates the error of a store that is unavailable for one session alone: it does not count against the others. */
export function unavailableForOne(
  message: string,
  options: { retryAfter: number; reason?: StoreReason },
): StoreUnavailableError {
  return Object.assign(new StoreUnavailableError(message, options), { perKey: true })
}

/**
 * Creates the error of a write that expects a version where a store that is not atomic finds
 * nothing: the session was read, so the store's answer lags.
 */
export const notShown = (): StoreUnavailableError =>
  unavailableForOne('The store does not show the session that was read from it', { retryAfter: 1 })
