/**
 * Stores sessions in Cloudflare D1.
 *
 * Atomic: every call is one round trip to the primary, one transaction, and compare-and-set is an
 * `UPDATE … WHERE version`. The tables come from `migrations/0001_sojourn.sql`. D1 has no expiry: rows
 * that have expired are never returned, and `prune` in a `scheduled` handler removes them.
 *
 * @module
 * @example
 * import { createD1Store } from 'sojourn/d1'
 */
import { applyRules, functionRule, type Rule, refuseUnless } from '../check.ts'
import { StoreError, StoreUnavailableError } from '../errors.ts'
import { orAbort } from './abort.ts'
import { baseVersion } from './apply-write.ts'
import * as sql from './d1-sql.ts'
import { OVER_LIMIT } from './limits.ts'
import {
  MARK_SECONDS,
  type SessionIndex,
  type SessionStore,
  type StoreCallOptions,
  type StoredEntry,
  type StoredPage,
  type StoredRecord,
  type WriteResult,
} from './store.ts'

/** The methods of a D1 binding that the store uses; `env.DB` of a Worker fits. */
export interface D1Binding {
  prepare(sql: string): D1Statement
  batch(statements: never[]): Promise<unknown[]>
}

/** The methods of a prepared statement that the store uses. */
export interface D1Statement {
  bind(...values: unknown[]): D1Statement
  all(): Promise<unknown>
}

/** Options for {@link createD1Store}. */
export interface D1StoreOptions {
  /** The binding, for example `env.DB`. */
  database: D1Binding
  /** Epoch milliseconds. (default: Date.now) */
  now?: () => number
}

/** A {@link SessionStore} in D1. */
export interface D1Store extends SessionStore {
  readonly index: SessionIndex
  page(cursor: string | null, options?: StoreCallOptions): Promise<StoredPage>
  /**
   * Removes expired records and marks, a thousand rows per call, for a `scheduled` handler.
   *
   * @param limit Number of rows removed at most. (default: 100000)
   * @returns Number of rows removed.
   * @throws TypeError when `limit` is no number above 0.
   */
  prune(limit?: number): Promise<number>
}

const PAGE = 500
const PRUNE_STEP = 1000

const RULES: Record<string, Rule> = {
  database: [
    undefined,
    'a D1 binding',
    (value: D1Binding) => [value.prepare, value.batch].every((one) => typeof one === 'function'),
  ],
  now: functionRule(() => Date.now()),
}

interface Row {
  id: string
  value: string
  version: string
  epoch: string
  expires_at: number
  mark_for: number | null
  index_keys: string
  entries: string
}

interface Result {
  readonly results: readonly Row[]
  readonly meta: { readonly changes: number }
}

/**
 * Creates a store in a D1 database.
 *
 * Failures that may pass are {@link StoreUnavailableError}; a missing table, and whatever else SQLite
 * refuses, is a {@link StoreError}. It makes one attempt: wrap it in `resilient`.
 *
 * @throws TypeError when an option is missing, unknown or of the wrong type.
 *
 * @example
 * createSessions({ secret: env.SECRET, store: resilient(createD1Store({ database: env.DB })) })
 * // wrangler.toml: [triggers] crons = ["0 * * * *"]
 * const scheduled = (_: unknown, env: Env) => createD1Store({ database: env.DB }).prune()
 */
export function createD1Store(options: D1StoreOptions): D1Store {
  refuseUnless(
    !!options?.database,
    'database',
    'a D1 binding (is it called so in wrangler.jsonc?)',
    options?.database,
  )
  const { database, now } = applyRules<Required<D1StoreOptions>>('', RULES, options)

  const statement = (text: string, ...values: unknown[]): D1Statement =>
    database.prepare(text).bind(Math.floor(now()), ...values)

  /** Runs statements in one transaction and one round trip. */
  const run = async <T>(
    statements: readonly D1Statement[],
    signal: AbortSignal | undefined,
    take: (results: readonly Result[]) => T,
  ): Promise<T> => {
    signal?.throwIfAborted()
    try {
      return take((await orAbort(database.batch(statements as never[]), signal)) as Result[])
    } catch (error) {
      signal?.throwIfAborted()
      throw toStoreError(error)
    }
  }

  const entries = (one: D1Statement, signal: AbortSignal | undefined): Promise<StoredEntry[]> =>
    run([one], signal, ([result]) => result!.results.map(entryOf))

  /** Runs statements and returns how many rows the one at `position` changed. */
  const changes = (
    statements: readonly D1Statement[],
    position: number,
    signal?: AbortSignal,
  ): Promise<number> => run(statements, signal, (results) => results[position]!.meta.changes)

  return {
    name: 'd1',
    atomic: true,

    async read(id, { signal } = {}) {
      const [entry] = await entries(statement(sql.READ, id), signal)
      return entry?.record ?? null
    },

    async write(id, record, expected, { signal, entry } = {}) {
      const { version, value, epoch, expiresAt, markFor = null, keys = [] } = record
      const expires = Math.floor(expiresAt)
      const values = [id, version, value, epoch, expires, markFor, JSON.stringify(keys)]
      const writes =
        expected === null
          ? [statement(sql.CREATE, ...values)]
          : [statement(sql.REPLACE, ...values, expected)]
      if (expected !== null && entry !== undefined) {
        writes.push(statement(sql.APPEND, id, version, epoch, entry))
      }
      const index = [sql.UNLIST, sql.ENLIST].map((text) => database.prepare(text).bind(null, id))
      return await run([...writes, ...index, statement(sql.READ, id)], signal, (results) => {
        // A record that has expired by the time it gets here is written, and not to be read.
        if (results[0]!.meta.changes) return { ok: true }
        const row = results.at(-1)!.results[0]
        return resultOf(row ? recordOf(row) : null, version, entry)
      })
    },

    async end(id, { signal, markFor = MARK_SECONDS } = {}) {
      const mark = [statement(sql.END, id, markFor), statement(sql.MARK, id, markFor)]
      const unlist = database.prepare(sql.UNLIST).bind(null, id)
      return (await changes([...mark, unlist], 0, signal)) > 0
    },

    index: {
      list: (key, { signal } = {}) => entries(statement(sql.LIST, key), signal),
      end: (key, { signal, except = '', markFor = MARK_SECONDS } = {}) =>
        changes(
          [
            statement(sql.END_ALL, key, except, markFor),
            database.prepare(sql.UNLIST_ALL).bind(null, key),
          ],
          0,
          signal,
        ),
    },

    async page(cursor, { signal } = {}) {
      const records = await entries(statement(sql.page(PAGE), cursor ?? ''), signal)
      return { records, cursor: records.length < PAGE ? null : (records.at(-1)?.id ?? null) }
    },

    async health({ signal } = {}) {
      await entries(statement(sql.READ, ''), signal)
    },

    async prune(limit = 100_000) {
      refuseUnless(limit > 0, 'limit', 'a number of rows', limit)
      let removed = 0
      for (let left = limit; left > 0; left -= PRUNE_STEP) {
        const step = Math.min(left, PRUNE_STEP)
        const both = [sql.PRUNE_INDEX, sql.PRUNE].map((text) => statement(text, step))
        const count = await changes(both, 1)
        removed += count
        if (count < step) break
      }
      return removed
    },
  }
}

/** Returns the answer to a write that did not make the record which is there now. */
function resultOf(
  current: StoredRecord | null,
  version: string,
  entry: string | undefined,
): WriteResult {
  if (!current) return { ok: false, current }
  // This write, or an earlier attempt the answer to which was lost.
  if (baseVersion(current) === version)
    return current.entries ? { ok: true, current } : { ok: true }
  const isAppended = entry !== undefined && current.entries?.includes(entry)
  return isAppended ? { ok: true, current } : { ok: false, current }
}

function recordOf(row: Row): StoredRecord {
  const { value, version, epoch, expires_at: expiresAt, mark_for: markFor } = row
  const record: StoredRecord = { value, version, epoch, expiresAt }
  const [keys, entries] = [row.index_keys, row.entries].map((text) => JSON.parse(text) as string[])
  if (keys?.length) record.keys = keys
  if (markFor !== null) record.markFor = markFor
  if (!entries?.length) return record
  return { ...record, entries, version: `${version}+${entries.length}` }
}

const entryOf = (row: Row): StoredEntry => ({ id: row.id, record: recordOf(row) })

/** Messages of failures that will happen again: a statement, a value, or a quota that is used up. */
const REFUSED =
  /SQLITE_(ERROR|CONSTRAINT|TOOBIG|MISMATCH|FULL)|D1_(TYPE|COLUMN)|xceeded (.* )?maximum|daily row/

/** D1's own messages quote SQL, so they are not passed on. */
function toStoreError(error: unknown): StoreError | StoreUnavailableError {
  const message = String(Object(error).message)
  if (message.includes('no such table')) {
    return new StoreError(
      `D1 has no table ${sql.TABLE}: apply migrations/0001_sojourn.sql of sojourn`,
    )
  }
  // TypeError and SyntaxError: it is not D1, or not a row of ours.
  if (
    error instanceof TypeError ||
    error instanceof SyntaxError ||
    REFUSED.test(message) ||
    OVER_LIMIT.test(message)
  ) {
    return new StoreError('D1 refused a statement, or holds what is no record of ours')
  }
  return new StoreUnavailableError('D1 gave no usable answer')
}
