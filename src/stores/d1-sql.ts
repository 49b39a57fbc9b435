/**
 * The statements of the D1 store. In all of them `?1` is the time in epoch milliseconds and `?2` the
 * id or the index key. An ended id is marked by a row whose value is empty.
 */
import { MAX_ENTRIES, MAX_ENTRIES_LENGTH } from './store.ts'

export const TABLE: string = 'sojourn_sessions'
const INDEX = 'sojourn_index'

const LIVE = `expires_at > ?1 AND value <> ''`
const SELECT = `SELECT * FROM ${TABLE} WHERE ${LIVE} AND`
/** The version that reads return: with the number of entries, if there are any. */
const VERSION = `version || CASE entries WHEN '[]' THEN '' ELSE '+' || json_array_length(entries) END`
/** Turns a record into the mark of its id, for `seconds` or for as long as the record says. */
const endFor = (
  seconds: string,
): string => `UPDATE ${TABLE} SET value = '', version = '', epoch = '',
index_keys = '[]', entries = '[]', mark_for = NULL,
expires_at = ?1 + 1000 * max(${seconds}, coalesce(mark_for, 0)) WHERE ${LIVE} AND`
const WITH_KEY = `id IN (SELECT id FROM ${INDEX} WHERE index_key = ?2)`

export const READ: string = `${SELECT} id = ?2`

// ?3 version, ?4 value, ?5 epoch, ?6 expires_at, ?7 mark_for, ?8 index_keys
/** Creates where there is neither a live record nor a mark. */
export const CREATE: string = `INSERT INTO ${TABLE} (id, version, value, epoch, expires_at, mark_for, index_keys, entries)
VALUES (?2, ?3, ?4, ?5, ?6, ?7, ?8, '[]') ON CONFLICT (id) DO UPDATE SET version = ?3, value = ?4,
epoch = ?5, expires_at = ?6, mark_for = ?7, index_keys = ?8, entries = '[]' WHERE expires_at <= ?1`

/** Replaces the record and its entries where its version is ?9. */
export const REPLACE: string = `UPDATE ${TABLE} SET version = ?3, value = ?4, epoch = ?5, expires_at = ?6,
mark_for = ?7, index_keys = ?8, entries = '[]' WHERE ${LIVE} AND id = ?2 AND ${VERSION} = ?9`

/** Appends the entry ?5, once, to a record that is not of version ?3 and whose epoch is ?4. */
export const APPEND: string = `UPDATE ${TABLE} SET entries = json_insert(entries, '$[#]', ?5)
WHERE ${LIVE} AND id = ?2 AND version <> ?3 AND epoch = ?4
AND json_array_length(entries) < ${MAX_ENTRIES} AND instr(entries, json_quote(?5)) = 0
AND (SELECT total(length(value)) FROM json_each(entries)) + length(?5) <= ${MAX_ENTRIES_LENGTH}`

/** Brings the index of one id in line with its record; both are needed. */
export const UNLIST: string = `DELETE FROM ${INDEX} WHERE id = ?2 AND index_key NOT IN
(SELECT key.value FROM ${TABLE} AS one, json_each(one.index_keys) AS key WHERE one.id = ?2)`
export const ENLIST: string = `INSERT OR IGNORE INTO ${INDEX} (index_key, id)
SELECT key.value, ?2 FROM ${TABLE} AS one, json_each(one.index_keys) AS key WHERE one.id = ?2`

/** Ends one session; ?3: seconds. */
export const END: string = `${endFor('?3')} id = ?2`
/** Marks an id where no live record is, or prolongs its mark; ?3: seconds. */
export const MARK: string = `INSERT INTO ${TABLE} (id, version, value, epoch, expires_at, index_keys, entries)
SELECT ?2, '', '', '', ?1 + 1000 * ?3, '[]', '[]' WHERE ?3 > 0 ON CONFLICT (id) DO UPDATE SET
value = '', index_keys = '[]', entries = '[]', expires_at = max(expires_at, excluded.expires_at)`

export const LIST: string = `${SELECT} ${WITH_KEY}`
/** Ends the sessions of one index key but ?3; ?4: seconds. */
export const END_ALL: string = `${endFor('?4')} id <> ?3 AND ${WITH_KEY}`
/** Takes ended sessions of one index key out of all their index keys. */
export const UNLIST_ALL: string = `DELETE FROM ${INDEX} WHERE id IN (SELECT one.id FROM ${INDEX} AS one
JOIN ${TABLE} AS ended ON ended.id = one.id WHERE one.index_key = ?2 AND ended.value = '')`

export const page = (size: number): string => `${SELECT} id > ?2 ORDER BY id LIMIT ${size}`

/** Removes up to ?2 rows that have expired; first their entries in the index. */
const EXPIRED = `(SELECT id FROM ${TABLE} WHERE expires_at <= ?1 ORDER BY expires_at, id LIMIT ?2)`
export const PRUNE_INDEX: string = `DELETE FROM ${INDEX} WHERE id IN ${EXPIRED}`
export const PRUNE: string = `DELETE FROM ${TABLE} WHERE id IN ${EXPIRED}`
