import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { createStorage, type Driver } from 'unstorage'
import fsDriver from 'unstorage/drivers/fs'
import memoryDriver from 'unstorage/drivers/memory'
import redisDriver from 'unstorage/drivers/redis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { StoreError, StoreUnavailableError } from '../../src/errors.ts'
import { createSessions } from '../../src/index.ts'
import type { StoredRecord } from '../../src/stores/store.ts'
import { createUnstorageStore, type UnstorageStoreOptions } from '../../src/stores/unstorage.ts'
import { createClock, testStore } from '../../src/testing/index.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { errorOf } from '../support/sessions.ts'

let redis: RedisServer
let folder: string

beforeAll(async () => {
  redis = await startRedis()
  folder = await mkdtemp(join(tmpdir(), 'sojourn-unstorage-'))
})

afterAll(async () => {
  await redis.stop()
  await rm(folder, { recursive: true })
})

const overRedis = (): Driver =>
  redisDriver({ host: '127.0.0.1', port: redis.port, maxRetriesPerRequest: 0 })

const drivers: Record<string, () => Driver> = {
  memory: () => memoryDriver(),
  fs: () => fsDriver({ base: folder }),
  redis: overRedis,
}

for (const [name, driver] of Object.entries(drivers)) {
  testStore(
    `createUnstorageStore() on the ${name} driver`,
    () => {
      const storage = createStorage({ driver: driver() })
      const clock = createClock()
      return {
        store: createUnstorageStore({ storage, now: clock }),
        now: clock,
        advance: (ms: number): void => void clock.advanceMs(ms),
        close: () => storage.dispose(),
      }
    },
    { describe, it, expect },
  )
}

const CANARY = 'driver message with canary-4711'

/** A memory driver whose one method does something else. */
function setUp(overrides: Partial<Driver> = {}, options: Partial<UnstorageStoreOptions> = {}) {
  const clock = createClock()
  const memory = memoryDriver()
  const storage = createStorage({ driver: { ...memory, ...overrides } })
  const store = createUnstorageStore({ storage, now: clock, ...options })
  const record = (more: Partial<StoredRecord> = {}): StoredRecord => ({
    value: 'v',
    version: '1-a',
    epoch: '1',
    expiresAt: clock() + 60_000,
    ...more,
  })
  return { clock, memory, storage, store, record }
}

const failing = (): Promise<never> => Promise.reject(new Error(CANARY))

describe('createUnstorageStore()', () => {
  it('says that it is not atomic and has no index', () => {
    const { store } = setUp()
    expect([store.name, store.atomic, store.index]).toEqual(['unstorage', false, undefined])
  })

  it('tells the driver in how many seconds the record may go', async () => {
    const seen: unknown[] = []
    const { store, record, clock } = setUp({ setItem: (_, __, options) => void seen.push(options) })
    await store.write('a', record(), null)
    await store.write('a', record({ expiresAt: clock() + 1500 }), null)
    await store.write('a', record({ expiresAt: clock() - 1 }), null)
    expect(seen).toEqual([{ ttl: 60 }, { ttl: 2 }, { ttl: 1 }])
  })

  it('lets Redis drop what has expired', async () => {
    const storage = createStorage({ driver: overRedis() })
    const store = createUnstorageStore({ storage, prefix: 'ttl' })
    await store.write(
      'a',
      { value: 'v', version: '1', epoch: '1', expiresAt: Date.now() + 900_000 },
      null,
    )
    const client = new Redis(redis.port, '127.0.0.1')
    const left = await client.pttl('ttl:a')
    expect(left > 600_000 && left <= 900_000).toBe(true)
    client.disconnect()
    await storage.dispose()
  })

  it('creates without a read, which some drivers would remember', async () => {
    const reads: string[] = []
    const { store, record } = setUp({ getItem: (key) => void reads.push(key) as never })
    await store.write('a', record(), null)
    expect(reads).toEqual([])
  })

  it('keeps index keys, and versions, epochs and keys of any characters', async () => {
    const { store, record } = setUp()
    const odd = record({ version: '1 %\n"ä', epoch: '2 b', keys: ['a\nb c%', 'ü'], markFor: 7 })
    await store.write('a', odd, null)
    expect(await store.read('a')).toEqual(odd)
  })

  it('keeps stores of different prefixes apart', async () => {
    const { storage, store, record, clock } = setUp()
    const other = createUnstorageStore({ storage, prefix: 'app:other', now: clock })
    await store.write('a', record(), null)
    expect(await other.read('a')).toBe(undefined)
    expect(await storage.getKeys()).toEqual(['sojourn:a'])
  })

  it('keeps ids apart that unstorage takes for one key', async () => {
    const { store, record } = setUp()
    await store.write('a/b', record({ value: 'slash' }), null)
    await store.write('a:b', record({ value: 'colon' }), null)
    await store.write('a?b', record({ value: 'query' }), null)
    const values = ['a/b', 'a:b', 'a?b'].map(async (id) => (await store.read(id))?.value)
    expect(await Promise.all(values)).toEqual(['slash', 'colon', 'query'])
  })

  it.each<[string, unknown]>([
    ['text', 'hello'],
    ['JSON', '{"value":"v"}'],
    ['a JSON array', '[1,2]'],
    ['a number', '12'],
    ['a truncated record', 'sojourn 1\n99999999999999\n1-a\n1\n\n\nv'],
    ['a newer format', 'sojourn 2\n99999999999999\n1-a\n1\n\n\nv\n'],
    ['an expiry that is none', 'sojourn 1\nsoon\n1-a\n1\n\n\nv\n'],
    ['a version that does not decode', 'sojourn 1\n99999999999999\n%E0%A4%A\n1\n\n\nv\n'],
    ['no value', 'sojourn 1\n99999999999999\n1-a\n1\n\n\n\n'],
    ['an object', { value: 'v' }],
    ['bytes', new Uint8Array(3)],
  ])('takes %s for a failure, not for no session', async (_, value) => {
    const { store, record, memory } = setUp()
    await memory.setItemRaw!('sojourn:a', value, {})
    for (const attempt of [store.read('a'), store.write('a', record(), '1-x')]) {
      await expect(attempt).rejects.toBeInstanceOf(StoreError)
    }
  })

  it('says what to do about a newer format', async () => {
    const { store, memory } = setUp()
    await memory.setItemRaw!('sojourn:a', 'sojourn 12\nsomething newer\n', {})
    await expect(store.read('a')).rejects.toThrow(
      'unstorage stores a newer format: update this version of Sojourn',
    )
    expect(await store.end('a')).toBe(false)
    expect(await store.read('a')).toBe(null)
  })

  it.each<[string, () => unknown]>([
    ['rejects', failing],
    [
      'throws',
      () => {
        throw new TypeError(CANARY)
      },
    ],
    ['returns an error', () => new Error(CANARY)],
    ['returns nothing at all', () => undefined],
    ['returns an empty text', () => ''],
  ])('is unavailable when a driver %s', async (_, getItem) => {
    const { store, record } = setUp({ getItem: getItem as () => null })
    for (const call of [
      () => store.read('a'),
      () => store.write('a', record(), '1-x'),
      () => store.health!(),
    ]) {
      const error = await call().catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(StoreUnavailableError)
      expect(`${error} ${JSON.stringify(error)} ${(error as Error).cause}`).not.toContain('canary')
    }
  })

  it('is unavailable when a driver cannot write, delete or list', async () => {
    const { store, record } = setUp({ setItem: failing, removeItem: failing, getKeys: failing })
    for (const call of [
      () => store.write('a', record(), null),
      () => store.end('a', { markFor: 0 }),
      () => store.end('b'),
      () => store.page(null),
      () => store.prune(),
    ]) {
      const error = await call().catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(StoreUnavailableError)
      expect(String(error)).not.toContain('canary')
    }
  })

  const one = { value: 'v', version: '1', epoch: '1', expiresAt: Date.now() + 60_000 }

  it.each([
    ['too-large', Object.assign(new Error('private text'), { status: 413 })],
    ['auth', Object.assign(new Error('private text'), { statusCode: 401 })],
    ['full', Object.assign(new Error('private text'), { code: 'ENOSPC' }), 'ENOSPC'],
    [
      'too-large',
      new Error('KV PUT failed: 413 Value length of 26214401 exceeds limit of 26214400.'),
    ],
    ['quota', new Error('KV put() limit exceeded for the day.')],
    ['unknown', new Error('KV PUT failed: 400 Bad Request')],
    ['unknown', Object.assign(new Error('private text'), { status: 405 })],
    ['full', new Error("OOM command not allowed when used memory > 'maxmemory'."), 'OOM'],
    ['quota', new Error('Too many subrequests by single Worker invocation.')],
  ])('is no outage when the service behind it refuses (%s): %s', async (reason, refusal, word?) => {
    const storage = createStorage({ driver: memoryDriver() })
    storage.setItem = async () => {
      throw refusal
    }
    const error = await errorOf(() => createUnstorageStore({ storage }).write('a', one, null))
    expect([error.code, error.message.includes('private')]).toEqual(['ERR_STORE', false])
    expect([error.reason, (error as StoreError).word]).toEqual([reason, word])
  })

  it.each([
    ...[408, 425, 429, 500, 503, 504].map((status) =>
      Object.assign(new Error('private text'), { status }),
    ),
    new Error('KV PUT failed: 429 Too Many Requests'),
    new Error('KV PUT failed: 504 Gateway Timeout'),
    new Error('a driver that quotes: KV PUT failed: 400 Bad Request'),
  ])('is unavailable while the service behind it answers %o', async (answer) => {
    const storage = createStorage({ driver: memoryDriver() })
    storage.setItem = async () => {
      throw answer
    }
    const error = await errorOf(() => createUnstorageStore({ storage }).write('a', one, null))
    expect(error.code).toBe('ERR_STORE_UNAVAILABLE')
  })

  it('ends nothing, and skips nothing, while it cannot be read', async () => {
    const { store, memory, clock } = setUp({ getItem: failing })
    const record = `sojourn 1\n${clock() - 1}\n1-a\n1\n\n\nv\n`
    await memory.setItem!('sojourn:a', record, {})
    for (const call of [() => store.end('a'), () => store.page(null), () => store.prune()]) {
      await expect(call()).rejects.toBeInstanceOf(StoreUnavailableError)
    }
  })

  it('leaves nothing of a session where no mark is wanted', async () => {
    const { store, storage, record } = setUp()
    await store.write('a', record(), null)
    expect(await store.end('a', { markFor: 0 })).toBe(true)
    expect(await storage.getKeys()).toEqual([])
  })

  it('is unavailable while Redis is down, and says nothing of it', async () => {
    const server = await startRedis()
    const storage = createStorage({
      driver: redisDriver({ host: '127.0.0.1', port: server.port, maxRetriesPerRequest: 0 }),
    })
    const store = createUnstorageStore({ storage })
    const record = { value: 'v', version: '1', epoch: '1', expiresAt: Date.now() + 60_000 }
    await store.write('a', record, null)
    ;(storage.getMount('').driver.getInstance!() as { on(e: string, f: () => void): void }).on(
      'error',
      () => {},
    )
    await server.stop()
    await expect(store.read('a')).rejects.toBeInstanceOf(StoreUnavailableError)
    await expect(store.health!()).rejects.toBeInstanceOf(StoreUnavailableError)
    await storage.dispose()
  })

  it('ends a call at once when its signal is aborted', async () => {
    const { store, record } = setUp({ getItem: () => new Promise<never>(() => {}) })
    const controller = new AbortController()
    const reading = store.read('a', { signal: controller.signal })
    const [writing, ending] = [
      store.write('a', record({ version: '2' }), '1-a', { signal: controller.signal }),
      store.end('a', { signal: controller.signal }),
    ]
    controller.abort(new Error('gone'))
    for (const call of [reading, writing, ending]) await expect(call).rejects.toThrow('gone')
  })

  it('reads what fs wrote over a longer record, and waits out one that is being written', async () => {
    const storage = createStorage({ driver: fsDriver({ base: folder }) })
    const store = createUnstorageStore({ storage, prefix: 'torn' })
    const record = { value: 'v', version: '1', epoch: '1', expiresAt: Date.now() + 60_000 }
    await store.write('a', record, null)
    const file = join(folder, 'torn', 'a')
    const text = await readFile(file, 'utf8')
    await writeFile(file, `${text}f-the-other-one\n`)
    expect(await store.read('a')).toEqual(record)
    await writeFile(file, '')
    await expect(store.read('a')).rejects.toBeInstanceOf(StoreUnavailableError)
  })

  it('survives many writers of one file', async () => {
    const storage = createStorage({ driver: fsDriver({ base: folder }) })
    const store = createUnstorageStore({ storage, prefix: 'busy' })
    const expiresAt = Date.now() + 60_000
    const values = Array.from({ length: 40 }, (_, i) => 'x'.repeat(1 + ((i * 7919) % 4000)))
    await Promise.all(
      values.map((value, i) =>
        store.write('a', { value, version: String(i), epoch: '1', expiresAt }, null),
      ),
    )
    const read = await store.read('a')
    expect(read?.value).toBe(values[Number(read?.version)])
  })

  it('pages through all sessions, past what is not ours', async () => {
    const { store, record, memory, clock } = setUp()
    for (let i = 0; i < 250; i++) await store.write(`id-${i}`, record(), null)
    await store.end('ended')
    await store.write('old', record({ expiresAt: clock() }), null)
    await memory.setItem!('sojourn:foreign', 'hello', {})
    const ids: string[] = []
    const sizes: number[] = []
    let cursor: string | null = null
    do {
      const page = await store.page(cursor)
      sizes.push(page.records.length)
      ids.push(...page.records.map(({ id }) => id))
      cursor = page.cursor
    } while (cursor)
    expect(new Set(ids).size).toBe(250)
    expect(ids.length).toBe(250)
    expect(Math.max(...sizes)).toBeLessThan(101)
  })

  it('ends its pages with one that is full', async () => {
    const { store, record } = setUp()
    for (let i = 0; i < 100; i++) await store.write(`id-${i}`, record(), null)
    const { records, cursor } = await store.page(null)
    expect([records.length, cursor]).toEqual([100, null])
  })

  it('removes what has expired, and nothing else', async () => {
    const clock = createClock()
    const storage = createStorage({ driver: fsDriver({ base: folder }) })
    const store = createUnstorageStore({ storage, prefix: 'clean', now: clock })
    const record = { value: 'v', version: '1', epoch: '1', expiresAt: clock() + 1000 }
    for (const id of ['a', 'b']) await store.write(id, record, null)
    await store.write('c', { ...record, expiresAt: clock() + 5000 }, null)
    await storage.setItem('clean:foreign', 'hello')
    clock.advanceMs(1000)
    expect(await store.prune()).toBe(2)
    expect((await readdir(join(folder, 'clean'))).sort()).toEqual(['c', 'foreign'])
  })

  it('carries sessions from sign-in to sign-out', async () => {
    const storage = createStorage({ driver: overRedis() })
    const sessions = createSessions<{ cart: number }>({
      secret: 'a secret of thirty-two bytes or more',
      store: createUnstorageStore({ storage, prefix: 'story' }),
    })
    const first = await sessions.open(null)
    first.set('cart', 3)
    first.login('ada')
    const cookie = (await sessions.save(first))[0]!.split(';')[0]!
    const second = await sessions.open(cookie)
    expect([second.status, second.subject, second.get('cart')]).toEqual(['active', 'ada', 3])
    second.destroy()
    await sessions.save(second)
    expect((await sessions.open(cookie)).status).toBe('missing')
    await storage.dispose()
  })

  it('shows in another process, from its tombstone, that a session has ended', async () => {
    const { storage, store, record, clock } = setUp()
    const other = () => createUnstorageStore({ storage, now: clock })
    await store.write('a', record(), null)
    await store.end('a')
    for (const seconds of [0, 30, 200, 369]) {
      clock.advance(seconds)
      expect([await store.read('a'), await other().read('a')]).toEqual([null, null])
      const late = await other().write('a', record({ version: '2' }), '1-a')
      expect(late).toEqual({ ok: false, current: null })
    }
    clock.advance(1)
    expect([await store.read('a'), await other().read('a')]).toEqual([undefined, undefined])
  })

  it('does not import a session again that has ended in another process', async () => {
    const { storage, store, record, clock } = setUp()
    await store.write('a', record({ markFor: 3600 }), null)
    await store.end('a')
    clock.advance(3599)
    const other = createUnstorageStore({ storage, now: clock })
    const again = await other.write('a', record({ markFor: 3600, version: '2' }), null)
    expect(again).toEqual({ ok: false, current: null })
  })

  it('removes tombstones that are over, up to a limit', async () => {
    const { storage, store, record, clock } = setUp()
    for (const id of ['a', 'b', 'c']) await store.write(id, record(), null)
    for (const id of ['a', 'b']) await store.end(id)
    clock.advance(599)
    expect(await store.prune()).toBe(1)
    clock.advance(1)
    expect(await store.prune(1)).toBe(1)
    expect(await store.prune()).toBe(1)
    expect(await storage.getKeys()).toEqual([])
  })

  it('ends also what is no record of ours', async () => {
    const { store, memory } = setUp()
    await memory.setItem!('sojourn:a', 'hello', {})
    expect(await store.end('a')).toBe(false)
    expect(await store.read('a')).toBe(null)
  })

  it('is unavailable for a write over what it does not find, which is not lost for it', async () => {
    const { store, record } = setUp()
    await expect(store.write('a', record(), '1-a')).rejects.toBeInstanceOf(StoreUnavailableError)
  })

  it('refuses options that are missing, unknown or wrong', () => {
    const storage = createStorage()
    const make = (options: object) => () => createUnstorageStore(options as UnstorageStoreOptions)
    expect(make({})).toThrow(TypeError)
    expect(make({ storage: {} })).toThrow('"storage"')
    expect(make({ storage, prefix: 'a?b' })).toThrow('"prefix"')
    expect(make({ storage, prefix: '' })).toThrow('"prefix"')
    expect(make({ storage, ttl: 3 })).toThrow('"ttl"')
  })
})
