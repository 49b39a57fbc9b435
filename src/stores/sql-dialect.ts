/** The interfaces between a store in SQL, its dialect, and the driver of the application. */
import type { SqlParameter, SqlStatement } from './sql-statements.ts'

/** Answer of a driver to one statement. */
export interface SqlResult {
  /** Rows as objects by column name; empty for statements that return none. */
  readonly rows: readonly unknown[]
  /** Number of rows changed, for statements that return no rows. */
  readonly affected: number | bigint | string | null | undefined
}

/**
 * Runs one statement: placeholders are `$1` in PostgreSQL, otherwise `?`. Rejects when the database
 * refuses it and when it cannot be reached.
 *
 * @param call.signal Aborted when nobody waits for the answer any more.
 * @param call.name Name of the statement, the same for the same text, for drivers that prepare by name (`pg`).
 */
export type SqlQuery = (
  text: string,
  params: SqlParameter[],
  call: { signal: AbortSignal | undefined; name?: string },
) => Promise<SqlResult>

export interface SqlAnswer {
  readonly rows: readonly SqlRow[]
  /** Rows changed; asked for only after a statement that returns none. */
  readonly affected: number
}

/** A row as drivers return it: numbers of 64 bits may be texts. */
export interface SqlRow {
  readonly [column: string]: unknown
}

/** Runs one statement on the primary. */
export type RunStatement = (
  statement: SqlStatement,
  values: Readonly<Record<string, SqlParameter>>,
) => Promise<SqlAnswer>

/** The statements of one dialect, for one table. */
export interface SqlStatements {
  readonly read: SqlStatement
  readonly list: SqlStatement
  readonly page: SqlStatement
  readonly version: SqlStatement
  /** Ends `:id` if it is live; changes one row then. */
  readonly endLive: SqlStatement
  /**
   * Writes as `applyWrite` specifies; `:expected` NULL creates, `:entry` '' is none.
   *
   * @returns The row that is there now (its value may be left out where the version is the one written);
   * `true`: the record was replaced; `undefined`: nothing is there.
   */
  write(
    run: RunStatement,
    values: Readonly<Record<string, SqlParameter>>,
  ): Promise<SqlRow | true | undefined>
  /** Ends `:id` and marks it until `:until`, live or not; resolves with whether it was live. */
  end(run: RunStatement, values: Readonly<Record<string, SqlParameter>>): Promise<boolean>
  /** Ends all live records of `:key` but `:except`; resolves with how many. */
  endAll(run: RunStatement, values: Readonly<Record<string, SqlParameter>>): Promise<number>
  /** Removes at most `limit` rows that expired by `now`; resolves with how many. */
  prune(run: RunStatement, now: number, limit: number): Promise<number>
}

export type SqlDialect = (table: string) => SqlStatements
