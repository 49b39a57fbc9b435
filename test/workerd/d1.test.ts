import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { createSessions } from '../../src/index.ts'
import { createD1Store, type D1Binding, type D1Statement } from '../../src/stores/d1.ts'
import type { StoredRecord } from '../../src/stores/store.ts'
import { createClock, type StoreUnderTest, testStore } from '../../src/testing/index.ts'
import { raceEnds } from '../support/race-ends.ts'
import { compareWithReference } from '../support/reference-store.ts'
import { errorOf, SECRET } from '../support/sessions.ts'
import { surviveStrangeRows } from '../support/sql-suite.ts'
import { migrate } from './migrate.ts'

const database = env.DB as D1Binding
const api = { describe, it, expect }

const run = (sql: string) => database.prepare(sql).bind().all()

beforeEach(() => migrate(database))

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5))

const factory = (): StoreUnderTest => {
  const clock = createClock(Date.now())
  const store = createD1Store({ database, now: clock, autoPrune: 0 })
  return { store, now: clock, advance: (ms) => void clock.advanceMs(ms) }
}

testStore('createD1Store() on real D1', factory, api)
raceEnds('createD1Store() on real D1', () => createD1Store({ database }))

describe('rows of D1 that are not ours', () => {
  surviveStrangeRows('D1', 'sqlite', async () => async (text, params) => {
    const answer = await database
      .prepare(text)
      .bind(...params)
      .all()
    const { results, meta } = answer as { results: object[]; meta: { changes: number } }
    return { rows: results, affected: meta.changes }
  })
})

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
  const rowCount = async (): Promise<number> =>
    ((await run('SELECT id FROM sojourn_sessions')) as { results: unknown[] }).results.length

  it('makes one round trip per call, and one more before the first', async () => {
    let trips = 0
    const counted = (statement: D1Statement): D1Statement => ({
      bind: (...values) => counted(statement.bind(...values)),
      all: () => {
        trips++
        return statement.all()
      },
    })
    const counting: D1Binding = { prepare: (sql) => counted(database.prepare(sql)) }
    const store = createD1Store({ database: counting, autoPrune: 0 })
    const count = async (call: () => Promise<unknown>): Promise<number> => {
      trips = 0
      await call()
      return trips
    }
    const keys = ['ann']
    expect(await count(() => store.read('a'))).toBe(2)
    expect(await count(() => store.write('a', record({ keys }), null))).toBe(1)
    expect(await count(() => store.write('a', record({ keys, version: '2-b' }), '1-a'))).toBe(1)
    const late = record({ keys, version: '3-c' })
    expect(await count(() => store.write('a', late, '1-a', { entry: 'e' }))).toBe(1)
    expect(await count(() => store.read('a'))).toBe(1)
    expect(await count(() => store.index.list('ann'))).toBe(1)
    expect(await count(() => store.index.end('ann'))).toBe(1)
    expect(await count(() => store.end('a'))).toBe(1)
    expect(await count(() => store.health!())).toBe(1)
  })

  it('removes what expired a minute ago, in bounded steps', async () => {
    const clock = createClock()
    const store = createD1Store({ database, now: clock, autoPrune: 0 })
    for (let i = 0; i < 12; i++) {
      const expiresAt = clock() + (i < 10 ? 1000 : 10_000)
      await store.write(`id-${i}`, record({ expiresAt, keys: ['ann'] }), null)
    }
    clock.advance(60)
    expect(await store.prune()).toBe(0)
    clock.advance(1)
    expect(await store.prune(4)).toBe(4)
    expect(await store.prune(1)).toBe(1)
    expect(await store.prune()).toBe(5)
    expect(await rowCount()).toBe(2)
    clock.advance(9)
    expect(await store.prune()).toBe(2)
    expect(await rowCount()).toBe(0)
  })

  it('removes marks when they are over', async () => {
    const clock = createClock()
    const store = createD1Store({ database, now: clock, autoPrune: 0 })
    for (const id of ['a', 'b', 'c']) {
      await store.write(id, record({ keys: ['ann', 'tag'], expiresAt: clock() + 9e6 }), null)
    }
    await store.end('a')
    await store.index.end('tag')
    expect(await store.prune()).toBe(0)
    clock.advance(660)
    expect(await store.prune()).toBe(3)
  })

  it('removes expired rows after a share of its writes', async () => {
    const clock = createClock()
    const store = createD1Store({ database, now: clock, autoPrune: 1 })
    await store.write('a', record({ expiresAt: clock() + 1000 }), null)
    clock.advance(100)
    await store.write('b', record(), null)
    for (let tries = 0; tries < 100 && (await rowCount()) > 1; tries++) await pause()
    expect(await rowCount()).toBe(1)
  })

  it('leaves no row behind for an end without a mark', async () => {
    await createD1Store({ database }).end('a', { markFor: 0 })
    expect(await rowCount()).toBe(0)
  })

  it('lets replicas answer reads that are as new as its own calls', async () => {
    const asked: (string | undefined)[] = []
    let count = 0
    const replicated: D1Binding = {
      prepare: () => Promise.reject(new Error('not in a session')) as never,
      withSession: (constraint) => {
        asked.push(constraint)
        return { prepare: (sql) => database.prepare(sql), getBookmark: () => `mark-${++count}` }
      },
    }
    const store = createD1Store({ database: replicated, replicas: true, autoPrune: 0 })
    await store.read('a')
    await store.write('a', record(), null)
    await store.read('a')
    await store.read('a', { fresh: true })
    const primary = 'first-primary'
    expect(asked).toEqual([primary, 'mark-1', primary, 'mark-3', primary])
    const without = { prepare: (sql: string) => database.prepare(sql) }
    const error = await errorOf(() => createD1Store({ database: without, replicas: true }))
    expect(error).toBeInstanceOf(TypeError)
  })

  it('replicas answer no read with less than what an earlier call has seen, in whatever order bookmarks come', async () => {
    const asked: (string | undefined)[] = []
    const marks = ['mark-1', 'mark-9', 'mark-3', null, 'mark-4']
    const replicated: D1Binding = {
      prepare: (sql) => database.prepare(sql),
      withSession: (constraint) => {
        asked.push(constraint)
        return { prepare: (sql) => database.prepare(sql), getBookmark: () => marks.shift() ?? null }
      },
    }
    const store = createD1Store({ database: replicated, replicas: true, autoPrune: 0 })
    await store.read('a')
    await store.write('a', record(), null)
    for (const fresh of [false, true, false]) await store.read('a', { fresh })
    const primary = 'first-primary'
    expect(asked).toEqual([primary, 'mark-1', primary, 'mark-9', primary, 'mark-9'])
  })

  it('reads and writes in sessions of real D1', async () => {
    const store = createD1Store({ database, replicas: true, autoPrune: 0 })
    const first = record({ keys: ['ann'] })
    await store.write('a', first, null)
    expect((await store.read('a'))?.version).toBe(first.version)
    expect((await store.page(null)).records.length).toBe(1)
  })

  it('says which migration is missing', async () => {
    await run('DROP TABLE sojourn_sessions')
    const error = await errorOf(() => createD1Store({ database }).read('a'))
    expect([error.code, error.message.includes('migrations/sqlite')]).toEqual(['ERR_STORE', true])
  })

  it('quotes nothing when it fails', async () => {
    for (const [message, code] of [
      ['D1_ERROR: near "canary": syntax error: SQLITE_ERROR', 'ERR_STORE'],
      ['Network connection lost: canary', 'ERR_STORE_UNAVAILABLE'],
      ['D1 DB is overloaded: canary', 'ERR_STORE_UNAVAILABLE'],
      ['D1_ERROR: Too many API requests by single worker invocation.', 'ERR_STORE'],
    ] as const) {
      const all = () => Promise.reject(new Error(message))
      const broken: D1Binding = { prepare: () => ({ bind: () => ({ all }) as never, all }) }
      const error = await errorOf(() => createD1Store({ database: broken }).read('a'))
      expect([error.code, `${error.message}${error.stack}`.includes('canary')]).toEqual([
        code,
        false,
      ])
    }
  })

  it('refuses what is no binding', async () => {
    for (const options of [
      {},
      { database: {} },
      { database, prefix: 'a b' },
      { database, table: 'a"b' },
    ]) {
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
