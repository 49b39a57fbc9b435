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

  const upsert = (good: SessionStore) => ({
    write: async (id: string, record: StoredRecord) => {
      const current = await good.read(id)
      return await good.write(id, record, current?.version ?? null)
    },
  })

  it.each<[string, string, (good: SessionStore) => Partial<SessionStore>]>([
    ['writes without looking', 'refuses a version that is not the current one', upsert],
    ['creates by update', 'never creates when it is told a version', upsert],
    ['resurrects', 'an update after a delete does not bring the record back', upsert],
    [
      'says nothing about what is there',
      'and says what is',
      (good) => ({
        write: async (id, record, expected) => {
          const result = await good.write(id, record, expected)
          return result.ok ? result : { ok: false, current: null }
        },
      }),
    ],
    [
      'checks, then writes',
      'of ten overlapping writes exactly one wins',
      (good) => ({
        write: async (id, record, expected) => {
          const current = await good.read(id)
          if ((current?.version ?? null) !== expected) return { ok: false, current }
          for (let result = await good.write(id, record, expected); ; ) {
            if (result.ok) return result
            result = await good.write(id, record, result.current?.version ?? null)
          }
        },
      }),
    ],
    [
      'rounds the expiry to seconds',
      'keeps the exact expiry',
      (good) => ({
        read: async (id) => {
          const record = await good.read(id)
          return record && { ...record, expiresAt: Math.floor(record.expiresAt / 1000) * 1000 }
        },
      }),
    ],
    [
      'keeps expired records',
      'absent when it does',
      (good) => ({
        write: (id, record, expected) =>
          good.write(id, { ...record, expiresAt: record.expiresAt + 1 }, expected),
      }),
    ],
    [
      'cuts values',
      'byte for byte',
      (good) => ({
        write: (id, record, expected) =>
          good.write(id, { ...record, value: record.value.slice(0, 4096) }, expected),
      }),
    ],
    [
      'hides tombstones',
      'a tombstone is a record like any other',
      (good) => ({
        read: async (id, options) => {
          const record = await good.read(id, options)
          return record?.value === '!' ? null : record
        },
      }),
    ],
    [
      'answers an abort with null',
      'rejects with the reason of a signal',
      (good) => ({ read: (id, options) => good.read(id, options).catch(() => null) }),
    ],
    [
      'throws when there is nothing to delete',
      'deleting again is no error',
      (good) => ({
        delete: async (id, options) => {
          if (!(await good.read(id, options))) throw new Error('Nothing there')
          await good.delete(id, options)
        },
      }),
    ],
    [
      'hands out its own objects',
      'returns copies',
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
      'lists everything',
      'tombstones and others left out',
      (good) => ({
        index: {
          ...good.index!,
          list: async (subject) => {
            const found = (await good.index?.list(subject)) ?? []
            return [...found, ...found]
          },
        },
      }),
    ],
    [
      'buries whoever was spared',
      'buries all live records of one subject',
      (good) => ({
        index: { ...good.index!, bury: (subject, grave) => good.index!.bury(subject, grave) },
      }),
    ],
    [
      'forgets what is beside a record',
      'keeps a patch beside a record',
      (good) => ({
        read: async (id, options) => {
          const record = await good.read(id, options)
          if (record) delete record.patches
          return record
        },
      }),
    ],
    [
      'drops every patch with the next write',
      'takes the patches it has folded with it, and no others',
      (good) => ({
        write: (id, record, expected, options) =>
          good.write(id, record, expected, { ...options, folded: options?.folded && 32 }),
      }),
    ],
    [
      'forgets a page',
      'has every live record on one of its pages',
      () => ({ page: async () => ({ records: [], cursor: null }) }),
    ],
  ])('fails a store that %s', async (_, title, breakIt) => {
    expect(await failuresOf(breakIt)).toContain(title)
  })
})
