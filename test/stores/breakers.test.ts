import { describe, expect, it } from 'vitest'
import { CircuitOpenError, StoreUnavailableError } from '../../src/errors.ts'
import { createCircuitBreaker } from '../../src/resilience/circuit-breaker.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { resilient } from '../../src/stores/resilient.ts'
import type { ResilientPolicy } from '../../src/stores/resilient-policy.ts'
import type { StoredRecord, StoreEvent } from '../../src/stores/store.ts'
import { createFaultyStore } from '../../src/testing/index.ts'
import { createWorld, outcomeOf } from '../resilience/world.ts'

function setUp(policy: ResilientPolicy | (() => ResilientPolicy) = { attempts: 1 }) {
  const world = createWorld()
  const faulty = createFaultyStore(createMemoryStore({ now: world.clock }))
  const given = (): ResilientPolicy => ({
    ...world.options,
    ...(typeof policy === 'function' ? policy() : policy),
  })
  const store = resilient(faulty, typeof policy === 'function' ? given : given())
  const events: StoreEvent[] = []
  store.subscribe?.((event) => void events.push(event))
  const record: StoredRecord = {
    value: 'v',
    version: '1',
    epoch: '1',
    expiresAt: world.clock() + 3_600_000,
  }
  const write = () => outcomeOf(store.write('id', record, null))
  const read = () => outcomeOf(store.read('id'))
  const breakers = () => {
    const { readBreaker, writeBreaker } = store.details?.() ?? {}
    return { readBreaker, writeBreaker }
  }
  return { ...world, faulty, store, events, read, write, breakers }
}

const READ_ONLY = Object.assign(new StoreUnavailableError('replica'), { reason: 'READONLY' })

describe('breakers of resilient()', () => {
  it('a store that takes no writes is still read: each direction has a breaker of its own', async () => {
    const { breakers, events, faulty, read, store, write } = setUp()
    faulty.down({ type: 'throw-before', error: READ_ONLY }, 'write')
    faulty.down({ type: 'throw-before', error: READ_ONLY }, 'end')
    for (let i = 0; i < 100; i++) {
      await write()
      await outcomeOf(store.end('id'))
      expect(await read()).toEqual({ value: null })
    }
    expect(breakers()).toEqual({ readBreaker: 'closed', writeBreaker: 'open' })
    expect(faulty.calls.filter(({ operation }) => operation !== 'read').length).toBe(5)
    expect(events.filter(({ type }) => type === 'breaker.open')).toEqual([
      { type: 'breaker.open', store: store.name, direction: 'write' },
    ])
  })

  it('a store that cannot be read is still written', async () => {
    const { breakers, faulty, read, store, write } = setUp()
    faulty.down({ type: 'throw-before' }, 'read')
    for (let i = 0; i < 10; i++) await read()
    expect(breakers()).toEqual({ readBreaker: 'open', writeBreaker: 'closed' })
    expect(await write()).toEqual({ value: { ok: true } })
    expect(await outcomeOf(store.index!.list('key'))).toMatchObject({ error: { retryAfter: 0.75 } })
    expect(await outcomeOf(store.page!(null))).toMatchObject({ error: { retryAfter: 0.75 } })
    expect(await outcomeOf(store.index!.end('key'))).toEqual({ value: 0 })
  })

  it('settings given once are for both, settings for one direction leave the other its defaults', async () => {
    const both = setUp({ attempts: 1, breaker: { consecutiveFailures: 2 } })
    both.faulty.down()
    for (let i = 0; i < 2; i++) await both.read()
    for (let i = 0; i < 2; i++) await both.write()
    expect(both.breakers()).toEqual({ readBreaker: 'open', writeBreaker: 'open' })
    const one = setUp({ attempts: 1, breaker: { write: { consecutiveFailures: 2 } } })
    one.faulty.down()
    for (let i = 0; i < 2; i++) await one.read()
    for (let i = 0; i < 2; i++) await one.write()
    expect(one.breakers()).toEqual({ readBreaker: 'closed', writeBreaker: 'open' })
    const off = setUp({ breaker: { read: false } })
    expect(off.breakers()).toEqual({ readBreaker: 'off', writeBreaker: 'closed' })
  })

  it("a breaker of one's own is the same for both, or that of one direction", async () => {
    const own = createCircuitBreaker()
    const both = setUp({ breaker: own })
    own.open(5)
    expect(both.breakers()).toEqual({ readBreaker: 'open', writeBreaker: 'open' })
    const one = setUp({ breaker: { write: own } })
    expect(one.breakers()).toEqual({ readBreaker: 'closed', writeBreaker: 'open' })
  })

  it.each([
    [{ breaker: { read: { probes: 0 } } }, RangeError],
    [
      { breaker: { write: true } },
      /"breaker.write" must be a circuit breaker, its options or false/,
    ],
    [{ breaker: { read: {}, openMs: 5 } }, /Unknown option "breaker.openMs"/],
    [{ operations: { read: { breaker: {} } } }, /"operations.read" must be an object without/],
    [{ operations: { reads: {} } }, /Unknown option "operations.reads"/],
  ])('a wrong policy is refused: %j', (policy, words) => {
    expect(() => resilient(createMemoryStore(), policy as ResilientPolicy)).toThrow(words)
  })

  it('open() leaves the store alone until close(), in one direction', async () => {
    const { breakers, clock, events, faulty, read, store, write } = setUp()
    store.breakers.write?.open()
    await clock.run(3_600_000)
    expect((await write()).error).toBeInstanceOf(CircuitOpenError)
    expect(await read()).toEqual({ value: null })
    expect(breakers()).toEqual({ readBreaker: 'closed', writeBreaker: 'open' })
    store.breakers.read?.open()
    expect((await read()).error).toBeInstanceOf(CircuitOpenError)
    expect(faulty.calls.length).toBe(1)
    store.breakers.read?.close()
    expect(await read()).toEqual({ value: null })
    store.breakers.write?.close()
    expect(await write()).toEqual({ value: { ok: true } })
    const changes = events.flatMap((event) =>
      'direction' in event ? [`${event.type} ${event.direction}`] : [],
    )
    expect(changes).toEqual([
      'breaker.open write',
      'breaker.open read',
      'breaker.closed read',
      'breaker.closed write',
    ])
  })

  it('an open breaker says why the last call failed, and nothing where none did', async () => {
    const { clock, events, faulty, read, store, write } = setUp()
    const error = new StoreUnavailableError('replica', { reason: 'read-only', word: 'READONLY' })
    faulty.down({ type: 'throw-before', error }, 'write')
    for (let i = 0; i < 6; i++) await write()
    expect((await write()).error).toMatchObject({
      code: 'ERR_CIRCUIT_OPEN',
      reason: 'read-only',
      word: 'READONLY',
    })
    expect(events.at(-1)).toMatchObject({ type: 'store.failed', reason: 'read-only' })
    store.breakers.read?.open()
    expect((await read()).error).not.toHaveProperty('reason')
    faulty.up()
    await clock.run(1000)
    expect(await write()).toEqual({ value: { ok: true } })
    store.breakers.write?.open()
    expect((await write()).error).not.toHaveProperty('reason')
  })

  it('close() asks a store again at once after a long outage', async () => {
    const { breakers, clock, faulty, read, store } = setUp()
    faulty.down()
    for (let i = 0; i < 40; i++) {
      await read()
      await clock.run(10_000)
    }
    await read()
    faulty.up()
    expect((await read()).error).toBeInstanceOf(CircuitOpenError)
    store.breakers.read?.close()
    expect(await read()).toEqual({ value: null })
    expect(breakers().readBreaker).toBe('closed')
  })

  it('are none where the policy says false', () => {
    expect(setUp({ breaker: false }).store.breakers.read).toBe(undefined)
    expect(setUp({ breaker: { read: false } }).store.breakers.write?.status).toBe('closed')
  })

  it('are taken once: another answer of a policy function changes none', async () => {
    let consecutiveFailures = 2
    const { breakers, faulty, read } = setUp(() => ({
      attempts: 1,
      breaker: { consecutiveFailures },
    }))
    faulty.down()
    await read()
    consecutiveFailures = 1000
    await read()
    expect(breakers().readBreaker).toBe('open')
  })
})
