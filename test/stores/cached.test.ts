import { describe, expect, it } from 'vitest'
import { StoreError, StoreUnavailableError } from '../../src/errors.ts'
import { type CacheOptions, cached } from '../../src/stores/cached.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import {
  type SessionStore,
  type StoredRecord,
  type StoreEvent,
  TOMBSTONE,
} from '../../src/stores/store.ts'
import { createClock, createFaultyStore, testStore } from '../../src/testing/index.ts'

for (const ttl of [0, 5]) {
  testStore(
    `cached(store, { ttl: ${ttl} })`,
    () => {
      const clock = createClock()
      const store = cached(createMemoryStore({ now: clock }), { ttl, now: clock })
      return { store, now: clock, advance: (ms: number) => void clock.advanceMs(ms) }
    },
    { describe, it, expect },
  )
}

function setUp(options: Partial<CacheOptions> = {}) {
  const clock = createClock()
  const remote = createMemoryStore({ now: clock })
  const faulty = createFaultyStore(remote, { sleep: clock.sleep })
  const store = cached(faulty, { ttl: 10, staleIfError: 60, now: clock, ...options })
  const record = (version: string, more: Partial<StoredRecord> = {}): StoredRecord => ({
    value: `value of ${version}`,
    version,
    expiresAt: clock() + 3_600_000,
    ...more,
  })
  const reads = (): number => faulty.calls.filter(({ operation }) => operation === 'read').length
  const events: StoreEvent[] = []
  store.subscribe?.((event) => events.push(event))
  return { clock, remote, faulty, store, record, reads, events }
}

const errorOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'resolved',
    (error) => error?.code ?? error,
  )

const versionOf = async (store: SessionStore, id: string): Promise<string | undefined> =>
  (await store.read(id))?.version

describe('cached()', () => {
  it.each([
    [{}, 'ttl'],
    [{ ttl: undefined }, 'ttl'],
    [{ ttl: -1 }, 'ttl'],
    [{ ttl: '5' }, 'ttl'],
    [{ ttl: 5, maxEntries: 0 }, 'maxEntries'],
    [{ ttl: 5, maxBytes: '1' }, 'maxBytes'],
    [{ ttl: 5, staleIfError: Number.NaN }, 'staleIfError'],
    [{ ttl: 5, now: 1 }, 'now'],
    [{ ttl: 5, tll: 1 }, 'tll'],
  ])('refuses %o and names %s', (options, name) => {
    expect(() => cached(createMemoryStore(), options as CacheOptions)).toThrow(name)
  })

  it('refuses what is no store', () => {
    expect(() => cached({} as SessionStore, { ttl: 5 })).toThrow(TypeError)
  })

  it('passes on what the store is and has', async () => {
    const { store, remote, record } = setUp()
    expect([store.name, store.atomic]).toEqual(['faulty(memory)', true])
    await store.write('a', record('1', { subject: 'ann' }), null)
    expect((await store.index?.list('ann'))?.length).toBe(1)
    expect(await store.health?.()).toBe(undefined)
    let closed = 0
    const bare: SessionStore = {
      name: 'bare',
      atomic: false,
      read: (id) => remote.read(id),
      write: (id, record, expected) => remote.write(id, record, expected),
      delete: (id) => remote.delete(id),
      details: () => ({ breaker: 'closed' }),
      close: async () => void closed++,
    }
    const wrapped = cached(bare, { ttl: 5 })
    expect(wrapped.index).toBe(undefined)
    expect(wrapped.details?.()).toEqual({ breaker: 'closed', cacheEntries: 0, cacheBytes: 0 })
    await wrapped.close?.()
    expect(closed).toBe(1)
  })

  it('asks the store once per ttl', async () => {
    const { clock, remote, store, record, reads } = setUp()
    await remote.write('a', record('1'), null)
    for (let i = 0; i < 5; i++) await store.read('a')
    expect(reads()).toBe(1)
    clock.advanceMs(9999)
    await store.read('a')
    expect(reads()).toBe(1)
    clock.advanceMs(1)
    await store.read('a')
    expect(reads()).toBe(2)
  })

  it('counts the ttl from when the store was asked, not from its answer', async () => {
    const { clock, remote, faulty, store, record, reads } = setUp()
    await remote.write('a', record('1'), null)
    faulty.inject({ type: 'delay', ms: 4000 })
    const reading = store.read('a')
    clock.advanceMs(4000)
    await reading
    clock.advanceMs(6000)
    await store.read('a')
    expect(reads()).toBe(2)
  })

  it('does not answer a record that expired within the ttl', async () => {
    const { clock, store, record } = setUp()
    await store.write('a', record('1', { expiresAt: clock() + 5000 }), null)
    clock.advanceMs(4999)
    expect(await versionOf(store, 'a')).toBe('1')
    clock.advanceMs(1)
    expect(await store.read('a')).toBe(null)
  })

  it('does not trust memory from the future when the clock went back', async () => {
    const { clock, store, record, reads } = setUp()
    await store.write('a', record('1'), null)
    clock.advance(-100)
    await store.read('a')
    expect(reads()).toBe(1)
  })

  it('answers from memory what was written through it, without a read', async () => {
    const { store, record, reads } = setUp()
    await store.write('a', record('1'), null)
    await store.write('a', record('2'), '1')
    expect(await store.read('a')).toEqual(record('2'))
    expect(reads()).toBe(0)
  })

  it('learns the current record from a refused write', async () => {
    const { remote, store, record, reads } = setUp()
    await store.write('a', record('1'), null)
    await remote.write('a', record('2'), '1')
    expect((await store.write('a', record('3'), '1')).ok).toBe(false)
    expect(await versionOf(store, 'a')).toBe('2')
    await remote.delete('a')
    expect((await store.write('a', record('3'), '2')).ok).toBe(false)
    expect(await store.read('a')).toBe(null)
    expect(reads()).toBe(1)
  })

  it('does not remember that there was nothing', async () => {
    const { remote, store, record } = setUp()
    expect(await store.read('a')).toBe(null)
    await remote.write('a', record('1'), null)
    expect(await versionOf(store, 'a')).toBe('1')
  })

  it('hands out copies', async () => {
    const { store, record } = setUp()
    const given = record('1')
    await store.write('a', given, null)
    given.value = 'changed'
    const read = await store.read('a')
    if (read) read.value = 'changed'
    expect(await store.read('a')).toEqual(record('1'))
  })

  it('is bounded by entries and bytes', async () => {
    const { store, record, faulty } = setUp({ maxEntries: 3, maxBytes: 200 })
    for (let i = 0; i < 10; i++) await store.write(`id-${i}`, record('1'), null)
    const { cacheEntries, cacheBytes } = store.details?.() ?? {}
    expect(cacheEntries).toBe(3)
    expect(Number(cacheBytes) <= 200).toBe(true)
    faulty.down()
    expect(await errorOf(store.read('id-0'))).toBe('ERR_STORE_UNAVAILABLE')
  })

  it('goes without a record larger than the whole cache', async () => {
    const { store, record, reads } = setUp({ maxBytes: 200 })
    await store.write('a', record('1'), null)
    await store.write('a', record('2', { value: 'x'.repeat(200) }), '1')
    expect(await versionOf(store, 'a')).toBe('2')
    expect(reads()).toBe(1)
  })
})

describe('cached() after a change in this isolate', () => {
  it('answers a destroyed session as destroyed at once', async () => {
    const { store, record } = setUp()
    await store.write('a', record('1'), null)
    await store.write('a', record('2', { value: TOMBSTONE }), '1')
    expect((await store.read('a'))?.value).toBe(TOMBSTONE)
    await store.delete('a')
    expect(await store.read('a')).toBe(null)
  })

  it('keeps no answer that left the store before the change', async () => {
    for (const change of ['write', 'delete'] as const) {
      const { clock, remote, store, record } = setUp()
      await remote.write('a', record('1'), null)
      const old = record('1')
      const slow: SessionStore = {
        name: 'slow',
        atomic: true,
        read: async (id) => {
          const answer = await remote.read(id)
          await clock.sleep(100)
          return answer
        },
        write: (id, next, expected) => remote.write(id, next, expected),
        delete: (id) => remote.delete(id),
      }
      const front = cached(slow, { ttl: 10, staleIfError: 60, now: clock })
      const reading = front.read('a')
      await Promise.resolve()
      if (change === 'write') await front.write('a', record('2'), '1')
      else await front.delete('a')
      clock.advanceMs(100)
      expect((await reading)?.version).toBe(old.version)
      const after = front.read('a')
      await Promise.resolve()
      await Promise.resolve()
      clock.advanceMs(100)
      expect((await after)?.version).toBe(change === 'write' ? '2' : undefined)
      expect(store.name).toBe('faulty(memory)')
    }
  })

  it('does not take a late answer to an older write for what is there now', async () => {
    const { clock, remote, store, record, faulty } = setUp()
    await store.write('a', record('1'), null)
    faulty.inject({ type: 'pass' })
    const { write } = faulty
    let release = (): void => {}
    faulty.write = async (...args) => {
      const result = await write.apply(faulty, args)
      if (args[1].version === '2') await new Promise<void>((resolve) => (release = resolve))
      return result
    }
    const late = store.write('a', record('2'), '1')
    await clock.sleep(0)
    await store.write('a', record('3'), '2')
    await store.write('a', record('4', { value: TOMBSTONE }), '3')
    release()
    await late
    expect((await remote.read('a'))?.version).toBe('4')
    faulty.down()
    expect(await versionOf(store, 'a')).toBe('4')
    clock.advance(20)
    expect(await versionOf(store, 'a')).toBe('4')
  })

  it('asks the store again after a write of unknown outcome', async () => {
    const { faulty, store, record } = setUp()
    await store.write('a', record('1'), null)
    faulty.inject({ type: 'throw-after' }, 'write')
    expect(await errorOf(store.write('a', record('2'), '1'))).toBe('ERR_STORE_UNAVAILABLE')
    expect(await versionOf(store, 'a')).toBe('2')
  })

  it('has nothing to answer with after a sign-out of unknown outcome', async () => {
    for (const end of ['tombstone', 'delete']) {
      const { faulty, store, record } = setUp()
      await store.write('a', record('1'), null)
      faulty.down()
      const dead = record('2', { value: TOMBSTONE })
      await errorOf(end === 'delete' ? store.delete('a') : store.write('a', dead, '1'))
      expect(await errorOf(store.read('a'))).toBe('ERR_STORE_UNAVAILABLE')
    }
  })
})

describe('cached() while the store is unavailable', () => {
  it('answers with what it has, marked stale, for ttl and staleIfError and no longer', async () => {
    const { clock, faulty, store, record, events } = setUp()
    await store.write('a', record('1'), null)
    faulty.down()
    clock.advanceMs(9999)
    expect(await store.read('a')).toEqual(record('1', { expiresAt: clock() - 9999 + 3_600_000 }))
    expect(events).toEqual([])
    clock.advanceMs(1)
    expect((await store.read('a'))?.stale).toBe(true)
    expect(events).toEqual([
      {
        type: 'store.stale',
        store: 'faulty(memory)',
        operation: 'read',
        code: 'ERR_STORE_UNAVAILABLE',
      },
    ])
    clock.advanceMs(59_999)
    expect((await store.read('a'))?.stale).toBe(true)
    clock.advanceMs(1)
    expect(await errorOf(store.read('a'))).toBe('ERR_STORE_UNAVAILABLE')
  })

  it('still answers after a failed write, with the record before it, marked stale', async () => {
    const { faulty, store, record } = setUp()
    await store.write('a', record('1'), null)
    faulty.down()
    await errorOf(store.write('a', record('2'), '1'))
    expect(await store.read('a')).toEqual({ ...record('1'), stale: true })
  })

  it('throws by default once the ttl is over', async () => {
    const clock = createClock()
    const faulty = createFaultyStore(createMemoryStore({ now: clock }))
    const store = cached(faulty, { ttl: 1, now: clock })
    await store.write('a', { value: 'v', version: '1', expiresAt: clock() + 60_000 }, null)
    faulty.down()
    clock.advance(1)
    expect(await errorOf(store.read('a'))).toBe('ERR_STORE_UNAVAILABLE')
  })

  it('throws when it has nothing, or only something that expired', async () => {
    const { clock, faulty, store, record } = setUp()
    await store.write('a', record('1', { expiresAt: clock() + 20_000 }), null)
    faulty.down()
    expect(await errorOf(store.read('b'))).toBe('ERR_STORE_UNAVAILABLE')
    clock.advance(20)
    expect(await errorOf(store.read('a'))).toBe('ERR_STORE_UNAVAILABLE')
  })

  it('hides no other failure', async () => {
    const { clock, faulty, store, record } = setUp()
    await store.write('a', record('1'), null)
    clock.advance(11)
    faulty.inject({ type: 'throw-before', error: new StoreError('Refused') })
    expect(await errorOf(store.read('a'))).toBe('ERR_STORE')
    faulty.inject({ type: 'throw-before', error: 'the caller has gone' })
    expect(await errorOf(store.read('a'))).toBe('the caller has gone')
  })

  it('answers although a listener throws', async () => {
    const { clock, faulty, store, record, events } = setUp()
    const deaf = cached(faulty, { ttl: 1, staleIfError: 60, now: clock })
    deaf.subscribe?.(() => {
      throw new Error('Listener')
    })
    await deaf.write('a', record('1'), null)
    faulty.down({ type: 'throw-before', error: new StoreUnavailableError('Down') })
    clock.advance(2)
    expect((await deaf.read('a'))?.stale).toBe(true)
    expect(events).toEqual([])
    expect(await errorOf(store.read('b'))).toBe('ERR_STORE_UNAVAILABLE')
  })

  it('is fresh again with the first answer', async () => {
    const { clock, faulty, store, record } = setUp()
    await store.write('a', record('1'), null)
    faulty.down()
    clock.advance(11)
    await store.read('a')
    faulty.up()
    expect((await store.read('a'))?.stale).toBe(undefined)
  })
})
