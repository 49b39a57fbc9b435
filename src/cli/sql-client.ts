/** A connection to an SQL database through whatever driver there is. */
import { existsSync } from 'node:fs'
import type { SqlQuery } from '../stores/sql.ts'
import type { Address } from './address.ts'
import { CommandError } from './command.ts'
import { connectionError } from './errors.ts'
import { importInstalled } from './installed.ts'

/** A connection, in the language of its address. */
export interface SqlConnection {
  readonly query: SqlQuery
  readonly close: () => Promise<void>
}

type Rows = readonly Record<string, unknown>[]
/** The answer of a driver for MySQL. */
type MysqlResult = Rows | { readonly affectedRows: number }

interface Pg {
  connect(): Promise<void>
  on(event: 'error', listener: () => void): void
  query(text: string, params: readonly unknown[]): Promise<{ rows: Rows; rowCount: number | null }>
  end(): Promise<void>
}

interface PostgresJs {
  unsafe(text: string, params: readonly unknown[]): Promise<Rows & { count: number }>
  end(): Promise<void>
}

interface Mysql {
  on(event: 'error', listener: () => void): void
  query(text: string, params: readonly unknown[]): Promise<unknown>
  end(): Promise<void>
}

const CONNECT_MS = 5000
/** Codes by which databases refuse a user or a password. */
const REFUSED = /^(28P01|28000|ER_ACCESS_DENIED_ERROR|ER_DBACCESS_DENIED_ERROR)$/

/**
 * Connects with the first driver that is there: `node:sqlite` for a file; `pg` or `postgres`; `mysql2` or `mariadb`.
 *
 * @throws CommandError when there is none, or nobody answers.
 */
export async function connectSql(address: Address): Promise<SqlConnection> {
  const { dialect, name, text } = address
  if (dialect === 'sqlite') return openFile(text.replace(/^file:(\/\/)?/, ''))
  try {
    return await (dialect === 'postgres' ? connectPostgres(text) : connectMysql(text))
  } catch (error) {
    const hint = 'Is there a database of this name?'
    throw connectionError(error, `The database at ${name}`, dialect, REFUSED, hint)
  }
}

async function openFile(path: string): Promise<SqlConnection> {
  if (!existsSync(path)) {
    throw new CommandError(
      'There is no database file of this name',
      'The path after "file:" is that from the current folder: file:sessions.db',
    )
  }
  const { DatabaseSync } = await import('node:sqlite')
  const database = new DatabaseSync(path, { timeout: CONNECT_MS })
  return {
    async query(text, params) {
      const statement = database.prepare(text)
      if (statement.columns().length) return { rows: [...statement.all(...params)], affected: 0 }
      return { rows: [], affected: statement.run(...params).changes }
    },
    close: async () => database.close(),
  }
}

async function connectPostgres(url: string): Promise<SqlConnection> {
  const pg = await importInstalled('pg')
  if (pg) return await throughPg(url, (pg.Client ?? Object(pg.default).Client) as never)
  const postgres = await importInstalled('postgres')
  if (postgres) return await throughPostgresJs(url, postgres.default as never)
  throw noDriver('PostgreSQL', 'pg, or postgres')
}

async function throughPg(
  connectionString: string,
  Client: new (options: object) => Pg,
): Promise<SqlConnection> {
  const client = new Client({ connectionString, connectionTimeoutMillis: CONNECT_MS })
  client.on('error', () => {})
  await client.connect()
  return {
    query: async (text, params) => {
      const { rowCount, rows } = await client.query(text, params)
      return { rows: [...rows], affected: rowCount }
    },
    close: () => client.end(),
  }
}

async function throughPostgresJs(
  url: string,
  postgres: (url: string, options: object) => PostgresJs,
): Promise<SqlConnection> {
  const timeout = { connect_timeout: CONNECT_MS / 1000 }
  const sql = postgres(url, { ...timeout, max: 4, prepare: false, onnotice: () => {} })
  const query: SqlQuery = async (text, params) => {
    const rows = await sql.unsafe(text, params)
    return { rows: [...rows], affected: rows.count }
  }
  // It connects with the first statement only.
  await query('SELECT 1', [], { signal: undefined })
  return { query, close: () => sql.end() }
}

interface MysqlDriver {
  createConnection(url: string): Promise<Mysql>
}

async function connectMysql(url: string): Promise<SqlConnection> {
  const mysql2 = (await importInstalled('mysql2/promise')) as MysqlDriver | null
  if (mysql2) {
    // It has the description of the columns beside the rows.
    const first = (answer: unknown): MysqlResult => (answer as [MysqlResult])[0]
    return throughMysql(await mysql2.createConnection(url), first)
  }
  const mariadb = await importInstalled('mariadb')
  if (!mariadb) throw noDriver('MySQL', 'mysql2, or mariadb')
  const { createConnection } = (mariadb.default ?? mariadb) as MysqlDriver
  const connection = await createConnection(url.replace(/^mysql:/, 'mariadb:'))
  return throughMysql(connection, (answer) => answer as MysqlResult)
}

function throughMysql(
  connection: Mysql,
  resultOf: (answer: unknown) => MysqlResult,
): SqlConnection {
  connection.on('error', () => {})
  return {
    query: async (text, params) => {
      const result = resultOf(await connection.query(text, params))
      return 'affectedRows' in result
        ? { rows: [], affected: result.affectedRows }
        : { rows: [...result], affected: 0 }
    },
    close: () => connection.end(),
  }
}

function noDriver(database: string, packages: string): CommandError {
  return new CommandError(
    `There is no driver for ${database} here`,
    `Install one (npm install ${packages}), or use --config`,
  )
}
