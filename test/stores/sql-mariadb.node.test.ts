import * as mariadb from 'mariadb'
import mysql from 'mysql2/promise'
import { afterAll, beforeAll, describe } from 'vitest'
import type { SqlQuery } from '../../src/stores/sql.ts'
import { mariadbAccess, type SqlServer, startMariadb } from '../support/sql-servers.ts'
import { testSql } from '../support/sql-suite.ts'

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

describe('mariadb', () => {
  testSql('mariadb', 'mysql', async (text, params) => answer(await other.query(text, params)))
})
