/** Values in the storage of session objects that somebody else wrote, or another version. */
import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import {
  createDurableObjectStore,
  type SessionObjectNamespace,
} from '../../src/stores/durable-object.ts'
import type { StoredRecord } from '../../src/stores/store.ts'
import { errorOf } from '../support/sessions.ts'

const namespace = env.SESSIONS as SessionObjectNamespace
const store = createDurableObjectStore({ namespace })
const stubOf = (name: string): never => namespace.getByName(name) as never

interface Storage {
  readonly kv: {
    get(key: string): unknown
    put(key: string, value: unknown): void
    delete(key: string): boolean
    list(): Iterable<[string, unknown]>
  }
  getAlarm(): Promise<number | null>
}
const inside = <T>(name: string, run: (storage: Storage) => T | Promise<T>): Promise<T> =>
  runInDurableObject(stubOf(name), (_: unknown, { storage }: never) => run(storage))
const keysIn = (name: string): Promise<string[]> =>
  inside(name, ({ kv }) => [...kv.list()].map(([key]) => key))

let count = 0
const fresh = (kind: string): string => `foreign ${kind} ${++count}`
const record = (more: Partial<StoredRecord> = {}): StoredRecord => ({
  value: 'v',
  version: `1.${++count}`,
  epoch: '1',
  expiresAt: Date.now() + 60_000,
  ...more,
})
const saved = (more: object): object => ({
  ...record(),
  removeAt: Date.now() + 60_000,
  listedUntil: {},
  ...more,
})

const RECORDS: [string, unknown][] = [
  ['a text', 'garbage'],
  ['null', null],
  ['a list', [1, 2]],
  ['an empty object', {}],
  ['no value', saved({ value: undefined })],
  ['a version that is no text', saved({ version: 5 })],
  ['an expiry that is no number', saved({ expiresAt: Number.NaN })],
  ['an expiry without end', saved({ expiresAt: Number.POSITIVE_INFINITY })],
  ['an expiry that is a text', saved({ expiresAt: '9e99' })],
  ['an expiry that is a bigint', saved({ expiresAt: 9n ** 30n })],
  ['no time of its removal', saved({ removeAt: undefined })],
  ['keys that are a text', saved({ keys: 'ann' })],
  ['keys that are numbers', saved({ keys: [5] })],
  ['entries that are a text', saved({ entries: 'one' })],
  ['times of its lists that are none', saved({ listedUntil: { ann: 'x' } })],
]

describe.each(RECORDS)('a Durable Object that has %s in the place of a session', (_, value) => {
  const plant = async () => {
    const [key, own, id] = [fresh('user'), fresh('own'), fresh('id')]
    for (const one of [own, id]) await store.write(one, record({ keys: [key] }), null)
    await inside(`s:${id}`, ({ kv }) => kv.put('record', value))
    return { key, own, id }
  }

  it('never takes it for no session, and writes nothing over it', async () => {
    const { id } = await plant()
    for (const call of [() => store.read(id), () => store.write(id, record(), null)]) {
      expect(await errorOf(call)).toMatchObject({
        code: 'ERR_STORE',
        message: 'The Durable Object stores no record of ours',
      })
    }
  })

  it('lists the other sessions of the user, and goes on listing it', async () => {
    const { key, own } = await plant()
    expect((await store.index.list(key)).map((entry) => entry.id)).toEqual([own])
    expect(await keysIn(`u:${key}`)).toHaveLength(2)
  })

  it('ends it, and marks its id', async () => {
    const { id } = await plant()
    expect(await store.end(id)).toBe(false)
    expect(await store.read(id)).toBe(null)
    expect(await store.write(id, record(), null)).toEqual({ ok: false, current: null })
  })

  it('ends it with all others of the user, and counts those', async () => {
    const { key, own, id } = await plant()
    expect(await store.index.end(key)).toBe(1)
    expect([await store.read(own), await store.read(id)]).toEqual([null, null])
  })

  it('leaves it where it is when the alarm goes off', async () => {
    const { id } = await plant()
    await runDurableObjectAlarm(stubOf(`s:${id}`))
    expect(await keysIn(`s:${id}`)).toEqual(['record'])
  })
})

const TIMES: [string, unknown][] = [
  ['a text', 'garbage'],
  ['no number', Number.NaN],
  ['endless', Number.POSITIVE_INFINITY],
  ['after all alarms', 1e300],
  ['an object', {}],
  ['a bigint', 9n ** 30n],
]

describe.each(TIMES)('the alarm of a Durable Object where a time is %s', (_, time) => {
  it('takes no session of a user out of the list', async () => {
    const [key, own] = [fresh('user'), fresh('own')]
    await store.write(own, record({ keys: [key] }), null)
    await inside(`u:${key}`, ({ kv }) => {
      for (const id of ['', 'x', '\0', 'y'.repeat(500)]) kv.put(`member:${id}`, time)
      kv.put('of another version', time)
    })
    await runDurableObjectAlarm(stubOf(`u:${key}`))
    expect(await inside(`u:${key}`, (storage) => storage.getAlarm())).toBeGreaterThan(0)
    expect((await store.index.list(key)).map((entry) => entry.id)).toEqual([own])
    expect(await store.index.end(key)).toBe(1)
    expect(await keysIn(`u:${key}`)).toEqual(['of another version'])
  })

  it('leaves a session that has such a mark beside it', async () => {
    const id = fresh('id')
    await store.write(id, record(), null)
    await inside(`s:${id}`, ({ kv }) => kv.put('mark', { until: time, removeAt: time }))
    await runDurableObjectAlarm(stubOf(`s:${id}`))
    expect((await store.read(id))?.value).toBe('v')
    expect(await store.end(id)).toBe(true)
    expect(await store.write(id, record(), null)).toEqual({ ok: false, current: null })
  })
})

describe('the mark of an ended session in a Durable Object', () => {
  it.each(['garbage', null, { until: 'garbage', removeAt: 5 }, [1]])(
    'that is %o lets nothing be created until the session is ended again',
    async (mark) => {
      const id = fresh('id')
      await store.end(id)
      await inside(`s:${id}`, ({ kv }) => kv.put('mark', mark))
      const error = await errorOf(() => store.write(id, record(), null))
      expect(error).toMatchObject({ code: 'ERR_STORE' })
      expect(await store.end(id)).toBe(false)
      expect(await store.write(id, record(), null)).toEqual({ ok: false, current: null })
    },
  )
})

describe('a Durable Object', () => {
  /** Lets an object refuse to store anything, as one does that is full. */
  const fill = (name: string): Promise<void> =>
    inside(name, (storage) => {
      const { kv } = storage
      const full = {
        get: (key: string) => kv.get(key),
        list: () => kv.list(),
        delete: (key: string) => kv.delete(key),
        put: () => {
          throw new Error('database or disk is full: SQLITE_FULL')
        },
      }
      Object.defineProperty(storage, 'kv', { configurable: true, value: full })
    })

  it('that is full says so, and ends its session all the same', async () => {
    const [id, other, key] = [fresh('id'), fresh('other'), fresh('user')]
    const first = record({ keys: [key] })
    await store.write(id, first, null)
    await store.write(other, record({ keys: [key] }), null)
    for (const one of [id, other]) await fill(`s:${one}`)
    const refused = () => store.write(id, record({ keys: [key] }), first.version)
    expect(await errorOf(refused)).toMatchObject({ code: 'ERR_STORE', reason: 'full' })
    expect((await store.read(id))?.version).toBe(first.version)
    expect(await store.end(id)).toBe(true)
    expect(await store.index.end(key)).toBe(1)
    expect([await store.read(id), await store.read(other)]).toEqual([null, null])
  })

  it('that is full never says that it ended a session whose mark is part of its end', async () => {
    const id = fresh('id')
    await store.write(id, record({ markFor: 3600 }), null)
    await fill(`s:${id}`)
    expect(await errorOf(() => store.end(id))).toMatchObject({ code: 'ERR_STORE', reason: 'full' })
  })

  it.each(['', '\0', '../..', '__proto__', 'constructor', 's:u:', 'x'.repeat(100_000)])(
    'is found by the name %j',
    async (name) => {
      const id = `${name} named`
      expect(await store.write(id, record({ keys: [name.slice(0, 1000)] }), null)).toEqual({
        ok: true,
      })
      expect((await store.index.list(name.slice(0, 1000))).map((entry) => entry.id)).toEqual([id])
      expect(await store.index.end(name.slice(0, 1000))).toBe(1)
      expect(await store.read(id)).toBe(null)
    },
  )
})
