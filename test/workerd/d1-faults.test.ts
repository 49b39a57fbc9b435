import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { createD1Store, type D1Binding } from '../../src/stores/d1.ts'
import { type StoredRecord, TOMBSTONE } from '../../src/stores/store.ts'
import { createRandom } from '../support/schedule.ts'
import { errorOf } from '../support/sessions.ts'
import { migrate } from './migrate.ts'

const database = env.DB as D1Binding
const store = createD1Store({ database })
beforeEach(() => migrate(database))

let count = 0
const fresh = (kind: string): string => `${kind} ${++count}`
const record = (more: Partial<StoredRecord> = {}): StoredRecord => ({
  value: 'v',
  version: `1.${++count}`,
  expiresAt: Date.now() + 60_000,
  ...more,
})
const grave = () => record({ value: TOMBSTONE, expiresAt: Date.now() + 30_000 })
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

describe('a session in D1', () => {
  it('of five overlapping writes takes exactly one', async () => {
    const id = fresh('id')
    const first = record()
    await store.write(id, first, null)
    const rivals = Array.from({ length: 5 }, () => store.write(id, record(), first.version))
    expect((await Promise.all(rivals)).filter(({ ok }) => ok).length).toBe(1)
  })

  it('keeps all of 500 patches of 20 writers', async () => {
    const id = fresh('id')
    await store.write(id, record(), null)
    const folded: string[] = []
    const put = async (patch: string): Promise<void> => {
      for (;;) {
        const result = await store.write(id, record(), 'older', { patch })
        if (result.ok) return
        const patches = result.current?.patches ?? []
        const version = result.current?.version ?? ''
        const done = await store.write(id, record(), version, { folded: patches.length })
        if (done.ok) folded.push(...patches)
      }
    }
    await Promise.all(
      Array.from({ length: 20 }, async (_, writer) => {
        for (let i = 0; i < 25; i++) await put(`${writer}.${i}`)
      }),
    )
    const all = [...folded, ...((await store.read(id))?.patches ?? [])]
    expect([all.length, new Set(all).size]).toEqual([500, 500])
  })

  it('knows a patch again for as long as it is kept, whatever came after it', async () => {
    const id = fresh('id')
    await store.write(id, record(), null)
    const late = record()
    await store.write(id, late, 'older', { patch: 'mi"ne' })
    for (let i = 0; i < 31; i++) {
      const { version } = record()
      await store.write(id, record({ version: `${version}.${'x'.repeat(20)}` }), 'older', {
        patch: `other ${i}`,
      })
    }
    const again = await store.write(id, late, 'older', { patch: 'mi"ne' })
    expect(again).toEqual({ ok: true, patched: true })
    const { patches = [] } = (await store.read(id)) ?? {}
    expect([patches.length, patches[0]]).toEqual([32, 'mi"ne'])
  })

  it('refuses patches before they outgrow a row', async () => {
    const id = fresh('id')
    await store.write(id, record({ value: 'v'.repeat(300_000) }), null)
    const results: boolean[] = []
    for (let i = 0; i < 10; i++) {
      const patch = `${i}`.repeat(200_000)
      results.push((await store.write(id, record(), 'older', { patch })).ok)
    }
    expect(results.filter(Boolean).length).toBe(3)
    expect(results[9]).toBe(false)
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

describe('burying in D1, in a storm', () => {
  it('ends all older sessions, also those that move meanwhile', async () => {
    const random = createRandom(4)
    let buried = 0
    for (let round = 0; round < 40; round++) {
      const subject = fresh('user')
      const lines = [0, 1, 2].map(() => [fresh('id')])
      const live = async (ids: string[]): Promise<void> => {
        let [id = '', { version }] = [ids[0], record({ subject })]
        await store.write(id, record({ subject, version }), null)
        for (let step = 0; step < 4; step++) {
          await wait(random() * 4)
          const moving = random() < 0.5
          const next = record({ subject })
          const to = fresh('id')
          if (moving) await store.write(to, next, null)
          const result = await store.write(id, moving ? grave() : next, version)
          if (!result.ok) {
            if (moving) await store.delete(to)
            return
          }
          if (moving) {
            ids.push(to)
            id = to
          }
          version = next.version
        }
      }
      const login = fresh('id')
      const lives = lines.map(live)
      await wait(random() * 20)
      // Whatever was created by now is older.
      const older = (await store.index.list(subject)).map(({ id }) => id)
      const begun = lines.filter(([id]) => older.includes(id as string))
      const creating = store.write(login, record({ subject }), null)
      buried += await store.index.bury(subject, grave())
      await Promise.all([...lives, creating])
      const listed = new Set((await store.index.list(subject)).map(({ id }) => id))
      for (const id of begun.flat()) {
        const there = await store.read(id)
        if (there && there.value !== TOMBSTONE) throw new Error(`round ${round}: ${id} is alive`)
      }
      const there = (await store.read(login))?.value === 'v'
      if (there !== listed.has(login)) throw new Error(`round ${round}: alive is ${there}`)
    }
    expect(buried > 40).toBe(true)
  })
})

describe('what fails in D1', () => {
  const failing = (message: string): D1Binding => ({
    prepare: (sql) => database.prepare(sql),
    batch: () => Promise.reject(new Error(message)),
  })

  it('is not tried again when a quota is used up', async () => {
    for (const message of [
      'D1_ERROR: Exceeded maximum DB size.',
      "D1_ERROR: Your account has exceeded D1's maximum account storage limit.",
      'D1_ERROR: database or disk is full: SQLITE_FULL',
      'D1_ERROR: D1 free tier daily row write limit exceeded.',
      "D1_ERROR: Your account has exceeded D1's free tier daily row read limit.",
      'D1_COLUMN_NOTFOUND: x',
    ]) {
      const error = await errorOf(() => createD1Store({ database: failing(message) }).read('a'))
      expect([message, error.code]).toEqual([message, 'ERR_STORE'])
    }
  })

  it('may pass when the database was reset or has too much to do', async () => {
    for (const message of [
      'D1_ERROR: D1 DB reset because its code was updated.',
      'D1_ERROR: D1 DB storage operation exceeded timeout which caused object to be reset.',
      'D1_ERROR: D1 DB is overloaded. Too many requests queued.',
      'D1_ERROR: database is locked: SQLITE_BUSY',
    ]) {
      const error = await errorOf(() => createD1Store({ database: failing(message) }).read('a'))
      expect([message, error.code]).toEqual([message, 'ERR_STORE_UNAVAILABLE'])
    }
  })

  it('is typed when an answer or a row is not what it should be', async () => {
    const id = fresh('id')
    await store.write(id, record(), null)
    await database.batch([
      database.prepare("UPDATE sojourn_sessions SET patches = 'canary'"),
    ] as never[])
    const error = await errorOf(() => store.read(id))
    expect([error.code, String(error.stack).includes('canary')]).toEqual(['ERR_STORE', false])
    const silent: D1Binding = {
      prepare: (sql) => database.prepare(sql),
      batch: () => Promise.resolve([]),
    }
    const empty = createD1Store({ database: silent })
    for (const call of [() => empty.read('a'), () => empty.write('a', record(), null)]) {
      expect((await errorOf(call)).code).toBe('ERR_STORE')
    }
  })

  it('does not keep a caller who has gone', async () => {
    const hanging: D1Binding = {
      prepare: (sql) => database.prepare(sql),
      batch: () => new Promise(() => {}),
    }
    const [reason, controller] = [new Error('gone'), new AbortController()]
    const read = createD1Store({ database: hanging }).read('a', { signal: controller.signal })
    controller.abort(reason)
    expect(await read.catch((error: unknown) => error)).toBe(reason)
  })

  it('is refused when the limit of a clean-up is no number', async () => {
    // As in `scheduled: store.cleanupExpired`, which would remove nothing, for ever.
    const error = await errorOf(() => store.cleanupExpired({} as never))
    expect(error).toBeInstanceOf(TypeError)
  })
})
