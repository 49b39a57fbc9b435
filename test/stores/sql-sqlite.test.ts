import { describe, expect, it } from 'vitest'
import { createSessions, type Session, type Sessions } from '../../src/index.ts'
import { cached } from '../../src/stores/cached.ts'
import { resilient } from '../../src/stores/resilient.ts'
import {
  applySqlSchema,
  createSqlStore,
  type SqlQuery,
  type SqlStoreOptions,
} from '../../src/stores/sql.ts'
import { createClock, type StoreUnderTest, testStore } from '../../src/testing/index.ts'
import { openSqlite, sqlite } from '../support/open-sqlite.ts'
import { cuttable, surviveOutage } from '../support/outage.ts'
import { raceEnds } from '../support/race-ends.ts'
import { compareWithReference } from '../support/reference-store.ts'
import { createWorld, errorOf, SECRET } from '../support/sessions.ts'
import { newId, newRecord, surviveStrangeRows } from '../support/sql-suite.ts'

/*
 * On the SQLite of Node, Deno and Bun. Workers have none but D1, which has tests of its own.
 */

const migrated = async (): Promise<SqlQuery> => {
  const query = openSqlite()
  await applySqlSchema({ dialect: 'sqlite', query })
  return query
}

const storeOn = (query: SqlQuery, more: Partial<SqlStoreOptions> = {}) =>
  createSqlStore({ dialect: 'sqlite', query, autoPrune: 0, ...more })

function defineSuites(): void {
  const factory =
    (more: Partial<SqlStoreOptions> = {}) =>
    async (): Promise<StoreUnderTest> => {
      const clock = createClock(Date.now())
      const store = storeOn(await migrated(), { now: clock, ...more })
      return { store, now: clock, advance: (ms) => void clock.advanceMs(ms) }
    }

  const api = { describe, it, expect }
  testStore('createSqlStore() on SQLite', factory(), api)
  raceEnds('createSqlStore() on SQLite', async () => storeOn(await migrated()))
  testStore('createSqlStore() with a prefix', factory({ prefix: 'app:', autoPrune: 0.5 }), api)

  describe('rows of SQLite that are not ours', () => {
    surviveStrangeRows("the runtime's SQLite", 'sqlite', migrated)
  })

  describe('createSqlStore() on SQLite', () => {
    it('answers random calls as applyWrite does', async () => {
      for (let seed = 1; seed <= 60; seed++) await compareWithReference(factory(), seed, 80)
    })

    it('survives an outage: nothing is lost, and the dead database is spared', async () => {
      const query = await migrated()
      await surviveOutage((now) => cuttable(storeOn(query, { now })), expect)
    })

    it('says of what a replica answers that it may be a copy', async () => {
      const query = await migrated()
      const store = storeOn(query, { read: (...call) => query(...call) })
      const [id, record] = [newId(), newRecord()]
      await store.write(id, record, null)
      expect((await store.read(id))?.copied).toBe(true)
      expect((await store.read(id, { fresh: true }))?.copied).toBe(undefined)
      expect((await storeOn(query).read(id))?.copied).toBe(undefined)
    })

    it('takes ids and index keys of 128 characters', async () => {
      const store = storeOn(await migrated())
      const [id, key] = ['i'.repeat(128), 'k'.repeat(128)]
      const record = newRecord({ keys: [key], version: 'v'.repeat(64), epoch: 'e'.repeat(64) })
      expect(await store.write(id, record, null)).toEqual({ ok: true })
      expect((await store.index.list(key)).map((entry) => entry.id)).toEqual([id])
    })

    it('leaves nothing where there was nothing and no mark is wanted', async () => {
      const query = await migrated()
      expect(await storeOn(query).end('nothing', { markFor: 0 })).toBe(false)
      const { rows } = await query('SELECT id FROM sojourn_sessions', [], { signal: undefined })
      expect(rows).toEqual([])
    })

    it('does not send a value back to who wrote it', async () => {
      const query = await migrated()
      const answers: object[] = []
      const listening: SqlQuery = async (...call) => {
        const result = await query(...call)
        answers.push(...(result.rows as object[]))
        return result
      }
      const store = storeOn(listening)
      const [first, second] = [newRecord(), newRecord()]
      await store.write('a', first, null)
      await store.write('a', second, first.version)
      expect(answers.slice(1)).toMatchObject([{ value: '' }, { value: '' }])
      const late = await store.write('a', newRecord(), first.version)
      expect(late).toMatchObject({ ok: false, current: second })
    })

    it('keeps prefixes apart that share a table', async () => {
      const query = await migrated()
      const [one, two] = [storeOn(query, { prefix: 'a:' }), storeOn(query, { prefix: 'b:' })]
      const id = newId()
      await one.write(id, newRecord({ keys: ['ann'] }), null)
      expect(await two.read(id)).toBe(null)
      expect(await two.index.list('ann')).toEqual([])
      expect((await two.page(null)).records).toEqual([])
      expect(await two.index.end('ann')).toBe(0)
      expect(await two.end(id)).toBe(false)
      expect((await one.index.list('ann')).map((entry) => entry.id)).toEqual([id])
      expect((await one.page(null)).records.map((entry) => entry.id)).toEqual([id])
      expect((await one.read(id))?.keys).toEqual(['ann'])
    })

    it('goes through more records than fit on a page', async () => {
      const store = storeOn(await migrated())
      for (let i = 0; i < 501; i++) await store.write(`id-${i}`, newRecord(), null)
      const first = await store.page(null)
      const second = await store.page(first.cursor)
      expect([first.records.length, second.records.length, second.cursor]).toEqual([500, 1, null])
    })

    it('removes what expired a minute ago, at most 100 rows a statement', async () => {
      const clock = createClock(Date.now())
      const query = await migrated()
      let statements = 0
      const counting: SqlQuery = (text, ...rest) => {
        if (text.startsWith('DELETE')) statements++
        return query(text, ...rest)
      }
      const store = storeOn(counting, { now: clock })
      for (let i = 0; i < 600; i++) {
        await store.write(newId(), newRecord({ expiresAt: clock() + 1000 }), null)
      }
      await store.end('marked')
      clock.advance(60)
      expect(await store.prune()).toBe(0)
      statements = 0
      clock.advance(1)
      expect(await store.prune(100)).toBe(100)
      expect(await store.prune(150)).toBe(150)
      expect(await store.prune()).toBe(350)
      expect(statements).toBe(7)
      clock.advance(600)
      expect(await store.prune()).toBe(1)
    })

    it('removes expired rows after a share of its writes, and a failure of that harms no write', async () => {
      const clock = createClock(Date.now())
      const query = await migrated()
      let fails = true
      const failing: SqlQuery = async (text, ...rest) => {
        if (fails && text.startsWith('DELETE')) throw new Error('no')
        return await query(text, ...rest)
      }
      const store = storeOn(failing, { now: clock, autoPrune: 1 })
      await store.write('a', newRecord({ expiresAt: clock() + 1000 }), null)
      clock.advance(100)
      expect((await store.write('b', newRecord(), null)).ok).toBe(true)
      fails = false
      expect((await store.write('c', newRecord(), null)).ok).toBe(true)
      const left = async () =>
        (await query('SELECT id FROM sojourn_sessions', [], { signal: undefined })).rows.length
      // Nobody waits for it.
      while ((await left()) > 2) await new Promise((resolve) => setTimeout(resolve, 1))
      expect(await left()).toBe(2)
    })

    it('is refused a table that is missing, of another version, or of another shape', async () => {
      const messageOf = async (query: SqlQuery): Promise<string> => {
        const error = await errorOf(() => storeOn(query).write('a', newRecord(), null))
        expect(error.code).toBe('ERR_STORE')
        return error.message
      }
      const run = (query: SqlQuery, text: string) => query(text, [], { signal: undefined })
      expect(await messageOf(openSqlite())).toContain('migrations/sqlite')
      const older = await migrated()
      await run(older, 'DELETE FROM sojourn_sessions_schema')
      expect(await messageOf(older)).toMatch(/version 0.* works with 1.*migrations\/sqlite/)
      const newer = await migrated()
      await run(newer, 'INSERT INTO sojourn_sessions_schema (version) VALUES (7)')
      expect(await messageOf(newer)).toMatch(/version 7.* works with 1: install a newer Sojourn/)
      const other = await migrated()
      await run(other, 'ALTER TABLE sojourn_sessions RENAME COLUMN epoch TO era')
      expect(await messageOf(other)).toContain('lacks a column')
      const { rows } = await run(other, 'SELECT id FROM sojourn_sessions')
      expect(rows).toEqual([])
    })

    it('inspects its tables: a missing migration is a problem', async () => {
      const problems = async (query: SqlQuery) => (await storeOn(query).inspect!()).problems
      const query = await migrated()
      expect(await storeOn(query).inspect!()).toEqual({
        figures: { schemaVersion: 1, schemaExpected: 1 },
        problems: [],
      })
      expect(await problems(openSqlite())).toEqual(['migrations'])
      await query('DELETE FROM sojourn_sessions_schema', [], { signal: undefined })
      expect(await problems(query)).toEqual(['migrations'])
      const down: SqlQuery = async () => {
        throw Object.assign(new Error('canary'), { code: 'ECONNREFUSED' })
      }
      expect((await errorOf(() => problems(down))).code).toBe('ERR_STORE_UNAVAILABLE')
    })

    it('says of a row that is not its own that it is none', async () => {
      const query = await migrated()
      const store = storeOn(query)
      for (const change of ["entries = 'canary'", "expires_at = 'canary'", 'entry_count = 3']) {
        const id = newId()
        await store.write(id, newRecord(), null)
        await query(`UPDATE sojourn_sessions SET ${change}`, [], { signal: undefined })
        const error = await errorOf(() => store.read(id))
        expect([error.code, String(error.stack).includes('canary')]).toEqual(['ERR_STORE', false])
      }
    })

    it('lists and goes through the other records past a row that is not its own', async () => {
      const query = await migrated()
      const store = storeOn(query)
      for (let i = 0; i < 501; i++) {
        await store.write(`id-${i + 100}`, newRecord({ keys: ['ann'] }), null)
      }
      const change = "UPDATE sojourn_sessions SET entry_count = 3 WHERE id IN ('id-100', 'id-599')"
      await query(change, [], { signal: undefined })
      expect((await store.index.list('ann')).length).toBe(499)
      const first = await store.page(null)
      const second = await store.page(first.cursor)
      expect([first.records.length, second.records.length, second.cursor]).toEqual([498, 1, null])
      expect(await store.index.end('ann')).toBe(501)
    })
  })

  describe('sessions in SQLite', () => {
    it('are shared, listed, revoked and run once, behind resilient and cached', async () => {
      const query = await migrated()
      const isolates = Array.from({ length: 3 }, () =>
        createSessions({
          secret: SECRET,
          store: cached(resilient(storeOn(query)), { ttl: 1 }),
          snapshot: { maxAge: 1, staleIfError: 60 },
        }),
      )
      const [one, two, three] = isolates as [Sessions, Sessions, Sessions]
      const first = await one.open(null)
      first.login('ann', { label: 'here' })
      const [setCookie = ''] = await one.save(first)
      const header = setCookie.split(';')[0]!
      let calls = 0
      const use = async (sessions: Sessions, i: number): Promise<void> => {
        const session: Session = await sessions.open(header)
        session.increment('n')
        session.append('list', i)
        session.set('token', await session.once('token', async () => ++calls))
        await sessions.save(session)
      }
      await Promise.all(Array.from({ length: 30 }, (_, i) => use(isolates[i % 3]!, i)))
      // A new isolate, which has no copy.
      const fresh = createSessions({ secret: SECRET, store: storeOn(query) })
      const last = await fresh.open(header)
      expect([last.get('n'), (last.get('list') as []).length, last.get('token')]).toEqual([
        30, 30, 1,
      ])
      expect((await two.list('ann')).map(({ label }) => label)).toEqual(['here'])
      const all: string[] = []
      for await (const { subject } of three.all()) all.push(String(subject))
      expect(all).toEqual(['ann'])
      expect(await two.revokeAll('ann')).toBe(1)
      expect((await fresh.open(header)).status).toBe('missing')
    })

    it('make one statement to read and one more to write, sign in or sign out', async () => {
      const query = await migrated()
      let statements: string[] = []
      const counting: SqlQuery = (text, ...rest) => {
        statements.push(text.split(' ')[0]!)
        return query(text, ...rest)
      }
      const { visit } = createWorld({ store: storeOn(counting), now: Date.now })
      const cost = async (use: (session: Session) => unknown): Promise<string[]> => {
        statements = []
        await visit(use)
        return statements
      }
      await visit((session) => session.set('first', 1))
      expect(await cost((session) => session.get('n'))).toEqual(['SELECT'])
      expect(await cost((session) => session.set('n', 1))).toEqual(['SELECT', 'WITH'])
      expect(await cost((session) => session.login('ann'))).toEqual(['SELECT', 'WITH'])
      expect(await cost((session) => session.destroy())).toEqual(['SELECT', 'INSERT'])
      expect(await cost((session) => session.set('new', 1))).toEqual(['INSERT'])
    })
  })
}

if (sqlite) defineSuites()
else {
  describe('openSqlite()', () => {
    it('is refused where the runtime has no SQLite', () => {
      expect(() => openSqlite()).toThrow('no SQLite')
    })
  })
}
