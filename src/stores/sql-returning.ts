/** PostgreSQL and SQLite, which have `ON CONFLICT` and `RETURNING`: every operation is one statement. */
import type { RunStatement, SqlDialect, SqlStatements } from './sql-dialect.ts'
import { notOurs } from './sql-record.ts'
import {
  COLUMNS,
  commonStatements,
  endingWhere,
  LAST,
  LIVE,
  MARKED,
  markedUntil,
  NUMBER_COLUMNS,
  type Placeholder,
  ROOM,
  type SqlStatement,
  type SqlWords,
  statementOf,
  VALUES,
  WITH_KEY,
  WRITTEN,
} from './sql-statements.ts'

/** Words that differ between PostgreSQL and SQLite. */
interface ReturningWords extends SqlWords {
  readonly placeholder: Placeholder
  /** `true`: each use of a parameter has a placeholder of its own. */
  readonly repeats: boolean
  /** The function that finds a text in another. */
  readonly find: string
  /** Locks rows that a `SELECT` returns, in their latest state. */
  readonly lock: string
  prune(table: string, limit: number): string
}

/** The row as it is now, without the value where the writer knows it. */
const returning = ({ shown }: ReturningWords): string => {
  const columns = COLUMNS.map((column) =>
    column === 'value'
      ? `CASE WHEN version = :version THEN '' ELSE value END AS value`
      : shown(column),
  )
  return `RETURNING ${columns.join(', ')}`
}

/** Creates where there is neither a live record nor a mark; returns what is there then. */
function create(table: string, words: ReturningWords): string {
  const set = [...WRITTEN, 'entries', 'entry_count'].map(
    (name) => `${name} = CASE WHEN s.expires_at <= :now THEN excluded.${name} ELSE s.${name} END`,
  )
  return `INSERT INTO ${table} AS s (id, ${WRITTEN.join(', ')}, entries, entry_count)
    VALUES (:id, ${VALUES}, '', 0) ON CONFLICT (id) DO UPDATE SET ${set.join(', ')} ${returning(words)}`
}

/**
 * Replaces (1), appends (2), or leaves the record as it is (0). The decision is made on the locked
 * row: a `SELECT` without the lock would show the loser of a race the row as it was before.
 */
function update(table: string, words: ReturningWords): string {
  const { find, lock } = words
  const replaced = WRITTEN.map((name) => `${name} = CASE act WHEN 1 THEN :${name} ELSE ${name} END`)
  return `WITH decision AS MATERIALIZED (SELECT id AS own_id, CASE
      WHEN version = :version THEN 0
      WHEN :entry <> '' AND ${find}(entries || ' ', ' ' || :entry || ' ') > 0 THEN 0
      WHEN version || CASE entry_count WHEN 0 THEN '' ELSE '+' || entry_count || '.' || ${LAST} END = :expected THEN 1
      WHEN :entry <> '' AND epoch = :epoch AND ${ROOM} THEN 2
      ELSE 0 END AS act FROM ${table} WHERE id = :id AND ${LIVE} ${lock})
    UPDATE ${table} SET ${replaced.join(', ')},
      entries = CASE act WHEN 1 THEN '' WHEN 2 THEN entries || ' ' || :entry ELSE entries END,
      entry_count = CASE act WHEN 1 THEN 0 WHEN 2 THEN entry_count + 1 ELSE entry_count END
    FROM decision WHERE id = own_id ${returning(words)}`
}

/** Marks an id as ended, whatever is there. The mark has the version `:token` if it was live. */
function end(table: string, { greatest, least }: ReturningWords): string {
  const live = `s.expires_at > :now AND s.value <> ''`
  return `INSERT INTO ${table} AS s (id, version, epoch, value, entries, entry_count, expires_at)
    VALUES (:id, '', '', '', '', 0, :until) ON CONFLICT (id) DO UPDATE SET
    version = CASE WHEN ${live} THEN :token ELSE '' END,
    expires_at = ${greatest}(excluded.expires_at, CASE WHEN ${live}
      THEN ${markedUntil(greatest, least, 's.mark_for')} ELSE s.expires_at END),
    ${MARKED} RETURNING version`
}

function returningStatements(table: string, words: ReturningWords): SqlStatements {
  const of = (sql: string): SqlStatement => statementOf(sql, words.placeholder, words.repeats)
  const [creating, updating] = [of(create(table, words)), of(update(table, words))]
  const ending = of(end(table, words))
  const endingAll = of(`${endingWhere(table, words)} id <> :except AND ${WITH_KEY}`)
  return {
    ...commonStatements(table, of, words),
    async write(run: RunStatement, values) {
      if (values.expected !== null) return (await run(updating, values)).rows[0]
      const { rows } = await run(creating, values)
      if (!rows.length) throw notOurs()
      return rows[0]
    },
    async end(run, values) {
      // Of overlapping ends, one has found the record: each has a token of its own.
      const token = crypto.randomUUID()
      const { rows } = await run(ending, { ...values, token })
      const version = rows[0]?.version
      // An end that cannot be seen is none: the session may live on.
      if (version !== token && version !== '') throw notOurs()
      return version === token
    },
    endAll: async (run, values) => (await run(endingAll, values)).affected,
    prune: async (run, now, limit) => (await run(of(words.prune(table, limit)), { now })).affected,
  }
}

/** PostgreSQL, under READ COMMITTED, and whatever speaks its dialect. */
export const postgres: SqlDialect = (table) =>
  returningStatements(table, {
    placeholder: (position, isNumber) => `$${position}::${isNumber ? 'bigint' : 'text'}`,
    repeats: false,
    find: 'strpos',
    greatest: 'greatest',
    least: 'least',
    shown: (column) => column,
    lock: 'FOR UPDATE',
    // The condition is there twice: a row that is renewed while this waits for its lock must stay.
    prune: (name, limit) =>
      `DELETE FROM ${name} WHERE expires_at <= :now AND id = ANY (ARRAY
        (SELECT id FROM ${name} WHERE expires_at <= :now ORDER BY expires_at LIMIT ${limit}
        FOR UPDATE SKIP LOCKED))`,
  })

/**
 * Selects numbers as drivers can return them. Some throw for those past 2^53, and no row of the same answer is seen:
 * that of something else would hide all others. What is cut here is no safe integer, and refused later.
 */
const shown = (column: string): string =>
  NUMBER_COLUMNS.includes(column)
    ? `max(min(${column}, 9007199254740992.0), -9007199254740992.0) AS ${column}`
    : column

/** SQLite: its file, D1 and libSQL. */
export const sqlite: SqlDialect = (table) =>
  returningStatements(table, {
    placeholder: () => '?',
    repeats: true,
    find: 'instr',
    greatest: 'max',
    least: 'min',
    shown,
    // There is one writer at a time.
    lock: '',
    prune: (name, limit) =>
      `DELETE FROM ${name} WHERE id IN
        (SELECT id FROM ${name} WHERE expires_at <= :now ORDER BY expires_at LIMIT ${limit})`,
  })
