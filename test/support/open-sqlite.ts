/** The SQLite of the runtime the tests are in: `node:sqlite` of Node and Deno, `bun:sqlite` of Bun. */
import type { SqlParameter, SqlQuery } from '../../src/stores/sql.ts'

interface Statement {
  columns?(): readonly unknown[]
  readonly columnNames?: readonly string[]
  all(...params: SqlParameter[]): unknown[]
  run(...params: SqlParameter[]): { changes: number | bigint }
}

interface Database {
  prepare(text: string): Statement
}

type Opens = new (path: string) => Database

/** Returns the class of databases; `null` in workerd, whose `node:sqlite` is empty. */
async function findSqlite(): Promise<Opens | null> {
  if (navigator.userAgent === 'Cloudflare-Workers') return null
  const isBun = 'Bun' in globalThis
  const name = isBun ? 'bun:sqlite' : 'node:sqlite'
  const found = await import(/* @vite-ignore */ name)
  return (isBun ? found.Database : found.DatabaseSync) as Opens
}

export const sqlite: Opens | null = await findSqlite()

/** Opens a database in memory, or in a file. */
export function openSqlite(path = ':memory:'): SqlQuery {
  if (!sqlite) throw new Error('This runtime has no SQLite')
  const database = new sqlite(path)
  return async (text, params) => {
    const statement = database.prepare(text)
    const columns = statement.columns?.() ?? statement.columnNames ?? []
    if (columns.length) return { rows: statement.all(...params), affected: 0 }
    return { rows: [], affected: statement.run(...params).changes }
  }
}
