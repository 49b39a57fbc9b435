import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import {
  applySqlSchema,
  checkSqlSchema,
  createSqlStore,
  type SqlDialectName,
  type SqlQuery,
  sqlSchema,
} from '../../src/stores/sql.ts'
import { errorOf } from '../support/sessions.ts'

/*
 * The files in migrations/ are what `sqlSchema` returns. `UPDATE_MIGRATIONS=1` writes them.
 */

const DIALECTS: SqlDialectName[] = ['postgres', 'mysql', 'sqlite']

const textOf = (dialect: SqlDialectName): string =>
  [
    '-- The tables of `createSqlStore` (sojourn/sql), version 1. Every statement can be repeated.',
    ...(dialect === 'sqlite'
      ? ['-- D1: npx wrangler d1 migrations apply <database>, with these as its migrations_dir.']
      : []),
    `${sqlSchema(dialect).join(';\n\n')};`,
    '',
  ].join('\n')

function open(db: DatabaseSync): SqlQuery {
  return async (text, params) => {
    const statement = db.prepare(text)
    if (statement.columns().length) return { rows: statement.all(...params), affected: 0 }
    return { rows: [], affected: statement.run(...params).changes }
  }
}

describe('migrations/', () => {
  it.each(DIALECTS)('%s has the statements of sqlSchema()', (dialect) => {
    const folder = new URL(`../../migrations/${dialect}/`, import.meta.url)
    const file = new URL('0001_sojourn.sql', folder)
    if (process.env.UPDATE_MIGRATIONS === '1') {
      mkdirSync(folder, { recursive: true })
      writeFileSync(file, textOf(dialect))
    }
    expect(readFileSync(file, 'utf8')).toBe(textOf(dialect))
  })
})

describe('sqlSchema()', () => {
  it("makes tables of any name, which are the store's", async () => {
    const db = new DatabaseSync(':memory:')
    for (const statement of sqlSchema('sqlite', { table: 'visits' })) db.exec(statement)
    const store = createSqlStore({ dialect: 'sqlite', query: open(db), table: 'visits' })
    expect(await store.read('a')).toBe(null)
  })

  it('refuses other dialects and names with quotes', async () => {
    for (const call of [
      () => sqlSchema('oracle' as never),
      () => sqlSchema('sqlite', { table: 'a"b' }),
      () => sqlSchema('sqlite', { table: 'a; DROP TABLE b' }),
      () => sqlSchema('sqlite', { name: 'a' } as never),
    ]) {
      expect(await errorOf(call)).toBeInstanceOf(TypeError)
    }
  })
})

describe('applySqlSchema()', () => {
  it('creates the tables once, and checkSqlSchema() tells their version', async () => {
    const options = { dialect: 'sqlite', query: open(new DatabaseSync(':memory:')) } as const
    expect(await checkSqlSchema(options)).toEqual({ version: 0, expected: 1 })
    expect(await applySqlSchema(options)).toEqual([1])
    expect(await applySqlSchema(options)).toEqual([])
    expect(await checkSqlSchema(options)).toEqual({ version: 1, expected: 1 })
  })

  it('goes on where it stopped', async () => {
    const query = open(new DatabaseSync(':memory:'))
    let left = 3
    const failing: SqlQuery = (...call) => {
      if (left-- === 0) throw Object.assign(new Error('canary'), { code: 'ECONNRESET' })
      return query(...call)
    }
    const error = await errorOf(() => applySqlSchema({ dialect: 'sqlite', query: failing }))
    expect([error.code, String(error.stack).includes('canary')]).toEqual([
      'ERR_STORE_UNAVAILABLE',
      false,
    ])
    expect(await checkSqlSchema({ dialect: 'sqlite', query })).toEqual({ version: 0, expected: 1 })
    expect(await applySqlSchema({ dialect: 'sqlite', query })).toEqual([1])
  })

  it('leaves a foreign table of that name as it is, and says so', async () => {
    const db = new DatabaseSync(':memory:')
    db.exec('CREATE TABLE sojourn_sessions (sid TEXT PRIMARY KEY, sess TEXT, expires_at INTEGER)')
    const options = { dialect: 'sqlite', query: open(db) } as const
    for (const call of [() => applySqlSchema(options), () => createSqlStore(options).read('a')]) {
      const error = await errorOf(call)
      expect([error.code, error.message.includes('sojourn_sessions')]).toEqual(['ERR_STORE', true])
    }
    const columns = db.prepare('SELECT name FROM pragma_table_info(?)').all('sojourn_sessions')
    expect(columns.map(({ name }) => name)).toEqual(['sid', 'sess', 'expires_at'])
    // One whose version is right, and whose columns are not.
    db.exec('CREATE TABLE sojourn_sessions_schema (version INTEGER)')
    db.exec('INSERT INTO sojourn_sessions_schema VALUES (1)')
    const error = await errorOf(() => checkSqlSchema(options))
    expect([error.code, error.message.includes('is not as Sojourn made it')]).toEqual([
      'ERR_STORE',
      true,
    ])
  })
})
