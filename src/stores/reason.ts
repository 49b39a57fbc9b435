/** The class of a store's failure, from what the store itself said. Every store asks here. */
import type { StoreReason } from '../errors.ts'

/** Patterns by class; the first that matches counts. */
export type ReasonTable = { readonly [reason in StoreReason]?: RegExp }

/** Words of Redis, and codes of connections as Node spells them. */
const WORDS: ReasonTable = {
  auth: /^(NOAUTH|WRONGPASS|NOPERM)$/,
  full: /^OOM$/,
  'read-only': /^(READONLY|MISCONF|NOREPLICAS)$/,
  loading: /^(LOADING|BUSY)$/,
  cluster: /^(CROSSSLOT|MOVED|ASK|TRYAGAIN|(CLUSTER|MASTER)DOWN)$/,
}

/** Texts where there is no such word. They are not passed on: they may quote. */
const TEXTS: ReasonTable = {
  timeout: /time(d ?|-?)out/i,
  auth: /unauthori|forbidden/i,
  full: /(db|database|storage|disk).*(full|size|exceed)/i,
  'too-large': /size|large|too big|length/i,
  quota: /quota|free tier|for the day|daily|requests? limit|too many (api|sub)/i,
  rate: /overloaded|too (many|much)|back off|number of clients|concurrent|limit exceeded/i,
  network: /network|connection|fetch failed|socket|E(CONN|PIPE|NOTFOUND|HOST|NET|AI)/i,
  loading: /reset|updated|starting/i,
}

const STATUSES: Readonly<Record<string, StoreReason>> = {
  401: 'auth',
  402: 'quota',
  403: 'auth',
  408: 'timeout',
  413: 'too-large',
  429: 'rate',
  504: 'timeout',
  507: 'full',
}

/**
 * Returns the class of a failure.
 *
 * @param said The store's first word or code (`OOM`, `53100`, `SQLITE_FULL`), its text where it has none, or an
 * HTTP status.
 * @param words Further words, such as those of SQL.
 */
export function reasonOf(said: string | number | undefined, words?: ReasonTable): StoreReason {
  if (typeof said !== 'string') return STATUSES[said ?? ''] ?? 'unknown'
  const known = [words, WORDS, TEXTS].flatMap((table) => Object.entries(table ?? {}))
  return (known.find(([, pattern]) => pattern.test(said))?.[0] as StoreReason) ?? 'unknown'
}

/** The class of a failure, and the store's own word. */
export interface Because {
  readonly reason?: StoreReason
  readonly word?: string | undefined
}

/**
 * The forms of a word that is told: upper-case words as of Redis and Node, codes such as `SQLITE_FULL`, and a
 * SQLSTATE. Whatever else a store says may quote a command, a key or a value.
 */
const WORD = /^([A-Z]{3,20}|([A-Z]{2,10}[\dA-Z]?)(_[A-Z]{1,20}){1,6}|\d[\dA-Z]{4})$/

/**
 * Returns `reason` and `word` for the error of a store.
 *
 * @param word The store's own word; it is left out unless it has the form of one.
 * @param text What else it said, or an HTTP status: for the class alone.
 */
export function because(word: unknown, text?: string | number, words?: ReasonTable): Because {
  const own = WORD.test(String(word)) ? String(word) : undefined
  const reason = reasonOf(own, words)
  return { reason: reason === 'unknown' ? reasonOf(text, words) : reason, word: own }
}
