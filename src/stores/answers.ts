/** The shapes of what stores answer. A store of an application's own may break the contract. */
import { argumentKind, isObject } from '../check.ts'
import { StoreError } from '../errors.ts'
import type { StoredEntry, StoredPage, StoredRecord, StoreOperation, WriteResult } from './store.ts'

const isText = (value: unknown): boolean => typeof value === 'string'
const isListOf = (value: unknown, holds: (one: unknown) => boolean): boolean =>
  Array.isArray(value) && value.every(holds)

/** Tells whether a value is a record. */
export function isRecord(value: unknown): value is StoredRecord {
  const { entries = [], epoch, expiresAt, keys = [], ...more } = Object(value) as StoredRecord
  const areTexts = [more.value, more.version, epoch].every(isText)
  return (
    areTexts && Number.isFinite(expiresAt) && isListOf(entries, isText) && isListOf(keys, isText)
  )
}

const isEntry = (value: unknown): boolean => {
  const { id, record } = Object(value) as StoredEntry
  return isText(id) && isRecord(record)
}

function isResult(value: unknown): boolean {
  const { current, ok } = Object(value) as WriteResult
  if (ok === true && current === undefined) return true
  return typeof ok === 'boolean' && ((!ok && current === null) || isRecord(current))
}

function isPage(value: unknown): boolean {
  const { cursor, records } = Object(value) as StoredPage
  return isListOf(records, isEntry) && (cursor === null || isText(cursor))
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value)

/** The method of each operation, and what it has to resolve with, in words and in code. */
const ANSWERS: Record<StoreOperation, readonly [string, string, (value: unknown) => boolean]> = {
  read: [
    'read',
    'a record, null or undefined',
    (value) => (value ?? null) === null || isRecord(value),
  ],
  write: ['write', '{ ok: true } or { ok: false, current: a record or null }', isResult],
  end: ['end', 'true or false', (value) => typeof value === 'boolean'],
  list: ['index.list', 'a list of { id, record }', (value) => isListOf(value, isEntry)],
  endAll: ['index.end', 'a number of sessions', isCount],
  page: ['page', '{ records: a list of { id, record }, cursor: a text or null }', isPage],
  prune: ['prune', 'a number of records', isCount],
}

/**
 * Returns what a store answered.
 *
 * @throws {@link StoreError} naming the method and what it has to resolve with, where it is something else.
 */
export function answerOf<T>(store: string, operation: StoreOperation, answer: T): T {
  const [method, expected, holds] = ANSWERS[operation]
  if (holds(answer)) return answer
  const got = isObject(answer) ? 'something else' : argumentKind(answer)
  throw new StoreError(
    `The store "${store}" breaks its contract: ${method}() must resolve with ${expected}, got ${got}; testStore of sojourn/testing shows what is wrong`,
  )
}
