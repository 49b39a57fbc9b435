import pg from 'pg'
import postgres from 'postgres'
import { afterAll, beforeAll, describe } from 'vitest'
import { postgresUrl, type SqlServer, startPostgres } from '../support/sql-servers.ts'
import { testSql } from '../support/sql-suite.ts'

let server: SqlServer
let pool: pg.Pool
let sql: postgres.Sql

beforeAll(async () => {
  server = await startPostgres()
  const url = postgresUrl(server.port)
  pool = new pg.Pool({ connectionString: url, max: 10 })
  pool.on('error', () => {})
  sql = postgres(url, { max: 10, onnotice: () => {} })
})

afterAll(async () => {
  await pool.end()
  await sql.end({ timeout: 1 })
  await server.stop()
})

describe('pg', () => {
  testSql('pg', 'postgres', async (text, params) => {
    const { rows, rowCount } = await pool.query(text, params)
    return { rows, affected: rowCount }
  })
})

describe('postgres.js', () => {
  testSql('postgres.js', 'postgres', async (text, params) => {
    const rows = await sql.unsafe(text, params)
    return { rows, affected: rows.count }
  })
})
