/** The code that stores in SQL share, whatever their dialect. */
import { applyRules, integerRule, isObject, kindOf } from '../check.ts'
import { StoreError } from '../errors.ts'
import { pause } from '../resilience/deadline.ts'
import { abortable } from './abort.ts'
import { skipForeign } from './errors.ts'
import { MARK_SECONDS } from './limits.ts'
import type {
  RunStatement,
  SqlAnswer,
  SqlDialect,
  SqlQuery,
  SqlResult,
  SqlRow,
  SqlStatements,
} from './sql-dialect.ts'
import { assertVersion, isMissing, SCHEMA_VERSION, sqlError } from './sql-errors.ts'
import type { SqlTableOptions } from './sql-options.ts'
import { canBe, entryOf, recordOf, resultOf, textOf, valuesOf } from './sql-record.ts'
import { PAGE, PRUNE_STEP, type SqlParameter, type SqlStatement } from './sql-statements.ts'
import type {
  SessionIndex,
  SessionStore,
  StoreCallOptions,
  StoredEntry,
  StoredPage,
  StoreInspection,
} from './store.ts'

/** A {@link SessionStore} in a table of an SQL database. */
export interface SqlStore extends SessionStore {
  readonly index: SessionIndex
  page(cursor: string | null, options?: StoreCallOptions): Promise<StoredPage>
  /**
   * Removes records and marks that expired a minute ago, 100 rows per statement. After each it leaves the server alone for as
   * long as the statement took.
   *
   * @param limit Number of rows removed at most. (default: 100000)
   * @returns Number of rows removed.
   * @throws TypeError or RangeError when the limit is no whole number above 0.
   */
  prune(limit?: number): Promise<number>
}

/** Settings of a store in SQL, with all defaults. */
export interface SqlSettings extends Readonly<Required<SqlTableOptions>> {
  readonly name: string
  readonly dialect: string
  readonly query: SqlQuery
  readonly read: SqlQuery | undefined
}

/**
 * A text after all ids: those are printable ASCII, and the first character here comes after that. Collations of
 * human languages leave it out when they compare; then the letters count, which come after all others.
 */
const LAST_ID = `\x7f${'z'.repeat(22)}`

const PRUNE_RULES = { limit: integerRule(100_000, 1, Number.MAX_SAFE_INTEGER) }
/** A server whose clock is ahead removes nothing that is live for one whose clock is behind. */
const PRUNE_AFTER_MS = 60_000

/**
 * A store's table: its statements, and the connections that run them. Its methods are properties of their own, so
 * that a store can be spread and they can be passed around.
 */
export class SqlTable implements SqlStore {
  readonly name: string
  readonly atomic = true
  readonly #settings: SqlSettings
  readonly #sql: SqlStatements
  #isChecked = false

  /** @param dialect Makes its statements. */
  constructor(settings: SqlSettings, dialect: SqlDialect) {
    this.name = settings.name
    this.#settings = settings
    this.#sql = dialect(settings.table)
  }

  readonly read: SqlStore['read'] = async (id, { signal, fresh } = {}) => {
    const { query, read = query } = this.#settings
    const full = this.#text('id', id, signal)
    if (full === null) return null
    const run = await this.#runner(signal, fresh ? query : read)
    const { rows } = await run(this.#sql.read, { id: full, now: this.#now() })
    if (!rows[0]) return null
    const record = recordOf(rows[0], this.#unprefixed)
    return read === query || fresh ? record : { ...record, copied: true }
  }

  readonly write: SqlStore['write'] = async (id, record, expected, { signal, entry } = {}) => {
    signal?.throwIfAborted()
    const { prefix, autoPrune } = this.#settings
    const keys = (record.keys ?? []).map((key) => prefix + key)
    const own = { expected, entry: entryOf(entry), now: this.#now() }
    const values = { ...valuesOf(prefix + id, record, keys), ...own }
    const row = await this.#sql.write(await this.#runner(signal), values)
    if (Math.random() < autoPrune) void this.#pruneStep(PRUNE_STEP).catch(() => {})
    return resultOf(row, record, own.entry, this.#unprefixed)
  }

  readonly end: SqlStore['end'] = async (id, { signal, markFor = MARK_SECONDS } = {}) => {
    const full = this.#text('id', id, signal)
    if (full === null) return false
    const values = { id: full, now: this.#now(), until: this.#until(markFor) }
    const run = await this.#runner(signal)
    if (markFor > 0) return await this.#sql.end(run, values)
    return (await run(this.#sql.endLive, values)).affected > 0
  }

  readonly index: SessionIndex = {
    list: async (key, { signal } = {}) => {
      const full = this.#text('index key', key, signal)
      if (full === null) return []
      const run = await this.#runner(signal)
      const { rows } = await run(this.#sql.list, { key: full, now: this.#now() })
      return this.#entries(rows)
    },
    end: async (key, { signal, except, markFor = MARK_SECONDS } = {}) => {
      const full = this.#text('index key', key, signal)
      if (full === null) return 0
      const run = await this.#runner(signal)
      return await this.#sql.endAll(run, {
        key: full,
        except: (except !== undefined && this.#text('id', except, signal)) || '',
        now: this.#now(),
        until: this.#until(markFor),
      })
    },
  }

  readonly page: SqlStore['page'] = async (cursor, { signal } = {}) => {
    const { query, read = query } = this.#settings
    const run = await this.#runner(signal, read)
    const { rows } = await run(this.#sql.page, {
      cursor: this.#prefixed(cursor ?? ''),
      bound: this.#prefixed(LAST_ID),
      now: this.#now(),
    })
    const last = this.#unprefixed(String(rows.at(-1)?.id))
    return { records: this.#entries(rows), cursor: rows.length < PAGE ? null : last }
  }

  readonly health = async ({ signal }: StoreCallOptions = {}): Promise<void> => {
    this.#isChecked = false
    await this.#runner(signal)
  }

  /** Asks for the version of the tables. */
  readonly inspect = async ({ signal }: StoreCallOptions = {}): Promise<StoreInspection> => {
    const { query } = this.#settings
    const ask = (): Promise<number> => schemaVersion(query, this.#sql.version, signal)
    const version = await abortable(signal, ask, this.#toError)
    const figures = { schemaVersion: version, schemaExpected: SCHEMA_VERSION }
    return { figures, problems: version === SCHEMA_VERSION ? [] : ['migrations'] }
  }

  readonly prune: SqlStore['prune'] = async (given) => {
    const { limit } = applyRules<{ limit: number }>('', PRUNE_RULES, { limit: given })
    let removed = 0
    while (removed < limit) {
      const step = Math.min(limit - removed, PRUNE_STEP)
      const began = performance.now()
      const count = await this.#pruneStep(step)
      removed += count
      if (count < step) break
      await pause(performance.now() - began)
    }
    return removed
  }

  async #pruneStep(limit: number): Promise<number> {
    const run = await this.#runner(undefined)
    return await this.#sql.prune(run, this.#now() - PRUNE_AFTER_MS, limit)
  }

  #now(): number {
    return Math.floor(this.#settings.now())
  }

  #until(markFor: number): number {
    return this.#now() + Math.ceil(markFor * 1000)
  }

  readonly #prefixed = (text: string): string => this.#settings.prefix + text

  readonly #unprefixed = (text: string): string => text.slice(this.#settings.prefix.length)

  /**
   * Returns an id or index key as it is stored; `null`: no record can have it. Databases refuse such texts,
   * or find another one for them: MySQL takes spaces at the end for nothing.
   */
  #text(kind: 'id' | 'index key', text: string, signal: AbortSignal | undefined): string | null {
    signal?.throwIfAborted()
    const full = this.#prefixed(text)
    return canBe(kind, full) ? full : null
  }

  /** Returns the records of rows, without what is no record of ours. */
  #entries(rows: readonly SqlRow[]): StoredEntry[] {
    return rows.flatMap((row) => {
      try {
        const record = recordOf(row, this.#unprefixed)
        return [{ id: this.#unprefixed(textOf(row.id)), record }]
      } catch (error) {
        return skipForeign(error) ?? []
      }
    })
  }

  readonly #toError = (error: unknown): unknown =>
    sqlError(error, this.#settings.table, this.#settings.dialect)

  /** Returns a function that runs statements, after the tables were checked once. */
  async #runner(signal: AbortSignal | undefined, query?: SqlQuery): Promise<RunStatement> {
    const { table, dialect } = this.#settings
    const runOn =
      (ask: SqlQuery): RunStatement =>
      (statement, values) => {
        const params = statement.names.map((name) => values[name] ?? null)
        return abortable(signal, () => answerTo(ask, statement, params, signal), this.#toError)
      }
    if (!this.#isChecked) {
      const { rows } = await runOn(this.#settings.query)(this.#sql.version, {})
      assertVersion(rows[0]?.version, table, dialect)
      this.#isChecked = true
    }
    return runOn(query ?? this.#settings.query)
  }
}

/** Runs one statement, and checks what the driver answered. */
async function answerTo(
  ask: SqlQuery,
  { name, returnsRows, text }: SqlStatement,
  params: SqlParameter[],
  signal: AbortSignal | undefined,
): Promise<SqlAnswer> {
  const result: unknown = await ask(text, params, { signal, name })
  const { rows, affected } = Object(result) as Partial<SqlResult>
  const isRight = Array.isArray(rows) && rows.every((row) => isObject(row) && !Array.isArray(row))
  const count = Number(affected ?? Number.NaN)
  const got = isRight ? `affected of kind ${kindOf(affected)}` : `rows of kind ${kindOf(rows)}`
  if (!isRight || !(returnsRows || Number.isSafeInteger(count))) {
    throw new StoreError(
      `Option "query" must resolve with rows (a list of objects) and affected (how many rows changed), got ${got}`,
    )
  }
  return { rows: rows as SqlRow[], affected: count }
}

/** Returns the version of the tables; 0: one of them, or a column, is missing. */
async function schemaVersion(
  query: SqlQuery,
  statement: SqlStatement,
  signal: AbortSignal | undefined,
): Promise<number> {
  try {
    const { rows } = await answerTo(query, statement, [], signal)
    return Number(rows[0]?.version ?? 0)
  } catch (error) {
    if (isMissing(error)) return 0
    throw error
  }
}
