/** The tables of stores in SQL. Each of their statements can be repeated. */
import { applyRules, type Rule } from '../check.ts'
import { StoreError } from '../errors.ts'
import type { SqlQuery } from './sql-dialect.ts'
import { isMissing, SCHEMA_VERSION, sqlError } from './sql-errors.ts'
import { dialectRule, queryRule, type SqlDialectName, TABLE_RULES } from './sql-options.ts'
import { COLUMNS, KEY_COLUMNS, versionText } from './sql-statements.ts'

/** Options for {@link checkSqlSchema} and {@link applySqlSchema}. */
export interface SqlSchemaOptions {
  /** The language of the database. */
  dialect: SqlDialectName
  /** Runs one statement, as the store's `query` does. */
  query: SqlQuery
  /** The store's `table`. (default: 'sojourn_sessions') */
  table?: string
}

/** State of a store's tables. */
export interface SqlSchemaState {
  /** Version of the tables; 0: they are missing. */
  readonly version: number
  /** The version that this version of Sojourn works with. */
  readonly expected: number
}

interface Types {
  /** The type of ids, index keys, and other short texts of up to so many characters. */
  readonly short: (length: number) => string
  readonly long: string
  readonly bigint: string
  readonly integer: string
  /** After the columns. */
  readonly options: string
}

const TYPES: Record<SqlDialectName, Types> = {
  postgres: {
    short: () => 'text COLLATE "C"',
    long: 'text',
    bigint: 'bigint',
    integer: 'integer',
    options: '',
  },
  mysql: {
    short: (length) => `VARCHAR(${length})`,
    long: 'MEDIUMTEXT',
    bigint: 'BIGINT',
    integer: 'INT',
    // Elsewhere texts that differ in case are the same key.
    options: ' ENGINE = InnoDB CHARACTER SET ascii COLLATE ascii_bin',
  },
  sqlite: {
    short: () => 'TEXT',
    long: 'TEXT',
    bigint: 'INTEGER',
    integer: 'INTEGER',
    // With a rowid: without one, records of more than a quarter of a page take a page of their own.
    options: '',
  },
}

const INDEXED = ['expires_at', ...KEY_COLUMNS]

function tableOf(dialect: SqlDialectName, table: string): string {
  const { short, long, bigint, integer, options } = TYPES[dialect]
  const keys = KEY_COLUMNS.map((key) => `${key} ${short(128)}`)
  const lines = [
    `id ${short(128)} NOT NULL PRIMARY KEY`,
    '-- The version of the write that made the record.',
    `version ${short(64)} NOT NULL`,
    `epoch ${short(64)} NOT NULL`,
    '-- A sealed text. Empty: the id is marked as ended until it expires.',
    `value ${long} NOT NULL`,
    '-- Sealed texts appended since that write, with a space before each, and their number.',
    `entries ${long} NOT NULL`,
    `entry_count ${integer} NOT NULL`,
    '-- Epoch milliseconds.',
    `expires_at ${bigint} NOT NULL`,
    '-- Seconds for which the end of the session marks its id, where that is longer than usual.',
    `mark_for ${bigint}`,
    "-- Opaque index keys, the user's first.",
    ...keys,
    ...(dialect === 'mysql' ? INDEXED.map((name) => `KEY ${indexOf(table, name)} (${name})`) : []),
  ]
  const body = lines.map((line, i) => {
    const isLast = i === lines.length - 1
    return `  ${line}${line.startsWith('--') || isLast ? '' : ','}`
  })
  return `CREATE TABLE IF NOT EXISTS ${table} (\n${body.join('\n')}\n)${options}`
}

/** Name of an index; that of a schema is not part of it. */
const indexOf = (table: string, column: string): string => `${table.split('.').at(-1)}_${column}`

function indexesOf(dialect: SqlDialectName, table: string): string[] {
  if (dialect === 'mysql') return []
  return INDEXED.map((name) => {
    const where = name === 'expires_at' ? '' : ` WHERE ${name} IS NOT NULL`
    return `CREATE INDEX IF NOT EXISTS ${indexOf(table, name)} ON ${table} (${name})${where}`
  })
}

function versionTable(dialect: SqlDialectName, table: string): string {
  const { integer, options } = TYPES[dialect]
  const column = `version ${integer} NOT NULL PRIMARY KEY`
  return `CREATE TABLE IF NOT EXISTS ${table}_schema (${column})${options}`
}

function versionRow(dialect: SqlDialectName, table: string): string {
  const insert = `INTO ${table}_schema (version) VALUES (${SCHEMA_VERSION})`
  return dialect === 'mysql'
    ? `INSERT IGNORE ${insert}`
    : `INSERT ${insert} ON CONFLICT (version) DO NOTHING`
}

/** Returns the statements of the tables. The version is last, so that what stopped half-way can be done again. */
function statementsOf(dialect: SqlDialectName, table: string): string[] {
  const tables = [tableOf(dialect, table), ...indexesOf(dialect, table)]
  return [...tables, versionTable(dialect, table), versionRow(dialect, table)]
}

const RULES: Record<string, Rule> = {
  dialect: dialectRule,
  query: queryRule,
  table: TABLE_RULES.table,
}

/**
 * Returns the statements that create the tables of a store, ready for a migration tool: what
 * `migrations/` of the package holds. All of them can be repeated.
 *
 * @param options.table The store's `table`. (default: 'sojourn_sessions')
 * @throws TypeError when the dialect is unknown, or the name of the table none.
 *
 * @example
 * for (const statement of sqlSchema('sqlite')) database.exec(statement)
 */
export function sqlSchema(dialect: SqlDialectName, options: { table?: string } = {}): string[] {
  applyRules('', { dialect: dialectRule }, { dialect })
  const { table } = applyRules<{ table: string }>('', { table: TABLE_RULES.table }, options)
  return statementsOf(dialect, table)
}

/** Runs one statement; `null`: a table or a column that it names is missing. */
async function ask(
  { query, table, dialect }: Required<SqlSchemaOptions>,
  text: string,
): Promise<readonly unknown[] | null> {
  try {
    return (await query(text, [], { signal: undefined })).rows
  } catch (error) {
    if (isMissing(error)) return null
    throw sqlError(error, table, dialect)
  }
}

const foreign = (table: string): StoreError =>
  new StoreError(
    `Table ${table} is not as Sojourn made it: give the store another name with the option "table", or put its columns right`,
  )

/**
 * Asks for the version of a store's tables.
 *
 * @throws TypeError when an option is missing, unknown or of the wrong type; StoreError when there is
 * a table of that name which lacks columns; StoreUnavailableError when the database gave no answer.
 */
export async function checkSqlSchema(options: SqlSchemaOptions): Promise<SqlSchemaState> {
  const settings = applyRules<Required<SqlSchemaOptions>>('', RULES, options)
  const { table } = settings
  const rows = await ask(settings, `SELECT max(version) AS version FROM ${table}_schema`)
  const version = Number(Object(rows?.[0]).version ?? 0)
  if (version && !(await ask(settings, versionText(table)))) throw foreign(table)
  return { version, expected: SCHEMA_VERSION }
}

/**
 * Brings the tables of a store to the version that it works with, a statement at a time. What stopped
 * half-way can be done again.
 *
 * @returns The versions that were applied; none, if the tables are right.
 * @throws As {@link checkSqlSchema} does.
 */
export async function applySqlSchema(options: SqlSchemaOptions): Promise<number[]> {
  const settings = applyRules<Required<SqlSchemaOptions>>('', RULES, options)
  const { dialect, table } = settings
  if ((await checkSqlSchema(options)).version >= SCHEMA_VERSION) return []
  const statements = statementsOf(dialect, table)
  // What was there already under the name of the table shows in its columns.
  const columns = `SELECT ${COLUMNS.join(', ')} FROM ${table} WHERE 1 = 0`
  for (const statement of [...statements.slice(0, -1), columns, statements.at(-1)!]) {
    if (!(await ask(settings, statement))) throw foreign(table)
  }
  return [SCHEMA_VERSION]
}
