import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { applySqlSchema, createSqlStore, type SqlQuery } from '../../src/stores/sql.ts'
import {
  type Pooler,
  postgresUrl,
  type SqlServer,
  startPgbouncer,
  startPostgres,
} from '../support/sql-servers.ts'
import { byText, createOne, storm, tagsOf } from '../support/sql-storm.ts'
import { newRecord, testSql } from '../support/sql-suite.ts'

/* Behind pgbouncer in transaction mode: each statement may run on another connection. */

let server: SqlServer
let pooler: Pooler
let pool: pg.Pool

beforeAll(async () => {
  server = await startPostgres()
  pooler = await startPgbouncer(server.port)
  pool = new pg.Pool({ connectionString: postgresUrl(pooler.port), max: 20 })
  pool.on('error', () => {})
  await applySqlSchema({ dialect: 'postgres', query })
})

afterAll(async () => {
  await pool.end()
  await pooler.stop()
  await server.stop()
})

const query: SqlQuery = async (text, params) => {
  const { rows, rowCount } = await pool.query(text, params)
  return { rows, affected: rowCount }
}

describe('pgbouncer', () => {
  testSql('pg behind pgbouncer', 'postgres', query, 5)

  it('loses no write of twenty writers on two connections', async () => {
    const store = createSqlStore({ dialect: 'postgres', query })
    const id = await createOne(store)
    const { written, failed } = await storm([store], id, { appends: true })
    expect([failed, written.length]).toEqual([[], 400])
    expect(tagsOf((await store.read(id))!)).toEqual([...written].sort(byText))
    const { rows } = await pool.query(
      `SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'`,
    )
    expect(Number(rows[0].count)).toBeLessThanOrEqual(2)
  })

  it('tells of a driver that names its statements', async () => {
    // Every client takes part, so that two of them prepare the same name on one connection.
    const named: SqlQuery = async (text, params) => {
      const { rows, rowCount } = await pool.query({ name: text.slice(0, 20), text, values: params })
      return { rows, affected: rowCount }
    }
    const store = createSqlStore({ dialect: 'postgres', query: named, autoPrune: 0 })
    const calls = Array.from({ length: 200 }, () =>
      store.write(newRecord().version, newRecord(), null),
    )
    const failed = (await Promise.allSettled(calls)).flatMap((one) =>
      one.status === 'rejected' ? [one.reason] : [],
    )
    expect(failed.length).toBeGreaterThan(0)
    for (const error of failed) {
      expect(error.message).toContain(
        'behind a pooler the driver must not name prepared statements',
      )
    }
  })
})
