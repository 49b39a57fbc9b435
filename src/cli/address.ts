/** Addresses of stores: those of `--store` and of `SESSION_STORE`. */
import process from 'node:process'
import type { SqlDialectName } from '../stores/sql.ts'
import { CommandError, usageError } from './command.ts'
export const SCHEMES = 'redis://, rediss://, postgres://, mysql://, or file:'
export interface Address {
  /** As it was given, perhaps with a password. */
  readonly text: string
  /** With its colon: `redis:`. */
  readonly protocol: string
  /** Protocol and host, for messages. */
  readonly name: string
  /** `null`: it is no SQL database. */
  readonly dialect: SqlDialectName | null
}

const DIALECTS: Readonly<Record<string, SqlDialectName>> = {
  'file:': 'sqlite',
  'postgres:': 'postgres',
  'postgresql:': 'postgres',
  'mysql:': 'mysql',
  'mariadb:': 'mysql',
}

/**
 * Reads the address of `--store`, or of `SESSION_STORE`; `undefined`: none is given.
 *
 * @throws CommandError when it is no URL, or has a password in an argument.
 */
export function addressFromEnv(given: string | undefined): Address | undefined {
  if (given !== undefined) return parseAddress(given, '--store')
  const { SESSION_STORE } = process.env
  return SESSION_STORE ? parseAddress(SESSION_STORE, 'SESSION_STORE') : undefined
}

function parseAddress(given: string, from: string): Address {
  const text = given.trim()
  const url = URL.canParse(text) ? new URL(text) : null
  if (!url) throw new CommandError(`${from} is no URL`, `It begins with ${SCHEMES}`)
  const { host, password, protocol, search } = url
  if (from.startsWith('-') && (password || /pass|token|secret|key/i.test(search))) {
    throw usageError(
      `The URL of ${from} has a password in it`,
      'Arguments can be read by every process of the machine: put the URL into the variable SESSION_STORE',
    )
  }
  return { text, protocol, name: `${protocol}//${host}`, dialect: DIALECTS[protocol] ?? null }
}
