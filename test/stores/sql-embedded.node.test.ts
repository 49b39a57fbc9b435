import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { type Client, createClient } from '@libsql/client'
import { afterAll, beforeAll, describe } from 'vitest'
import { testSql } from '../support/sql-suite.ts'

/* Databases that need no server: libSQL on a file, and PostgreSQL as WebAssembly. */

describe('libSQL', () => {
  let folder: string
  let client: Client

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sojourn-libsql-'))
    client = createClient({ url: `file:${join(folder, 'sessions.db')}` })
  })

  afterAll(() => {
    client.close()
    rmSync(folder, { recursive: true, force: true })
  })

  testSql('libSQL on a file', 'sqlite', async (text, params) => {
    const { rows, rowsAffected } = await client.execute({ sql: text, args: params })
    return { rows, affected: rowsAffected }
  })
})

describe('PGlite', () => {
  let database: PGlite

  beforeAll(async () => {
    database = await PGlite.create()
  })

  afterAll(() => database.close())

  testSql('PGlite', 'postgres', async (text, params) => {
    const { rows, affectedRows } = await database.query(text, params)
    return { rows, affected: affectedRows }
  })
})
