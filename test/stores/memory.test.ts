import { describe, expect, it } from 'vitest'
import { EndedIds } from '../../src/stores/ended-ids.ts'
import { createMemoryStore, type MemoryStoreOptions } from '../../src/stores/memory.ts'
import type { StoredPage, StoredRecord } from '../../src/stores/store.ts'
import { createClock, type StoreUnderTest, testStore } from '../../src/testing/index.ts'
import { raceEnds } from '../support/race-ends.ts'
import { compareWithReference } from '../support/reference-store.ts'

const factory = (): StoreUnderTest => {
  const clock = createClock()
  const advance = (ms: number): void => void clock.advanceMs(ms)
  return { store: createMemoryStore({ now: clock }), now: clock, advance }
}

testStore('createMemoryStore()', factory, { describe, it, expect })
raceEnds('createMemoryStore()', () => createMemoryStore())

describe('createMemoryStore() against the reference', () => {
  it('answers 400 sequences of 100 random calls as applyWrite does', async () => {
    for (let seed = 1; seed <= 400; seed++) await compareWithReference(factory, seed, 100)
  })
})

function setUp(options: MemoryStoreOptions = {}) {
  const clock = createClock()
  const store = createMemoryStore({ now: clock, ...options })
  const record = (more: Partial<StoredRecord> = {}): StoredRecord => ({
    value: 'v',
    version: '1-a',
    epoch: '1',
    expiresAt: clock() + 60_000,
    ...more,
  })
  const fill = async (count: number, more: Partial<StoredRecord> = {}): Promise<void> => {
    for (let i = 0; i < count; i++) await store.write(`id-${i}`, record(more), null)
  }
  return { clock, store, record, fill }
}

/** Runs `work` and notes `measure()` each time it lets others run, at its start and at its end. */
async function atEachPause(work: () => Promise<unknown>, measure: () => number): Promise<number[]> {
  const real = globalThis.setTimeout
  const seen = [measure()]
  const spy = (fn: () => void, ms?: number): unknown => {
    seen.push(measure())
    return real(fn, ms)
  }
  globalThis.setTimeout = spy as typeof setTimeout
  try {
    await work()
  } finally {
    globalThis.setTimeout = real
  }
  return [...seen, measure()]
}

const largestDrop = (seen: number[]): number =>
  Math.max(...seen.slice(1).map((value, i) => (seen[i] ?? 0) - value))

describe('createMemoryStore()', () => {
  it.each([
    ['maxEntries', 0, RangeError],
    ['maxEntries', -1, RangeError],
    ['maxEntries', 1.5, RangeError],
    ['maxEntries', Number.NaN, RangeError],
    ['maxEntries', '10', TypeError],
    ['maxBytes', 0, RangeError],
    ['maxBytes', Number.POSITIVE_INFINITY, RangeError],
    ['maxBytes', [], TypeError],
    ['now', 'x', TypeError],
    ['maxEntires', 5, TypeError],
  ])('refuses %s: %s and names it', (name, value, kind) => {
    const create = () => createMemoryStore({ [name]: value })
    expect(create).toThrow(kind)
    expect(create).toThrow(name)
  })

  it('does not say the value of a refused option', () => {
    const options = { maxEntries: 'hunter2' } as unknown as MemoryStoreOptions
    let message = ''
    try {
      createMemoryStore(options)
    } catch (error) {
      message = String(error)
    }
    expect(message.includes('hunter2')).toBe(false)
    expect(message.includes('string')).toBe(true)
  })

  it('is atomic, called memory, and healthy', async () => {
    const { store } = setUp()
    expect(store.name).toBe('memory')
    expect(store.atomic).toBe(true)
    expect(await store.health?.()).toBe(undefined)
    expect(store.details?.()).toEqual({ ...store.stats() })
  })

  it('is absent at the millisecond it expires, also between two of them', async () => {
    const { clock, store, record } = setUp()
    await store.write('a', record({ expiresAt: clock() + 10.5 }), null)
    clock.advanceMs(10)
    expect(await store.read('a')).not.toBe(null)
    clock.advanceMs(0.5)
    expect(await store.read('a')).toBe(null)
  })

  it('drops properties of a record that are not for a store', async () => {
    const { store, record } = setUp()
    const given = { ...record({ keys: ['ann'], stale: true }), extra: 1 }
    await store.write('a', given, null)
    expect(await store.read('a')).toEqual(record({ keys: ['ann'] }))
  })

  it('has pages of all its records, each of them once', async () => {
    const { store, fill } = setUp()
    await fill(2500)
    const ids: string[] = []
    let pages = 0
    let cursor: string | null = null
    do {
      const page: StoredPage = await store.page!(cursor)
      ids.push(...page.records.map(({ id }) => id))
      cursor = page.cursor
      pages++
    } while (cursor !== null)
    expect([ids.length, new Set(ids).size, pages > 1]).toEqual([2500, 2500, true])
  })

  it('remembers as many ended ids as it may, and forgets the oldest first', () => {
    const ended = new EndedIds(3, createClock())
    const ids = ['a', 'b', 'c', 'd', 'e']
    for (const id of ids) ended.add(id, 600)
    expect(ids.map((id) => ended.has(id))).toEqual([false, false, true, true, true])
  })

  it('removes marks of ended ids that are over', async () => {
    const { clock, store, record } = setUp()
    await store.end('a')
    expect(await store.write('a', record(), null)).toEqual({ ok: false, current: null })
    clock.advance(600)
    expect(await store.write('a', record(), null)).toEqual({ ok: true })
  })
})

describe('createMemoryStore() when it is full', () => {
  it('evicts what was used least recently', async () => {
    const { store, record } = setUp({ maxEntries: 3 })
    for (const id of ['a', 'b', 'c']) await store.write(id, record(), null)
    await store.read('a')
    await store.write('b', record({ version: '2' }), '1-a')
    await store.write('d', record(), null)
    expect(await store.read('c')).toBe(null)
    for (const id of ['a', 'b', 'd']) expect(await store.read(id)).not.toBe(null)
    expect(store.stats().evictions).toBe(1)
  })

  it('evicts records without a user first, whoever was used last', async () => {
    const { store, record } = setUp({ maxEntries: 100 })
    for (let i = 0; i < 80; i++) await store.write(`user-${i}`, record({ keys: ['u'] }), null)
    for (let i = 0; i < 1000; i++) await store.write(`visitor-${i}`, record(), null)
    expect((await store.index.list('u')).length).toBe(80)
    for (let i = 980; i < 1000; i++) expect(await store.read(`visitor-${i}`)).not.toBe(null)
  })

  it('leaves records without a user an eighth of the room, to sign in from', async () => {
    const { store, record } = setUp({ maxEntries: 80 })
    for (let i = 0; i < 200; i++) await store.write(`user-${i}`, record({ keys: ['u'] }), null)
    for (let i = 0; i < 200; i++) await store.write(`visitor-${i}`, record(), null)
    expect((await store.index.list('u')).length).toBe(70)
    for (let i = 190; i < 200; i++) expect(await store.read(`visitor-${i}`)).not.toBe(null)
  })

  it.each([[['u']], [undefined]])('never evicts what was just written (keys %s)', async (keys) => {
    const more = keys ? { keys } : {}
    for (const others of [{}, { keys: ['others'] }]) {
      const { store, record } = setUp({ maxEntries: 2 })
      for (const id of ['a', 'b']) await store.write(id, record(others), null)
      await store.write('new', record(more), null)
      expect(await store.read('new')).toEqual(record(more))
      expect(store.stats().entries).toBe(2)
    }
  })

  it('does not count a refused write or a listing as use', async () => {
    const { store, record } = setUp({ maxEntries: 2 })
    await store.write('a', record({ keys: ['ann'] }), null)
    await store.write('b', record({ keys: ['bob'] }), null)
    await store.write('a', record({ version: '9' }), 'wrong')
    await store.index.list('ann')
    await store.write('c', record(), null)
    expect(await store.read('a')).toBe(null)
  })

  it('never holds more entries or bytes than allowed', async () => {
    const { store, record } = setUp({ maxEntries: 50, maxBytes: 4000 })
    for (let i = 0; i < 500; i++) {
      await store.write(`id-${i}`, record({ value: 'x'.repeat((i * 7) % 300) }), null)
      const { entries, bytes } = store.stats()
      expect(entries <= 50 && bytes <= 4000).toBe(true)
    }
  })

  it('counts two bytes per character of id, value, version, epoch and keys', async () => {
    const { store, record } = setUp()
    await store.write('id', record({ value: 'val', version: '1', keys: ['ann'] }), null)
    expect(store.stats().bytes).toBe(2 * (2 + 3 + 1 + 1 + 3))
    await store.write('id', record({ value: 'longer', version: '2' }), '1')
    expect(store.stats().bytes).toBe(2 * (2 + 6 + 1 + 1))
    await store.end('id')
    expect(store.stats().bytes).toBe(0)
  })

  it('throws for a record larger than all of it, and keeps what was there', async () => {
    const { store, record } = setUp({ maxBytes: 100 })
    await store.write('a', record(), null)
    let code: unknown
    try {
      await store.write('a', record({ value: 'x'.repeat(100), version: '2' }), '1-a')
    } catch (error) {
      code = (error as { code: string }).code
    }
    expect(code).toBe('ERR_STORE')
    expect(await store.read('a')).toEqual(record())
  })

  it('makes room for a large record in steps of a thousand', async () => {
    const { store, record, fill } = setUp({ maxBytes: 5000 * 26 })
    await fill(5000, { value: '' })
    const huge = record({ value: 'x'.repeat(50_000) })
    const seen = await atEachPause(
      () => store.write('huge', huge, null),
      () => store.stats().entries,
    )
    expect(largestDrop(seen)).toBe(1000)
    expect(store.stats().bytes <= 5000 * 26).toBe(true)
    expect(await store.read('huge')).toEqual(huge)
  })
})

describe('createMemoryStore().stats()', () => {
  it('counts hits and misses', async () => {
    const { clock, store, record } = setUp()
    await store.write('a', record(), null)
    await store.read('a')
    await store.read('b')
    clock.advance(60)
    await store.read('a')
    const { hits, misses } = store.stats()
    expect({ hits, misses }).toEqual({ hits: 1, misses: 2 })
  })

  it('tells live from expired at every millisecond, as a count one by one does', async () => {
    const { clock, store, record } = setUp()
    const ends: number[] = []
    for (let i = 0; i < 400; i++) {
      const expiresAt = clock() + ((i * 7919) % 90_000)
      ends.push(expiresAt)
      await store.write(`id-${i}`, record({ expiresAt }), null)
    }
    const start = clock()
    for (const passed of [0, 1, 15, 29_999, 30_000, 30_001, 45_678, 59_999, 60_000, 89_000]) {
      clock.set(start + passed)
      const { entries, live, expired } = store.stats()
      const gone = 400 - entries
      const due = ends.filter((end) => end <= clock()).length
      expect({ live, expired: expired + gone }).toEqual({ live: 400 - due, expired: due })
    }
  })

  it('is right after replacements, deletes and a clock that goes back', async () => {
    const { clock, store, record } = setUp()
    await store.write('a', record({ expiresAt: clock() + 1000 }), null)
    await store.write('b', record({ expiresAt: clock() + 1000 }), null)
    await store.write('a', record({ version: '2', expiresAt: clock() + 5000 }), '1-a')
    clock.advanceMs(999)
    expect(store.stats().expired).toBe(0)
    clock.advanceMs(1)
    expect(store.stats().expired).toBe(1)
    clock.advance(1)
    expect(store.stats()).toEqual({
      entries: 2,
      live: 1,
      expired: 1,
      bytes: store.stats().bytes,
      hits: 0,
      misses: 0,
      evictions: 0,
    })
    clock.advance(-2)
    expect(store.stats().live).toBe(2)
    await store.end('b')
    clock.advance(10)
    expect(store.stats().expired).toBe(1)
    await store.prune()
    expect(store.stats().entries).toBe(0)
  })
})

describe('createMemoryStore().prune()', () => {
  it('removes what has expired, keeps the rest and returns the count', async () => {
    const { clock, store, record, fill } = setUp()
    await fill(2500, { expiresAt: clock() + 1000 })
    await store.write('live', record(), null)
    expect(await store.prune()).toBe(0)
    clock.advance(1)
    expect(await store.prune()).toBe(2500)
    expect(store.stats().entries).toBe(1)
    expect(await store.read('live')).toEqual(record({ expiresAt: clock() + 59_000 }))
  })

  it('removes as many as it was told to, at most', async () => {
    const { clock, store, fill } = setUp()
    await fill(10, { expiresAt: clock() + 1000 })
    clock.advance(1)
    expect([await store.prune(3), await store.prune(3), await store.prune()]).toEqual([3, 3, 4])
  })

  it('lets others run after every thousand records', async () => {
    const { clock, store, fill } = setUp()
    await fill(20_000, { expiresAt: clock() + 1000 })
    clock.advance(1)
    const seen = await atEachPause(
      () => store.prune(),
      () => store.stats().entries,
    )
    expect(seen.length).toBe(22)
    expect(largestDrop(seen)).toBe(1000)
    expect(seen.at(-1)).toBe(0)
  })

  it('finds everything that had expired when it began, whatever else happens meanwhile', async () => {
    const { clock, store, record, fill } = setUp()
    await fill(5000, { expiresAt: clock() + 1000 })
    clock.advance(1)
    const cleaning = store.prune()
    for (let i = 0; i < 200; i++) {
      await store.write(`new-${i}`, record(), null)
      await store.read(`new-${i % 7}`)
      await store.end(`id-${i * 5}`)
    }
    await cleaning
    expect(store.stats()).toEqual({ ...store.stats(), entries: 200, expired: 0, live: 200 })
  })
})

describe('createMemoryStore().page()', () => {
  it('lets others run after every thousand records, also where all have expired', async () => {
    const { clock, store, fill } = setUp()
    await fill(20_000, { expiresAt: clock() + 1000 })
    clock.advance(1)
    const seen = await atEachPause(
      () => store.page(null),
      () => store.stats().entries,
    )
    expect(largestDrop(seen)).toBe(1000)
    expect(seen.at(-1)).toBe(0)
  })
})

describe('createMemoryStore() and visitors who never return', () => {
  it('sweeps at most a few of their records with each write, and all of them in the end', async () => {
    const { clock, store, record, fill } = setUp()
    await fill(2000, { expiresAt: clock() + 1000 })
    clock.advance(1)
    for (let i = 0; i < 1200; i++) {
      const before = store.stats().expired
      await store.write('busy', record({ version: `${i}` }), i === 0 ? null : `${i - 1}`)
      expect(before - store.stats().expired <= 4).toBe(true)
    }
    expect(store.stats().entries).toBe(1)
  })

  it('keeps no subject for ever', async () => {
    const { clock, store, record } = setUp({ maxEntries: 10 })
    for (let i = 0; i < 100; i++) {
      await store.write(`id-${i}`, record({ keys: ['ann'] }), null)
    }
    expect((await store.index.list('ann')).length).toBe(10)
    clock.advance(60)
    expect(await store.index.list('ann')).toEqual([])
    expect(store.stats().entries).toBe(0)
  })
})
