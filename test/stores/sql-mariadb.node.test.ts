import * as mariadb from 'mariadb'
import mysql from 'mysql2/promise'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { applySqlSchema, createSqlStore, type SqlQuery } from '../../src/stores/sql.ts'
import { mariadbAccess, type SqlServer, startMariadb } from '../support/sql-servers.ts'
import { newId, newRecord, testSql } from '../support/sql-suite.ts'

let server: SqlServer
let pool: mysql.Pool
let other: mariadb.Pool

beforeAll(async () => {
  server = await startMariadb()
  pool = mysql.createPool({ ...mariadbAccess(server.port), connectionLimit: 10 })
  other = mariadb.createPool({ ...mariadbAccess(server.port), connectionLimit: 10 })
})

afterAll(async () => {
  await pool.end()
  await other.end()
  await server.stop()
})

const answer = (result: unknown): ReturnType<SqlQuery> =>
  Promise.resolve(
    Array.isArray(result)
      ? { rows: result, affected: 0 }
      : { rows: [], affected: (result as { affectedRows: number }).affectedRows },
  )

describe('mysql2', () => {
  testSql('mysql2', 'mysql', async (text, params) => answer((await pool.query(text, params))[0]))
})

describe('mysql2, prepared', () => {
  testSql('mysql2, prepared', 'mysql', async (text, params) =>
    answer((await pool.execute(text, params))[0]),
  )
})

describe('a table that somebody converted to another collation', () => {
  it.each(['general_ci', 'unicode_ci', 'uca1400_ai_ci'])(
    'has all its sessions on pages (utf8mb4_%s)',
    async (collation) => {
      const table = `converted_${collation}`
      const query: SqlQuery = async (text, params) => answer((await pool.query(text, params))[0])
      await applySqlSchema({ dialect: 'mysql', query, table })
      await pool.query(
        `ALTER TABLE ${table} CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_${collation}`,
      )
      for (const prefix of ['', 'app:']) {
        const store = createSqlStore({ dialect: 'mysql', query, table, prefix, autoPrune: 0 })
        const ids = ['-_', '0a', 'Za', '_-', 'zZ', `z${newId()}`]
        for (const id of ids) await store.write(id, newRecord(), null)
        const { records } = await store.page(null)
        expect(records.map(({ id }) => id)).toEqual(expect.arrayContaining(ids))
      }
    },
  )
})

describe('a table of one store', () => {
  let tables = 0
  const setUp = async (now: () => number) => {
    const table = `own_${++tables}`
    const lengths: number[] = []
    const query: SqlQuery = async (text, params) => {
      lengths.push(params.length)
      return answer((await pool.query(text, params))[0])
    }
    await applySqlSchema({ dialect: 'mysql', query, table })
    const store = createSqlStore({ dialect: 'mysql', query, table, autoPrune: 0, now })
    return { store, lengths, table }
  }

  it('prune() removes what expired a minute ago, as many as it is told, and nothing that lives', async () => {
    let now = Date.now()
    const { store, table } = await setUp(() => now)
    const live = newId()
    await store.write(live, newRecord({ expiresAt: now + 3_600_000 }), null)
    for (let i = 0; i < 3; i++) {
      await store.write(newId(), newRecord({ expiresAt: now + 1000 }), null)
    }
    now += 60_999
    expect(await store.prune()).toBe(0)
    now += 1
    expect([await store.prune(2), await store.prune(), await store.prune()]).toEqual([2, 1, 0])
    expect(await store.read(live)).not.toBe(null)
    const [rows] = await pool.query(`SELECT id FROM ${table}`)
    expect(rows).toEqual([{ id: live }])
  })

  it('index.end() ends over 500 sessions, at most as many by one statement', async () => {
    const { store, lengths } = await setUp(Date.now)
    const keys = ['crowd']
    await Promise.all(
      Array.from({ length: 510 }, () => store.write(newId(), newRecord({ keys }), null)),
    )
    lengths.length = 0
    expect(await store.index.end('crowd')).toBe(510)
    expect(Math.max(...lengths)).toBeLessThan(520)
    expect(await store.index.list('crowd')).toEqual([])
  })
})

describe('mariadb', () => {
  testSql('mariadb', 'mysql', async (text, params) => answer(await other.query(text, params)))
})
