/** What every server and driver of SQL has to pass. */
import { describe, expect, it } from 'vitest'
import {
  applySqlSchema,
  createSqlStore,
  type SqlDialectName,
  type SqlQuery,
} from '../../src/stores/sql.ts'
import type { StoredRecord } from '../../src/stores/store.ts'
import { createClock, type StoreUnderTest, testStore } from '../../src/testing/index.ts'
import { raceEnds } from './race-ends.ts'
import { compareWithReference } from './reference-store.ts'
import { errorOf } from './sessions.ts'

let count = 0
/** A record under a version of its own. */
export const newRecord = (more: Partial<StoredRecord> = {}): StoredRecord => ({
  value: 'v',
  version: `version-${++count}`,
  epoch: '1.a',
  expiresAt: Date.now() + 3_600_000,
  ...more,
})
export const newId = (): string => `id-${++count}-${Math.random().toString(36).slice(2)}`

/** Statements of each operation, as docs/choosing-a-store.md lists them. */
const OTHERS = {
  read: 1,
  create: 1,
  replace: 1,
  append: 1,
  refused: 1,
  'refused, with an entry': 1,
  list: 1,
  page: 1,
  end: 1,
  'end of what is not live': 1,
  'end of a user': 1,
  prune: 1,
}
export const STATEMENTS: Readonly<Record<SqlDialectName, Readonly<Record<string, number>>>> = {
  postgres: OTHERS,
  sqlite: OTHERS,
  mysql: {
    ...OTHERS,
    create: 2,
    append: 3,
    refused: 2,
    'refused, with an entry': 3,
    'end of what is not live': 2,
    'end of a user': 2,
    prune: 2,
  },
}

/** Counts the statements of each operation. */
export async function countStatements(
  dialect: SqlDialectName,
  query: SqlQuery,
): Promise<Record<string, number>> {
  let count = 0
  const store = createSqlStore({
    dialect,
    query: (...call) => {
      count++
      return query(...call)
    },
    autoPrune: 0,
  })
  await store.health?.()
  const [id, key] = [newId(), newId()]
  const [first, second] = [newRecord({ keys: [key] }), newRecord({ keys: [key] })]
  await store.write(newId(), newRecord({ expiresAt: Date.now() - 100_000 }), null)
  const calls: Record<string, () => Promise<unknown>> = {
    read: () => store.read(id),
    create: () => store.write(id, first, null),
    replace: () => store.write(id, second, first.version, { entry: 'one' }),
    append: () => store.write(id, newRecord(), first.version, { entry: 'two' }),
    refused: () => store.write(id, newRecord(), first.version),
    'refused, with an entry': () =>
      store.write(id, newRecord({ epoch: '2.b' }), first.version, { entry: 'three' }),
    list: () => store.index.list(key),
    page: () => store.page(null),
    'end of a user': () => store.index.end(key),
    'end of what is not live': () => store.end(id),
    prune: () => store.prune(1),
  }
  const counts: Record<string, number> = {}
  const counted = async (name: string, call: () => Promise<unknown>): Promise<void> => {
    count = 0
    await call()
    counts[name] = count
  }
  for (const [name, call] of Object.entries(calls)) await counted(name, call)
  const other = newId()
  await store.write(other, newRecord(), null)
  await counted('end', () => store.end(other))
  return counts
}

/** Runs the suite of stores, and compares the answers to random calls with the reference. */
export function testSql(name: string, dialect: SqlDialectName, query: SqlQuery, seeds = 20): void {
  let isReady = false
  const factory = async (): Promise<StoreUnderTest> => {
    if (!isReady) await applySqlSchema({ dialect, query })
    isReady = true
    const clock = createClock(Date.now())
    const store = createSqlStore({ dialect, query, now: clock, autoPrune: 0 })
    return { store, now: clock, advance: (ms) => void clock.advanceMs(ms) }
  }
  testStore(`createSqlStore() with ${name}`, factory, { describe, it, expect })
  raceEnds(`createSqlStore() with ${name}`, async () => {
    await factory()
    return createSqlStore({ dialect, query, autoPrune: 0 })
  })
  surviveStrangeRows(name, dialect, async () => {
    await factory()
    return query
  })
  it(`createSqlStore() with ${name} makes as many statements as documented`, async () => {
    await factory()
    expect(await countStatements(dialect, query)).toEqual(STATEMENTS[dialect])
  })
  it(`createSqlStore() with ${name} answers random calls as applyWrite does`, async () => {
    for (let seed = 1; seed <= seeds; seed++) await compareWithReference(factory, seed, 60)
  })
}

/** Assignments that every database takes, and those of SQLite, where any column takes any value. */
const STRANGE = [
  'expires_at = 9007199254740993',
  'expires_at = 9223372036854775807',
  'mark_for = 9223372036854775807',
  'mark_for = -9223372036854775807',
  'entry_count = 2147483647',
  `entries = 'garbage'`,
]
const OF_SQLITE = [
  'expires_at = 9e300',
  `expires_at = 'garbage'`,
  `expires_at = x'00ff'`,
  `mark_for = 'garbage'`,
  'entry_count = 9223372036854775807',
  `value = x'00ff'`,
  `key2 = x'00ff'`,
]

/** Checks that a row that is not ours harms no other one, and that its session can be ended. */
export function surviveStrangeRows(
  name: string,
  dialect: SqlDialectName,
  open: () => Promise<SqlQuery>,
): void {
  const plant = async (assignment: string) => {
    const query = await open()
    const store = createSqlStore({ dialect, query, autoPrune: 0 })
    const [key, own, strange] = [newId(), newId(), newId()]
    for (const id of [own, strange]) await store.write(id, newRecord({ keys: [key] }), null)
    const text = `UPDATE sojourn_sessions SET ${assignment} WHERE id = '${strange}'`
    await query(text, [], { signal: undefined })
    const idsOf = (entries: readonly { id: string }[]): string[] =>
      entries.map(({ id }) => id).filter((id) => id === own || id === strange)
    return { store, key, own, strange, idsOf }
  }
  const all = dialect === 'sqlite' ? [...STRANGE, ...OF_SQLITE] : STRANGE

  it.each(all)(`createSqlStore() with ${name} walks past a row with %s`, async (assignment) => {
    const { store, key, own, strange, idsOf } = await plant(assignment)
    expect(idsOf(await store.index.list(key))).toEqual([own])
    const paged: string[] = []
    for (let cursor: string | null = null; ; ) {
      const page = await store.page(cursor)
      paged.push(...idsOf(page.records))
      cursor = page.cursor
      if (cursor === null) break
    }
    expect(paged).toEqual([own])
    expect(await store.prune(1)).toBeLessThan(2)
    expect(await errorOf(() => store.read(strange))).toMatchObject({ code: 'ERR_STORE' })
    expect(await store.index.end(key)).toBe(2)
    expect([await store.read(own), await store.read(strange)]).toEqual([null, null])
  })

  it.each(all)(`createSqlStore() with ${name} ends a row with %s`, async (assignment) => {
    const { store, strange } = await plant(assignment)
    expect(await store.end(strange)).toBe(true)
    expect(await store.read(strange)).toBe(null)
    expect(await store.write(strange, newRecord(), null)).toEqual({ ok: false, current: null })
  })

  if (dialect !== 'sqlite') return
  it(`createSqlStore() with ${name} walks past a row whose id is no text`, async () => {
    const { store, key, own } = await plant(`id = randomblob(16)`)
    expect((await store.index.list(key)).map(({ id }) => id)).toEqual([own])
  })
}
