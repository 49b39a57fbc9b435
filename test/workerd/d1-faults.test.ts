import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import type { StoreError } from '../../src/errors.ts'
import { createD1Store, type D1Binding } from '../../src/stores/d1.ts'
import type { StoredRecord } from '../../src/stores/store.ts'
import { createRandom } from '../support/schedule.ts'
import { errorOf } from '../support/sessions.ts'
import { migrate } from './migrate.ts'

const database = env.DB as D1Binding
const store = createD1Store({ database })
beforeEach(() => migrate(database))

let count = 0
const fresh = (kind: string): string => `${kind}-${++count}`
const record = (more: Partial<StoredRecord> = {}): StoredRecord => ({
  value: 'v',
  version: `1.${++count}`,
  epoch: '1',
  expiresAt: Date.now() + 60_000,
  ...more,
})
/** A database that answers every statement so. */
const answering = (all: () => Promise<unknown>): D1Binding => ({
  prepare: () => ({ bind: () => ({ bind: () => ({}) as never, all }), all }),
})
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

describe('a session in D1', () => {
  it('of five overlapping writes takes exactly one', async () => {
    const id = fresh('id')
    const first = record()
    await store.write(id, first, null)
    const rivals = Array.from({ length: 5 }, () => store.write(id, record(), first.version))
    expect((await Promise.all(rivals)).filter(({ ok }) => ok).length).toBe(1)
  })

  it('keeps all of 500 entries that 20 writers append', async () => {
    const id = fresh('id')
    await store.write(id, record(), null)
    const merged: string[] = []
    const put = async (entry: string): Promise<void> => {
      for (;;) {
        const result = await store.write(id, record(), 'older', { entry })
        if (result.ok) return
        const { version = '', entries = [] } = result.current ?? {}
        if ((await store.write(id, record(), version)).ok) merged.push(...entries)
      }
    }
    await Promise.all(
      Array.from({ length: 20 }, async (_, writer) => {
        for (let i = 0; i < 25; i++) await put(`${writer}.${i}`)
      }),
    )
    const all = [...merged, ...((await store.read(id))?.entries ?? [])]
    expect([all.length, new Set(all).size]).toEqual([500, 500])
  })

  it('knows an entry again, whatever is in its text', async () => {
    const id = fresh('id')
    await store.write(id, record(), null)
    await store.write(id, record(), 'older', { entry: 'mi"ne' })
    await store.write(id, record(), 'older', { entry: 'other' })
    const again = await store.write(id, record(), 'older', { entry: 'mi"ne' })
    expect([again.ok, again.current?.entries]).toEqual([true, ['mi"ne', 'other']])
  })

  it('is written though it has expired by the time it gets there', async () => {
    const id = fresh('id')
    const late = record({ expiresAt: Date.now() - 1 })
    expect(await store.write(id, late, null)).toEqual({ ok: true })
    expect(await store.read(id)).toBe(null)
  })

  it('carries a record of a megabyte', async () => {
    const id = fresh('id')
    const value = 'ab'.repeat(500_000)
    await store.write(id, record({ value }), null)
    expect((await store.read(id))?.value === value).toBe(true)
  })
})

describe('ending by index key in D1, in a storm', () => {
  it('ends all older sessions, whatever is written meanwhile', async () => {
    const random = createRandom(4)
    let ended = 0
    for (let round = 0; round < 40; round++) {
      const keys = [fresh('user')]
      const ids = [fresh('id'), fresh('id'), fresh('id')]
      const live = async (id: string): Promise<void> => {
        let { version } = record()
        await store.write(id, record({ keys, version }), null)
        for (let step = 0; step < 4; step++) {
          await wait(random() * 4)
          const next = record({ keys })
          if (!(await store.write(id, next, version)).ok) return
          version = next.version
        }
      }
      const login = fresh('id')
      const lives = ids.map(live)
      await wait(random() * 20)
      const older = (await store.index.list(keys[0]!)).map(({ id }) => id)
      const creating = store.write(login, record({ keys }), null)
      ended += await store.index.end(keys[0]!)
      await Promise.all([...lives, creating])
      for (const id of older) {
        if (await store.read(id)) throw new Error(`round ${round}: ${id} is alive`)
      }
      const listed = new Set((await store.index.list(keys[0]!)).map(({ id }) => id))
      const isThere = (await store.read(login)) !== null
      if (isThere !== listed.has(login)) throw new Error(`round ${round}: alive is ${isThere}`)
    }
    expect(ended > 40).toBe(true)
  })
})

describe('what fails in D1', () => {
  const failing = (message: string): D1Binding =>
    answering(() => Promise.reject(new Error(message)))

  it('is not tried again when a quota is used up', async () => {
    for (const [message, reason, word] of [
      ['D1_ERROR: Exceeded maximum DB size.', 'full'],
      ["D1_ERROR: Your account has exceeded D1's maximum account storage limit.", 'full'],
      ['D1_ERROR: database or disk is full: SQLITE_FULL', 'full', 'SQLITE_FULL'],
      ['D1_ERROR: string or blob too big: SQLITE_TOOBIG', 'too-large', 'SQLITE_TOOBIG'],
      ['D1_ERROR: D1 free tier daily row write limit exceeded.', 'quota'],
      ["D1_ERROR: Your account has exceeded D1's free tier daily row read limit.", 'quota'],
      [
        'D1_ERROR: near "CANARY": syntax error at offset 9: SQLITE_ERROR',
        'unknown',
        'SQLITE_ERROR',
      ],
      ['D1_COLUMN_NOTFOUND: x', 'unknown', 'D1_COLUMN_NOTFOUND'],
    ] as const) {
      const error = await errorOf(() => createD1Store({ database: failing(message) }).read('a'))
      const { code, reason: said, word: told } = error as StoreError
      expect([message, code, said, told]).toEqual([message, 'ERR_STORE', reason, word])
    }
  })

  it('may pass when the database was reset or has too much to do', async () => {
    for (const [message, reason, word] of [
      ['D1_ERROR: D1 DB reset because its code was updated.', 'loading'],
      [
        'D1_ERROR: D1 DB storage operation exceeded timeout which caused object to be reset.',
        'timeout',
      ],
      ['D1_ERROR: D1 DB is overloaded. Too many requests queued.', 'rate'],
      ['D1_ERROR: database is locked: SQLITE_BUSY', 'rate', 'SQLITE_BUSY'],
      ['D1_ERROR: Network connection lost.', 'network'],
    ] as const) {
      const error = await errorOf(() => createD1Store({ database: failing(message) }).read('a'))
      const { code, reason: said, word: told } = error as StoreError
      expect([message, code, said, told]).toEqual([message, 'ERR_STORE_UNAVAILABLE', reason, word])
    }
  })

  it('is typed when an answer or a row is not what it should be', async () => {
    const id = fresh('id')
    await store.write(id, record(), null)
    await database.prepare("UPDATE sojourn_sessions SET entries = 'canary'").bind().all()
    const error = await errorOf(() => store.read(id))
    expect([error.code, String(error.stack).includes('canary')]).toEqual(['ERR_STORE', false])
    const empty = createD1Store({ database: answering(() => Promise.resolve([])) })
    for (const call of [
      () => empty.read('a'),
      () => empty.write('a', record(), null),
      () => empty.end('a'),
    ]) {
      expect((await errorOf(call)).code).toBe('ERR_STORE')
    }
  })

  it('does not keep a caller who has gone', async () => {
    const hanging = answering(() => new Promise(() => {}))
    const [reason, controller] = [new Error('gone'), new AbortController()]
    const read = createD1Store({ database: hanging }).read('a', { signal: controller.signal })
    controller.abort(reason)
    expect(await read.catch((error: unknown) => error)).toBe(reason)
  })

  it('is refused when the limit of a clean-up is no number', async () => {
    for (const limit of [0, Number.NaN, { limit: '1' }, { age: 1 }]) {
      const error = await errorOf(() => store.prune(limit as never))
      expect(error instanceof TypeError || error instanceof RangeError).toBe(true)
    }
  })
})
