import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { createSessions } from '../../src/index.ts'
import { createD1Store, type D1Binding } from '../../src/stores/d1.ts'
import type { StoredRecord } from '../../src/stores/store.ts'
import { createClock, type StoreUnderTest, testStore } from '../../src/testing/index.ts'
import { compareWithReference } from '../support/reference-store.ts'
import { errorOf, SECRET } from '../support/sessions.ts'
import { migrate } from './migrate.ts'

const database = env.DB as D1Binding
const api = { describe, it, expect }

const run = (sql: string) => database.batch([database.prepare(sql)] as never[])

beforeEach(() => migrate(database))

const factory = (): StoreUnderTest => {
  const clock = createClock(Date.now())
  const store = createD1Store({ database, now: clock })
  return { store, now: clock, advance: (ms) => void clock.advanceMs(ms) }
}

testStore('createD1Store() on real D1', factory, api)

describe('createD1Store() against the reference', () => {
  it('answers random calls as applyWrite does', async () => {
    for (let seed = 1; seed <= 15; seed++) await compareWithReference(factory, seed, 60)
  })
})

describe('createD1Store()', () => {
  const record = (more: Partial<StoredRecord> = {}): StoredRecord => ({
    value: 'v',
    version: '1-a',
    epoch: '1',
    expiresAt: Date.now() + 60_000,
    ...more,
  })
  const rowsIn = (...tables: string[]): Promise<number[]> =>
    Promise.all(
      tables.map(async (table) => {
        const [{ results }] = (await run(`SELECT id FROM ${table}`)) as [{ results: unknown[] }]
        return results.length
      }),
    )

  it('makes one round trip per call', async () => {
    let trips = 0
    const counting: D1Binding = {
      prepare: (sql) => database.prepare(sql),
      batch: (statements) => {
        trips++
        return database.batch(statements)
      },
    }
    const store = createD1Store({ database: counting })
    const count = async (call: () => Promise<unknown>): Promise<number> => {
      trips = 0
      await call()
      return trips
    }
    const keys = ['ann']
    expect(await count(() => store.write('a', record({ keys }), null))).toBe(1)
    expect(await count(() => store.write('a', record({ keys, version: '2-b' }), '1-a'))).toBe(1)
    const late = record({ keys, version: '3-c' })
    expect(await count(() => store.write('a', late, '1-a', { entry: 'e' }))).toBe(1)
    expect(await count(() => store.read('a'))).toBe(1)
    expect(await count(() => store.index.list('ann'))).toBe(1)
    expect(await count(() => store.index.end('ann'))).toBe(1)
    expect(await count(() => store.end('a'))).toBe(1)
  })

  it('removes what has expired, in bounded steps', async () => {
    const clock = createClock()
    const store = createD1Store({ database, now: clock })
    for (let i = 0; i < 12; i++) {
      const expiresAt = clock() + (i < 10 ? 1000 : 10_000)
      await store.write(`id ${i}`, record({ expiresAt, keys: ['ann'] }), null)
    }
    expect(await store.prune()).toBe(0)
    clock.advance(1)
    expect(await store.prune(4)).toBe(4)
    expect(await store.prune()).toBe(6)
    expect((await store.page(null)).records.length).toBe(2)
    clock.advance(9)
    expect(await store.prune()).toBe(2)
    expect(await rowsIn('sojourn_sessions', 'sojourn_index')).toEqual([0, 0])
  })

  it('removes index entries with their record, and marks when they are over', async () => {
    const clock = createClock()
    const store = createD1Store({ database, now: clock })
    for (const id of ['a', 'b', 'c']) {
      await store.write(id, record({ keys: ['ann', 'tag'], expiresAt: clock() + 9e6 }), null)
    }
    await store.end('a')
    expect(await rowsIn('sojourn_index')).toEqual([4])
    await store.index.end('tag')
    expect(await rowsIn('sojourn_index', 'sojourn_sessions')).toEqual([0, 3])
    clock.advance(600)
    expect(await store.prune()).toBe(3)
  })

  it('leaves no row behind for an end without a mark', async () => {
    await createD1Store({ database }).end('a', { markFor: 0 })
    expect(await rowsIn('sojourn_sessions')).toEqual([0])
  })

  it('says which migration is missing', async () => {
    await run('DROP TABLE sojourn_sessions')
    const error = await errorOf(() => createD1Store({ database }).read('a'))
    expect([error.code, error.message.includes('migrations/0001_sojourn.sql')]).toEqual([
      'ERR_STORE',
      true,
    ])
  })

  it('quotes nothing when it fails', async () => {
    for (const [message, code] of [
      ['D1_ERROR: near "canary": syntax error: SQLITE_ERROR', 'ERR_STORE'],
      ['Network connection lost: canary', 'ERR_STORE_UNAVAILABLE'],
      ['D1 DB is overloaded: canary', 'ERR_STORE_UNAVAILABLE'],
      ['D1_ERROR: Too many API requests by single worker invocation.', 'ERR_STORE'],
    ] as const) {
      const broken: D1Binding = {
        prepare: (sql) => database.prepare(sql),
        batch: () => Promise.reject(new Error(message)),
      }
      const error = await errorOf(() => createD1Store({ database: broken }).read('a'))
      expect([error.code, `${error.message}${error.stack}`.includes('canary')]).toEqual([
        code,
        false,
      ])
    }
  })

  it('refuses what is no binding', async () => {
    for (const options of [{}, { database: {} }, { database, prefix: 'x' }]) {
      expect(await errorOf(() => createD1Store(options as never))).toBeInstanceOf(TypeError)
    }
  })

  it('keeps whole sessions, lists and revokes them', async () => {
    const sessions = createSessions({ secret: SECRET, store: createD1Store({ database }) })
    const session = await sessions.open(null)
    session.login('ann', { label: 'here' })
    const [setCookie = ''] = await sessions.save(session)
    const header = setCookie.split(';')[0] as string
    expect((await sessions.open(header)).subject).toBe('ann')
    expect((await sessions.list('ann')).map(({ label }) => label)).toEqual(['here'])
    expect(await sessions.revokeAll('ann')).toBe(1)
    expect((await sessions.open(header)).status).toBe('missing')
  })
})
