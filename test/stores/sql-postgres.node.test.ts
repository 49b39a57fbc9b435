import pg from 'pg'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { applySqlSchema, createSqlStore, type SqlQuery } from '../../src/stores/sql.ts'
import { postgresUrl, type SqlServer, startPostgres } from '../support/sql-servers.ts'
import { newId, newRecord, testSql } from '../support/sql-suite.ts'

let server: SqlServer
let pool: pg.Pool
let sql: postgres.Sql

beforeAll(async () => {
  server = await startPostgres()
  const url = postgresUrl(server.port)
  pool = new pg.Pool({ connectionString: url, max: 10 })
  pool.on('error', () => {})
  sql = postgres(url, { max: 10, onnotice: () => {} })
  await applySqlSchema({ dialect: 'postgres', query })
})

afterAll(async () => {
  await pool.end()
  await sql.end({ timeout: 1 })
  await server.stop()
})

const query: SqlQuery = async (text, params) => {
  const { rows, rowCount } = await pool.query(text, params)
  return { rows, affected: rowCount }
}

describe('pg', () => {
  testSql('pg', 'postgres', query)
  const named: SqlQuery = async (text, values, { name }) => {
    const { rows, rowCount } = await pool.query({ text, values, ...(name && { name }) })
    return { rows, affected: rowCount }
  }
  testSql('pg, with statements prepared by name', 'postgres', named, 5)

  /** Runs `lose` while another transaction holds the row, whose version becomes `winner`. */
  async function race<T>(id: string, sql: string, lose: () => Promise<T>): Promise<T> {
    const client = await pool.connect()
    try {
      await client.query('BEGIN')
      await client.query(sql, [id])
      const losing = lose()
      const waiting = `SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'`
      while ((await pool.query(waiting)).rowCount === 0);
      await client.query('COMMIT')
      return await losing
    } finally {
      client.release()
    }
  }
  const WIN = `UPDATE sojourn_sessions SET version = 'winner', value = 'of the winner' WHERE id = $1`

  it("answers the loser of a race with the winner's row, which the usual CTE does not", async () => {
    const store = createSqlStore({ dialect: 'postgres', query, autoPrune: 0 })
    const first = newRecord()
    const [one, two] = [newId(), newId()]
    for (const id of [one, two]) await store.write(id, first, null)
    const lost = await race(one, WIN, () => store.write(one, newRecord(), first.version))
    expect([lost.ok, lost.current?.version, lost.current?.value]).toEqual([
      false,
      'winner',
      'of the winner',
    ])
    const usual = `WITH u AS (UPDATE sojourn_sessions SET version = 'x' WHERE id = $1 AND version = $2
      RETURNING version) SELECT version FROM u UNION ALL SELECT version FROM sojourn_sessions
      WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM u)`
    const { rows } = await race(two, WIN, () => pool.query(usual, [two, first.version]))
    expect(rows).toEqual([{ version: first.version }])
  })

  it('appends to what the winner of a race left, and finds nothing where that was an end', async () => {
    const store = createSqlStore({ dialect: 'postgres', query, autoPrune: 0 })
    const first = newRecord()
    const [one, two] = [newId(), newId()]
    for (const id of [one, two]) await store.write(id, first, null)
    const write = (id: string) =>
      store.write(id, newRecord(), first.version, { entry: 'mine-sealed' })
    const appended = await race(one, WIN, () => write(one))
    expect([appended.ok, appended.current?.version]).toEqual([true, 'winner+1.e-sealed'])
    const end = 'DELETE FROM sojourn_sessions WHERE id = $1'
    expect(await race(two, end, () => write(two))).toEqual({ ok: false, current: null })
  })

  it('prunes nothing that is renewed while it waits', async () => {
    const store = createSqlStore({ dialect: 'postgres', query, autoPrune: 0 })
    const [locked, expired] = [newId(), newId()]
    for (const id of [locked, expired]) {
      await store.write(id, newRecord({ expiresAt: Date.now() - 100_000 }), null)
    }
    const client = await pool.connect()
    await client.query('BEGIN')
    const renew = 'UPDATE sojourn_sessions SET expires_at = $2 WHERE id = $1'
    await client.query(renew, [locked, Date.now() + 100_000])
    // It does not wait for the locked row either.
    expect(await store.prune()).toBeGreaterThan(0)
    await client.query('COMMIT')
    client.release()
    expect(await store.read(locked)).not.toBe(null)
    const { rows } = await pool.query('SELECT 1 FROM sojourn_sessions WHERE id = $1', [expired])
    expect(rows).toEqual([])
  })
})

describe('postgres.js', () => {
  testSql('postgres.js', 'postgres', async (text, params) => {
    const rows = await sql.unsafe(text, params)
    return { rows, affected: rows.count }
  })
})
