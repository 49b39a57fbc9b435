/** PostgreSQL, under READ COMMITTED, and whatever speaks its dialect. */
import type { SqlDialect } from './sql-dialect.ts'
import { returningStatements } from './sql-returning.ts'

export const postgres: SqlDialect = (table) =>
  returningStatements(table, {
    placeholder: (position, isNumber) => `$${position}::${isNumber ? 'bigint' : 'text'}`,
    repeats: false,
    find: 'strpos',
    greatest: 'greatest',
    least: 'least',
    shown: (column) => column,
    lock: 'FOR UPDATE',
    // The condition is there twice: a row that is renewed while this waits for its lock must stay.
    prune: (name, limit) =>
      `DELETE FROM ${name} WHERE expires_at <= :now AND id = ANY (ARRAY
        (SELECT id FROM ${name} WHERE expires_at <= :now ORDER BY expires_at LIMIT ${limit}
        FOR UPDATE SKIP LOCKED))`,
  })
