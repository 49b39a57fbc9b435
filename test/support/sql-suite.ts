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
import { compareWithReference } from './reference-store.ts'

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
  it(`createSqlStore() with ${name} answers random calls as applyWrite does`, async () => {
    for (let seed = 1; seed <= seeds; seed++) await compareWithReference(factory, seed, 60)
  })
}
