/** Many writers on sessions in SQL: what they were told must be what is there. */

import { resilient } from '../../src/stores/resilient.ts'
import { createSqlStore, type SqlDialectName, type SqlQuery } from '../../src/stores/sql.ts'
import type { SessionStore, StoredRecord } from '../../src/stores/store.ts'
import { newId, newRecord } from './sql-suite.ts'

export interface Told {
  /** Tags of writes that were acknowledged. */
  readonly written: string[]
  /** Errors that a call ended with, after all attempts. */
  readonly failed: unknown[]
}

/** A store that repeats what fails for as long as a restarting server takes. */
export function patientStore(dialect: SqlDialectName, query: SqlQuery): SessionStore {
  return resilient(createSqlStore({ dialect, query, autoPrune: 0.05 }), {
    attempts: 200,
    attemptTimeoutMs: 20_000,
    deadlineMs: 60_000,
    baseMs: 20,
    capMs: 200,
    budget: false,
    breaker: false,
  })
}

export const byText = (a: string, b: string): number => (a < b ? -1 : 1)

/**
 * Tags in a record, sorted: those in its value and those of its entries. One that is in both counts once:
 * an attempt whose answer was lost had been merged by somebody, and the next attempt appended it again.
 */
export const tagsOf = ({ value, entries = [] }: StoredRecord): string[] =>
  [...new Set([...value.split('.'), ...entries])].filter((tag) => tag !== 'v').sort(byText)

/**
 * Writes a tag with compare-and-set, merging what others appended, until it was told that the tag is
 * there. Appends it instead, where it can.
 */
export async function putTag(
  store: SessionStore,
  id: string,
  tag: string,
  appends: boolean,
): Promise<boolean> {
  let current = await store.read(id)
  for (;;) {
    if (!current) return false
    const tags = tagsOf(current)
    if (tags.includes(tag)) return true
    const next = newRecord({ value: ['v', ...tags, tag].join('.') })
    const options = appends ? { entry: tag } : {}
    const result = await store.write(id, next, current.version, options)
    if (result.ok) return true
    current = result.current
  }
}

/** Lets `writers` write `times` tags each, all at once. */
export async function storm(
  stores: readonly SessionStore[],
  id: string,
  { writers = 20, times = 20, appends = false } = {},
): Promise<Told> {
  const told: Told = { written: [], failed: [] }
  const write = async (writer: number): Promise<void> => {
    const store = stores[writer % stores.length]!
    for (let i = 0; i < times; i++) {
      const tag = `${writer}-${i}`
      try {
        if (await putTag(store, id, tag, appends)) told.written.push(tag)
      } catch (error) {
        told.failed.push(error)
      }
      // Drivers that are synchronous would let nobody else run.
      await new Promise((resolve) => setTimeout(resolve, 0))
    }
  }
  await Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)))
  return told
}

/** Creates a session of a user. */
export async function createOne(
  store: SessionStore,
  keys: readonly string[] = [],
): Promise<string> {
  const id = newId()
  await store.write(id, newRecord({ keys: [...keys] }), null)
  return id
}
