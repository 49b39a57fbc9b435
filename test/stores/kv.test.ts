import { describe, expect, it } from 'vitest'
import { createKVStore, type KVStoreOptions } from '../../src/stores/kv.ts'
import { resilient } from '../../src/stores/resilient.ts'
import { type SessionStore, type StoredRecord, TOMBSTONE } from '../../src/stores/store.ts'
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
    expiresAt: clock() + 3_600_000,
    ...more,
  })
  const grave = (): StoredRecord => record({ value: TOMBSTONE, expiresAt: clock() + 30_000 })
  const costs = (): string =>
    (['get', 'put', 'delete', 'list'] as const).map((name) => kv.count(name)).join(' ')
  return { clock, kv, store: isolate(), isolate, record, grave, costs }
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

  it('destroys with one put, and deletes with one delete', async () => {
    const { store, isolate, record, grave, costs } = setUp()
    const first = record()
    await isolate().write('a', first, null)
    await store.read('a')
    await store.write('a', grave(), first.version)
    expect(costs()).toBe('1 2 0 0')
    await store.delete('a')
    expect(costs()).toBe('1 2 1 0')
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
    expect(await isolate().read('a')).toBe(null)
    expect(await store.read('a')).toBe(null)
    expect(kv.stored('sojourn:r:a')).not.toBe(null)
  })

  it('keeps apart what has another prefix', async () => {
    const { clock, kv, store, record } = setUp()
    const other = createKVStore({ namespace: kv.at('here'), prefix: 'other:', now: clock })
    await store.write('a', record({ subject: 'ann' }), null)
    expect(await other.read('a')).toBe(null)
    expect(await other.index?.list('ann')).toEqual([])
  })
})

describe('createKVStore() and a dead session', () => {
  it('keeps a tombstone for two minutes at least, in KV and in itself', async () => {
    const { clock, kv, store, isolate, record, grave } = setUp()
    const first = record()
    await store.write('a', first, null)
    await store.write('a', grave(), first.version)
    expect(kv.calls.at(-1)?.expirationTtl).toBe(120)
    clock.advanceMs(119_999)
    expect((await isolate().read('a'))?.value).toBe(TOMBSTONE)
  })

  it('keeps a longer tombstone as long as it is told', async () => {
    const { clock, kv, store, record } = setUp()
    const longer = record({ value: TOMBSTONE, expiresAt: clock() + 300_000 })
    await store.write('a', longer, null)
    expect(kv.calls.at(-1)?.expirationTtl).toBe(300)
    expect(await store.read('a')).toEqual(longer)
  })

  it('never shows it alive again in the isolate that ended it, whatever KV answers', async () => {
    for (const end of ['tombstone', 'delete']) {
      const { clock, store, isolate, record, grave } = setUp({ cacheMs: 60_000, lagMs: 60_000 })
      const first = record()
      await isolate('elsewhere').write('a', first, null)
      clock.advance(61)
      await store.read('a')
      if (end === 'delete') await store.delete('a')
      else await store.write('a', grave(), first.version)
      for (let seconds = 0; seconds < 200; seconds += 10) {
        expect((await store.read('a'))?.value ?? TOMBSTONE).toBe(TOMBSTONE)
        const late = await store.write('a', record(), first.version)
        expect(late.ok ? 'alive' : (late.current?.value ?? TOMBSTONE)).toBe(TOMBSTONE)
        clock.advance(10)
      }
    }
  })

  it('shows it alive elsewhere for as long as KV lags, and no longer', async () => {
    for (const lagMs of [0, 1000, 30_000, 60_000]) {
      const { clock, isolate, record, grave } = setUp({ lagMs })
      const first = record()
      await isolate('here').write('a', first, null)
      clock.advance(61)
      const elsewhere = isolate('elsewhere')
      await elsewhere.read('a')
      await isolate('here').write('a', grave(), first.version)
      if (lagMs > 0) {
        clock.advanceMs(lagMs - 1)
        expect((await elsewhere.read('a'))?.value).toBe(first.value)
        clock.advanceMs(1)
      }
      expect((await elsewhere.read('a'))?.value).toBe(TOMBSTONE)
      const late = await elsewhere.write('a', record(), first.version)
      expect(late.ok ? null : late.current?.value).toBe(TOMBSTONE)
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
      await here.put('sojourn:r:a', JSON.stringify([1, expiresAt, version, value, 0]))
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
    expect(await store.read('a')).toBe(null)
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
    const { clock, kv, store, record, grave } = setUp()
    const [first, second] = [record(), record()]
    await store.write('a', first, null)
    kv.faults.push({ operation: 'put', hang: true })
    void store.write('a', second, first.version)
    expect(await failureOf(store.write('a', grave(), second.version))).toEqual(throttled)
    expect(await failureOf(store.write('a', second, first.version))).toEqual(throttled)
    expect(await failureOf(store.delete('a'))).toEqual(throttled)
    expect(kv.count('put')).toBe(2)
    clock.advance(5)
    expect(await store.write('a', grave(), first.version)).toEqual({ ok: true })
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
    kv.faults.push({ error: kvError('DELETE', status) })
    expect(await failureOf(store.delete('a'))).toEqual(expected)
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

  it('does not let one session that is written too often stop the others', async () => {
    const { kv, store, record } = setUp()
    const behind = resilient(store, { attempts: 1, breaker: { consecutiveFailures: 1 } })
    kv.faults.push({ operation: 'put', error: kvError('PUT', '429 Too Many Requests') })
    expect(await failureOf(behind.write('a', record(), null))).toEqual(throttled)
    expect(await behind.read('b')).toBe(null)
  })

  it('is throttled by the second write within a second', async () => {
    const { clock, store, isolate, record } = setUp({ rateLimit: true })
    const [first, second] = [record(), record()]
    await store.write('a', first, null)
    expect(await failureOf(store.write('a', second, first.version))).toEqual(throttled)
    clock.advance(1)
    expect(await store.write('a', second, first.version)).toEqual({ ok: true })
    expect(await failureOf(isolate().delete('a'))).toEqual(throttled)
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
    for (const operation of ['get', 'put', 'delete'] as const) {
      kv.faults.push({ operation, hang: true })
      const controller = new AbortController()
      const { signal } = controller
      const calls = {
        get: () => store.read('a', { signal }),
        put: () => store.write('a', record(), first.version, { signal }),
        delete: () => store.delete('a', { signal }),
      }
      const call = calls[operation]().catch((error) => error)
      for (let i = 0; i < 5; i++) await Promise.resolve()
      controller.abort('enough')
      expect(await call).toBe('enough')
    }
    expect(costs()).toBe('1 2 1 0')
    expect(await store.read('a')).toEqual(first)
  })

  it.each([
    ['', 'ERR_STORE'],
    ['not json', 'ERR_STORE'],
    ['null', 'ERR_STORE'],
    ['{}', 'ERR_STORE'],
    ['[1,2,3]', 'ERR_STORE'],
    ['[1,"9999999999999","v","x",0]', 'ERR_STORE'],
    ['[1,9999999999999,7,"x",0]', 'ERR_STORE'],
    ['[1,9999999999999,"v",null,0]', 'ERR_STORE'],
    ['[1,9999999999999,"v","x",0,5]', 'ERR_STORE'],
    ['[0,9999999999999,"v","x",0]', 'ERR_STORE'],
    ['[2,"something newer"]', 'ERR_STORE'],
  ])('never takes %s for "no session"', async (text, code) => {
    const { kv, store, record } = setUp()
    await kv.at('here').put('sojourn:r:a', text)
    expect(await store.read('a').catch((error) => error.code)).toBe(code)
    expect(await store.write('a', record(), 'v').catch((error) => error.code)).toBe(code)
    expect(kv.stored('sojourn:r:a')).toBe(text)
  })

  it('never takes an answer that is neither text nor null for "no session"', async () => {
    const { kv } = setUp()
    const namespace = { ...kv.at('here'), get: async () => undefined as unknown as null }
    expect(await failureOf(createKVStore({ namespace }).read('a'))).toEqual(passing)
  })
})

describe('createKVStore().index', () => {
  it('costs one more put with the first write of a subject, and none with the next', async () => {
    const { clock, store, record, costs } = setUp()
    const first = record({ subject: 'ann' })
    await store.write('a', first, null)
    expect(costs()).toBe('0 2 0 0')
    clock.advanceMs(500)
    await store.write('a', record({ subject: 'ann' }), first.version)
    expect(costs()).toBe('0 3 0 0')
  })

  it('stays for as long as the session is renewed', async () => {
    const { clock, store, isolate, record } = setUp()
    let last = record({ subject: 'ann' })
    await store.write('a', last, null)
    for (let hours = 0; hours < 10; hours += 0.75) {
      clock.advance(2700)
      const next = record({ subject: 'ann' })
      await isolate().write('a', next, last.version)
      last = next
      expect((await isolate().index?.list('ann'))?.length).toBe(1)
    }
    clock.advance(3600)
    expect(await isolate().index?.list('ann')).toEqual([])
  })

  it('keeps subjects apart that begin alike or hold separators', async () => {
    const { isolate, record } = setUp()
    const subjects = ['a', 'a:b', 'ab', '%', 'ü €', '']
    for (const [i, subject] of subjects.entries()) {
      await isolate().write(`id-${i}`, record({ subject }), null)
    }
    for (const [i, subject] of subjects.entries()) {
      const listed = (await isolate().index?.list(subject)) ?? []
      expect(listed.map(({ id }) => id)).toEqual([`id-${i}`])
    }
  })

  it('follows a session to another subject', async () => {
    const { store, isolate, record } = setUp()
    const first = record({ subject: 'ann' })
    await store.write('a', first, null)
    await store.write('a', record({ subject: 'bob' }), first.version)
    expect(await isolate().index?.list('ann')).toEqual([])
    expect((await isolate().index?.list('bob'))?.length).toBe(1)
  })

  it('lists more than a page, and goes on past a corrupt record', async () => {
    const { kv, store, isolate, record } = setUp()
    for (let i = 0; i < 1005; i++) await store.write(`id-${i}`, record({ subject: 'ann' }), null)
    await kv.at('here').put('sojourn:r:id-7', 'garbage')
    expect((await isolate().index?.list('ann'))?.length).toBe(1004)
  })

  it('fails when a record could not be asked for', async () => {
    const { kv, store, isolate, record } = setUp()
    await store.write('a', record({ subject: 'ann' }), null)
    kv.faults.push({ operation: 'get' })
    expect(await failureOf(isolate().index?.list('ann') ?? Promise.resolve())).toEqual(passing)
  })
})
