import type { SessionError } from '../../errors.ts'
import { applySqlSchema, checkSqlSchema, type SqlDialectName, sqlSchema } from '../../stores/sql.ts'
import { type Address, addressFromEnv, isSql } from '../address.ts'
import {
  type Command,
  CommandError,
  EXIT,
  type Result,
  usageError,
  type Values,
} from '../command.ts'
import { connectSql } from '../sql-client.ts'

const DIALECTS: readonly SqlDialectName[] = ['postgres', 'mysql', 'sqlite']

/** Creates the tables of a store in SQL. */
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
  if (address && isSql(address)) return dialectAt(address)
  throw usageError(
    `--dialect must be one of ${DIALECTS.join(', ')}`,
    'Or name the store: --store, or the variable SESSION_STORE',
  )
}

function dialectAt({ protocol }: Address): SqlDialectName {
  if (protocol === 'file:') return 'sqlite'
  return protocol.startsWith('postgres') ? 'postgres' : 'mysql'
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
  if (!address || !isSql(address)) {
    throw usageError(
      'There is no SQL database to look at',
      'Name it with --store or in the variable SESSION_STORE: postgres://, mysql://, or file:',
    )
  }
  named(() => sqlSchema(dialectAt(address), options))
  const { close, dialect, query } = await connectSql(address)
  const settings = { ...options, dialect, query }
  try {
    if (applies) return appliedText(await applySqlSchema(settings))
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
      EXIT.wrong,
      { store: dialect },
    )
  } finally {
    await close()
  }
}

function appliedText(applied: readonly number[]): Result {
  const text = applied.length
    ? `The tables are there now, version ${applied.at(-1)}.\n`
    : 'The tables were there already: nothing to do.\n'
  return { text, json: { applied } }
}

/** Runs what refuses a name, whose error says which names there can be. */
function named<T>(run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw usageError(String((error as Error).message), 'See: npx sojourn help migrate')
  }
}
