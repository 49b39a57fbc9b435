import { describe, expect, it } from 'vitest'
import { createMemoryStore } from '../../src/stores/memory.ts'
import type { SessionStore, StoredRecord } from '../../src/stores/store.ts'
import { createClock, type TestApi, testStore } from '../../src/testing/index.ts'

/** Runs the suite against a store and returns the titles of the tests that failed. */
async function failuresOf(breakIt: (good: SessionStore) => Partial<SessionStore>) {
  const tests: [string, () => Promise<void>][] = []
  const api: TestApi = {
    describe: (_, define) => define(),
    it: (title, test) => tests.push([title, test]),
    expect,
  }
  const factory = () => {
    const clock = createClock()
    const good = createMemoryStore({ now: clock })
    const store: SessionStore = { ...good, name: 'broken', ...breakIt(good) }
    return { store, now: clock, advance: (ms: number) => void clock.advanceMs(ms) }
  }
  testStore('broken', factory, api)
  const failed: string[] = []
  for (const [title, test] of tests) {
    await test().catch(() => failed.push(title))
  }
  return failed.join(' | ')
}

describe('testStore()', () => {
  it('passes a store that keeps the contract', async () => {
    expect(await failuresOf(() => ({}))).toBe('')
  })

  it('closes the store after each test', async () => {
    const tests: (() => Promise<void>)[] = []
    let closed = 0
    const api: TestApi = {
      describe: (_, define) => define(),
      it: (_, test) => tests.push(test),
      expect,
    }
    testStore('any', () => ({ store: createMemoryStore(), close: () => void closed++ }), api)
    for (const test of tests) await test()
    expect(closed).toBe(tests.length)
  })

  const upsert = (good: SessionStore): Partial<SessionStore> => ({
    write: async (id, record) => {
      const current = await good.read(id)
      return await good.write(id, record, current?.version ?? null)
    },
  })

  const overwrites = (good: SessionStore): Partial<SessionStore> => ({
    write: async (id, record, expected, options) => {
      const current = await good.read(id)
      const matches = (current?.version ?? null) === expected
      if (!matches) return await good.write(id, record, expected, options)
      const result = await good.write(id, record, expected)
      return result.ok ? result : await good.write(id, record, result.current?.version ?? null)
    },
  })

  /** A store that changes what is written before it is. */
  const writing =
    (change: (record: StoredRecord, good: StoredRecord | null | undefined) => StoredRecord) =>
    (good: SessionStore): Partial<SessionStore> => ({
      write: async (id, record, expected, options) =>
        good.write(id, change(record, await good.read(id)), expected, options),
    })

  /** A store that changes what is read. */
  const reading =
    (change: (record: StoredRecord) => StoredRecord) =>
    (good: SessionStore): Partial<SessionStore> => ({
      read: async (id, options) => {
        const record = await good.read(id, options)
        return record && change(record)
      },
    })

  it.each<[string, string, (good: SessionStore) => Partial<SessionStore>]>([
    ['writes without looking', 'expects another version is refused', upsert],
    ['creates by update', 'expects a version never creates', upsert],
    [
      'resurrects',
      'a write after an end is refused',
      (good) => ({ ...upsert(good), end: (id) => good.end(id, { markFor: 0 }) }),
    ],
    ['checks, then writes', 'exactly one of ten overlapping writes wins', overwrites],
    [
      'says nothing about what is there',
      'with what is there',
      (good) => ({
        write: async (id, record, expected) => {
          const result = await good.write(id, record, expected)
          return result.ok ? result : { ok: false, current: null }
        },
      }),
    ],
    [
      'rounds the expiry to seconds',
      'the expiry is exact',
      reading((record) => ({ ...record, expiresAt: Math.floor(record.expiresAt / 1000) * 1000 })),
    ],
    [
      'keeps expired records',
      'and not after it',
      writing((record) => ({ ...record, expiresAt: record.expiresAt + 1 })),
    ],
    [
      'cuts values',
      'byte for byte',
      writing((record) => ({ ...record, value: record.value.slice(0, 4096) })),
    ],
    [
      'ignores the case of ids',
      'differ only in case',
      (good) => ({
        read: (id) => good.read(id.toLowerCase()),
        write: (id, ...rest) => good.write(id.toLowerCase(), ...rest),
      }),
    ],
    ['drops the epoch', 'epoch and index keys included', reading((r) => ({ ...r, epoch: '' }))],
    [
      'drops index keys',
      'epoch and index keys included',
      reading(({ keys: _, ...record }) => record),
    ],
    [
      'answers an abort with null',
      'reject with the reason of a signal',
      (good) => ({ read: (id, options) => good.read(id, options).catch(() => null) }),
    ],
    [
      'hands out its own objects',
      'records are copies',
      () => {
        const records = new Map<string, StoredRecord>()
        return {
          read: async (id) => records.get(id) ?? null,
          write: async (id, record) => {
            records.set(id, record)
            return { ok: true }
          },
        }
      },
    ],
    [
      'ends only once it has read',
      'says whether a live record was',
      (good) => ({
        end: async (id, options) => {
          if (!(await good.read(id, options))) throw new Error('Nothing there')
          return await good.end(id, options)
        },
      }),
    ],
    [
      'leaves no mark where nothing was',
      'a creation after an end is refused',
      (good) => ({
        end: async (id, options) => !!(await good.read(id)) && good.end(id, options),
      }),
    ],
    ['always leaves a mark', 'markFor 0 leaves no mark', (good) => ({ end: (id) => good.end(id) })],
    [
      'ignores how long a mark should last',
      'a mark is over after markFor seconds',
      (good) => ({ end: (id, options) => good.end(id, { ...options, markFor: 600 }) }),
    ],
    [
      'ignores what a record says about its mark',
      'a record can ask for a longer mark',
      writing(({ markFor: _, ...record }) => record),
    ],
    [
      'refuses every entry',
      'an entry is appended to a record',
      (good) => ({ write: (id, record, expected) => good.write(id, record, expected) }),
    ],
    [
      'forgets appended entries',
      'an entry is appended to a record',
      reading(({ entries: _, ...record }) => record),
    ],
    [
      'does not look at the epoch',
      'refused by a record of another epoch',
      writing((record, current) => ({ ...record, epoch: current?.epoch ?? record.epoch })),
    ],
    [
      'installs the version of an appended write',
      'an entry is appended to a record',
      (good) => ({
        write: async (id, record, expected, options) => {
          const result = await good.write(id, record, expected, options)
          const { current } = result
          return result.ok && current
            ? { ok: true, current: { ...current, version: record.version } }
            : result
        },
      }),
    ],
    [
      'replaces over entries that the writer has not seen',
      'only if it knows all of them',
      (good) => ({
        write: async (id, record, expected, options) => {
          const current = await good.read(id)
          const isBase = current?.version.split('+')[0] === expected
          return await good.write(id, record, isBase ? current!.version : expected, options)
        },
      }),
    ],
    [
      'lists everything twice',
      'index.list() returns live records of a key',
      (good) => ({
        index: {
          ...good.index!,
          list: async (key) => {
            const found = (await good.index?.list(key)) ?? []
            return [...found, ...found]
          },
        },
      }),
    ],
    [
      'knows the first key only',
      'under any of their keys',
      writing((record) => (record.keys ? { ...record, keys: record.keys.slice(0, 1) } : record)),
    ],
    [
      'ends whoever was to be spared',
      'spares one if told to',
      (good) => ({ index: { ...good.index!, end: (key) => good.index!.end(key) } }),
    ],
    [
      'leaves no mark where it ends all',
      'a write after index.end() is refused',
      (good) => ({
        index: {
          ...good.index!,
          end: (key, options) => good.index!.end(key, { ...options, markFor: 0 }),
        },
      }),
    ],
    [
      'forgets a page',
      'every live record on one of its pages',
      () => ({ page: async () => ({ records: [], cursor: null }) }),
    ],
  ])('fails a store that %s', async (_, title, breakIt) => {
    expect(await failuresOf(breakIt)).toContain(title)
  })
})
