/** SQLite: its file, D1 and libSQL. */
import type { SqlDialect } from './sql-dialect.ts'
import { returningStatements } from './sql-returning.ts'
import { NUMBER_COLUMNS } from './sql-statements.ts'

/**
 * Selects numbers as drivers can return them. Some throw for those past 2^53, and no row of the same answer is seen:
 * that of something else would hide all others. What is cut here is no safe integer, and refused later.
 */
const shown = (column: string): string =>
  NUMBER_COLUMNS.includes(column)
    ? `max(min(${column}, 9007199254740992.0), -9007199254740992.0) AS ${column}`
    : column

export const sqlite: SqlDialect = (table) =>
  returningStatements(table, {
    placeholder: () => '?',
    repeats: true,
    find: 'instr',
    greatest: 'max',
    least: 'min',
    shown,
    // There is one writer at a time.
    lock: '',
    prune: (name, limit) =>
      `DELETE FROM ${name} WHERE id IN
        (SELECT id FROM ${name} WHERE expires_at <= :now ORDER BY expires_at LIMIT ${limit})`,
  })
