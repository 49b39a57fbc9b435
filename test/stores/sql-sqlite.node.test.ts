import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { createSqlStore, type SqlQuery, sqlSchema } from '../../src/stores/sql.ts'
import { createClock, type StoreUnderTest, testStore } from '../../src/testing/index.ts'
import { compareWithReference } from '../support/reference-store.ts'

function open(): SqlQuery {
  const db = new DatabaseSync(':memory:')
  for (const statement of sqlSchema('sqlite')) db.exec(statement)
  return async (text, params) => {
    const statement = db.prepare(text)
    if (statement.columns().length) return { rows: statement.all(...params), affected: 0 }
    return { rows: [], affected: statement.run(...params).changes }
  }
}

const factory = (): StoreUnderTest => {
  const clock = createClock(Date.now())
  const store = createSqlStore({ dialect: 'sqlite', query: open(), now: clock })
  return { store, now: clock, advance: (ms) => void clock.advanceMs(ms) }
}

testStore('createSqlStore() on node:sqlite', factory, { describe, it, expect })

describe('createSqlStore() on node:sqlite', () => {
  it('answers random calls as applyWrite does', async () => {
    for (let seed = 1; seed <= 200; seed++) await compareWithReference(factory, seed, 80)
  })
})
