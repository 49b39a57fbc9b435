/**
 * Keeps sessions in Cloudflare D1.
 *
 * Atomic: every call is one round trip to the primary, and compare-and-set is an `UPDATE … WHERE
 * version`. The table comes from `migrations/0001_sojourn.sql`. D1 has no expiry: rows that have
 * expired are never returned, and `cleanupExpired` in a `scheduled` handler removes them.
 *
 * @module
 * @example
 * import { createD1Store } from 'sojourn/d1'
 */
import { applyRules, functionRule, type Rule, refuseUnless } from '../check.ts'
import { StoreError, StoreUnavailableError } from '../errors.ts'
import { orAbort } from './abort.ts'
import { OVER_LIMIT } from './limits.ts'
import {
  type SessionStore,
  type StoreCallOptions,
  type StoredEntry,
  type StoredPage,
  type StoredRecord,
  type SubjectIndex,
  TOMBSTONE,
} from './store.ts'

/** The part of a D1 binding that the store uses; `env.DB` of a Worker fits. */
export interface D1Binding {
  prepare(sql: string): D1Statement
  batch(statements: never[]): Promise<unknown[]>
}

/** The part of a prepared statement that the store uses. */
export interface D1Statement {
  bind(...values: unknown[]): D1Statement
  all(): Promise<unknown>
}

/** What {@link createD1Store} can be told. */
export interface D1StoreOptions {
  /** The binding, for example `env.DB`. */
  database: D1Binding
  /** Epoch milliseconds. (default: Date.now) */
  now?: () => number
}

/** A {@link SessionStore} in D1. */
export interface D1Store extends SessionStore {
  readonly index: SubjectIndex
  page(cursor: string | null, options?: StoreCallOptions): Promise<StoredPage>
  /**
   * Removes rows that have expired, in batches of a thousand, for a `scheduled` handler.
   *
   * @param limit Rows removed at most. (default: 100000)
   * @returns How many it removed.
   * @throws TypeError when `limit` is no number above 0.
   */
  cleanupExpired(limit?: number): Promise<number>
}

const PATCHES = 32
/** Characters of a record and the patches beside it: a row holds 2 MB. */
const PATCHED_SIZE = 1_000_000
const PAGE = 500
const CLEANUP_STEP = 1000

const RULES: Record<string, Rule> = {
  database: [
    undefined,
    'a D1 binding',
    (value: D1Binding) => [value.prepare, value.batch].every((one) => typeof one === 'function'),
  ],
  now: functionRule(() => Date.now()),
}

interface Row {
  id: string
  value: string
  version: string
  recent: string
  expires_at: number
  subject: string | null
  patches: string
}

interface Result {
  readonly results: readonly Row[]
  readonly meta: { readonly changes: number }
}

const TABLE = 'sojourn_sessions'
const LIVE = 'expires_at > ?1'
const NOT_DEAD = `value <> '${TOMBSTONE}'`
/** This write was not applied before. ?3: its version. */
const IS_NEW = `instr(' ' || recent || ' ', ' ' || ?3 || ' ') = 0`
/** At least eight versions. */
const RECENT = `recent = substr(?3 || ' ' || recent, 1, 240)`
const SELECT = `SELECT * FROM ${TABLE} WHERE ${LIVE} AND`
const UPDATE = `UPDATE ${TABLE} SET ${RECENT},`

// ?1 is the time and ?2 the id in all of them.
const READ = `${SELECT} id = ?2`
const CREATE = `INSERT OR REPLACE INTO ${TABLE} (id, version, recent, value, expires_at, subject)
SELECT ?2, ?3, ?3, ?4, ?5, ?6 WHERE NOT EXISTS (${READ})`
const REPLACE = `${UPDATE} version = ?3, value = ?4, expires_at = ?5, subject = ?6,
patches = (SELECT json_group_array(value) FROM json_each(patches) WHERE key >= ?8)
WHERE ${LIVE} AND id = ?2 AND version = ?7 AND ${IS_NEW}
AND (?4 <> '${TOMBSTONE}' OR json_array_length(patches) <= ?8)`
const PATCH = `${UPDATE} patches = json_insert(patches, '$[#]', ?4)
WHERE ${LIVE} AND id = ?2 AND version <> ?5 AND ${IS_NEW} AND ${NOT_DEAD}
AND json_array_length(patches) < ${PATCHES} AND instr(patches, json_quote(?4)) = 0
AND length(value) + length(patches) + length(?4) <= ${PATCHED_SIZE}`
const BURY = `${UPDATE} version = ?3, value = '${TOMBSTONE}', expires_at = ?4, subject = NULL,
patches = '[]' WHERE ${LIVE} AND subject = ?2 AND ${NOT_DEAD} AND id <> ?5`
const LIST = `${SELECT} subject = ?2 AND ${NOT_DEAD}`
const PAGES = `${SELECT} id > ?2 AND ${NOT_DEAD} ORDER BY id LIMIT ${PAGE}`
const CLEAN = `DELETE FROM ${TABLE} WHERE id IN (SELECT id FROM ${TABLE} WHERE expires_at <= ?1 LIMIT ?2)`

/**
 * Makes a store in a D1 database.
 *
 * Failures that may pass are {@link StoreUnavailableError}; a missing table, and whatever else SQLite
 * refuses, is a {@link StoreError}. It makes one attempt: wrap it in `resilient`.
 *
 * @throws TypeError when an option is missing, unknown or of the wrong type.
 *
 * @example
 * createSessions({ secret: env.SECRET, store: resilient(createD1Store({ database: env.DB })) })
 * // wrangler.toml: [triggers] crons = ["0 * * * *"]
 * const scheduled = (_: unknown, env: Env) => createD1Store({ database: env.DB }).cleanupExpired()
 */
export function createD1Store(options: D1StoreOptions): D1Store {
  refuseUnless(
    !!options?.database,
    'database',
    'a D1 binding (is it called so in wrangler.jsonc?)',
    options?.database,
  )
  const { database, now } = applyRules<Required<D1StoreOptions>>('', RULES, options)

  const statement = (sql: string, ...values: unknown[]): D1Statement =>
    database.prepare(sql).bind(Math.floor(now()), ...values)

  /** Runs statements in one transaction and one round trip. */
  const run = async <T>(
    statements: readonly D1Statement[],
    signal: AbortSignal | undefined,
    take: (results: readonly Result[]) => T,
  ): Promise<T> => {
    signal?.throwIfAborted()
    try {
      return take((await orAbort(database.batch(statements as never[]), signal)) as Result[])
    } catch (error) {
      signal?.throwIfAborted()
      throw toStoreError(error)
    }
  }

  const entries = (one: D1Statement, signal: AbortSignal | undefined): Promise<StoredEntry[]> =>
    run([one], signal, ([result]) => result!.results.map(entryOf))

  const changes = (one: D1Statement, signal?: AbortSignal): Promise<number> =>
    run([one], signal, ([result]) => result!.meta.changes)

  return {
    name: 'd1',
    atomic: true,
    patches: PATCHES,

    async read(id, { signal } = {}) {
      const [entry] = await entries(statement(READ, id), signal)
      return entry?.record ?? null
    },

    async write(id, record, expected, { signal, patch, folded = 0 } = {}) {
      const { version, value, expiresAt, subject = null } = record
      const values = [id, version, value, Math.floor(expiresAt), subject]
      const write =
        expected === null
          ? [statement(CREATE, ...values)]
          : [statement(REPLACE, ...values, expected, folded)]
      if (patch !== undefined && expected !== null) {
        write.push(statement(PATCH, id, version, patch, expected))
      }
      return await run([...write, statement(READ, id)], signal, (results) => {
        if (results[0]!.meta.changes) return { ok: true }
        const [row] = results[write.length]!.results
        if (!row) return { ok: false, current: null }
        const current = recordOf(row)
        // Kept by this write, or by an earlier attempt, the answer to which was lost on the way.
        if (current.patches?.includes(patch!)) return { ok: true, patched: true }
        if (row.recent.split(' ').includes(version)) return { ok: true }
        return { ok: false, current }
      })
    },

    async delete(id, { signal } = {}) {
      await changes(database.prepare(`DELETE FROM ${TABLE} WHERE id = ?1`).bind(id), signal)
    },

    index: {
      list: (subject, { signal } = {}) => entries(statement(LIST, subject), signal),
      bury: (subject, { version, expiresAt }, { signal, except = '' } = {}) =>
        changes(statement(BURY, subject, version, Math.floor(expiresAt), except), signal),
    },

    async page(cursor, { signal } = {}) {
      const records = await entries(statement(PAGES, cursor ?? ''), signal)
      return { records, cursor: records.length < PAGE ? null : (records.at(-1)?.id ?? null) }
    },

    async health({ signal } = {}) {
      await entries(statement(READ, ''), signal)
    },

    async cleanupExpired(limit = 100_000) {
      refuseUnless(limit > 0, 'limit', 'a number of rows', limit)
      let removed = 0
      for (let left = limit; left > 0; left -= CLEANUP_STEP) {
        const step = Math.min(left, CLEANUP_STEP)
        const gone = await changes(statement(CLEAN, step))
        removed += gone
        if (gone < step) break
      }
      return removed
    },
  }
}

function recordOf({ value, version, expires_at: expiresAt, subject, patches }: Row): StoredRecord {
  const beside: unknown = JSON.parse(patches)
  const record: StoredRecord = { value, version, expiresAt }
  if (subject !== null) record.subject = subject
  if (Array.isArray(beside) && beside.length) record.patches = beside
  return record
}

const entryOf = (row: Row): StoredEntry => ({ id: row.id, record: recordOf(row) })

/** What will fail again: a statement, a value, or a quota that is used up. */
const REFUSED =
  /SQLITE_(ERROR|CONSTRAINT|TOOBIG|MISMATCH|FULL)|D1_(TYPE|COLUMN)|xceeded (.* )?maximum|daily row/

/** D1's own messages quote SQL, so they are not passed on. */
function toStoreError(error: unknown): StoreError | StoreUnavailableError {
  const message = String(Object(error).message)
  if (message.includes('no such table')) {
    return new StoreError(`D1 has no table ${TABLE}: apply migrations/0001_sojourn.sql of sojourn`)
  }
  // TypeError and SyntaxError: it is not D1, or not a row of ours.
  if (
    error instanceof TypeError ||
    error instanceof SyntaxError ||
    REFUSED.test(message) ||
    OVER_LIMIT.test(message)
  ) {
    return new StoreError('D1 refused a statement, or holds what is no record of ours')
  }
  return new StoreUnavailableError('D1 gave no usable answer')
}
