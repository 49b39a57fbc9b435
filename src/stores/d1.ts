/**
 * Stores sessions in Cloudflare D1.
 *
 * It is the store of `sojourn/sql` in SQLite's dialect. Atomic: every call is one statement and one round
 * trip to the primary. The tables come from `migrations/sqlite`. D1 has no expiry: rows that have expired
 * are never returned, some of them go after writes, and `prune` in a `scheduled` handler removes the rest.
 *
 * @module
 * @example
 * import { createD1Store } from 'sojourn/d1'
 */
import { applyRules, flagRule, methodsRule, type Rule, refuseUnless } from '../check.ts'
import { StoreError, StoreUnavailableError } from '../errors.ts'
import { because, isFinal } from './errors.ts'
import type { SqlQuery, SqlResult } from './sql-dialect.ts'
import { isMissing } from './sql-errors.ts'
import { type SqlTableOptions, TABLE_RULES } from './sql-options.ts'
import { sqlite } from './sql-returning.ts'
import { type SqlStore, SqlTable } from './sql-store.ts'

/** The methods of a D1 binding that the store uses; `env.DB` of a Worker fits. */
export interface D1Binding {
  prepare(sql: string): D1Statement
  /** Only for `replicas`. */
  withSession?(constraintOrBookmark?: string): D1Session
}

/** The methods of a D1 session that the store uses. */
export interface D1Session {
  prepare(sql: string): D1Statement
  getBookmark(): string | null
}

/** The methods of a prepared statement that the store uses. */
export interface D1Statement {
  bind(...values: unknown[]): D1Statement
  all(): Promise<unknown>
}

/** Options for {@link createD1Store}. */
export interface D1StoreOptions extends SqlTableOptions {
  /** The binding, for example `env.DB`. */
  database: D1Binding
  /**
   * Lets reads be answered by replicas, which lag. What this store object has written or read before
   * is in its later reads; `fresh` reads go to the primary. (default: false)
   */
  replicas?: boolean
}

/** A {@link SqlStore} in D1. */
export type D1Store = SqlStore

const RULES: Record<keyof D1StoreOptions, Rule> = {
  ...TABLE_RULES,
  database: methodsRule(null, 'a D1 binding (is it called so in wrangler.jsonc?)', 'prepare'),
  replicas: flagRule(false),
}

/**
 * Creates a store in a D1 database.
 *
 * Failures that may pass are {@link StoreUnavailableError}; a missing table, and whatever else SQLite
 * refuses, is a {@link StoreError}. It makes one attempt: wrap it in `resilient`.
 *
 * @throws TypeError or RangeError when an option is missing, unknown, of the wrong type or out of range.
 *
 * @example
 * createSessions({ secret: env.SECRET, store: resilient(createD1Store({ database: env.DB })) })
 * // wrangler.toml: [triggers] crons = ["0 * * * *"]
 * const scheduled = (_: unknown, env: Env) => createD1Store({ database: env.DB }).prune()
 */
export function createD1Store(options: D1StoreOptions): D1Store {
  const { database, replicas, ...settings } = applyRules<Required<D1StoreOptions>>(
    '',
    RULES,
    options,
  )
  const both = replicas ? onReplicas(database) : { query: queryOf(() => database), read: undefined }
  return new SqlTable({ ...settings, name: 'd1', dialect: 'sqlite', ...both }, sqlite)
}

/** Returns a function that runs one statement; `done` is told when it was answered. */
function queryOf<T extends Pick<D1Binding, 'prepare'>>(
  open: () => T,
  done?: (on: T) => void,
): SqlQuery {
  return async (text, params): Promise<SqlResult> => {
    try {
      const on = open()
      const answer = await on
        .prepare(text)
        .bind(...params)
        .all()
      const { results, meta } = answer as { results: object[]; meta: { changes: number } }
      done?.(on)
      return { rows: results, affected: meta.changes }
    } catch (error) {
      throw toStoreError(error)
    }
  }
}

/**
 * Runs what writes on the primary, and reads wherever the database is as new as what this store has
 * seen before.
 */
function onReplicas(database: D1Binding): { query: SqlQuery; read: SqlQuery } {
  refuseUnless(
    typeof database.withSession === 'function',
    'database',
    'a D1 binding with sessions, for replicas',
    database.withSession,
  )
  let bookmark: string | undefined
  const open = (where: string) => () => database.withSession!(where)
  const remember = (session: D1Session): void => {
    const next = session.getBookmark() ?? ''
    // Bookmarks sort by age.
    if (next > (bookmark ?? '')) bookmark = next
  }
  return {
    query: queryOf(open('first-primary'), remember),
    read: queryOf(() => open(bookmark ?? 'first-unconstrained')(), remember),
  }
}

/** Messages of failures that will happen again: a statement, a value, or a quota that is used up. */
const REFUSED = /SQLITE_(ERROR|CONSTRAINT|MISMATCH)|D1_(TYPE|COLUMN)/

/** D1's own messages quote SQL, so they are not passed on. */
function toStoreError(error: unknown): unknown {
  // The store names the table and the migration.
  if (isMissing(error)) return error
  const message = String(Object(error).message)
  const [word] = /SQLITE_[A-Z]+$|D1_(?!ERROR)[A-Z_]+/.exec(message) ?? []
  const why = because(word, message)
  // TypeError: it is not D1.
  if (error instanceof TypeError || isFinal(why.reason) || REFUSED.test(message)) {
    return new StoreError('D1 refused a statement, or is no D1 database', why)
  }
  return new StoreUnavailableError('D1 gave no usable answer', why)
}
