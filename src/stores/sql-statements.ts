/**
 * The parts of statements that dialects of SQL share.
 *
 * A statement is a text with named parameters (`:id`). Each dialect has its own placeholders: numbers
 * where they can be repeated, and otherwise one question mark for every use.
 */
import { fnv1a } from '../fnv.ts'
import { ENTRY_TAIL } from './copy.ts'
import { MAX_ENTRIES, MAX_ENTRIES_LENGTH } from './limits.ts'

/** A value that a statement binds: text, a whole number, or NULL. */
export type SqlParameter = string | number | null

/** A text as a driver takes it, and the parameters it binds, in order. */
export interface SqlStatement {
  readonly text: string
  readonly names: readonly string[]
  /** A name that no other text has, for drivers that prepare statements by name. */
  readonly name: string
  /** It answers with rows; otherwise the number of rows that it changed counts. */
  readonly returnsRows: boolean
}

/** Returns the placeholder of a parameter; `position` counts from 1. */
export type Placeholder = (position: number, isNumber: boolean) => string

/**
 * Index keys of one record: the user's and eight tags. Each has a column, so that one statement changes
 * a record and its keys, in every dialect: no transaction, no trigger, no function for JSON.
 */
export const MAX_KEYS = 9
export const KEY_COLUMNS: readonly string[] = Array.from(
  { length: MAX_KEYS },
  (_, i) => `key${i + 1}`,
)

/** Columns that a write replaces, each with the parameter of its name. */
export const WRITTEN: readonly string[] = [
  'version',
  'epoch',
  'value',
  'expires_at',
  'mark_for',
  ...KEY_COLUMNS,
]

export const COLUMNS: readonly string[] = ['id', ...WRITTEN, 'entries', 'entry_count']

/** Parameters that are whole numbers of 64 bits; all others are text. */
const NUMBERS = ['now', 'until', 'expires_at', 'mark_for']

/** Columns of whole numbers. */
export const NUMBER_COLUMNS: readonly string[] = ['expires_at', 'mark_for', 'entry_count']

/** Builds a statement; `repeats`: each use of a parameter has a placeholder of its own. */
export function statementOf(sql: string, placeholder: Placeholder, repeats: boolean): SqlStatement {
  const names: string[] = []
  const text = sql
    .trim()
    .replace(/\s+/g, ' ')
    .replace(/:(\w+)/g, (_, name: string) => {
      const known = repeats ? -1 : names.indexOf(name)
      const position = known < 0 ? names.push(name) : known + 1
      return placeholder(position, NUMBERS.includes(name))
    })
  // A connection knows some twenty statements: the names of two are never the same.
  const name = `sojourn_${fnv1a(text).toString(16)}`
  return { text, names, name, returnsRows: /^SELECT|RETURNING/.test(text) }
}

/** A record that has neither expired nor ended. An ended id is marked by a row without a value. */
export const LIVE = `expires_at > :now AND value <> ''`

export const WITH_KEY: string = `(${KEY_COLUMNS.map((key) => `${key} = :key`).join(' OR ')})`

/** Assignments that turn a record into the mark of its id; the expiry is set beside them. */
export const MARKED: string = [
  `epoch = '', value = '', entries = '', entry_count = 0, mark_for = NULL`,
  ...KEY_COLUMNS.map((key) => `${key} = NULL`),
].join(', ')

/**
 * Returns the time until which the record's own `mark_for` marks its id. A number that Sojourn did not write is
 * cut, since an overflow would let the end of all sessions of a user fail.
 */
export const markedUntil = (greatest: string, least: string, markFor: string): string =>
  `:now + 1000 * ${greatest}(0, ${least}(coalesce(${markFor}, 0), 1000000000))`

/** The end of the last entry, which is part of the version. */
export const LAST: string = `substr(entries, length(entries) - ${ENTRY_TAIL - 1})`

/** Tells whether the entry fits into what is there, but for its epoch. */
export const ROOM: string = `entry_count < ${MAX_ENTRIES}
AND length(entries) - entry_count + length(:entry) <= ${MAX_ENTRIES_LENGTH}`

/** Parameters of all written columns, in their order. */
export const VALUES: string = WRITTEN.map((column) => `:${column}`).join(', ')

/** Words that differ between dialects. */
export interface SqlWords {
  /** The functions that return the greater and the smaller one of two numbers. */
  readonly greatest: string
  readonly least: string
  /** Spells the selection of a column. */
  shown(column: string): string
}

/** Selects the version of the tables: one row, whatever they hold. It fails where one of them or a column is missing. */
export function versionText(table: string): string {
  const shape = COLUMNS.map((column) => `s.${column} AS s_${column}`).join(', ')
  return `SELECT (SELECT max(version) FROM ${table}_schema) AS version, ${shape}
    FROM (SELECT 1 AS one) AS o LEFT JOIN ${table} AS s ON 1 = 0`
}

/** Ends the live rows that fit what follows. MySQL evaluates `SET` from left to right, so the expiry comes before what it is computed from. */
export function endingWhere(table: string, { greatest, least }: SqlWords): string {
  return `UPDATE ${table} SET expires_at = ${greatest}(:until,
    ${markedUntil(greatest, least, 'mark_for')}), version = '', ${MARKED} WHERE ${LIVE} AND`
}

/** Statements that are the same in every dialect. `of` makes them of their texts. */
export function commonStatements(
  table: string,
  of: (sql: string) => SqlStatement,
  words: SqlWords,
): { readonly [name in 'read' | 'list' | 'page' | 'version' | 'endLive']: SqlStatement } {
  const select = `SELECT ${COLUMNS.map(words.shown).join(', ')} FROM ${table} WHERE`
  return {
    read: of(`${select} id = :id AND ${LIVE}`),
    list: of(`${select} ${LIVE} AND ${WITH_KEY}`),
    page: of(`${select} id > :cursor AND id < :bound AND ${LIVE} ORDER BY id LIMIT ${PAGE}`),
    version: of(versionText(table)),
    endLive: of(`${endingWhere(table, words)} id = :id`),
  }
}

/** Records on a page. */
export const PAGE = 500
/** Rows that one statement of a clean-up removes at most: a few milliseconds' work. */
export const PRUNE_STEP = 100
