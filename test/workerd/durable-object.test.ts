import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import { createSessions } from '../../src/index.ts'
import {
  createDurableObjectStore,
  type SessionObjectNamespace,
} from '../../src/stores/durable-object.ts'
import type { StoredRecord } from '../../src/stores/store.ts'
import { createClock, type StoreUnderTest, testStore } from '../../src/testing/index.ts'
import { raceEnds } from '../support/race-ends.ts'
import { compareWithReference } from '../support/reference-store.ts'
import { errorOf, SECRET } from '../support/sessions.ts'

const namespace = env.SESSIONS as SessionObjectNamespace
const api = { describe, it, expect }

const factory = (): StoreUnderTest => {
  const clock = createClock(Date.now())
  const store = createDurableObjectStore({ namespace, now: clock })
  return { store, now: clock, advance: (ms) => void clock.advanceMs(ms) }
}

testStore('createDurableObjectStore() on real objects', factory, api)
raceEnds('createDurableObjectStore() on real objects', () =>
  createDurableObjectStore({ namespace }),
)

describe('createDurableObjectStore() against the reference', () => {
  it('answers random calls as applyWrite does', async () => {
    for (let seed = 1; seed <= 15; seed++) await compareWithReference(factory, seed, 60)
  })
})

let ids = 0
const nextId = (): string => `id ${++ids}`

describe('createDurableObjectStore()', () => {
  const record = (more: Partial<StoredRecord> = {}): StoredRecord => ({
    value: 'v',
    version: '1-a',
    epoch: '1',
    expiresAt: Date.now() + 60_000,
    ...more,
  })
  const counting = () => {
    const calls: string[] = []
    const counted: SessionObjectNamespace = {
      getByName(name) {
        calls.push(name.slice(0, 2))
        return namespace.getByName(name)
      },
    }
    return {
      store: createDurableObjectStore({ namespace: counted }),
      take: () => calls.splice(0).join(' '),
    }
  }

  it('makes one round trip per call', async () => {
    const { store, take } = counting()
    const [id, keys] = [nextId(), ['counted', 'tag']]
    await store.write(id, record({ keys }), null)
    expect(take()).toBe('s:')
    await store.write(id, record({ keys, version: '2-b' }), '1-a')
    await store.read(id)
    expect(take()).toBe('s: s:')
    expect((await store.index.list('counted')).length).toBe(1)
    expect(take()).toBe('u:')
    expect(await store.index.end('counted')).toBe(1)
    expect(take()).toBe('u:')
    expect(await store.end(id)).toBe(false)
    expect(take()).toBe('s:')
  })

  it('forgets by itself what has expired', async () => {
    const store = createDurableObjectStore({ namespace })
    const [id, key] = [nextId(), 'alarmed']
    await store.write(id, record({ keys: [key], expiresAt: Date.now() + 50 }), null)
    await new Promise((resolve) => setTimeout(resolve, 200))
    for (const name of [`s:${id}`, `u:${key}`]) {
      const stub = namespace.getByName(name) as never
      await runDurableObjectAlarm(stub)
      const left = await runInDurableObject(stub, (_: unknown, { storage }: never) => [
        ...(storage as { kv: { list(): Iterable<unknown> } }).kv.list(),
      ])
      expect(left).toEqual([])
    }
    // And starts again afterwards.
    expect(await store.write(id, record({ keys: [key] }), null)).toEqual({ ok: true })
    expect((await store.index.list(key)).length).toBe(1)
  })

  it('removes the mark of an ended session by itself when it is over', async () => {
    const store = createDurableObjectStore({ namespace })
    const [id, key, other] = [nextId(), 'marked', nextId()]
    await store.write(id, record({ keys: [key] }), null)
    expect(await store.end(id, { markFor: 60 })).toBe(true)
    const leftIn = (name: string): Promise<number> =>
      runInDurableObject(
        namespace.getByName(name) as never,
        (_: unknown, { storage }: never) =>
          [...(storage as { kv: { list(): Iterable<unknown> } }).kv.list()].length,
      )
    expect([await leftIn(`s:${id}`), await leftIn(`u:${key}`)]).toEqual([1, 0])
    await store.write(other, record(), null)
    expect(await store.end(other, { markFor: 0.05 })).toBe(true)
    await new Promise((resolve) => setTimeout(resolve, 200))
    await runDurableObjectAlarm(namespace.getByName(`s:${other}`) as never)
    expect(await leftIn(`s:${other}`)).toBe(0)
  })

  it('keeps what has not expired when the alarm comes early', async () => {
    const store = createDurableObjectStore({ namespace })
    const id = nextId()
    await store.write(id, record({ keys: ['early'] }), null)
    await runDurableObjectAlarm(namespace.getByName(`s:${id}`) as never)
    await runDurableObjectAlarm(namespace.getByName('u:early') as never)
    expect((await store.index.list('early')).length).toBe(1)
  })

  it('tells what may pass from what will not, and quotes nothing', async () => {
    const failing = (error: object): SessionObjectNamespace => ({
      getByName: () => ({ read: () => Promise.reject(Object.assign(new Error('canary'), error)) }),
    })
    for (const [error, code] of [
      [{ overloaded: true, retryable: true }, 'ERR_STORE_UNAVAILABLE'],
      [{ remote: true }, 'ERR_STORE'],
      [{ retryable: true }, 'ERR_STORE_UNAVAILABLE'],
      [{}, 'ERR_STORE_UNAVAILABLE'],
    ] as const) {
      const store = createDurableObjectStore({ namespace: failing(error) })
      const thrown = await errorOf(() => store.read('a'))
      expect([thrown.code, String(thrown.stack).includes('canary')]).toEqual([code, false])
    }
  })

  it('refuses what is no binding', async () => {
    for (const options of [{}, { namespace: {} }, { namespace, prefix: 'x' }]) {
      expect(await errorOf(() => createDurableObjectStore(options as never))).toBeInstanceOf(
        TypeError,
      )
    }
  })

  it('keeps all of 25 writes of each of 20 writers, in two round trips each', async () => {
    const { store, take } = counting()
    const sessions = createSessions({ secret: SECRET, store })
    const session = await sessions.open(null)
    session.login('writers')
    const [setCookie = ''] = await sessions.save(session)
    const header = setCookie.split(';')[0] as string
    for (const kind of ['set', 'increment'] as const) {
      take()
      await Promise.all(
        Array.from({ length: 20 }, async (_, writer) => {
          for (let i = 0; i < 25; i++) {
            const mine = await sessions.open(header)
            if (kind === 'set') mine.set(`key ${writer} ${i}`, i)
            else mine.increment('n')
            await sessions.save(mine)
          }
        }),
      )
      expect(take().split(' ').length).toBeLessThan(1050)
    }
    const last = await sessions.open(header)
    expect([Object.keys(last.data).length, last.get('n')]).toEqual([501, 500])
    expect(await sessions.revokeAll('writers')).toBe(1)
    expect((await sessions.open(header)).status).toBe('missing')
  })

  it('revokes everywhere in a storm of renewals and logins', async () => {
    const sessions = createSessions({
      secret: SECRET,
      renewAfter: 0,
      store: createDurableObjectStore({ namespace }),
    })
    const headers = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const session = await sessions.open(null)
        session.login('storm')
        return ((await sessions.save(session))[0] ?? '').split(';')[0] as string
      }),
    )
    const storm = headers.map(async (header, i) => {
      for (let n = 0; n < 5; n++) {
        const session = await sessions.open(header)
        if (i % 2) session.set('n', n)
        await sessions.save(session)
      }
    })
    const revoked = sessions.revokeAll('storm')
    await Promise.all([...storm, revoked])
    expect(await revoked).toBe(10)
    for (const header of headers) expect((await sessions.open(header)).status).toBe('missing')
    expect(await sessions.list('storm')).toEqual([])
  })
})
