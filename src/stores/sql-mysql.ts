/**
 * MySQL and MariaDB. Neither returns what an `UPDATE` left, so a write that finds something else than
 * it expects takes up to three statements. Each is safe alone: it has its whole condition.
 */
import type { RunStatement, SqlDialect, SqlRow } from './sql-dialect.ts'
import {
  COLUMNS,
  commonStatements,
  endingWhere,
  LAST,
  LIVE,
  MARKED,
  markedUntil,
  PAGE,
  ROOM,
  type SqlParameter,
  type SqlStatement,
  type SqlWords,
  statementOf,
  VALUES,
  WITH_KEY,
  WRITTEN,
} from './sql-statements.ts'

const HAS_ENTRY = `:entry <> '' AND instr(concat(entries, ' '), concat(' ', :entry, ' ')) > 0`
const VERSION = `concat(version, CASE entry_count WHEN 0 THEN '' ELSE concat('+', entry_count, '.', ${LAST}) END)`

/** Creates over what has expired; a record or a mark stays. */
function create(table: string): string {
  const names = [...WRITTEN.filter((name) => name !== 'expires_at'), 'entries', 'entry_count']
  const set = [...names, 'expires_at'].map(
    (name) => `${name} = CASE WHEN expires_at <= :now THEN VALUES(${name}) ELSE ${name} END`,
  )
  return `INSERT INTO ${table} (id, ${WRITTEN.join(', ')}, entries, entry_count)
    VALUES (:id, ${VALUES}, '', 0) ON DUPLICATE KEY UPDATE ${set.join(', ')}`
}

const WORDS: SqlWords = { greatest: 'greatest', least: 'least', shown: (column) => column }

const of = (sql: string): SqlStatement => statementOf(sql, () => '?', true)

/**
 * Changes rows that a `SELECT` found, by their primary key alone. A statement that finds them by an
 * index locks that first and the rows after, as no writer does, and the two would deadlock.
 */
async function changeRows(
  run: RunStatement,
  rows: readonly SqlRow[],
  sql: (ids: string) => string,
  values: Readonly<Record<string, SqlParameter>>,
): Promise<number> {
  let changed = 0
  for (let i = 0; i < rows.length; i += PAGE) {
    const ids = rows.slice(i, i + PAGE).map(({ id }, n) => [`id${n}`, String(id)] as const)
    const list = `id IN (${ids.map(([name]) => `:${name}`).join(', ')})`
    changed += (await run(of(sql(list)), { ...values, ...Object.fromEntries(ids) })).affected
  }
  return changed
}

export const mysql: SqlDialect = (table) => {
  const common = commonStatements(table, of, WORDS)
  const creating = of(create(table))
  const there = of(`SELECT ${COLUMNS.join(', ')} FROM ${table} WHERE id = :id`)
  const replacing = of(`UPDATE ${table} SET entries = '', entry_count = 0,
    ${WRITTEN.map((name) => `${name} = :${name}`).join(', ')}
    WHERE id = :id AND ${LIVE} AND version <> :version AND ${VERSION} = :expected
    AND NOT (${HAS_ENTRY})`)
  const appending = of(`UPDATE ${table} SET entries = concat(entries, ' ', :entry),
    entry_count = entry_count + 1 WHERE id = :id AND ${LIVE} AND version <> :version
    AND epoch = :epoch AND ${ROOM} AND NOT (${HAS_ENTRY})`)
  const marking =
    of(`INSERT INTO ${table} (id, version, epoch, value, entries, entry_count, expires_at)
    VALUES (:id, '', '', '', '', 0, :until) ON DUPLICATE KEY UPDATE
    expires_at = greatest(VALUES(expires_at), CASE WHEN ${LIVE}
      THEN ${markedUntil('greatest', 'least', 'mark_for')} ELSE expires_at END), version = '', ${MARKED}`)
  const ofKey = of(`SELECT id FROM ${table} WHERE ${LIVE} AND id <> :except AND ${WITH_KEY}`)
  return {
    ...common,
    async write(run, values) {
      if (values.expected === null) {
        // How many rows it changed depends on the driver's flags.
        await run(creating, values)
        return (await run(there, values)).rows[0]
      }
      if ((await run(replacing, values)).affected > 0) return true
      if (values.entry !== '') await run(appending, values)
      return (await run(common.read, values)).rows[0]
    },
    async end(run, values) {
      if ((await run(common.endLive, values)).affected > 0) return true
      await run(marking, values)
      return false
    },
    async endAll(run, values) {
      const { rows } = await run(ofKey, values)
      const ending = `${endingWhere(table, WORDS)} ${WITH_KEY} AND`
      return await changeRows(run, rows, (ids) => `${ending} ${ids}`, values)
    },
    async prune(run, now, limit) {
      const { rows } = await run(
        of(`SELECT id FROM ${table} WHERE expires_at <= :now ORDER BY expires_at LIMIT ${limit}`),
        { now },
      )
      const sql = (ids: string): string =>
        `DELETE FROM ${table} WHERE expires_at <= :now AND ${ids}`
      return await changeRows(run, rows, sql, { now })
    },
  }
}
