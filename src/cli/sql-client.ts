/** A connection to an SQL database through whatever driver there is. */
import { existsSync } from 'node:fs'
import type { SqlDialectName, SqlQuery } from '../stores/sql.ts'
import type { Address } from './address.ts'
import { CommandError, EXIT } from './command.ts'
import { importInstalled } from './installed.ts'

/** A connection, and the language that it speaks. */
export interface SqlConnection {
  readonly dialect: SqlDialectName
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

interface Sqlite {
  prepare(text: string): {
    columns(): readonly unknown[]
    all(...params: readonly unknown[]): Rows
    run(...params: readonly unknown[]): { changes: number | bigint }
  }
  close(): void
}

const CONNECT_MS = 5000

/**
 * Connects with the first driver that is there: `node:sqlite` for a file; `pg` or `postgres`; `mysql2` or `mariadb`.
 *
 * @throws CommandError when there is none, or nobody answers.
 */
export async function connectSql(address: Address): Promise<SqlConnection> {
  if (address.protocol === 'file:') return openFile(address.text.replace(/^file:(\/\/)?/, ''))
  const dialect = address.protocol.startsWith('postgres') ? 'postgres' : 'mysql'
  const connect = dialect === 'postgres' ? await findPostgres() : await findMysql()
  try {
    return { dialect, ...(await connect(address.text)) }
  } catch (error) {
    throw whyNot(address, error)
  }
}

async function openFile(path: string): Promise<SqlConnection> {
  if (!existsSync(path)) {
    throw new CommandError(
      'There is no database file of this name',
      'The path after "file:" is that from the current folder: file:sessions.db',
    )
  }
  const { DatabaseSync } = (await import('node:sqlite')) as unknown as {
    DatabaseSync: new (path: string, options: object) => Sqlite
  }
  const database = new DatabaseSync(path, { timeout: CONNECT_MS })
  return {
    dialect: 'sqlite',
    async query(text, params) {
      const statement = database.prepare(text)
      if (statement.columns().length) return { rows: [...statement.all(...params)], affected: 0 }
      return { rows: [], affected: statement.run(...params).changes }
    },
    close: async () => database.close(),
  }
}

type Connect = (url: string) => Promise<Omit<SqlConnection, 'dialect'>>

async function findPostgres(): Promise<Connect> {
  const pg = await importInstalled('pg')
  if (pg) return throughPg((pg.Client ?? Object(pg.default).Client) as never)
  const postgres = await importInstalled('postgres')
  if (postgres) return throughPostgresJs(postgres.default as never)
  throw noDriver('PostgreSQL', 'pg, or postgres')
}

const throughPg =
  (Client: new (options: object) => Pg): Connect =>
  async (connectionString) => {
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

const throughPostgresJs =
  (postgres: (url: string, options: object) => PostgresJs): Connect =>
  async (url) => {
    const options = {
      max: 4,
      connect_timeout: CONNECT_MS / 1000,
      prepare: false,
      onnotice: () => {},
    }
    const sql = postgres(url, options)
    const query: SqlQuery = async (text, params) => {
      const rows = await sql.unsafe(text, params)
      return { rows: [...rows], affected: rows.count }
    }
    // It connects with the first statement only.
    await query('SELECT 1', [], { signal: undefined })
    return { query, close: () => sql.end() }
  }

async function findMysql(): Promise<Connect> {
  const mysql2 = await importInstalled('mysql2/promise')
  if (mysql2) {
    // It has the description of the columns beside the rows.
    return throughMysql(mysql2.createConnection as never, (answer) => (answer as [MysqlResult])[0])
  }
  const mariadb = await importInstalled('mariadb')
  if (mariadb) {
    const { createConnection } = (mariadb.default ?? mariadb) as { createConnection: CreateMysql }
    const create: CreateMysql = (url) => createConnection(url.replace(/^mysql:/, 'mariadb:'))
    return throughMysql(create, (answer) => answer as MysqlResult)
  }
  throw noDriver('MySQL', 'mysql2, or mariadb')
}

type CreateMysql = (url: string) => Promise<Mysql>

const throughMysql =
  (createConnection: CreateMysql, resultOf: (answer: unknown) => MysqlResult): Connect =>
  async (url) => {
    const connection = await createConnection(url)
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

/** Codes by which databases refuse a user or a password. */
const REFUSED = /^(28P01|28000|ER_ACCESS_DENIED_ERROR|ER_DBACCESS_DENIED_ERROR)$/

function whyNot({ name, protocol }: Address, error: unknown): CommandError {
  const { code } = Object(error) as { code?: unknown }
  const word = typeof code === 'string' && /^[A-Z0-9_]+$/.test(code) ? ` (${code})` : ''
  const store = protocol.startsWith('postgres') ? 'postgres' : 'mysql'
  const isRefused = REFUSED.test(String(code))
  return new CommandError(
    `${isRefused ? `The database at ${name} refused the user or the password` : `The database at ${name} cannot be reached`}${word}`,
    isRefused
      ? 'Check what stands before the "@" in SESSION_STORE'
      : 'Is it running, is its address reachable from here, and is there a database of this name?',
    EXIT.wrong,
    { store, reason: isRefused ? 'auth' : 'network' },
  )
}
