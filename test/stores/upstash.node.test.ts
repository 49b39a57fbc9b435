import { createHash } from 'node:crypto'
import { errors, Redis } from '@upstash/redis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  CircuitOpenError,
  StoreError,
  StoreTimeoutError,
  StoreUnavailableError,
} from '../../src/errors.ts'
import * as index from '../../src/stores/redis-index.ts'
import { READ_SHA, WRITE_SHA } from '../../src/stores/redis-record.ts'
import { LIST, PAGE, READ, WRITE } from '../../src/stores/redis-scripts.ts'
import { resilient } from '../../src/stores/resilient.ts'
import type { SessionStore, StoredRecord } from '../../src/stores/store.ts'
import { createRequester, createUpstashStore } from '../../src/stores/upstash.ts'
import { createClock, testStore } from '../../src/testing/index.ts'
import { type FaultServer, type HttpFault, startFaultServer } from '../support/fault-server.ts'
import { freePort } from '../support/free-port.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { type Bridge, startBridge, TOKEN } from '../support/upstash-bridge.ts'

let redis: RedisServer
let bridge: Bridge
let faults: FaultServer

beforeAll(async () => {
  redis = await startRedis()
  bridge = await startBridge(redis.port)
  faults = await startFaultServer(bridge.url)
})

afterAll(async () => {
  await faults.close()
  await bridge.close()
  await redis.stop()
})

const clientOf = (timeoutMs: number) =>
  new Redis({
    url: faults.url,
    token: TOKEN,
    enableAutoPipelining: false,
    automaticDeserialization: false,
    retry: { retries: 0 },
    signal: () => AbortSignal.timeout(timeoutMs),
    enableTelemetry: false,
  })

/** Every way to reach the database. */
const ways: Record<string, (timeoutMs: number, now?: () => number) => SessionStore> = {
  '{ url, token }': (timeoutMs, now = Date.now) =>
    createUpstashStore({ url: faults.url, token: TOKEN, timeoutMs, now }),
  '{ redis } of the recommended settings': (timeoutMs, now = Date.now) =>
    createUpstashStore({ redis: clientOf(timeoutMs), timeoutMs: timeoutMs + 100, now }),
  '{ redis } of its own defaults': (timeoutMs, now = Date.now) => {
    const redis = new Redis({ url: faults.url, token: TOKEN })
    return createUpstashStore({ redis, timeoutMs, now })
  },
  '{ redis } over createRequester': (timeoutMs, now = Date.now) => {
    const redis = new Redis(
      createRequester({
        url: faults.url,
        token: TOKEN,
        attempts: 1,
        attemptTimeoutMs: 10_000,
        deadlineMs: 10_000,
      }),
    )
    return createUpstashStore({ redis, timeoutMs, now })
  },
}

let ids = 0
const newId = (): string => `id-${process.pid}-${ids++}`
const record = (version: string, more: Partial<StoredRecord> = {}): StoredRecord => ({
  value: 'VALUE-canary-91',
  version,
  epoch: '1',
  expiresAt: Date.now() + 60_000,
  ...more,
})

async function failureOf(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise
  } catch (error) {
    return error as Error
  }
  throw new Error('It did not fail')
}

for (const [name, create] of Object.entries(ways)) {
  testStore(
    `createUpstashStore(${name})`,
    () => {
      const clock = createClock(Date.now())
      return { store: create(10_000, clock), now: clock, advance: (ms) => void clock.advanceMs(ms) }
    },
    { describe, it, expect },
  )
}

const gone: readonly [string, HttpFault][] = [
  ['connection refused', { type: 'refuse' }],
  ['no answer', { type: 'hang' }],
  ['slow body', { type: 'slow-body', everyMs: 50 }],
  ['cut body', { type: 'cut-body' }],
  ['half of the JSON', { type: 'half-json' }],
  ['429 with seconds', { type: 'status', status: 429, headers: { 'retry-after': '7' } }],
  ['408', { type: 'status', status: 408 }],
  ['425', { type: 'status', status: 425 }],
  ['500', { type: 'status', status: 500 }],
  ['502 with HTML', { type: 'status', status: 502, body: '<h1>VALUE-canary-91</h1>' }],
  ['503', { type: 'status', status: 503 }],
  ['504', { type: 'status', status: 504 }],
  ['HTML with 200', { type: 'body', body: '<h1>Welcome</h1>', contentType: 'text/html' }],
  ['empty body', { type: 'body', body: '' }],
  ['null', { type: 'body', body: 'null' }],
  ['no result', { type: 'body', body: '{}' }],
  ['result null', { type: 'body', body: '{"result":null}' }],
  ['result of a wrong type', { type: 'body', body: '{"result":5}' }],
  ['result true', { type: 'body', body: '{"result":true}' }],
  ['result an object', { type: 'body', body: '{"result":{"a":1}}' }],
  ['an array', { type: 'body', body: '[{"result":"x"}]' }],
  ['400 with a result', { type: 'status', status: 400, body: '{"result":""}' }],
  ['400 in words', { type: 'status', status: 400, body: '{"error":"the upstream is gone"}' }],
  ['error while loading', { type: 'body', body: '{"error":"LOADING Redis is loading"}' }],
]

const refused: readonly [string, HttpFault][] = [
  ['401', { type: 'status', status: 401, body: '{"error":"WRONGPASS invalid token"}' }],
  ['403', { type: 'status', status: 403, body: '{"error":"Forbidden"}' }],
  ['400', { type: 'status', status: 400, body: '{"error":"ERR syntax error, near VALUE"}' }],
  ['413', { type: 'status', status: 413, body: '{"error":"ERR max request size exceeded"}' }],
  ['{error} with 200', { type: 'body', body: '{"error":"ERR wrong number of arguments"}' }],
  ['quota', { type: 'body', body: '{"error":"ERR max daily request limit exceeded"}' }],
  ['capacity', { type: 'status', status: 400, body: '{"error":"ERR DB capacity quota exceeded"}' }],
  ['not a record', { type: 'body', body: '{"result":"VALUE-canary-91"}' }],
]

for (const [name, create] of Object.entries(ways)) {
  describe(`createUpstashStore(${name}) when things fail`, () => {
    const operations: Record<string, (store: SessionStore) => Promise<unknown>> = {
      read: (store) => store.read('ID-canary-3'),
      'read fresh': (store) => store.read('ID-canary-3', { fresh: true }),
      write: (store) => store.write('ID-canary-3', record('1-a'), null),
      list: (store) => store.index?.list('SUBJECT-canary') ?? Promise.resolve(),
      end: (store) => store.end('ID-canary-3'),
      'end all': (store) => store.index?.end('SUBJECT-canary') ?? Promise.resolve(),
    }

    function assertClean(error: Error): void {
      const words = `${error.message} ${error.stack} ${String(error.cause)} ${JSON.stringify(error)}`
      expect(/canary|command was|<h1>|EVALSHA/.test(words)).toBe(false)
    }

    it.each(gone)('%s: unavailable, never an answer', async (what, fault) => {
      for (const [operation, run] of Object.entries(operations)) {
        if (operation.startsWith('end') && what === 'result of a wrong type') continue
        faults.down(fault)
        const error = await failureOf(run(create(150)))
        faults.up()
        expect(`${operation} ${error.name}`).toMatch(/Store(Unavailable|Timeout)Error/)
        assertClean(error)
      }
    })

    it.each(refused)('%s: refused, not to be repeated', async (what, fault) => {
      for (const [operation, run] of Object.entries(operations)) {
        if (what === 'not a record' && /^(list|end)/.test(operation)) continue
        faults.down(fault)
        const error = await failureOf(run(create(10_000)))
        faults.up()
        expect(`${operation} ${error.name}`).toBe(`${operation} StoreError`)
        assertClean(error)
      }
    })

    it('an answer that was lost: the write finds itself done', async () => {
      const store = create(10_000)
      const id = newId()
      await store.write(id, record('1-a'), null)
      await store.read(id)
      faults.inject({ type: 'lost-answer' })
      await failureOf(store.write(id, record('2-b'), '1-a'))
      expect(await store.write(id, record('2-b'), '1-a')).toEqual({ ok: true })
      faults.up()
    })

    it('an answer that was lost, and others appended since: done, with their entries', async () => {
      const store = create(10_000)
      const id = newId()
      await store.write(id, record('1-a'), null)
      faults.inject({ type: 'lost-answer' })
      await failureOf(store.write(id, record('2-b'), '1-a'))
      await store.write(id, record('3-c'), '1-a', { entry: 'theirs' })
      const again = await store.write(id, record('2-b'), '1-a', { entry: 'ours' })
      expect([again.ok, again.current?.version]).toEqual([true, '2-b+1.theirs'])
      expect((await store.read(id))?.entries).toEqual(['theirs'])
      faults.up()
    })

    it('a duplicate and a latecomer change nothing', async () => {
      const store = create(10_000)
      const id = newId()
      await store.write(id, record('1-a'), null)
      faults.inject({ type: 'duplicate' })
      expect(await store.write(id, record('2-b'), '1-a')).toEqual({ ok: true })
      faults.inject({ type: 'reorder' })
      await failureOf(store.write(id, record('3-late'), '2-b'))
      await store.write(id, record('3-c'), '2-b')
      await faults.release()
      expect((await store.read(id))?.version).toBe('3-c')
      faults.inject({ type: 'reorder' })
      await failureOf(store.write(id, record('4-late'), '3-c', { entry: 'late' }))
      await store.end(id)
      await faults.release()
      expect(await store.read(id)).toBe(null)
      const created = newId()
      faults.inject({ type: 'reorder' })
      await failureOf(store.write(created, record('1-late'), null))
      await store.end(created)
      await faults.release()
      expect(await store.read(created)).toBe(null)
    })

    it("ends with the reason of the caller's signal", async () => {
      const reason = new Error('The caller has gone')
      const controller = new AbortController()
      faults.inject({ type: 'hang' })
      const running = failureOf(create(10_000).read('id', { signal: controller.signal }))
      setTimeout(() => controller.abort(reason), 20)
      expect(await running).toBe(reason)
      faults.up()
    })
  })
}

describe('createUpstashStore()', () => {
  const create = (): ReturnType<typeof createUpstashStore> =>
    createUpstashStore({ url: faults.url, token: TOKEN })

  it('knows its scripts by their SHA-1', () => {
    const sha = (text: string): string => createHash('sha1').update(text).digest('hex')
    const { LIST_SHA, PAGE_SHA } = index
    const known = [READ_SHA, WRITE_SHA, LIST_SHA, PAGE_SHA]
    expect(known).toEqual([READ, WRITE, LIST, PAGE].map(sha))
  })

  it('makes one request per call, once Redis knows the scripts', async () => {
    const store = create()
    const id = newId()
    const subject = newId()
    const keys = [subject, newId()]
    await store.write(newId(), record('1-a'), null)
    await store.read(id, { fresh: true })
    await store.end(newId())
    await store.index.list(subject)
    await store.index.end(subject)
    await store.page?.(null)
    const costs: Record<string, number> = {}
    async function measure(name: string, run: () => Promise<unknown>): Promise<void> {
      const before = faults.count
      await run()
      costs[name] = faults.count - before
    }
    await measure('create', () => store.write(id, record('1-a', { keys }), null))
    await measure('read', () => store.read(id))
    await measure('read fresh', () => store.read(id, { fresh: true }))
    await measure('update', () => store.write(id, record('2-b', { keys }), '1-a'))
    await measure('conflict', () => store.write(id, record('2-c', { keys }), '1-a'))
    await measure('append', () => store.write(id, record('2-d'), '1-a', { entry: 'e' }))
    await measure('list', () => store.index.list(subject))
    await measure('end all', () => store.index.end(subject))
    await measure('page', async () => store.page?.(null))
    await measure('end', () => store.end(id))
    await measure('health', () => store.health?.() ?? Promise.resolve())
    expect(Object.values(costs)).toEqual(Array(11).fill(1))
  })

  it('sends a script again when Redis has forgotten it', async () => {
    const store = create()
    await bridge.redis('SCRIPT', 'FLUSH')
    const before = faults.count
    const id = newId()
    expect(await store.write(id, record('1-a'), null)).toEqual({ ok: true })
    expect(await store.write(id, record('2-b'), '1-a')).toEqual({ ok: true })
    expect(faults.count - before).toBe(3)
  })

  it('lets Redis remove what has expired, by a relative time', async () => {
    const store = create()
    const id = newId()
    await store.write(id, record('1-a', { expiresAt: Date.now() + 900_000 }), null)
    const ttl = Number(await bridge.redis('PTTL', `sojourn:s:${id}`))
    expect(ttl > 600_000 && ttl <= 900_000).toBe(true)
  })

  it('keeps the index as long as its longest record, and trims it', async () => {
    const store = create()
    const subject = newId()
    const [short, long] = [newId(), newId()]
    const expiresAt = Date.now() + 900_000
    await store.write(long, record('1-a', { keys: [subject], expiresAt }), null)
    await store.write(short, record('1-a', { keys: [subject] }), null)
    const key = `sojourn:u:${subject}`
    expect(Number(await bridge.redis('PTTL', key)) > 600_000).toBe(true)
    expect(await bridge.redis('ZCARD', key)).toBe(2)
    // Its minute is over.
    await bridge.redis('ZADD', key, '1', short)
    await store.write(long, record('2-b', { keys: [subject] }), '1-a')
    expect(await bridge.redis('ZCARD', key)).toBe(1)
    expect((await store.index.list(subject)).map(({ id }) => id)).toEqual([long])
  })

  it('lists a session under its present index key only', async () => {
    const store = create()
    const [id, before, after] = [newId(), newId(), newId()]
    await store.write(id, record('1-a', { keys: [before] }), null)
    await store.write(id, record('2-b', { keys: [after] }), '1-a')
    expect((await store.index.list(before)).length).toBe(0)
    expect((await store.index.list(after)).length).toBe(1)
  })

  it('keeps prefixes apart', async () => {
    const [a, b] = ['a:', 'b:'].map((prefix) =>
      createUpstashStore({ url: faults.url, token: TOKEN, prefix }),
    )
    const id = newId()
    await a?.write(id, record('1-a'), null)
    expect(await b?.read(id)).toBe(null)
  })

  it('takes versions, epochs and index keys of any characters', async () => {
    const store = create()
    const id = newId()
    const odd = record('1 a\nb\t%20é', { keys: ['user 7\n€/../u', 'ü'], epoch: '1 ü' })
    await store.write(id, odd, null)
    expect(await store.read(id)).toEqual({ ...odd, copied: true })
    expect((await store.write(id, record('2', { epoch: odd.epoch }), 'x', { entry: 'e' })).ok).toBe(
      true,
    )
    expect(await store.write(id, record('3'), `${odd.version}+1.e`)).toEqual({ ok: true })
  })

  it('throws for what others put under its keys', async () => {
    const store = create()
    const id = newId()
    await bridge.redis('HSET', `sojourn:s:${id}`, 'a', 'b')
    expect((await failureOf(store.read(id))) instanceof StoreError).toBe(true)
    expect((await failureOf(store.write(id, record('1'), null))) instanceof StoreError).toBe(true)
    await bridge.redis('DEL', `sojourn:s:${id}`)
    for (const text of [
      'something else',
      '1\n2\n1\n\n\n',
      '%zz\n9999999999999\n1\n\n\nv',
      '\n1\n1\n\n\nv',
      '!x',
      '1',
    ]) {
      await bridge.redis('SET', `sojourn:s:${id}`, text)
      expect((await failureOf(store.read(id))) instanceof StoreError).toBe(true)
    }
    await bridge.redis('SET', `sojourn:s:${id}`, 'something else')
    expect((await failureOf(store.write(id, record('1'), null))) instanceof StoreError).toBe(true)
  })

  it('reads from a replica that lags, and from the primary when it is to be fresh', async () => {
    const [primary, replica] = [await startRedis(), await startRedis()]
    const [first, second] = [await startBridge(primary.port), await startBridge(replica.port)]
    // As Upstash does: commands that only read go to the nearest replica, all others to the primary.
    const fetch = (_: string, init: RequestInit): Promise<Response> => {
      const isRead = /^\["(GET|GETRANGE|EXISTS)"/.test(String(init.body))
      return globalThis.fetch((isRead ? second : first).url, init)
    }
    const store = createUpstashStore({ url: first.url, token: TOKEN, fetch })
    try {
      const written = record('1-a')
      await store.write('a', written, null)
      expect(await store.read('a')).toBe(null)
      expect(await store.read('a', { fresh: true })).toEqual(written)
      const fields = await first.redis('GET', 'sojourn:s:a')
      await second.redis('SET', 'sojourn:s:a', String(fields))
      expect(await store.read('a')).toEqual({ ...written, copied: true })
    } finally {
      for (const it of [first, second]) await it.close()
      for (const it of [primary, replica]) await it.stop()
    }
  })

  it('sends the last sync token back', async () => {
    const store = create()
    const before = bridge.syncTokens.length
    await store.read('a')
    await store.read('b')
    const [first, second] = bridge.syncTokens.slice(before)
    expect([first, second]).toEqual([undefined, `sync-${before + 1}`])
  })

  it.each([404, 405, 414, 418])(
    'takes %d for a refusal, whatever comes with it',
    async (status) => {
      faults.inject({ type: 'status', status, body: '{"result":""}' })
      expect((await failureOf(create().read('id'))).name).toBe('StoreError')
      faults.up()
    },
  )

  it.each([
    [401, 'auth'],
    [403, 'auth'],
    [413, 'too-large'],
    [429, 'rate'],
    [504, 'timeout'],
    [503, 'unknown'],
  ])('says of %d why: %s', async (status, reason) => {
    faults.inject({ type: 'status', status, body: '{}' })
    expect(await failureOf(create().read('id'))).toMatchObject({ reason })
    faults.up()
  })

  it('says that it could not be reached, with the code of the connection', async () => {
    const url = `http://127.0.0.1:${await freePort()}`
    const error = await failureOf(createUpstashStore({ url, token: TOKEN }).read('id'))
    expect(error).toMatchObject({ reason: 'network', word: 'ECONNREFUSED' })
  })

  it('does not count a request that has made too many', async () => {
    const fetch = async (): Promise<never> => {
      throw new Error('Too many subrequests by single Worker invocation.')
    }
    const store = createUpstashStore({ url: faults.url, token: TOKEN, fetch })
    expect(await failureOf(store.read('id'))).toMatchObject({ name: 'StoreError', reason: 'quota' })
  })

  it('asks caches in front of fetch for no-store', async () => {
    const seen: (string | undefined)[] = []
    const store = createUpstashStore({
      url: faults.url,
      token: TOKEN,
      fetch: async (_, init) => {
        seen.push(init?.cache)
        return Response.json({ result: null })
      },
    })
    await store.read('id').catch(() => {})
    expect(seen).toEqual(['no-store'])
  })

  it('follows no redirect', async () => {
    const before = faults.count
    faults.inject({ type: 'status', status: 307, headers: { location: faults.url } })
    expect((await failureOf(create().read('id'))) instanceof StoreError).toBe(true)
    expect(faults.count - before).toBe(1)
    faults.up()
  })

  it('refuses answers of more than 10 MiB', async () => {
    faults.inject({ type: 'oversize', bytes: 10_485_760 })
    expect((await failureOf(create().read('id'))) instanceof StoreError).toBe(true)
    faults.up()
  })

  it('passes on how long to wait, from both forms of Retry-After', async () => {
    const date = (ms: number): string => new Date(1e12 + ms).toUTCString()
    const answers: [Record<string, string>, number | undefined][] = [
      [{ 'retry-after': '7' }, 7],
      [{ date: date(0), 'retry-after': date(9000) }, 9],
      [{}, 1],
    ]
    for (const [headers, seconds] of answers) {
      faults.inject({ type: 'status', status: 429, headers })
      const error = (await failureOf(create().read('id'))) as StoreUnavailableError
      expect(error.retryAfter).toBe(seconds)
    }
    faults.up()
  })

  it('is StoreTimeoutError when time is up', async () => {
    faults.inject({ type: 'slow-body', everyMs: 20 })
    const store = createUpstashStore({ url: faults.url, token: TOKEN, timeoutMs: 100 })
    expect((await failureOf(store.read('id'))) instanceof StoreTimeoutError).toBe(true)
    faults.up()
  })

  it.each([
    { url: 'http://db.example.com', token: TOKEN },
    { url: 'https://db.example.com?_token=secret', token: TOKEN },
    { url: 'redis://localhost', token: TOKEN },
    { url: 'https://default:secret@db.example.com', token: TOKEN },
    { url: 'https://localhost.evil.example', token: 'two\r\nlines' },
    { url: 'http://127.0.0.1.evil.example', token: TOKEN },
    { url: 'http://evil-localhost', token: TOKEN },
    { url: 'no url', token: TOKEN },
    { url: undefined, token: TOKEN },
    { url: 'https://db.example.com', token: undefined },
    { url: 'https://db.example.com', token: '' },
    { redis: {} },
    { redis: undefined },
    {},
    undefined,
  ])('refuses settings that cannot work when it is made, case %#', (options) => {
    expect(() => createUpstashStore(options as never)).toThrow(TypeError)
  })

  it('asks at the path of its url, as behind a proxy', async () => {
    const asked: string[] = []
    const fetch = async (url: string): Promise<Response> => {
      asked.push(url)
      return Response.json({ result: '' })
    }
    for (const path of ['', '/', '/proxy/redis', '/proxy/redis//']) {
      await createUpstashStore({ url: `https://db.example.com${path}`, token: TOKEN, fetch }).read(
        'a',
      )
    }
    const [origin, proxied] = ['https://db.example.com', 'https://db.example.com/proxy/redis']
    expect(asked).toEqual([origin, origin, proxied, proxied])
  })

  it.each(['https://a.example/', 'http://localhost:80', 'http://127.0.10.12:1', 'http://[::1]:1'])(
    'takes %s',
    (url) => {
      expect(createUpstashStore({ url, token: TOKEN }).name).toBe('upstash')
    },
  )

  it.each([0, -1, NaN, Infinity])('refuses a time limit of %d', (timeoutMs) => {
    const make = (): unknown => createUpstashStore({ url: faults.url, token: TOKEN, timeoutMs })
    expect(make).toThrow(RangeError)
  })

  it("does not take words of the command for Redis' own", async () => {
    const redis = clientOf(1000)
    const store = createUpstashStore({ redis, prefix: 'quota unauthorized NOSCRIPT:' })
    faults.inject({ type: 'status', status: 500 })
    expect((await failureOf(store.read('id'))) instanceof StoreUnavailableError).toBe(true)
    faults.up()
  })

  it('refuses a client whose signal would turn timeouts into null, and says so', () => {
    const { signal } = new AbortController()
    const client = new Redis({ url: faults.url, token: TOKEN, signal })
    expect(() => createUpstashStore({ redis: client })).toThrow(/option signal must be a function/)
  })

  it('ends what a client does: no retry of its own, and nothing after the call', async () => {
    const redis = new Redis({ url: faults.url, token: TOKEN })
    const store = createUpstashStore({ redis, timeoutMs: 100 })
    for (const fault of ['refuse', 'hang'] as const) {
      const before = faults.count
      faults.down({ type: fault })
      expect((await failureOf(store.read('id'))) instanceof StoreUnavailableError).toBe(true)
      // A client of its own would try again after 50 and 186 ms.
      await new Promise((resolve) => setTimeout(resolve, 250))
      expect(faults.count - before).toBe(1)
    }
    faults.up()
    expect(await redis.ping()).toBe('PONG')
  })

  it('survives an outage behind resilient(): nobody is told null', async () => {
    const clock = createClock()
    const store = resilient(create(), {
      attemptTimeoutMs: 20_000,
      deadlineMs: 60_000,
      now: clock,
      random: () => 0.01,
    })
    const id = newId()
    await store.write(id, record('1-a'), null)
    await redis.stop()
    for (let i = 0; i < 5; i++) {
      const error = await failureOf(store.read(id))
      expect(error instanceof StoreUnavailableError).toBe(true)
    }
    expect((await failureOf(store.read(id))) instanceof CircuitOpenError).toBe(true)
    await redis.start()
    clock.advance(60)
    expect(await store.write(id, record('1-b'), null)).toEqual({ ok: true })
    expect((await store.read(id))?.version).toBe('1-b')
  })

  it('recognises its own write behind resilient() after a lost answer', async () => {
    const store = resilient(create())
    const id = newId()
    for (const fault of ['lost-answer', 'cut-body', 'half-json'] as const) {
      faults.inject({ type: fault })
      const own = newId()
      expect(await store.write(own, record('1-a'), null)).toEqual({ ok: true })
    }
    expect(await store.read(id)).toBe(null)
    faults.up()
  })
})

describe('createRequester()', () => {
  const patient = { baseMs: 1, attemptTimeoutMs: 20_000, deadlineMs: 60_000 }
  const create = (more: object = {}): Redis =>
    new Redis(createRequester({ url: faults.url, token: TOKEN, ...patient, ...more }))

  it.each([{ attempt: 5 }, { repeatable: 'GET' }, { fetch: 5 }])('refuses %j', (options) => {
    expect(() => create(options)).toThrow(TypeError)
  })

  it('serves a client: commands, pipelines, transactions, scripts', async () => {
    const client = create()
    const key = newId()
    expect(await client.set(key, { a: 1 })).toBe('OK')
    expect(await client.get(key)).toEqual({ a: 1 })
    expect(await client.get(newId())).toBe(null)
    expect(await client.pipeline().incr(`${key}n`).incr(`${key}n`).exec()).toEqual([1, 2])
    expect(await client.multi().set(key, 'é').get(key).exec()).toEqual(['OK', 'é'])
    expect(await client.createScript('return ARGV[1]').exec([], ['x'])).toBe('x')
  })

  it("throws the client's own UpstashError with Redis's words when a pipeline is refused as a whole", async () => {
    const client = create()
    const refusal = 'ERR max daily request limit exceeded. Limit: 10000, Usage: 10001.'
    for (const run of [
      () => client.get('a'),
      () => client.pipeline().set('a', 1).get('a').exec(),
      () => client.multi().set('a', 1).get('a').exec(),
    ]) {
      faults.inject({ type: 'status', status: 400, body: JSON.stringify({ error: refusal }) })
      const error = await failureOf(run())
      expect(error).toBeInstanceOf(errors.UpstashError)
      expect(error.message).toContain(refusal)
    }
    faults.inject({ type: 'status', status: 400, body: JSON.stringify({ error: refusal }) })
    const pipeline = client.pipeline().set('a', 1).get('a')
    expect(await pipeline.exec({ keepErrors: true })).toMatchObject([
      { error: refusal },
      { error: refusal },
    ])
    faults.up()
  })

  it('shows its sync token, sends the one that is handed over, or none at all', async () => {
    const client = create()
    await client.set('a', 1)
    expect(client.readYourWritesSyncToken).toBe(`sync-${bridge.requests.length}`)
    client.readYourWritesSyncToken = 'handed-over'
    await client.get('a')
    expect(bridge.syncTokens.at(-1)).toBe('handed-over')
    const requester = createRequester({ url: faults.url, token: TOKEN })
    requester.readYourWrites = false
    for (let i = 0; i < 2; i++) await new Redis(requester).get('a')
    expect(bridge.syncTokens.at(-1)).toBe(undefined)
  })

  it('retries what may be repeated, on every failure', async () => {
    for (const type of ['refuse', 'half-json', 'cut-body'] as const) {
      faults.inject({ type }, { type: 'status', status: 503 })
      expect(await create().get(newId())).toBe(null)
    }
    faults.up()
  })

  it('sends what may not be repeated once', async () => {
    const key = newId()
    faults.inject({ type: 'lost-answer' })
    await failureOf(create().incr(key))
    faults.inject({ type: 'lost-answer' })
    await failureOf(create().set(key, 'x', { nx: true }))
    faults.up()
    expect(await bridge.redis('GET', key)).toBe('1')
  })

  it('repeats what it is told to', async () => {
    const key = newId()
    faults.inject({ type: 'refuse' })
    expect(await create({ repeatable: () => true }).incr(key)).toBe(1)
    faults.up()
  })

  it.each([
    ['by itself', () => createRequester({ url: faults.url, token: TOKEN })],
    ['in a client', () => create()],
  ])('leaves it to `resilient` how often a store is asked, %s', async (_, redisOf) => {
    const store = resilient(createUpstashStore({ redis: redisOf() }), { baseMs: 1 })
    const before = faults.count
    faults.down({ type: 'status', status: 503 })
    await failureOf(store.read(newId()))
    expect(faults.count - before).toBe(3)
    await failureOf(store.health!())
    expect(faults.count - before).toBe(4)
    faults.up()
  })

  it('quotes no command, key, value or body', async () => {
    const client = create({ attempts: 1 })
    const answers: HttpFault[] = [
      { type: 'body', body: '<h1>canary</h1>' },
      { type: 'status', status: 502, body: '<h1>canary</h1>' },
      { type: 'body', body: `{"error":"ERR unknown command 'canary', with args: 'canary'"}` },
      { type: 'status', status: 400, body: '{"error":"ERR bad, command was: [\\"canary\\"]"}' },
    ]
    for (const fault of answers) {
      faults.inject(fault)
      const error = await failureOf(client.set('canary-key', 'canary-value'))
      expect(/canary/.test(`${error.message}${error.stack}${String(error.cause)}`)).toBe(false)
    }
    faults.up()
  })

  it('never makes null of a timeout', async () => {
    faults.down({ type: 'hang' })
    const client = create({ attemptTimeoutMs: 50, deadlineMs: 120 })
    expect((await failureOf(client.get('a'))) instanceof StoreTimeoutError).toBe(true)
    faults.up()
  })
})
