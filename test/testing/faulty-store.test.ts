import { describe, expect, it } from 'vitest'
import { createMemoryStore } from '../../src/stores/memory.ts'
import type { StoredRecord } from '../../src/stores/store.ts'
import { createClock, createFaultyStore, testStore } from '../../src/testing/index.ts'

testStore(
  'createFaultyStore() without faults',
  () => {
    const clock = createClock()
    const advance = (ms: number): void => void clock.advanceMs(ms)
    return { store: createFaultyStore(createMemoryStore({ now: clock })), now: clock, advance }
  },
  { describe, it, expect },
)

function setUp() {
  const clock = createClock()
  const inner = createMemoryStore({ now: clock })
  const store = createFaultyStore(inner, { sleep: clock.sleep })
  const record = (version: string): StoredRecord => ({
    value: `value of ${version}`,
    version,
    epoch: '1.a',
    expiresAt: clock() + 60_000,
  })
  return { clock, inner, store, record }
}

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'resolved',
    (error) => error?.code ?? error,
  )

describe('createFaultyStore()', () => {
  it('says that it is a fake', () => {
    const { store } = setUp()
    expect(store.fake).toBe(true)
    expect(store.name).toBe('faulty(memory)')
  })

  it('throws before a write took effect', async () => {
    const { inner, store, record } = setUp()
    store.inject({ type: 'throw-before' })
    expect(await codeOf(store.write('a', record('1'), null))).toBe('ERR_STORE_UNAVAILABLE')
    expect(await inner.read('a')).toBe(null)
  })

  it('throws after a write took effect', async () => {
    const { inner, store, record } = setUp()
    store.inject({ type: 'throw-after', error: 'lost' })
    expect(await codeOf(store.write('a', record('1'), null))).toBe('lost')
    expect(await inner.read('a')).toEqual(record('1'))
  })

  it('hangs until the caller gives up, before or after it took effect', async () => {
    const { inner, store, record } = setUp()
    store.inject([{ type: 'hang' }, { type: 'hang', applied: true }])
    for (const expected of [null, record('1')]) {
      const controller = new AbortController()
      const options = { signal: controller.signal }
      const writing = codeOf(store.write('a', record('1'), null, options))
      const first = await Promise.race([writing, Promise.resolve('still waiting')])
      expect(first).toBe('still waiting')
      controller.abort('gave up')
      expect(await writing).toBe('gave up')
      expect(await inner.read('a')).toEqual(expected)
    }
  })

  it('delays by the clock it was given', async () => {
    const { clock, store } = setUp()
    store.inject({ type: 'delay', ms: 50 })
    const reading = store.read('a').then(() => clock())
    clock.advanceMs(50)
    expect(await reading).toBe(clock())
  })

  it('answers with what was there before the last write', async () => {
    const { store, record } = setUp()
    store.down({ type: 'stale' }, 'read')
    await store.write('a', record('1'), null)
    expect(await store.read('a')).toBe(null)
    await store.write('a', record('2'), '1')
    expect(await store.read('a')).toEqual(record('1'))
    await store.end('a')
    expect(await store.read('a')).toEqual(record('2'))
    store.up()
    expect(await store.read('a')).toBe(null)
  })

  it('plays a script in order, then lets calls through', async () => {
    const faults = [{ type: 'pass' }, { type: 'throw-before' }] as const
    const store = createFaultyStore(createMemoryStore(), { script: faults })
    const outcomes = [store.read('a'), store.read('a'), store.read('a')].map(codeOf)
    expect(await Promise.all(outcomes)).toEqual(['resolved', 'ERR_STORE_UNAVAILABLE', 'resolved'])
    expect(store.calls.map(({ fault }) => fault)).toEqual(['pass', 'throw-before', 'pass'])
  })

  it('keeps faults for the operation they are meant for', async () => {
    const { store, record } = setUp()
    store.inject({ type: 'throw-before' }, 'write')
    expect(await codeOf(store.read('a'))).toBe('resolved')
    expect(await codeOf(store.write('a', record('1'), null))).toBe('ERR_STORE_UNAVAILABLE')
    expect(await codeOf(store.write('a', record('1'), null))).toBe('resolved')
    store.down(undefined, 'list')
    expect(await codeOf(store.index?.list('ann') ?? Promise.resolve())).toBe(
      'ERR_STORE_UNAVAILABLE',
    )
  })

  it('is down until it is up again', async () => {
    const { store } = setUp()
    store.down()
    for (let i = 0; i < 3; i++) {
      expect(await codeOf(store.read('a'))).toBe('ERR_STORE_UNAVAILABLE')
    }
    expect(await codeOf(store.health?.() ?? Promise.resolve())).toBe('ERR_STORE_UNAVAILABLE')
    store.up()
    expect(await codeOf(store.read('a'))).toBe('resolved')
  })
})
