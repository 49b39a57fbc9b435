/** A database that fails as PostgreSQL does, over a real SQLite. */
import {
  applySqlSchema,
  createSqlStore,
  type SqlParameter,
  type SqlQuery,
  type SqlResult,
  type SqlStore,
} from '../../src/stores/sql.ts'
import type { Clock } from '../../src/testing/index.ts'
import { openSqlite } from './open-sqlite.ts'

/** The answer to a statement, which the database may have run before it. */
type Fault = (quote: string, run: () => Promise<SqlResult>) => Promise<unknown>

/** Drivers quote statements and values, in their message and beside it. */
const failure = (code: string, quote: string): Error =>
  Object.assign(new Error(`${code} ${quote}`), { code, query: quote, detail: quote, where: quote })

const refusing =
  (code: string): Fault =>
  async (quote) => {
    throw failure(code, quote)
  }
const never = (): Promise<never> => new Promise(() => {})

export const sqlFaults: Readonly<Record<string, Fault>> = {
  'connection closed': refusing('ECONNRESET'),
  'no answer': never,
  'no answer, applied': async (_, run) => {
    await run()
    return await never()
  },
  'answer lost, applied': async (quote, run) => {
    await run()
    throw failure('57P01', quote)
  },
  'applied twice': async (_, run) => {
    await run()
    return await run()
  },
  'deadlock (40P01)': refusing('40P01'),
  'serialization failure (40001)': refusing('40001'),
  'lock not available (55P03)': refusing('55P03'),
  'too many connections (53300)': refusing('53300'),
  'starting up (57P03)': refusing('57P03'),
  'read-only (25006)': refusing('25006'),
  'statement timeout (57014)': refusing('57014'),
  'wrong password (28P01)': refusing('28P01'),
  'no privilege (42501)': refusing('42501'),
  'disk full (53100)': refusing('53100'),
  'value too long (22001)': refusing('22001'),
  'no such table (42P01)': refusing('42P01'),
  'prepared statement exists (42P05)': refusing('42P05'),
  'rows that are no list': async (quote) => ({ rows: quote, affected: quote }),
  'a row that is no record': async (quote) => ({
    rows: [{ id: quote, value: quote }],
    affected: 1,
  }),
  'breaker open': (_, run) => run(),
}

/** A database with the store's table, which can be broken and mended. */
export function createFailingSql(clock: Clock) {
  const query = openSqlite()
  const migrated = applySqlSchema({ dialect: 'sqlite', query })
  let fault: Fault | undefined
  let isLasting = false
  let quoted = ''
  let count = 0
  const failing: SqlQuery = async (text, params: SqlParameter[], call) => {
    await migrated
    const run = () => query(text, params, call)
    // Each isolate asks once for the version: that is no part of the operation.
    if (text.includes('_schema')) return await run()
    count++
    const planned = fault
    if (!isLasting) fault = undefined
    return (planned ? await planned(quoted, run) : await run()) as SqlResult
  }
  return {
    open: (): SqlStore =>
      createSqlStore({ dialect: 'sqlite', query: failing, now: clock, autoPrune: 0 }),
    fail(name: string, always: boolean, quote: string): void {
      ;[fault, isLasting, quoted] = [sqlFaults[name], always, quote]
    },
    async mend(): Promise<void> {
      fault = undefined
    },
    count: (): number => count,
    async sealed(id: string): Promise<unknown> {
      const select = 'SELECT value FROM sojourn_sessions WHERE id = ?'
      const { rows } = await query(select, [id], { signal: undefined })
      return (rows[0] as { value: string }).value
    },
  }
}
