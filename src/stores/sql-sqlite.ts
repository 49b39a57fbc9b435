/** SQLite: its file, D1 and libSQL. */
import type { SqlDialect } from './sql-dialect.ts'
import { returningStatements } from './sql-returning.ts'

export const sqlite: SqlDialect = (table) =>
  returningStatements(table, {
    placeholder: () => '?',
    repeats: true,
    find: 'instr',
    greatest: 'max',
    // There is one writer at a time.
    lock: '',
    prune: (name, limit) =>
      `DELETE FROM ${name} WHERE id IN
        (SELECT id FROM ${name} WHERE expires_at <= :now ORDER BY expires_at LIMIT ${limit})`,
  })
