/** Failures of databases. Messages of drivers quote statements and values: none of their words leave. */
import { SessionError, StoreError, type StoreReason, StoreUnavailableError } from '../errors.ts'
import { type ReasonTable, reasonOf } from './errors.ts'

interface DriverError {
  /** SQLSTATE of PostgreSQL, `ER_…` of MySQL, `SQLITE_…`, or a word of the system: `ECONNRESET`. */
  readonly code?: unknown
  /** Number of MySQL's error; Bun's drivers have SQLSTATE here. */
  readonly errno?: unknown
  readonly sqlState?: unknown
  /** The extended code of SQLite, in Node. */
  readonly errcode?: unknown
  readonly message?: unknown
  readonly cause?: unknown
}

type Kind = 'passing' | 'refused' | 'missing'

/** SQLSTATE classes and codes of PostgreSQL that pass: connections, conflicts, resources, shutdown. */
const POSTGRES_PASSING = /^(08|40|53(?!100)|55P03|55006|57|58|25006|25P0[34])/
const POSTGRES_MISSING = /^(42P01|42703|3F000)$/

const MYSQL_MISSING = [1054, 1146]
/**
 * Too many connections, shutdown, lost connections, lock waits, deadlocks, limits of resources and time,
 * killed statements, servers that became read-only. From 1900 the numbers are MariaDB's.
 */
const MYSQL_PASSING = [
  1040, 1041, 1042, 1043, 1053, 1080, 1129, 1152, 1158, 1159, 1160, 1161, 1180, 1184, 1203, 1205,
  1213, 1226, 1290, 1317, 1614, 1792, 1836, 1927, 1969, 2002, 2003, 2006, 2013, 2014, 3024, 3100,
  3101, 3572, 4025,
]

const VITESS = /\(errno (\d{4,5})\) \(sqlstate (\w{5})\)/

/** Codes of SQLite that pass: busy, locked, no memory, read-only, interrupted, input and output. */
const SQLITE_PASSING = [5, 6, 7, 8, 9, 10, 14, 15, 17]
const SQLITE_WORDS =
  'OK ERROR INTERNAL PERM ABORT BUSY LOCKED NOMEM READONLY INTERRUPT IOERR CORRUPT NOTFOUND FULL CANTOPEN PROTOCOL EMPTY SCHEMA TOOBIG CONSTRAINT MISMATCH MISUSE NOLFS AUTH FORMAT RANGE NOTADB'.split(
    ' ',
  )
const SQLITE_MISSING = /no such (table|column)|has no column named/

function ofSqlite(code: number, message: string): [Kind, string] {
  if (SQLITE_MISSING.test(message)) return ['missing', `SQLITE_${SQLITE_WORDS[code]}`]
  const kind = SQLITE_PASSING.includes(code) ? 'passing' : 'refused'
  return [kind, `SQLITE_${SQLITE_WORDS[code] ?? 'ERROR'}`]
}

/** Finds the class of an error, and a word for it that quotes nothing. */
function classOf(error: DriverError): [Kind, string | undefined] {
  const { code, errno, sqlState, errcode, message, cause } = error
  const text = String(message)
  if (typeof errcode === 'number') return ofSqlite(errcode & 255, text)
  const word = /^SQLITE_([A-Z]+)/.exec(String(code))?.[1]
  if (word) return ofSqlite(SQLITE_WORDS.indexOf(word), text)
  const state = [code, errno].find((one) => /^[0-9A-Z]{5}$/.test(String(one)) && !Number(errno))
  if (state !== undefined) return ofState(String(state))
  // PlanetScale's driver has the number in its text alone.
  const told = code === undefined && errno === undefined && VITESS.exec(text)
  if (told) return classOf({ errno: Number(told[1]), sqlState: told[2] })
  if (typeof errno === 'number' && errno >= 1000 && errno < 45_000) {
    const name = /^ER_[A-Z0-9_]{1,60}$/.test(String(code)) ? String(code) : String(errno)
    if (MYSQL_MISSING.includes(errno)) return ['missing', name]
    // 1153, a packet that is too large, has the state of a lost connection.
    const isState = errno !== 1153 && /^(08|40)/.test(String(sqlState))
    const passes = isState || MYSQL_PASSING.includes(errno)
    return [passes ? 'passing' : 'refused', name]
  }
  if (SQLITE_MISSING.test(text)) return ['missing', undefined]
  // Wrappers of drivers: Drizzle.
  if (code === undefined && cause instanceof Object) return classOf(cause)
  return ['passing', /^E[A-Z]{3,15}$/.test(String(code)) ? String(code) : undefined]
}

function ofState(state: string): [Kind, string] {
  if (POSTGRES_MISSING.test(state)) return ['missing', state]
  return [POSTGRES_PASSING.test(state) ? 'passing' : 'refused', state]
}

/** Codes of SQL databases by class: SQLSTATE (or how it begins), and names of MySQL. */
const REASONS: ReasonTable = {
  timeout: /^(57014|55P03)/,
  auth: /^(28|42501)|DENIED/,
  full: /^53[12]|_FULL$|ER_OUT/,
  'read-only': /^25006|PREVENT|_ONLY/,
  rate: /^(533|08004)|COUNT|MANY/,
  quota: /^534|USER_LIMIT/,
  'too-large': /^(54|22001)|TOO_/,
  network: /^08|PROTOCOL/,
  loading: /^57P|SHUTDOWN/,
}

/** Returns the class of a database's code, or of its text where it has none. */
export function sqlReasonOf(said: string): StoreReason {
  const reason = reasonOf(said, REASONS)
  return reason === 'unknown' ? reasonOf(said) : reason
}

/** Advice about refusals that a configuration causes, by word or else by class. */
const POOLER = ': behind a pooler the driver must not name prepared statements'
const ADVICE: Record<string, string> = {
  '42P05': POOLER,
  '26000': POOLER,
  '42501': ': the role lacks a privilege',
  auth: ': wrong credentials',
  full: ': the disk is full',
}

/** The version of the tables that this version of Sojourn works with. */
export const SCHEMA_VERSION = 1

/** Throws unless the tables are of the version that the store works with. */
export function assertVersion(found: unknown, table: string, dialect: string): void {
  const version = Number(found ?? 0)
  if (version === SCHEMA_VERSION) return
  const what = `Table ${table} is of version ${version}, and this version of Sojourn works with ${SCHEMA_VERSION}`
  throw new StoreError(
    version < SCHEMA_VERSION ? `${what}: ${remedy(dialect)}` : `${what}: install a newer Sojourn`,
  )
}

const remedy = (dialect: string): string =>
  `apply the files in migrations/${dialect} of sojourn, or run "npx sojourn migrate --apply" (--print shows them)`

/** Tells whether a statement failed because a table or a column is missing. */
export function isMissing(error: unknown): boolean {
  return classOf(Object(error) as DriverError)[0] === 'missing'
}

/** Makes an error of our own of whatever a driver threw. */
export function sqlError(error: unknown, table: string, dialect: string): SessionError {
  if (error instanceof SessionError) return error
  const [kind, word] = classOf(Object(error) as DriverError)
  const why = { reason: sqlReasonOf(word ?? String(Object(error).message)), word }
  if (kind === 'missing') {
    const text = `The database has no table ${table}, or it lacks a column: ${remedy(dialect)}`
    return new StoreError(text, why)
  }
  const told = word === undefined ? '' : ` (${word})`
  if (kind === 'refused') {
    const advice = ADVICE[word ?? ''] ?? ADVICE[why.reason] ?? ''
    return new StoreError(`The database refused a statement${told}${advice}`, why)
  }
  return new StoreUnavailableError(`The database gave no usable answer${told}`, why)
}
