import type { SessionError } from '../../errors.ts'
import { applySqlSchema, checkSqlSchema, type SqlDialectName, sqlSchema } from '../../stores/sql.ts'
import { addressFromEnv } from '../address.ts'
import { type Command, CommandError, type Result, usageError, type Values } from '../command.ts'
import { connectSql } from '../sql-client.ts'

const DIALECTS: readonly SqlDialectName[] = ['postgres', 'mysql', 'sqlite']

export const migrate: Command = {
  name: 'migrate',
  summary: 'Prints, checks or creates the tables of a store in SQL',
  options: ['print', 'check', 'apply', 'dialect', 'table', 'store'],
  details:
    'One of --print, --check and --apply. Only the last one changes the database, and only that of --store or SESSION_STORE. Every statement can be repeated',
  examples: [
    ['npx sojourn migrate --print --dialect postgres', 'The statements, for a migration tool'],
    ['npx sojourn migrate --check', 'Exit code 1 when something is missing'],
    ['npx sojourn migrate --apply --store file:sessions.db', 'Creates what is missing'],
  ],
  async run({ values }) {
    const { apply, check, print, table } = values
    if ([apply, check, print].filter(Boolean).length !== 1) {
      throw usageError(
        '"migrate" needs one of --print, --check and --apply',
        'See: npx sojourn help migrate',
      )
    }
    const options = table === undefined ? {} : { table }
    if (print) return printed(dialectOf(values), options)
    return await connected(values, options, apply === true)
  },
}

/** Takes the dialect that was named, or that of the store. */
function dialectOf({ dialect, store }: Values): SqlDialectName {
  const found = DIALECTS.find((one) => one === dialect)
  if (found) return found
  const address = dialect === undefined ? addressFromEnv(store) : undefined
  if (address?.dialect) return address.dialect
  throw usageError(
    `--dialect must be one of ${DIALECTS.join(', ')}`,
    'Or name the store: --store, or the variable SESSION_STORE',
  )
}

function printed(dialect: SqlDialectName, options: { table?: string }): Result {
  const statements = named(() => sqlSchema(dialect, options))
  return { text: `${statements.join(';\n\n')};\n`, json: { dialect, statements } }
}

async function connected(
  values: Values,
  options: { table?: string },
  applies: boolean,
): Promise<Result> {
  const address = addressFromEnv(values.store)
  if (!address?.dialect) {
    throw usageError(
      'There is no SQL database to look at',
      'Name it with --store or in the variable SESSION_STORE: postgres://, mysql://, or file:',
    )
  }
  const { dialect } = address
  named(() => sqlSchema(dialect, options))
  const { close, query } = await connectSql(address)
  const settings = { ...options, dialect, query }
  try {
    if (applies) return applied(await applySqlSchema(settings))
    const { expected, version } = await checkSqlSchema(settings)
    const ok = version === expected
    const older = version ? `The tables are of version ${version}` : 'The tables are missing'
    const advice = 'create them with: npx sojourn migrate --apply'
    const text = ok ? `The tables are there, version ${version}.\n` : `${older}: ${advice}\n`
    return { ok, text, json: { dialect, version, expected } }
  } catch (error) {
    throw new CommandError(
      (error as SessionError).message,
      'Nothing was changed but what a statement before it did; it can be repeated',
      { store: dialect },
    )
  } finally {
    await close()
  }
}

function applied(versions: readonly number[]): Result {
  const text = versions.length
    ? `The tables are there now, version ${versions.at(-1)}.\n`
    : 'The tables were there already: nothing to do.\n'
  return { text, json: { applied: versions } }
}

/** Runs what refuses a name, whose error says which names there can be. */
function named<T>(run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw usageError(String((error as Error).message), 'See: npx sojourn help migrate')
  }
}
