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

describe('mariadb', () => {
  testSql('mariadb', 'mysql', async (text, params) => answer(await other.query(text, params)))
})
