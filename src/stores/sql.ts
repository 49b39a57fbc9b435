/**
 * Stores sessions in a table of PostgreSQL, MySQL, MariaDB, SQLite, libSQL or D1, through whatever
 * driver the application has.
 *
 * Atomic, and every operation is one statement, so that drivers over HTTP and connection poolers will
 * do: no transactions, no prepared statements by name. (On MySQL and MariaDB a write that does not find
 * what it expects takes up to three.) The time is the application's. It makes one attempt: wrap it in
 * `resilient`.
 *
 * @module
 * @example
 * import { createSqlStore } from 'sojourn/sql'
 * import { resilient } from 'sojourn/resilience'
 *
 * // pg; npx sojourn migrate --print --dialect postgres has the tables
 * const store = resilient(
 *   createSqlStore({
 *     dialect: 'postgres',
 *     query: async (text, params) => {
 *       const { rows, rowCount } = await pool.query(text, params)
 *       return { rows, affected: rowCount }
 *     },
 *   }),
 * )
 */
import { applyRules, functionRule } from '../check.ts'
import type { SqlDialect, SqlQuery } from './sql-dialect.ts'
import { mysql } from './sql-mysql.ts'
import {
  dialectRule,
  queryRule,
  type SqlDialectName,
  type SqlTableOptions,
  TABLE_RULES,
} from './sql-options.ts'
import { postgres, sqlite } from './sql-returning.ts'
import { type SqlStore, SqlTable } from './sql-store.ts'

export type { SqlQuery, SqlResult } from './sql-dialect.ts'
export type { SqlDialectName, SqlTableOptions } from './sql-options.ts'
export {
  applySqlSchema,
  checkSqlSchema,
  type SqlSchemaOptions,
  type SqlSchemaState,
  sqlSchema,
} from './sql-schema.ts'
export type { SqlParameter } from './sql-statements.ts'
export type { SqlStore } from './sql-store.ts'

/** Options for {@link createSqlStore}. */
export interface SqlStoreOptions extends SqlTableOptions {
  /** The language of the database: that of PostgreSQL, of MySQL and MariaDB, or of SQLite and libSQL. */
  dialect: SqlDialectName
  /**
   * Runs one statement on the primary, on a connection that is in no transaction, and resolves with its
   * rows and with how many rows it changed.
   */
  query: SqlQuery
  /** Runs a statement that only reads, on a replica that may lag. Reads with `fresh` take `query`. (default: `query`) */
  read?: SqlQuery
}

const DIALECTS: Record<SqlDialectName, SqlDialect> = { postgres, mysql, sqlite }

const RULES = { ...TABLE_RULES, dialect: dialectRule, query: queryRule, read: functionRule() }

/**
 * Creates a store in a table of an SQL database.
 *
 * `sqlSchema` has the statements that create the table, and so have the files in `migrations/` and
 * `npx sojourn migrate`. The store checks once, before its first statement, that the table is there and
 * of the right version. Failures that may pass are {@link StoreUnavailableError}: lost connections, deadlocks,
 * a busy or read-only database, too many connections. Whatever else the database refuses is a
 * {@link StoreError}.
 *
 * @throws TypeError or RangeError when an option is missing, unknown, of the wrong type or out of range.
 *
 * @example
 * // mysql2, and `mariadb` without the brackets
 * const store = resilient(
 *   createSqlStore({
 *     dialect: 'mysql',
 *     query: async (text, params) => {
 *       const [r] = await pool.query(text, params)
 *       return Array.isArray(r) ? { rows: r, affected: 0 } : { rows: [], affected: r.affectedRows }
 *     },
 *   }),
 * )
 */
export function createSqlStore(options: SqlStoreOptions): SqlStore {
  const { dialect, query, read, ...settings } = applyRules<
    Required<SqlTableOptions> & SqlStoreOptions
  >('', RULES, options)
  return new SqlTable({ ...settings, name: dialect, dialect, query, read }, DIALECTS[dialect])
}
