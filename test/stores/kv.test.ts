import { describe, expect, it } from 'vitest'
import { createKVStore, type KVStoreOptions } from '../../src/stores/kv.ts'
import { resilient } from '../../src/stores/resilient.ts'
import type { SessionStore, StoredRecord } from '../../src/stores/store.ts'
import { createClock, testStore } from '../../src/testing/index.ts'
import { KVDouble, type KVDoubleOptions, kvBehaviours } from '../support/kv-double.ts'

const api = { describe, it, expect }

kvBehaviours(
  'KVDouble',
  () => ({ kv: new KVDouble({ now: createClock() }).at('here'), prefix: 'test:' }),
  api,
)

testStore(
  'createKVStore()',
  () => {
    const clock = createClock()
    const namespace = new KVDouble({ now: clock }).at('here')
    const store = createKVStore({ namespace, now: clock })
    return { store, now: clock, advance: (ms) => void clock.advanceMs(ms) }
  },
  api,
)

function setUp(options: Partial<KVDoubleOptions> = {}) {
  const clock = createClock()
  const kv = new KVDouble({ now: clock, ...options })
  const isolate = (location = 'here'): SessionStore =>
    createKVStore({ namespace: kv.at(location), now: clock })
  let count = 0
  const record = (more: Partial<StoredRecord> = {}): StoredRecord => ({
    value: `value-${++count}`,
    version: `${count}-x`,
    epoch: '1',
    expiresAt: clock() + 3_600_000,
    ...more,
  })
  const costs = (): string =>
    (['get', 'put', 'delete', 'list'] as const).map((name) => kv.count(name)).join(' ')
  return { clock, kv, store: isolate(), isolate, record, costs }
}

const failureOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'resolved',
    (error) => ({ code: error.code, retryAfter: error.retryAfter, retryable: error.retryable }),
  )

const final = { code: 'ERR_STORE', retryAfter: undefined, retryable: false }
const passing = { code: 'ERR_STORE_UNAVAILABLE', retryAfter: undefined, retryable: true }
const throttled = { ...passing, retryAfter: 1 }

describe('createKVStore()', () => {
  it.each([
    [{}, 'namespace'],
    [{ namespace: 'SESSIONS' }, 'namespace'],
    [{ namespace: { get() {} } }, 'namespace'],
    [{ namespace: new KVDouble({ now: Date.now }).at('here'), prefix: 5 }, 'prefix'],
    [{ namespace: new KVDouble({ now: Date.now }).at('here'), prefix: 'x'.repeat(129) }, 'prefix'],
    [{ namespace: new KVDouble({ now: Date.now }).at('here'), now: 'now' }, 'now'],
    [{ namespace: new KVDouble({ now: Date.now }).at('here'), ttl: 5 }, 'ttl'],
  ])('refuses %o and names %s', (options, name) => {
    expect(() => createKVStore(options as unknown as KVStoreOptions)).toThrow(name)
  })

  it('says that it is not atomic', () => {
    const { store } = setUp()
    expect([store.name, store.atomic]).toEqual(['kv', false])
  })

  it('costs one get for a read, and one put for a write after it', async () => {
    const { clock, store, isolate, record, costs } = setUp()
    const first = record()
    await isolate().write('a', first, null)
    expect(costs()).toBe('0 1 0 0')
    await store.read('a')
    clock.advanceMs(999)
    expect(await store.write('a', record(), first.version)).toEqual({ ok: true })
    expect(costs()).toBe('1 2 0 0')
  })

  it('reads again before a write when its last read is a second old', async () => {
    const { clock, store, isolate, record, costs } = setUp()
    const first = record()
    await isolate().write('a', first, null)
    await store.read('a')
    const other = record()
    await isolate().write('a', other, first.version)
    clock.advanceMs(1000)
    const before = costs()
    const result = await store.write('a', record(), first.version)
    expect(result).toEqual({ ok: false, current: other })
    expect([before, costs()]).toEqual(['2 2 0 0', '3 2 0 0'])
  })

  it('never reads before it creates', async () => {
    const { store, record, costs } = setUp()
    await store.write('a', record(), null)
    expect(costs()).toBe('0 1 0 0')
  })

  it('ends with one put, and one delete per index key', async () => {
    const { store, isolate, record, costs } = setUp()
    await isolate().write('a', record(), null)
    await store.read('a')
    expect(await store.end('a')).toBe(true)
    expect(costs()).toBe('1 2 0 0')
    await store.write('b', record({ keys: ['ann', 'tag'] }), null)
    expect(costs()).toBe('1 5 0 0')
    expect(await store.end('b')).toBe(true)
    expect(costs()).toBe('1 6 2 0')
  })

  it('ends with one delete where no mark is wanted', async () => {
    const { store, record, costs } = setUp()
    await store.write('a', record(), null)
    await store.end('a', { markFor: 0 })
    expect(costs()).toBe('0 1 1 0')
  })

  it('rounds the time KV keeps a record up, to at least a minute', async () => {
    const { clock, kv, store, record } = setUp()
    for (const left of [1, 59_999, 60_000, 60_001, 3_600_500]) {
      await store.write(`id-${left}`, record({ expiresAt: clock() + left }), null)
    }
    expect(kv.calls.map(({ expirationTtl }) => expirationTtl)).toEqual([60, 60, 60, 61, 3601])
  })

  it('is exact to the millisecond although KV still has the record', async () => {
    const { clock, kv, store, isolate, record } = setUp()
    await store.write('a', record({ expiresAt: clock() + 5000 }), null)
    clock.advanceMs(4999)
    expect(await isolate().read('a')).not.toBe(null)
    clock.advanceMs(1)
    expect(await isolate().read('a')).toBe(undefined)
    expect(await store.read('a')).toBe(undefined)
    expect(kv.stored('sojourn:r:a')).not.toBe(null)
  })

  it('keeps apart what has another prefix', async () => {
    const { clock, kv, store, record } = setUp()
    const other = createKVStore({ namespace: kv.at('here'), prefix: 'other:', now: clock })
    await store.write('a', record({ keys: ['ann'] }), null)
    expect(await other.read('a')).toBe(undefined)
    expect(await other.index?.list('ann')).toEqual([])
  })
})

describe('createKVStore() and an ended session', () => {
  it('stores a tombstone for as long as it is told, and for two minutes at least', async () => {
    const { clock, kv, store, isolate, record } = setUp()
    for (const [markFor, lasts] of [
      [1, 120],
      [undefined, 600],
      [900, 900],
    ] as const) {
      const id = `${markFor}`
      await store.write(id, record(), null)
      await store.end(id, { markFor })
      expect(kv.calls.at(-1)?.expirationTtl).toBe(lasts)
      clock.advanceMs(lasts * 1000 - 1)
      expect(await isolate().read(id)).toBe(null)
      expect(await store.read(id)).toBe(null)
      const other = isolate()
      expect(await other.read(id)).toBe(null)
      clock.advanceMs(1)
      expect(await isolate().read(id)).toBe(undefined)
      expect(await other.read(id)).toBe(undefined)
      // KV keeps it a little longer than that.
      await kv.at('here').put(`sojourn:r:${id}`, `[1,${clock()}]`)
      expect(await isolate().read(id)).toBe(undefined)
    }
  })

  it('shows nothing of what it deleted, whichever older state KV still has, until KV has caught up', async () => {
    const { clock, kv, store, isolate, record } = setUp()
    const [first, second] = [record(), record()]
    await isolate().write('a', first, null)
    const older = kv.stored('sojourn:r:a')!
    await isolate().write('a', second, first.version)
    await store.read('a')
    await store.end('a', { markFor: 0 })
    await kv.at('here').put('sojourn:r:a', older)
    clock.advanceMs(119_999)
    expect(await store.read('a')).toBe(undefined)
    clock.advanceMs(1)
    expect(await store.read('a')).toEqual(first)
  })

  it('does not import a session again that has ended elsewhere', async () => {
    const { clock, store, isolate, record } = setUp()
    const imported = record({ markFor: 3600 })
    await store.write('a', imported, null)
    await isolate().end('a')
    clock.advance(3599)
    const again = await isolate().write('a', record({ markFor: 3600 }), null)
    expect(again).toEqual({ ok: false, current: null })
    expect(await isolate().read('a')).toBe(null)
  })

  it('never shows it live again in the isolate that ended it, whatever KV answers', async () => {
    for (const markFor of [undefined, 0, 1]) {
      const { clock, store, isolate, record } = setUp({ cacheMs: 60_000, lagMs: 60_000 })
      const first = record()
      await isolate('elsewhere').write('a', first, null)
      clock.advance(61)
      await store.read('a')
      await store.end('a', { markFor })
      for (let seconds = 0; seconds < 115; seconds += 10) {
        expect((await store.read('a')) ?? null).toBe(null)
        const late = store.write('a', record(), first.version)
        expect(await late.catch(() => ({ ok: false, current: null }))).toEqual({
          ok: false,
          current: null,
        })
        clock.advance(10)
      }
    }
  })

  it('knows that it has ended, however many other sessions are used afterwards', async () => {
    const { clock, store, isolate, record } = setUp({ cacheMs: 60_000 })
    await isolate().write('a', record(), null)
    await store.read('a')
    await store.end('a')
    for (let i = 0; i < 2000; i++) await store.write(`other-${i}`, record(), null)
    clock.advance(5)
    expect(await store.read('a')).toBe(null)
  })

  it('shows it live elsewhere for as long as KV lags, and no longer', async () => {
    for (const lagMs of [0, 1000, 30_000, 60_000]) {
      const { clock, isolate, record } = setUp({ lagMs })
      const first = record()
      await isolate('here').write('a', first, null)
      clock.advance(61)
      const elsewhere = isolate('elsewhere')
      await elsewhere.read('a')
      await isolate('here').end('a')
      if (lagMs > 0) {
        clock.advanceMs(lagMs - 1)
        expect((await elsewhere.read('a'))?.value).toBe(first.value)
        clock.advanceMs(1)
      }
      expect(await elsewhere.read('a')).toBe(null)
      const late = await elsewhere.write('a', record(), first.version)
      expect(late).toEqual({ ok: false, current: null })
    }
  })

  it('ends what it can of a user, and leaves no rejection unhandled', async () => {
    const { kv, store, isolate, record } = setUp()
    const records = [0, 1, 2].map(() => record({ keys: ['ann'] }))
    for (const [i, one] of records.entries()) await store.write(`id-${i}`, one, null)
    kv.faults.push({ operation: 'put', hang: true })
    void store.write('id-0', record({ keys: ['ann'] }), records[0]!.version)
    await Promise.resolve()
    kv.faults.push({ operation: 'put' })
    expect(await failureOf(store.index!.end('ann'))).toEqual(throttled)
    const left = await Promise.all([0, 1, 2].map((i) => isolate().read(`id-${i}`)))
    expect(left.filter(Boolean).length).toBe(2)
  })
})

describe('createKVStore() and a session that it does not show', () => {
  it('says nothing for certain', async () => {
    const { clock, store, record } = setUp()
    expect(await store.read('a')).toBe(undefined)
    await store.write('b', record({ expiresAt: clock() + 1000 }), null)
    clock.advance(2)
    expect(await store.read('b')).toBe(undefined)
  })

  it('is unavailable for a write, which is not lost for it', async () => {
    const { clock, isolate, record } = setUp({ lagMs: 60_000 })
    const first = record()
    await isolate('here').write('a', first, null)
    const elsewhere = isolate('elsewhere')
    expect(await failureOf(elsewhere.write('a', record(), first.version))).toEqual(throttled)
    clock.advance(61)
    expect(await elsewhere.write('a', record(), first.version)).toEqual({ ok: true })
  })

  it('is never merged into an older record', async () => {
    const { clock, isolate, record } = setUp({ lagMs: 60_000 })
    const [first, second] = [record(), record()]
    await isolate('here').write('a', first, null)
    clock.advance(61)
    await isolate('here').write('a', second, first.version)
    const late = await isolate('elsewhere').write('a', record(), second.version, { entry: 'e' })
    expect(late).toEqual({ ok: false, current: first })
  })
})

describe('createKVStore() and memory', () => {
  it('remembers latest states by their bytes, not by their number alone', async () => {
    const { clock, kv, record, isolate } = setUp()
    const store = createKVStore({ namespace: kv.at('here'), now: clock })
    const value = 'x'.repeat(200_000)
    for (let i = 0; i < 30; i++) await isolate().write(`id-${i}`, record({ value }), null)
    for (let i = 0; i < 30; i++) await store.read(`id-${i}`)
    const before = kv.count('get')
    // A write asks KV again for what it does not remember to have read.
    for (let i = 0; i < 30; i++) await store.write(`id-${i}`, record(), 'another version')
    expect(kv.count('get') - before).toBeGreaterThan(19)
  })

  it('remembers as many as fit, each once, however often it is read', async () => {
    for (const [size, total, kept] of [
      [200_000, 30, 10],
      [10, 600, 500],
    ] as const) {
      const { clock, kv, record, isolate } = setUp()
      const store = createKVStore({ namespace: kv.at('here'), now: clock })
      const ids = Array.from({ length: total }, (_, i) => `id-${i}`)
      for (const id of ids) {
        await isolate().write(id, record({ value: 'x'.repeat(size) }), null)
        for (let i = 0; i < 3; i++) await store.read(id)
      }
      const before = kv.count('get')
      for (const id of ids.slice(-kept)) await store.write(id, record(), 'another version')
      expect(kv.count('get') - before).toBe(0)
      await store.write(ids.at(-kept - 1)!, record(), 'another version')
      expect(kv.count('get') - before).toBe(1)
    }
  })
})

describe('createKVStore() when KV answers with old data', () => {
  it('reads its own write although KV still caches what was before', async () => {
    const { clock, kv, store, isolate, record } = setUp({ lagMs: 60_000 })
    const versions = [record(), record(), record(), record()]
    await isolate('elsewhere').write('a', versions[0]!, null)
    clock.advance(61)
    await store.read('a')
    for (let i = 1; i < 4; i++) {
      await store.write('a', versions[i]!, versions[i - 1]!.version)
      clock.advance(2)
    }
    const here = kv.at('here')
    for (const { value, version, expiresAt } of versions.slice(0, 3)) {
      await here.put('sojourn:r:a', JSON.stringify([1, expiresAt, version, '1', value, 0, 0]))
      expect((await store.read('a'))?.version).toBe(versions[3]!.version)
      clock.advance(2)
      expect((await store.write('a', record(), version)).ok).toBe(false)
    }
  })

  it('finds what it created although "not found" is cached', async () => {
    const { clock, kv, store, record } = setUp({ cacheMs: 60_000 })
    const first = record()
    await store.write('a', first, null)
    const cached = kv.at('here').get
    await kv.at('here').delete('sojourn:r:a')
    await cached('sojourn:r:a')
    clock.advance(5)
    expect(await store.read('a')).toEqual(first)
    clock.advance(120)
    expect(await store.read('a')).toBe(undefined)
  })

  it('sees what another isolate wrote after its own write', async () => {
    const { clock, store, isolate, record } = setUp()
    const [first, second] = [record(), record()]
    await store.write('a', first, null)
    clock.advance(2)
    await isolate().write('a', second, first.version)
    expect(await store.read('a')).toEqual(second)
  })

  it('keeps no answer that left KV before its own write', async () => {
    const { clock, kv, isolate, record } = setUp()
    const versions = [record(), record(), record()]
    await isolate().write('a', versions[0]!, null)
    const namespace = kv.at('here')
    let release = (): void => {}
    const slow = {
      ...namespace,
      get: async (key: string) => {
        const answer = await namespace.get(key)
        await new Promise<void>((resolve) => (release = resolve))
        return answer
      },
    }
    const store = createKVStore({ namespace: slow, now: clock })
    const reading = store.read('a')
    for (let i = 0; i < 5; i++) await Promise.resolve()
    const writing = store.write('a', versions[1]!, versions[0]!.version)
    for (let i = 0; i < 5; i++) await Promise.resolve()
    release()
    await writing
    expect(await store.write('a', versions[2]!, versions[1]!.version)).toEqual({ ok: true })
    release()
    await Promise.race([reading, clock.sleep(0)])
    expect((await store.write('a', record(), versions[0]!.version)).ok).toBe(false)
  })
})

describe('createKVStore() and overlapping writes in one isolate', () => {
  it('keeps its own write over a foreign one that it read before but hears of after', async () => {
    const { clock, kv, record, isolate } = setUp()
    const [first, foreign, own] = [record(), record(), record()]
    const namespace = kv.at('here')
    const gates: Promise<void>[] = []
    let release = (): void => {}
    const held = {
      ...namespace,
      get: async (key: string) => {
        const answer = await namespace.get(key)
        await gates[0]
        return answer
      },
    }
    const store = createKVStore({ namespace: held, now: clock })
    await isolate().write('a', first, null)
    await store.read('a')
    await isolate().write('a', foreign, first.version)
    gates.push(new Promise<void>((resolve) => (release = resolve)))
    const reading = store.read('a')
    for (let i = 0; i < 9; i++) await Promise.resolve()
    expect(await store.write('a', own, first.version)).toEqual({ ok: true })
    release()
    expect(await reading).toEqual(own)
  })

  it('serves more sessions at once than it remembers', async () => {
    const { clock, store, isolate, record } = setUp()
    const records = Array.from({ length: 1200 }, () => record())
    const other = isolate()
    for (const [i, first] of records.entries()) await other.write(`id-${i}`, first, null)
    clock.advance(5)
    const results = await Promise.all(
      records.map((first, i) => store.write(`id-${i}`, record(), first.version)),
    )
    expect(results.every(({ ok }) => ok)).toBe(true)
    const ending = isolate()
    const ended = await Promise.all(records.map((_, i) => ending.end(`id-${i}`)))
    expect(ended.every(Boolean)).toBe(true)
  })

  it('lets one win and tells the others', async () => {
    const { kv, store, record } = setUp()
    const first = record()
    await store.write('a', first, null)
    const rivals = [record(), record(), record()]
    const results = await Promise.all(rivals.map((rival) => store.write('a', rival, first.version)))
    expect(results.map(({ ok }) => ok)).toEqual([true, false, false])
    expect(results[1]).toEqual({ ok: false, current: rivals[0] })
    expect(kv.count('put')).toBe(2)
  })

  it('does not send a second write while the first is under way', async () => {
    const { clock, kv, store, record } = setUp()
    const [first, second] = [record(), record()]
    await store.write('a', first, null)
    kv.faults.push({ operation: 'put', hang: true })
    void store.write('a', second, first.version)
    expect(await failureOf(store.end('a'))).toEqual(throttled)
    expect(await failureOf(store.write('a', second, first.version))).toEqual(throttled)
    expect(await failureOf(store.end('a', { markFor: 0 }))).toEqual(throttled)
    expect(kv.count('put')).toBe(2)
    clock.advance(5)
    expect(await store.end('a')).toBe(true)
  })

  it('reads again after a write that failed, and recognises one that was applied', async () => {
    for (const applied of [true, false]) {
      const { kv, store, record, costs } = setUp()
      const [first, second] = [record(), record()]
      await store.write('a', first, null)
      kv.faults.push({ operation: 'put', applied })
      expect(await failureOf(store.write('a', second, first.version))).toEqual(passing)
      expect(await store.write('a', second, first.version)).toEqual({ ok: true })
      expect(costs()).toBe(applied ? '1 2 0 0' : '1 3 0 0')
      expect(await store.read('a')).toEqual(second)
    }
  })
})

describe('createKVStore() when KV fails', () => {
  const kvError = (operation: string, status: string) =>
    new Error(`KV ${operation} failed: ${status}`)

  it.each([
    ['GET', '429 Too Many Requests', throttled],
    ['GET', '500 Internal Server Error', passing],
    ['GET', '501 Not Implemented', passing],
    ['GET', '503 Service Unavailable', passing],
    ['GET', '401 Unauthorized', passing],
    ['GET', '403 Forbidden', passing],
    ['GET', '400 Bad Request', final],
    ['GET', '414 UTF-8 encoded length of 513 exceeds key length limit of 512.', final],
  ])('reads: KV %s failed: %s', async (operation, status, expected) => {
    const { kv, store } = setUp()
    kv.faults.push({ error: kvError(operation, status) })
    expect(await failureOf(store.read('a'))).toEqual(expected)
    kv.faults.push({ operation: 'list', error: kvError(operation, status) })
    expect(await failureOf(store.index?.list('ann') ?? Promise.resolve())).toEqual(expected)
    kv.faults.push({ error: kvError(operation, status) })
    expect(await failureOf(store.health?.() ?? Promise.resolve())).toEqual(expected)
  })

  it.each([
    ['429 Too Many Requests', throttled],
    ['500 Internal Server Error', passing],
    ['401 Unauthorized', final],
    ['403 Forbidden', final],
    ['400 Invalid expiration_ttl of 59. Expiration TTL must be at least 60.', final],
    ['413 Value length of 26214401 exceeds limit of 26214400.', final],
  ])('writes: KV PUT failed: %s', async (status, expected) => {
    const { kv, store, record } = setUp()
    kv.faults.push({ error: kvError('PUT', status) })
    expect(await failureOf(store.write('a', record(), null))).toEqual(expected)
    kv.faults.push({ operation: 'delete', error: kvError('DELETE', status) })
    expect(await failureOf(store.end('a', { markFor: 0 }))).toEqual(expected)
  })

  it.each([
    [new Error('Network connection lost.'), passing],
    [new Error('anything else'), passing],
    [new TypeError('Key name cannot be empty.'), final],
    [new Error('KV get() limit exceeded for the day.'), final],
    [new Error('Too many API requests by single Worker invocation.'), final],
  ])('%s', async (error, expected) => {
    const { kv, store } = setUp()
    kv.faults.push({ error })
    expect(await failureOf(store.read('a'))).toEqual(expected)
  })

  it.each([
    ['KV PUT failed: 413 Value length of 26214401 exceeds limit of 26214400.', 'too-large'],
    ['KV PUT failed: 429 Too Many Requests', 'rate'],
    ['KV PUT failed: 401 Unauthorized', 'auth'],
    ['KV put() limit exceeded for the day.', 'quota'],
    ['Network connection lost.', 'network'],
    ['KV PUT failed: 500 Internal Server Error', 'unknown'],
  ])('says why: %s', async (message, reason) => {
    const { kv, store, record } = setUp()
    kv.faults.push({ error: new Error(message) })
    const error = await store.write('a', record(), null).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ reason })
    expect(error).not.toHaveProperty('word')
  })

  it('does not let one session that is written too often stop the others', async () => {
    const { kv, store, record } = setUp()
    const behind = resilient(store, { attempts: 1, breaker: { consecutiveFailures: 1 } })
    kv.faults.push({ operation: 'put', error: kvError('PUT', '429 Too Many Requests') })
    expect(await failureOf(behind.write('a', record(), null))).toEqual(throttled)
    expect(await behind.write('b', record(), null)).toEqual({ ok: true })
  })

  it('is throttled by the second write within a second', async () => {
    const { clock, store, isolate, record } = setUp({ rateLimit: true })
    const [first, second] = [record(), record()]
    await store.write('a', first, null)
    expect(await failureOf(store.write('a', second, first.version))).toEqual(throttled)
    clock.advance(1)
    expect(await store.write('a', second, first.version)).toEqual({ ok: true })
    expect(await failureOf(isolate().end('a'))).toEqual(throttled)
  })

  it('quotes nothing of what KV says, and no key', async () => {
    const { kv, store } = setUp()
    kv.faults.push({ error: new Error('KV GET failed: 400 canary') })
    const error = await store.read('secret-id').catch((thrown) => thrown)
    expect(`${error} ${error.stack} ${error.cause}`.includes('canary')).toBe(false)
    expect(`${error.message} ${error.cause}`.includes('secret-id')).toBe(false)
  })

  it('ends at once with the signal, and does not trust what it began', async () => {
    const { kv, store, record, costs } = setUp()
    const first = record()
    await store.write('a', first, null)
    for (const what of ['get', 'put', 'get before an end', 'delete'] as const) {
      const [operation] = what.split(' ') as ['get' | 'put' | 'delete']
      kv.faults.push({ operation, hang: true })
      const controller = new AbortController()
      const { signal } = controller
      const calls = {
        get: () => store.read('a', { signal }),
        put: () => store.write('a', record(), first.version, { signal }),
        'get before an end': () => store.end('a', { signal, markFor: 0 }),
        delete: () => store.end('a', { signal, markFor: 0 }),
      }
      const call = calls[what]().catch((error) => error)
      for (let i = 0; i < 30; i++) await Promise.resolve()
      controller.abort('enough')
      expect(await call).toBe('enough')
    }
    expect(costs()).toBe('3 2 1 0')
    expect(await store.read('a')).toEqual(first)
  })

  it.each([
    ['', 'ERR_STORE'],
    ['not json', 'ERR_STORE'],
    ['null', 'ERR_STORE'],
    ['{}', 'ERR_STORE'],
    ['[1,2,3]', 'ERR_STORE'],
    ['[1,"9999999999999","v","1","x",0,0]', 'ERR_STORE'],
    ['[1,9999999999999,7,"1","x",0,0]', 'ERR_STORE'],
    ['[1,9999999999999,"v","1",null,0,0]', 'ERR_STORE'],
    ['[1,9999999999999,"v","1","x",0]', 'ERR_STORE'],
    ['[1,9999999999999,"v","1","x",0,0,5]', 'ERR_STORE'],
    ['[0,9999999999999,"v","1","x",0,0]', 'ERR_STORE'],
    ['[2,"something newer"]', 'ERR_STORE'],
  ])('never takes %s for "no session"', async (text, code) => {
    const { kv, store, record } = setUp()
    await kv.at('here').put('sojourn:r:a', text)
    expect(await store.read('a').catch((error) => error.code)).toBe(code)
    expect(await store.write('a', record(), 'v').catch((error) => error.code)).toBe(code)
    expect(kv.stored('sojourn:r:a')).toBe(text)
  })

  describe.each([
    ['of a newer format', '[2,"something newer"]'],
    ['that is no record of ours', 'garbage'],
  ])('with a value %s among the sessions of a user', (_, text) => {
    const plant = async () => {
      const { kv, isolate, store, record } = setUp()
      for (const id of ['own', 'a']) await store.write(id, record({ keys: ['ann'] }), null)
      await kv.at('here').put('sojourn:r:a', text)
      // Another isolate remembers nothing.
      return { store: isolate(), record }
    }

    it('lists and goes through the others', async () => {
      const { store } = await plant()
      expect((await store.index!.list('ann')).map(({ id }) => id)).toEqual(['own'])
      expect((await store.page!(null)).records.map(({ id }) => id)).toEqual(['own'])
    })

    it('ends it with all others, and counts those', async () => {
      const { store } = await plant()
      expect(await store.index!.end('ann', { except: 'none' })).toBe(1)
      expect([await store.read('own'), await store.read('a')]).toEqual([null, null])
    })

    it('spares it where it is the one to be spared', async () => {
      const { store } = await plant()
      expect(await store.index!.end('ann', { except: 'a' })).toBe(1)
      expect((await store.read('a').catch((error) => error)).code).toBe('ERR_STORE')
    })

    it('ends it alone', async () => {
      const { store, record } = await plant()
      expect(await store.end('a')).toBe(false)
      expect(await store.read('a')).toBe(null)
      expect(await store.write('a', record(), null)).toEqual({ ok: false, current: null })
    })
  })

  it('says what to do about a newer format', async () => {
    const { kv, store } = setUp()
    await kv.at('here').put('sojourn:r:a', '[2,"something newer"]')
    const { message } = await store.read('a').catch((error) => error)
    expect(message).toBe('KV stores a newer format: update this version of Sojourn')
  })

  it('ends also what is no record of ours', async () => {
    const { kv, store } = setUp()
    await kv.at('here').put('sojourn:r:a', 'garbage')
    expect(await store.end('a')).toBe(false)
    expect(await store.read('a')).toBe(null)
  })

  it('never takes an answer that is neither text nor null for "no session"', async () => {
    const { kv } = setUp()
    const namespace = { ...kv.at('here'), get: async () => undefined as unknown as null }
    expect(await failureOf(createKVStore({ namespace }).read('a'))).toEqual(passing)
  })
})

describe('createKVStore().index', () => {
  it('costs one more put with the first write of an index key, and none with the next', async () => {
    const { clock, kv, store, record, costs } = setUp()
    const first = record({ keys: ['ann'] })
    await store.write('a', first, null)
    expect(costs()).toBe('0 2 0 0')
    expect(kv.calls.map(({ expirationTtl }) => expirationTtl)).toEqual([3600, 7200])
    clock.advanceMs(500)
    await store.write('a', record({ keys: ['ann'] }), first.version)
    expect(costs()).toBe('0 3 0 0')
  })

  it('stays for as long as the session is renewed', async () => {
    const { clock, store, isolate, record } = setUp()
    let last = record({ keys: ['ann'] })
    await store.write('a', last, null)
    for (let hours = 0; hours < 10; hours += 0.75) {
      clock.advance(2700)
      const next = record({ keys: ['ann'] })
      await isolate().write('a', next, last.version)
      last = next
      expect((await isolate().index?.list('ann'))?.length).toBe(1)
    }
    clock.advance(3600)
    expect(await isolate().index?.list('ann')).toEqual([])
  })

  it('keeps index keys apart that begin alike or hold separators', async () => {
    const { isolate, record } = setUp()
    const keys = ['a', 'a:b', 'ab', '%', 'ü €', '']
    for (const [i, key] of keys.entries()) {
      await isolate().write(`id-${i}`, record({ keys: [key] }), null)
    }
    for (const [i, key] of keys.entries()) {
      const listed = (await isolate().index?.list(key)) ?? []
      expect(listed.map(({ id }) => id)).toEqual([`id-${i}`])
    }
  })

  it('follows a session to another index key', async () => {
    const { store, isolate, record } = setUp()
    const first = record({ keys: ['ann'] })
    await store.write('a', first, null)
    await store.write('a', record({ keys: ['bob'] }), first.version)
    expect(await isolate().index?.list('ann')).toEqual([])
    expect((await isolate().index?.list('bob'))?.length).toBe(1)
    expect(await isolate().index?.end('ann')).toBe(0)
    expect(await isolate().index?.end('bob')).toBe(1)
  })

  it('does not end a session under a key that it has no more', async () => {
    const { store, isolate, record } = setUp()
    const first = record({ keys: ['ann'] })
    await store.write('a', first, null)
    await store.write('a', record(), first.version)
    expect(await isolate().index?.list('ann')).toEqual([])
    expect(await isolate().index?.end('ann')).toBe(0)
    expect(await isolate().read('a')).toBeTruthy()
  })

  it('has pages that begin where the one before ended', async () => {
    const { kv, store, isolate, record } = setUp()
    for (let i = 0; i < 150; i++) await store.write(`id-${i}`, record(), null)
    const first = await isolate().page!(null)
    const second = await isolate().page!(first.cursor)
    const ids = [first, second].map(({ records }) => records.map(({ id }) => id))
    expect([ids[0]!.length, ids[1]!.length, second.cursor]).toEqual([100, 50, null])
    expect(new Set(ids.flat()).size).toBe(150)
    expect(kv.count('list')).toBe(2)
  })

  it('lists more than a page, and goes on past a corrupt record', async () => {
    const { kv, store, isolate, record } = setUp()
    for (let i = 0; i < 1005; i++) await store.write(`id-${i}`, record({ keys: ['ann'] }), null)
    await kv.at('here').put('sojourn:r:id-7', 'garbage')
    expect((await isolate().index?.list('ann'))?.length).toBe(1004)
  })

  it.each([
    null,
    5,
    {},
    { keys: null },
    { keys: [{}], list_complete: true },
    { keys: [null], list_complete: true },
    { keys: [], list_complete: false },
    { keys: [], list_complete: false, cursor: 'the same' },
  ])('is unavailable when the answer is no page of keys, or has no end: %j', async (page) => {
    const namespace = { ...setUp().kv.at('here'), list: async () => page as never }
    const store = createKVStore({ namespace })
    expect(await failureOf(store.index?.list('ann') ?? Promise.resolve())).toEqual(passing)
    const isPage = Object(page).cursor !== undefined
    if (!isPage) expect(await failureOf(store.page?.(null) ?? Promise.resolve())).toEqual(passing)
  })

  it('fails when a record could not be asked for', async () => {
    const { kv, store, isolate, record } = setUp()
    await store.write('a', record({ keys: ['ann'] }), null)
    kv.faults.push({ operation: 'get' })
    expect(await failureOf(isolate().index?.list('ann') ?? Promise.resolve())).toEqual(passing)
  })
})
