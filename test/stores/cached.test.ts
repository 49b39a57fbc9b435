import { describe, expect, it } from 'vitest'
import { StoreError, StoreUnavailableError } from '../../src/errors.ts'
import { type CacheOptions, cached } from '../../src/stores/cached.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import type { SessionStore, StoredRecord, StoreEvent } from '../../src/stores/store.ts'
import {
  type Clock,
  createClock,
  createFaultyStore,
  type StoreUnderTest,
  testStore,
} from '../../src/testing/index.ts'
import { raceEnds } from '../support/race-ends.ts'
import { compareWithReference } from '../support/reference-store.ts'

for (const ttl of [0, 5, 3600]) {
  const factory = (): StoreUnderTest => {
    const clock = createClock()
    const store = cached(createMemoryStore({ now: clock }), { ttl, now: clock })
    return { store, now: clock, advance: (ms: number) => void clock.advanceMs(ms) }
  }
  testStore(`cached(store, { ttl: ${ttl} })`, factory, { describe, it, expect })
  raceEnds(`cached(store, { ttl: ${ttl} })`, () => cached(createMemoryStore(), { ttl }))

  describe(`cached(store, { ttl: ${ttl} }) against the reference`, () => {
    it('answers random calls of one isolate as applyWrite does', async () => {
      for (let seed = 1; seed <= 100; seed++) await compareWithReference(factory, seed, 100)
    })
  })
}

function setUp(options: Partial<CacheOptions> = {}) {
  const clock = createClock()
  const remote = createMemoryStore({ now: clock })
  const faulty = createFaultyStore(remote, { sleep: clock.sleep })
  const store = cached(faulty, { ttl: 10, staleIfError: 60, now: clock, ...options })
  const record = (version: string, more: Partial<StoredRecord> = {}): StoredRecord => ({
    value: `value of ${version}`,
    version,
    epoch: '1',
    expiresAt: clock() + 3_600_000,
    ...more,
  })
  const reads = (): number => faulty.calls.filter(({ operation }) => operation === 'read').length
  const events: StoreEvent[] = []
  store.subscribe?.((event) => {
    if (event.type !== 'cache.read') events.push(event)
  })
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
    await store.write('a', record('1', { keys: ['ann'] }), null)
    expect((await store.index?.list('ann'))?.length).toBe(1)
    expect(await store.health?.()).toBe(undefined)
    const whole = cached(remote, { ttl: 5 })
    expect((await whole.page?.(null))?.records).toHaveLength(1)
    expect(await whole.prune?.()).toBe(0)
    let closed = 0
    const bare: SessionStore = {
      name: 'bare',
      atomic: false,
      read: (id) => remote.read(id),
      write: (id, record, expected) => remote.write(id, record, expected),
      end: (id) => remote.end(id),
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
    expect(await store.read('a')).toEqual({ ...record('2'), copied: true })
    expect(reads()).toBe(0)
  })

  it('learns the current record from a refused write', async () => {
    const { remote, store, record, reads } = setUp()
    await store.write('a', record('1'), null)
    await remote.write('a', record('2'), '1')
    expect((await store.write('a', record('3'), '1')).ok).toBe(false)
    expect(await versionOf(store, 'a')).toBe('2')
    await remote.end('a')
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
    expect(await store.read('a')).toEqual({ ...record('1'), copied: true })
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

  it('drops what was read least recently', async () => {
    const { store, record, reads } = setUp({ maxEntries: 2 })
    await store.write('a', record('1'), null)
    await store.write('b', record('1'), null)
    await store.read('a')
    await store.write('c', record('1'), null)
    await store.read('a')
    expect(reads()).toBe(0)
    await store.read('b')
    expect(reads()).toBe(1)
  })

  it('goes without a record larger than the whole cache', async () => {
    const { store, record, reads } = setUp({ maxBytes: 200 })
    await store.write('a', record('1'), null)
    await store.write('a', record('2', { value: 'x'.repeat(200) }), '1')
    expect(await versionOf(store, 'a')).toBe('2')
    expect(reads()).toBe(1)
  })
})

/** A store whose answers to reads are so many milliseconds on their way. */
function answeringLate(remote: SessionStore, clock: Clock, ms: number): SessionStore {
  return {
    ...remote,
    read: async (id) => {
      const answer = await remote.read(id)
      await clock.sleep(ms)
      return answer
    },
  }
}

describe('cached() after a change in this isolate', () => {
  it('answers an ended session as ended at once', async () => {
    const { store, record } = setUp()
    await store.write('a', record('1'), null)
    await store.end('a')
    expect(await store.read('a')).toBe(null)
  })

  it('drops copies when sessions end by index key, those that name nobody included', async () => {
    const { store, record, reads } = setUp()
    await store.write('a', record('1', { keys: ['ann', 'tag'] }), null)
    await store.write('b', record('1', { keys: ['bob'] }), null)
    await store.write('c', record('1', { keys: ['ann', 'tag'] }), null)
    await store.write('d', record('1'), null)
    expect(await store.index?.end('tag', { except: 'c' })).toBe(1)
    expect(await store.read('a')).toBe(null)
    for (const id of ['b', 'c']) expect(await versionOf(store, id)).toBe('1')
    expect(reads()).toBe(1)
    expect(await versionOf(store, 'd')).toBe('1')
    expect(reads()).toBe(2)
  })

  it('drops the copy of a write that was under way when its session ended by index key', async () => {
    const { clock, remote, record } = setUp()
    const slow: SessionStore = {
      ...remote,
      write: async (id, next, expected) => {
        const result = await remote.write(id, next, expected)
        await clock.sleep(100)
        return result
      },
    }
    const store = cached(slow, { ttl: 10, staleIfError: 60, now: clock })
    const writing = store.write('a', record('1', { keys: ['ann'] }), null)
    await Promise.resolve()
    expect(await store.index?.end('ann')).toBe(1)
    clock.advanceMs(100)
    await writing
    expect(await store.read('a')).toBe(null)
  })

  it('sees an entry that another isolate appended, while it keeps writing', async () => {
    const { clock, remote, store, record } = setUp()
    await store.write('a', record('1'), null)
    await remote.write('a', record('2'), '0', { entry: 'theirs' })
    const refused = await store.write('a', record('3'), '1')
    expect(refused.ok).toBe(false)
    expect((await store.read('a'))?.entries).toEqual(['theirs'])
    const appended = await store.write('a', record('4'), '1', { entry: 'ours' })
    expect(appended.current?.entries).toEqual(['theirs', 'ours'])
    clock.advanceMs(9999)
    expect(await store.read('a')).toEqual({ ...appended.current, copied: true })
  })

  it('leaves a copy of overlapping writes that is good for outages only', async () => {
    const { clock, remote, record } = setUp()
    const faulty = createFaultyStore(remote, { sleep: clock.sleep })
    const store = cached(faulty, { ttl: 10, staleIfError: 60, now: clock })
    await store.write('a', record('1'), null)
    faulty.inject({ type: 'delay', ms: 100 }, 'write')
    const late = store.write('a', record('2'), '1')
    await store.write('a', record('3'), '1')
    clock.advanceMs(100)
    expect((await late).ok).toBe(false)
    faulty.down()
    expect(await store.read('a')).toEqual({
      ...record('3'),
      expiresAt: expect.any(Number),
      stale: true,
    })
    faulty.up()
    expect((await store.read('a'))?.stale).toBe(undefined)
  })

  it('keeps no answer that left the store while a session was ended there', async () => {
    for (const change of ['end', 'index.end'] as const) {
      const { clock, remote, record } = setUp()
      await remote.write('a', record('1', { keys: ['ann'] }), null)
      const slow: SessionStore = {
        ...answeringLate(remote, clock, 200),
        end: async (id) => {
          await clock.sleep(100)
          return remote.end(id)
        },
        index: {
          ...remote.index,
          end: async (key) => {
            await clock.sleep(100)
            return remote.index.end(key)
          },
        },
      }
      const front = cached(slow, { ttl: 10, now: clock })
      const ending = change === 'end' ? front.end('a') : front.index!.end('ann')
      const reading = front.read('a')
      for (let i = 0; i < 5; i++) await Promise.resolve()
      clock.advanceMs(100)
      await ending
      clock.advanceMs(100)
      expect((await reading)?.version).toBe('1')
      const after = front.read('a')
      for (let i = 0; i < 5; i++) await Promise.resolve()
      clock.advanceMs(200)
      expect([change, await after]).toEqual([change, null])
    }
  })

  it('keeps no answer that left the store before the change', async () => {
    for (const change of ['write', 'end', 'index.end'] as const) {
      const { clock, remote, record } = setUp()
      await remote.write('a', record('1', { keys: ['ann'] }), null)
      const slow = answeringLate(remote, clock, 100)
      const front = cached(slow, { ttl: 10, staleIfError: 60, now: clock })
      const reading = front.read('a')
      await Promise.resolve()
      if (change === 'write') await front.write('a', record('2'), '1')
      else if (change === 'end') await front.end('a')
      else await front.index?.end('ann')
      clock.advanceMs(100)
      expect((await reading)?.version).toBe('1')
      const after = front.read('a')
      await Promise.resolve()
      await Promise.resolve()
      clock.advanceMs(100)
      expect((await after)?.version).toBe(change === 'write' ? '2' : undefined)
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
    await store.write('a', record('4'), '3')
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

  it('has nothing to answer with after an end of unknown outcome', async () => {
    const ends: ((store: SessionStore) => Promise<unknown>)[] = [
      (store) => store.end('a'),
      async (store) => store.index?.end('ann'),
    ]
    for (const end of ends) {
      const { faulty, store, record } = setUp()
      await store.write('a', record('1', { keys: ['ann'] }), null)
      faulty.down()
      await errorOf(end(store))
      expect(await errorOf(store.read('a'))).toBe('ERR_STORE_UNAVAILABLE')
    }
  })

  it('keeps the copy when a store that lags says nothing', async () => {
    const { remote, record, clock } = setUp()
    const lagging: SessionStore = { ...remote, atomic: false, read: async () => undefined }
    const store = cached(lagging, { ttl: 10, now: clock })
    await store.write('a', record('1'), null)
    expect(await store.read('a', { fresh: true })).toBe(undefined)
    expect(await versionOf(store, 'a')).toBe('1')
  })
})

describe('cached() while the store is unavailable', () => {
  it('answers with what it has, marked stale, for ttl and staleIfError and no longer', async () => {
    const { clock, faulty, store, record, events } = setUp()
    await store.write('a', record('1'), null)
    faulty.down()
    clock.advanceMs(9999)
    const expiresAt = clock() - 9999 + 3_600_000
    expect(await store.read('a')).toEqual({ ...record('1', { expiresAt }), copied: true })
    expect(events).toEqual([])
    clock.advanceMs(1)
    expect((await store.read('a'))?.stale).toBe(true)
    expect(events).toEqual([
      {
        type: 'store.stale',
        store: 'faulty(memory)',
        operation: 'read',
        code: 'ERR_STORE_UNAVAILABLE',
        reason: 'unknown',
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
    await store.write(
      'a',
      { value: 'v', version: '1', epoch: '1', expiresAt: clock() + 60_000 },
      null,
    )
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
