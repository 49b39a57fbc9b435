/** Options that stores in SQL share. */
import { functionRule, numberRule, type Rule, wordRule } from '../check.ts'

/** A dialect of SQL; MariaDB's is `mysql`, that of D1 and libSQL `sqlite`. */
export type SqlDialectName = 'postgres' | 'mysql' | 'sqlite'

/** Options for every store in a table. */
export interface SqlTableOptions {
  /**
   * Name of the table, with that of its schema before it where needed: letters, digits and underscores. Beside
   * it there is a table of its version, `<table>_schema`. (default: 'sojourn_sessions')
   */
  table?: string
  /** Put before every id and index key, to separate what shares a table. (default: '') */
  prefix?: string
  /**
   * Share of writes, 0 to 1, after which up to 100 rows that expired are removed; 0 leaves that to
   * `prune`. The write does not wait for it. (default: 0.02)
   */
  autoPrune?: number
  /** Epoch milliseconds. (default: Date.now) */
  now?: () => number
}

const NAME = /^([A-Za-z_]\w{0,39}\.)?[A-Za-z_]\w{0,39}$/

export const TABLE_RULES: Record<keyof SqlTableOptions, Rule> = {
  table: [
    'sojourn_sessions',
    'a name of up to 40 letters, digits and underscores, perhaps with that of a schema and a point before it',
    (value: unknown) => typeof value === 'string' && NAME.test(value),
  ],
  prefix: [
    '',
    'up to 64 printable ASCII characters without spaces',
    (value: unknown) => typeof value === 'string' && /^[!-~]{0,64}$/.test(value),
  ],
  autoPrune: numberRule(0.02, 0, 1),
  now: functionRule(() => Date.now()),
}

/** The rule for a function that runs a statement, which must be given. */
export const queryRule: Rule = functionRule(null, 'a function that runs a statement')

export const dialectRule: Rule = wordRule(null, 'postgres', 'mysql', 'sqlite')
