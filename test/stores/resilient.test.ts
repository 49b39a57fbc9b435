import { describe, expect, it } from 'vitest'
import {
  CircuitOpenError,
  SessionConflictError,
  StoreError,
  StoreTimeoutError,
  StoreUnavailableError,
} from '../../src/errors.ts'
import { cached } from '../../src/stores/cached.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { resilient } from '../../src/stores/resilient.ts'
import type { ResilientPolicy } from '../../src/stores/resilient-policy.ts'
import type { SessionStore, StoredRecord, StoreEvent } from '../../src/stores/store.ts'
import { createClock, createFaultyStore, testStore } from '../../src/testing/index.ts'
import { createWorld, outcomeOf } from '../resilience/world.ts'

testStore(
  'resilient()',
  () => {
    const clock = createClock()
    const store = resilient(createMemoryStore({ now: clock }), { now: clock })
    return { store, now: clock, advance: (ms) => void clock.advanceMs(ms) }
  },
  { describe, it, expect },
)

const SECRET = 'canary-5f2c'

function setUp(policy: ResilientPolicy = {}, behind?: SessionStore) {
  const world = createWorld()
  const faulty = createFaultyStore(behind ?? createMemoryStore({ now: world.clock }))
  const store = resilient(faulty, { ...world.options, ...policy })
  const events: StoreEvent[] = []
  store.subscribe?.((event) => void events.push(event))
  const types = (): string[] => events.map(({ type }) => type)
  const record = (version = '1-a'): StoredRecord => ({
    value: 'v',
    version,
    epoch: '1',
    expiresAt: world.clock() + 3_600_000,
  })
  return { ...world, faulty, store, events, types, record }
}

describe('resilient()', () => {
  it('retries what could not reach the store, and tells', async () => {
    const { store, faulty, delays, events } = setUp()
    faulty.inject([{ type: 'throw-before' }, { type: 'throw-before' }])
    expect(await store.read('id')).toBe(null)
    expect(delays).toEqual([50, 100])
    const about = { store: store.name, operation: 'read' }
    const why = { code: 'ERR_STORE_UNAVAILABLE', reason: 'unknown' }
    expect(events).toEqual([
      { type: 'store.retry', ...about, attempt: 1, delayMs: 50, ...why },
      { type: 'store.retry', ...about, attempt: 2, delayMs: 100, ...why },
      { type: 'store.recovered', ...about, attempts: 3 },
    ])
  })

  it('says of a write that its outcome is unknown, where a later attempt was refused', async () => {
    const { store, faulty, record } = setUp()
    const full = { type: 'throw-before', error: new StoreError('full') } as const
    faulty.inject([{ type: 'throw-after' }, full])
    await expect(store.write('id', record(), null)).rejects.toBeInstanceOf(StoreUnavailableError)
    faulty.inject(full)
    await expect(store.write('id', record(), null)).rejects.toBeInstanceOf(StoreError)
  })

  it('says nothing when all is well', async () => {
    const { store, events, record } = setUp()
    await store.write('id', record(), null)
    await store.read('id')
    await store.end('id')
    expect(events).toEqual([])
  })

  it('gives up after three attempts, never with null', async () => {
    const { store, faulty, types } = setUp()
    faulty.down()
    const { error } = await outcomeOf(store.read('id'))
    expect(error instanceof StoreUnavailableError).toBe(true)
    expect(faulty.calls.length).toBe(3)
    expect(types()).toEqual(['store.retry', 'store.retry', 'store.failed'])
  })

  it('does not wait with a renewal while only that session is throttled', async () => {
    const { store, faulty, record, delays } = setUp()
    const busy = new StoreUnavailableError('busy', { retryAfter: 1 })
    faulty.down({ type: 'throw-before', error: Object.assign(busy, { perKey: true }) })
    await outcomeOf(store.write('id', record(), null, { renewal: true }))
    expect([delays, store.details?.().writeBreaker]).toEqual([[], 'closed'])
    await outcomeOf(store.write('id', record(), null))
    expect([delays, store.details?.()]).toEqual([
      [1000],
      { readBreaker: 'closed', writeBreaker: 'closed', retriesLeft: 10 },
    ])
  })

  it('opens the breaker although errors of one key come in between', async () => {
    const { store, faulty } = setUp({ attempts: 1, breaker: { consecutiveFailures: 5 } })
    const down = new StoreUnavailableError('down')
    const leftAlone = Object.assign(new StoreUnavailableError('overloaded'), { perKey: true })
    for (let i = 0; i < 5; i++) {
      for (const error of [down, leftAlone]) {
        faulty.inject({ type: 'throw-before', error })
        if (store.details?.().readBreaker === 'closed') await outcomeOf(store.read('id'))
      }
    }
    expect(store.details?.().readBreaker).toBe('open')
  })

  it('asks what its policy says of retries for a renewal too', async () => {
    for (const policy of [
      { retryIf: () => false },
      { operations: { write: { retryIf: () => false } } },
    ]) {
      const { store, faulty, record } = setUp(policy)
      faulty.down()
      await outcomeOf(store.write('id', record(), null, { renewal: true }))
      expect(faulty.calls.length).toBe(1)
    }
  })

  it('turns unknown errors into its own words', async () => {
    const { store, faulty } = setUp()
    for (const error of [new Error(SECRET), SECRET, null, { message: SECRET }]) {
      faulty.down({ type: 'throw-before', error })
      const { error: thrown } = await outcomeOf(store.read(SECRET))
      if (error === null) continue
      expect(thrown instanceof StoreUnavailableError).toBe(true)
      const { message, stack, cause } = thrown as Error
      expect(`${message}${stack}${String(cause)}`.includes(SECRET)).toBe(false)
      faulty.up()
    }
  })

  it('does so for what a store throws before it returns a promise', async () => {
    const read = (): never => {
      throw new Error(SECRET)
    }
    const store = resilient({ ...createWithoutIndex(), read }, createWorld().options)
    const { error } = await outcomeOf(store.read('id'))
    expect(error instanceof StoreUnavailableError).toBe(true)
  })

  it.each([new StoreError('refused'), new SessionConflictError('conflict')])(
    'never repeats or counts what is no failure to reach it, case %#',
    async (error) => {
      const { store, faulty, delays } = setUp()
      faulty.down({ type: 'throw-before', error })
      for (let i = 0; i < 20; i++) expect((await outcomeOf(store.read('id'))).error).toBe(error)
      expect([delays.length, store.details?.().readBreaker]).toEqual([0, 'closed'])
    },
  )

  it('waits as long as an error asks for', async () => {
    const { store, faulty, delays } = setUp()
    const error = Object.assign(new Error('KV PUT failed: 429'), { retryAfter: 1 })
    faulty.inject({ type: 'throw-before', error })
    await store.read('id')
    expect(delays).toEqual([1000])
  })

  it('takes its own write for done when only the answer was lost', async () => {
    const { store, faulty, record } = setUp()
    faulty.inject({ type: 'throw-after' }, 'write')
    expect(await store.write('id', record('1-a'), null)).toEqual({ ok: true })
    faulty.inject({ type: 'throw-after' }, 'write')
    expect(await store.write('id', record('2-b'), '1-a')).toEqual({ ok: true })
    expect((await store.read('id'))?.version).toBe('2-b')
  })

  it('abandons what hangs, and says that it took too long', async () => {
    const { store, faulty, clock } = setUp({ baseMs: 0 })
    faulty.down({ type: 'hang' })
    const running = outcomeOf(store.read('id'))
    await clock.run(1500)
    expect((await running).error instanceof StoreTimeoutError).toBe(true)
    expect([clock() - clock.start, clock.waiting()]).toEqual([1500, 0])
  })

  it('leaves the store alone while it is down, and comes back with one probe', async () => {
    const { store, faulty, clock, types } = setUp()
    faulty.down()
    await outcomeOf(store.read('id'))
    await outcomeOf(store.read('id'))
    expect(faulty.calls.length).toBe(5)
    for (let i = 0; i < 100; i++) {
      expect((await outcomeOf(store.read('id'))).error instanceof CircuitOpenError).toBe(true)
    }
    expect(faulty.calls.length).toBe(5)
    faulty.up()
    await clock.run(1000)
    const [probe, other] = await Promise.all([store.read('id'), outcomeOf(store.read('id'))])
    expect([probe, other.error instanceof CircuitOpenError]).toEqual([null, true])
    expect(types().filter((type) => type.startsWith('breaker'))).toEqual([
      'breaker.open',
      'breaker.half-open',
      'breaker.closed',
    ])
  })

  it("ends with the reason of the caller's signal, and counts nothing", async () => {
    const { store, faulty, clock, events } = setUp()
    faulty.down({ type: 'hang' })
    for (let i = 0; i < 10; i++) {
      const reason = new Error('The caller has gone')
      const controller = new AbortController()
      const running = outcomeOf(store.read('id', { signal: controller.signal }))
      await clock.run(10)
      controller.abort(reason)
      expect(await running).toEqual({ error: reason })
    }
    expect([store.details?.().readBreaker, events, clock.waiting()]).toEqual(['closed', [], 0])
  })

  it('asks for health once, with a limit of its own, whatever the breaker says', async () => {
    const { store, faulty, clock } = setUp()
    faulty.down({ type: 'hang' }, 'health')
    for (let i = 0; i < 6; i++) {
      const running = outcomeOf(store.health?.() ?? Promise.resolve())
      await clock.run(1000)
      expect((await running).error instanceof StoreTimeoutError).toBe(true)
    }
    expect([faulty.calls.length, store.details?.().readBreaker]).toEqual([6, 'closed'])
    faulty.up()
    faulty.down({ type: 'throw-before' }, 'read')
    for (let i = 0; i < 3; i++) await outcomeOf(store.read('id'))
    expect(store.details?.().readBreaker).toBe('open')
    await store.health?.()
  })

  it('retries each operation by its own policy, asked for every call', async () => {
    const world = createWorld()
    const faulty = createFaultyStore(createMemoryStore())
    let attempts = 1
    const store = resilient(faulty, () => ({
      ...world.options,
      breaker: false,
      operations: { end: { attempts } },
    }))
    faulty.down()
    await outcomeOf(store.read('id'))
    await outcomeOf(store.end('id'))
    attempts = 2
    await outcomeOf(store.end('id'))
    expect(faulty.calls.map(({ operation }) => operation).join()).toBe('read,read,read,end,end,end')
  })

  it('refuses a policy for an operation that there is not, and one that is no policy', () => {
    const wrong: [policy: unknown, words: RegExp][] = [
      [{ operations: { reads: { attempts: 1 } } }, /Unknown option "operations.reads", .* read/],
      [
        { operations: { read: 5 } },
        /"operations.read" must be an object without breaker and operations, got 5/,
      ],
      [null, /"policy" must be a plain object, got null/],
      [() => undefined, /"policy" must be a plain object, got undefined/],
    ]
    for (const [policy, words] of wrong) {
      expect(() => resilient(createMemoryStore(), policy as ResilientPolicy)).toThrow(words)
    }
  })

  it('tells what it knows about itself', () => {
    const { store } = setUp()
    expect(store.details?.()).toEqual({
      readBreaker: 'closed',
      writeBreaker: 'closed',
      retriesLeft: 10,
    })
    expect(resilient(createMemoryStore(), { breaker: false }).details?.().readBreaker).toBe('off')
  })

  it('keeps name, atomic and index, and closes what is behind it', async () => {
    let closed = 0
    const behind = { ...createWithoutIndex(), close: async () => void closed++ }
    const store = resilient(behind)
    expect([store.name, store.atomic, 'index' in store]).toEqual(['plain', false, false])
    await store.close?.()
    expect(closed).toBe(1)
  })

  it('refuses numbers out of range when it is made', () => {
    expect(() => resilient(createMemoryStore(), { attempts: -1 })).toThrow(RangeError)
    expect(() => resilient(createMemoryStore(), { breaker: { probes: 0 } })).toThrow(RangeError)
  })

  it('refuses what it does not know, and what is no store', () => {
    const misspelt = { attempt: 5 } as ResilientPolicy
    expect(() => resilient(createMemoryStore(), misspelt)).toThrow(/Unknown option "attempt"/)
    expect(() => resilient({} as SessionStore)).toThrow(TypeError)
    expect(() => resilient(createMemoryStore(), { healthTimeoutMs: 5 })).not.toThrow()
    for (const wrong of [{ healthTimeoutMs: '5' }, { breaker: true }, { breaker: null }]) {
      const policy = wrong as unknown as ResilientPolicy
      expect(() => resilient(createMemoryStore(), policy)).toThrow(
        /"(healthTimeoutMs|breaker)" must/,
      )
    }
  })
})

function createWithoutIndex(): SessionStore {
  return {
    name: 'plain',
    atomic: false,
    read: async () => null,
    write: async () => ({ ok: true }),
    end: async () => false,
  }
}

describe('inspect() of a store that is wrapped', () => {
  it('is asked once, whatever the breakers say, with the time limit of health', async () => {
    const inspection = { figures: { role: 'primary' }, problems: [] as const }
    const behind = { ...createMemoryStore(), inspect: async () => inspection }
    const { store, faulty, clock } = setUp({ healthTimeoutMs: 700 }, behind)
    store.breakers.read?.open()
    store.breakers.write?.open()
    const outer = cached(store, { ttl: 5 })
    expect(await outer.inspect?.()).toEqual(inspection)
    faulty.down({ type: 'throw-before', error: new Error(SECRET) }, 'inspect')
    const { error } = await outcomeOf(outer.inspect!())
    expect(error).toBeInstanceOf(StoreUnavailableError)
    expect(String((error as Error).message).includes(SECRET)).toBe(false)
    faulty.up()
    faulty.down({ type: 'hang' }, 'inspect')
    const running = outcomeOf(outer.inspect!())
    await clock.run(700)
    expect((await running).error).toBeInstanceOf(StoreTimeoutError)
    expect(faulty.calls.map(({ operation }) => operation)).toEqual([
      'inspect',
      'inspect',
      'inspect',
    ])
  })

  it('is not there where the store has none', () => {
    expect('inspect' in cached(setUp().store, { ttl: 5 })).toBe(false)
  })
})
