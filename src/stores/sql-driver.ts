/** Drivers of databases, and what they answer. */
import { isObject, kindOf } from '../check.ts'
import { StoreError } from '../errors.ts'
import type { SqlAnswer, SqlRow } from './sql-dialect.ts'
import { isMissing } from './sql-errors.ts'
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

/** Checks what a driver answered. */
export function answerOf(result: unknown, { returnsRows }: SqlStatement): SqlAnswer {
  const { rows, affected } = Object(result) as Partial<SqlResult>
  const isRight = Array.isArray(rows) && rows.every((row) => isObject(row) && !Array.isArray(row))
  const count = Number(affected ?? Number.NaN)
  const got = isRight ? `affected of kind ${kindOf(affected)}` : `rows of kind ${kindOf(rows)}`
  if (!isRight || !(returnsRows || Number.isSafeInteger(count))) {
    throw new StoreError(
      `Option "query" must resolve with rows (a list of objects) and affected (how many rows changed), got ${got}`,
    )
  }
  return { rows: rows as SqlRow[], affected: count }
}

/** Returns the version of the tables; 0: one of them, or a column, is missing. */
export async function schemaVersion(
  query: SqlQuery,
  statement: SqlStatement,
  signal: AbortSignal | undefined,
): Promise<number> {
  try {
    const { rows } = answerOf(
      await query(statement.text, [], { signal, name: statement.name }),
      statement,
    )
    return Number(rows[0]?.version ?? 0)
  } catch (error) {
    if (isMissing(error)) return 0
    throw error
  }
}
