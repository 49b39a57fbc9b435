import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { inspect, promisify } from 'node:util'
import { createClient } from '@redis/client'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { StoreError, StoreTimeoutError, StoreUnavailableError } from '../../src/errors.ts'
import { createSessions, type SessionEvent } from '../../src/index.ts'
import { createRedisStore, type RedisStoreOptions } from '../../src/stores/redis.ts'
import { resilient } from '../../src/stores/resilient.ts'
import type { StoredRecord } from '../../src/stores/store.ts'
import {
  createClock,
  createCookieJar,
  type StoreUnderTest,
  testStore,
} from '../../src/testing/index.ts'
import { freePort } from '../support/free-port.ts'
import { raceEnds } from '../support/race-ends.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { compareWithReference } from '../support/reference-store.ts'
import { errorOf, isFrequent, SECRET } from '../support/sessions.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

let redis: RedisServer
let ioredis: Redis
let prefixed: Redis
let nodeRedis: ReturnType<typeof createClient>

beforeAll(async () => {
  redis = await startRedis()
  ioredis = new Redis(redis.port, '127.0.0.1')
  prefixed = new Redis(redis.port, '127.0.0.1', { keyPrefix: 'app[1]*:' })
  nodeRedis = createClient({ socket: { host: '127.0.0.1', port: redis.port } })
  nodeRedis.on('error', () => {})
  ioredis.on('error', () => {})
  await nodeRedis.connect()
})

afterAll(async () => {
  ioredis.disconnect()
  prefixed.disconnect()
  nodeRedis.destroy()
  await redis.stop()
})

type Send = RedisStoreOptions['send']
const clients: Record<string, Send> = {
  ioredis: ([name, ...args]) => ioredis.call(name, ...args),
  'ioredis with a keyPrefix': ([name, ...args]) => prefixed.call(name, ...args),
  'node-redis': (command, { signal }) => nodeRedis.sendCommand(command, { abortSignal: signal }),
}

for (const [name, send] of Object.entries(clients)) {
  const factory = (): StoreUnderTest => {
    const clock = createClock(Date.now())
    const store = createRedisStore({ send, now: clock })
    return { store, now: clock, advance: (ms) => void clock.advanceMs(ms) }
  }
  testStore(`createRedisStore() through ${name}`, factory, { describe, it, expect })
  raceEnds(`createRedisStore() through ${name}`, () => createRedisStore({ send }))

  describe(`createRedisStore() through ${name}, against the reference`, () => {
    it('answers random calls as applyWrite does', async () => {
      for (let seed = 1; seed <= 40; seed++) await compareWithReference(factory, seed, 80)
    })
  })
}

const record = (version: string, more: Partial<StoredRecord> = {}): StoredRecord => ({
  value: 'x'.repeat(500),
  version,
  epoch: '1',
  expiresAt: Date.now() + 3_600_000,
  ...more,
})

/** A Redis with 4 MB, and a store in it. */
async function startSmall(policy: string) {
  const server = await startRedis(
    '--maxmemory',
    '4mb',
    '--maxmemory-policy',
    policy,
    '--maxmemory-samples',
    '64',
  )
  const client = new Redis(server.port, '127.0.0.1')
  client.on('error', () => {})
  const store = createRedisStore({ send: ([name, ...args]) => client.call(name, ...args) })
  const stop = async (): Promise<void> => {
    client.disconnect()
    await server.stop()
  }
  return { client, store, stop }
}

describe('createRedisStore() when Redis is full', () => {
  it('ends sessions, one by one and all of a user, with the scripts not loaded', async () => {
    const { client, store, stop } = await startSmall('noeviction')
    try {
      const users = ['ann', 'bob']
      for (const [i, user] of users.entries()) {
        for (const n of [1, 2]) {
          const more = { keys: [user], ...(i === 1 && n === 1 && { markFor: 3600 }) }
          await store.write(`${user}-${n}`, record('1.a', more), null)
        }
      }
      for (let i = 0; ; i++) {
        const filled = await client.set(`filler-${i}`, 'x'.repeat(1000)).catch(() => null)
        if (!filled) break
      }
      for (const size of [100, 10]) {
        for (let i = 0; i < 200; i++)
          await client.set(`s-${size}-${i}`, 'x'.repeat(size)).catch(() => 0)
      }
      await client.script('FLUSH')
      expect(await errorOf(() => store.write('new', record('1.a'), null))).toMatchObject({
        reason: 'full',
        word: 'OOM',
      })
      expect(await store.end('ann-1')).toBe(true)
      expect(await store.index.end('ann')).toBe(1)
      expect(await store.index.end('bob')).toBe(2)
      for (const user of users) {
        expect(await store.index.list(user)).toEqual([])
        for (const n of [1, 2]) expect(await store.read(`${user}-${n}`)).toBe(null)
      }
      expect((await store.write('bob-1', record('1.a'), null)).ok).toBe(false)
    } finally {
      await stop()
    }
  })

  it.each(['allkeys-lru', 'volatile-lru'])(
    'finds the sessions of a user that are in use, although it evicts (%s)',
    async (policy) => {
      const { client, store, stop } = await startSmall(policy)
      try {
        const ids = Array.from({ length: 20 }, (_, i) => `id-${i}`)
        for (const id of ids)
          await store.write(id, record('1.a', { keys: [`user of ${id}`] }), null)
        const fill = async (name: string): Promise<void> => {
          for (let i = 0; i < 1500; i++)
            await client.set(`${name}-${i}`, 'x'.repeat(1000), 'EX', 3600)
        }
        await fill('older')
        // Redis tells whole seconds of use apart.
        await new Promise((resolve) => setTimeout(resolve, 2100))
        for (const id of ids) expect(await store.read(id)).not.toBe(null)
        await fill('newer')
        expect(Number(/evicted_keys:(\d+)/.exec(await client.info('stats'))?.[1])).toBeGreaterThan(
          300,
        )
        const ended = await Promise.all(ids.map((id) => store.index.end(`user of ${id}`)))
        // Of older keys it evicted many. Those of a session are as new as its last read.
        expect(ended).toEqual(ids.map(() => 1))
      } finally {
        await stop()
      }
    },
  )

  it('puts back the index of a session whose entry was evicted, with the next read', async () => {
    const store = createRedisStore({ send: clients.ioredis as Send, prefix: 'evicted:' })
    await store.write('a', record('1.a', { keys: ['ann', 'tag'] }), null)
    await ioredis.del('evicted:u:ann', 'evicted:u:tag')
    expect(await store.index.list('ann')).toEqual([])
    await store.read('a')
    for (const key of ['ann', 'tag']) {
      expect((await store.index.list(key)).map(({ id }) => id)).toEqual(['a'])
      expect(await ioredis.pttl(`evicted:u:${key}`)).toBeGreaterThan(3_000_000)
    }
  })
})

describe('createRedisStore() when Redis stalls', () => {
  it('has ended a session when it goes on, with the scripts not loaded and nobody waiting', async () => {
    const server = await startRedis()
    const client = new Redis(server.port, '127.0.0.1')
    client.on('error', () => {})
    const send: Send = ([name, ...args]) => client.call(name, ...args)
    const store = createRedisStore({ send, timeoutMs: 60_000 })
    const hasty = createRedisStore({ send, timeoutMs: 100 })
    try {
      for (const id of ['a', 'b']) await store.write(id, record('1.a', { keys: [id] }), null)
      await client.script('FLUSH')
      server.signal('SIGSTOP')
      const ends = [hasty.end('a'), hasty.index.end('b')]
      for (const end of ends) expect(await errorOf(() => end)).toBeInstanceOf(StoreTimeoutError)
      server.signal('SIGCONT')
      while ((await client.ping().catch(() => '')) !== 'PONG');
      for (const id of ['a', 'b']) expect(await store.read(id)).toBe(null)
    } finally {
      server.signal('SIGCONT')
      client.disconnect()
      await server.stop()
    }
  })
})

describe('createRedisStore() and its index', () => {
  it('keeps nothing of sessions that have ended', async () => {
    const store = createRedisStore({ send: clients.ioredis as Send, prefix: 'ended:' })
    for (let i = 0; i < 200; i++) {
      await store.write(`id-${i}`, record('1.a', { keys: ['ann', 'tag'] }), null)
      await store.end(`id-${i}`, { markFor: 1 })
    }
    expect(await ioredis.exists('ended:u:ann', 'ended:u:tag')).toBe(0)
    await store.write('a', record('1.a', { keys: ['ann', 'tag'] }), null)
    await store.index.end('ann')
    expect(await ioredis.exists('ended:u:ann', 'ended:u:tag')).toBe(0)
  })

  it('lets Redis remove marks', async () => {
    const store = createRedisStore({ send: clients.ioredis as Send, prefix: 'marks:' })
    await store.end('a')
    expect(await ioredis.pttl('marks:s:a')).toBeGreaterThan(300_000)
    await store.end('b', { markFor: 0 })
    expect(await ioredis.exists('marks:s:b')).toBe(0)
  })
})

describe('createRedisStore()', () => {
  it("keeps the contract through Bun's own client", async () => {
    const env = { ...process.env, REDIS_PORT: String(redis.port) }
    const args = ['test', './test/fixtures/redis-bun.ts']
    const { stderr } = await promisify(execFile)(`${root}node_modules/.bin/bun`, args, {
      cwd: root,
      env,
    })
    expect(Number(/(\d+) pass/.exec(stderr)?.[1])).toBeGreaterThan(30)
    expect(stderr).toContain(' 0 fail')
  })

  it('takes one command for a read and for a write', async () => {
    const sent: string[] = []
    const send: Send = (command) => {
      sent.push(command[0])
      return nodeRedis.sendCommand(command)
    }
    const sessions = createSessions({ secret: SECRET, store: createRedisStore({ send }) })
    const jar = createCookieJar()
    const visit = sessions.handler(async (request) => {
      const session = await sessions.get(request)
      if (new URL(request.url).pathname === '/write') session.update('n', (n = 0) => n + 1)
      return new Response(String(session.get('n')))
    })
    await jar.fetch(visit, '/write')
    sent.length = 0
    await jar.fetch(visit, '/')
    expect(sent).toEqual(['EVALSHA'])
    sent.length = 0
    expect(await (await jar.fetch(visit, '/write')).text()).toBe('2')
    expect(sent).toEqual(['EVALSHA', 'EVALSHA'])
  })

  it('names a key with every command, by which clients of a cluster find the node', async () => {
    const named: unknown[] = []
    const send: Send = (command) => {
      const [name, , count] = command
      named.push(name.startsWith('EVAL') ? Number(count) > 0 && command[3] : command[1])
      return nodeRedis.sendCommand(command)
    }
    const store = createRedisStore({ send, prefix: '{cluster}:' })
    await store.write('id', record('1.a'), null)
    await store.read('id')
    await store.index.list('subject')
    await store.page(null)
    await store.end('id')
    await store.index.end('subject')
    expect(named.filter((key) => !String(key).startsWith('{cluster}:'))).toEqual([])
  })

  it.each(['ioredis', 'node-redis'])(
    'tells a %s that is down from one that has no session',
    async (name) => {
      const port = await freePort()
      const down: Record<string, Send> = {
        ioredis: async ([command, ...args]) => {
          const client = new Redis({
            port,
            host: '127.0.0.1',
            lazyConnect: true,
            maxRetriesPerRequest: 0,
          })
          client.on('error', () => {})
          return await client.call(command, ...args).finally(() => client.disconnect())
        },
        'node-redis': async (command) => {
          const client = createClient({
            socket: { host: '127.0.0.1', port, reconnectStrategy: false },
          })
          client.on('error', () => {})
          await client.connect()
          return client.sendCommand(command)
        },
      }
      const store = createRedisStore({ send: down[name] as Send, timeoutMs: 1000 })
      const error = await errorOf(() => store.read('CANARY-id'))
      expect(error).toBeInstanceOf(StoreUnavailableError)
      expect(inspect(error, { depth: 9 })).not.toContain('CANARY')
    },
  )

  it('gives up a client that keeps commands until it is connected again', async () => {
    const store = createRedisStore({ send: () => new Promise(() => {}), timeoutMs: 20 })
    expect(await errorOf(() => store.read('id'))).toBeInstanceOf(StoreTimeoutError)
  })

  it('tells what Redis refuses from what it cannot do now, and quotes nothing', async () => {
    const failing = (message: string) =>
      createRedisStore({
        send: async () => {
          throw new Error(message)
        },
      })
    // As Redis 6 says it of a script.
    const inScript =
      'ERR Error running script (call to f_9b58): @user_script:25: @user_script: 25: -'
    const refused = {
      'NOAUTH Authentication required': ['NOAUTH', 'auth'],
      'WRONGPASS invalid username-password pair': ['WRONGPASS', 'auth'],
      "NOPERM this user has no permissions to run the 'evalsha' command": ['NOPERM', 'auth'],
      "OOM command not allowed when used memory > 'maxmemory'.": ['OOM', 'full'],
      [`${inScript}OOM command not allowed`]: ['OOM', 'full'],
      "CROSSSLOT Keys in request don't hash to the same slot": ['CROSSSLOT', 'cluster'],
      'MOVED 3999 127.0.0.1:6381': ['MOVED', 'cluster'],
      'ERR unknown command -LOADING': ['ERR', 'unknown'],
      'ERR max daily request limit exceeded. Limit: 10000, Usage: 10001.': ['ERR', 'quota'],
    } as const
    for (const [message, [word, reason]] of Object.entries(refused)) {
      const error = await errorOf(() => failing(`${message} CANARY`).read('id'))
      expect([error, message]).toEqual([expect.any(StoreError), message])
      expect(error).toMatchObject({ reason, word, message: expect.stringContaining(word) })
      expect(inspect(error, { depth: 9 })).not.toContain('CANARY')
    }
    const passing = {
      'LOADING Redis is loading': ['LOADING', 'loading'],
      'MISCONF Redis is configured to save RDB snapshots, but is unable to persist': [
        'MISCONF',
        'read-only',
      ],
      'NOREPLICAS Not enough good replicas to write.': ['NOREPLICAS', 'read-only'],
      "READONLY You can't write against a read only replica.": ['READONLY', 'read-only'],
      [`${inScript}READONLY You can't write`]: ['READONLY', 'read-only'],
      'ERR max number of clients reached': ['ERR', 'rate'],
      'ERR max concurrent connections exceeded': ['ERR', 'rate'],
      'ECONNREFUSED 127.0.0.1': ['ECONNREFUSED', 'network'],
      'Socket closed': [undefined, 'network'],
    } as const
    for (const [message, [word, reason]] of Object.entries(passing)) {
      const error = await errorOf(() => failing(message).read('id'))
      expect([error, message]).toEqual([expect.any(StoreUnavailableError), message])
      const { reason: said, word: told } = error as StoreUnavailableError
      expect([message, told, said]).toEqual([message, word, reason])
    }
  })

  it('tells why Redis refused a command, in the events of resilient() and of sessions', async () => {
    const send: Send = async () => {
      throw new Error("OOM command not allowed when used memory > 'maxmemory'.")
    }
    const events: SessionEvent[] = []
    const store = resilient(createRedisStore({ send }))
    const onEvent = (event: SessionEvent): void => void events.push(event)
    const sessions = createSessions({ secret: SECRET, store, onEvent })
    const jar = createCookieJar()
    const signIn = sessions.handler(async (request) => {
      const session = await sessions.get(request)
      session.login('ann')
      return new Response()
    })
    expect(await errorOf(() => jar.fetch(signIn))).toMatchObject({ reason: 'full', word: 'OOM' })
    const why = { code: 'ERR_STORE', reason: 'full', word: 'OOM' }
    const failed = { type: 'store.failed', operation: 'write', ...why }
    const unavailable = { type: 'store.unavailable', ...why }
    expect(
      events.filter(
        (event) => !isFrequent(event) && !('operation' in event && event.operation === 'end'),
      ),
    ).toMatchObject([failed, unavailable])
  })

  it('tells the client when nobody waits for a command any more', async () => {
    const signals: AbortSignal[] = []
    const send: Send = (_, { signal }) => {
      signals.push(signal)
      return new Promise(() => {})
    }
    const store = createRedisStore({ send, timeoutMs: 10 })
    await errorOf(() => store.read('id'))
    expect(signals[0]?.aborted).toBe(true)
  })

  it('leaves nothing in the queue of a node-redis that is not connected', async () => {
    const client = createClient({ socket: { host: '127.0.0.1', port: await freePort() } })
    client.on('error', () => {})
    client.connect().catch(() => {})
    const sent = new Set<unknown>()
    const store = createRedisStore({
      send(command, { signal }) {
        const answer = client.sendCommand(command, { abortSignal: signal })
        sent.add(answer)
        return answer.finally(() => sent.delete(answer))
      },
      timeoutMs: 20,
    })
    await Promise.all([1, 2, 3].map(() => errorOf(() => store.read('id'))))
    await new Promise((resolve) => setTimeout(resolve))
    expect(sent.size).toBe(0)
    client.destroy()
  })

  it('signs nobody out when Redis is restarted', async () => {
    const own = await startRedis()
    const client = new Redis(own.port, '127.0.0.1', {
      maxRetriesPerRequest: 0,
      retryStrategy: () => 50,
    })
    client.on('error', () => {})
    const store = resilient(
      createRedisStore({ send: ([name, ...args]) => client.call(name, ...args) }),
      { attemptTimeoutMs: 5000, deadlineMs: 20_000 },
    )
    const sessions = createSessions({
      secret: SECRET,
      store,
      storeTimeout: 60,
      snapshot: { maxAge: 1, staleIfError: 60 },
    })
    const jar = createCookieJar()
    const visit = sessions.handler(async (request) => {
      const session = await sessions.get(request)
      if (request.method === 'POST') session.login('ada')
      return new Response(session.subject)
    })
    await jar.fetch(visit, '/', { method: 'POST' })
    await own.stop()
    expect(await (await jar.fetch(visit, '/')).text()).toBe('ada')
    client.disconnect()
  })

  it('says which option is wrong', () => {
    expect(() => createRedisStore({} as never)).toThrow(/"send" must be a function/)
    expect(() => createRedisStore({ send: 5 as never })).toThrow(/"send" must be a function/)
    expect(() => createRedisStore({ send: async () => 1, url: 'x' } as never)).toThrow(
      /Unknown option "url"/,
    )
  })
})

describe('createRedisStore() over a client that answers something else', () => {
  const record = { value: 'v', version: '1', epoch: '1.a', expiresAt: Date.now() + 60_000 }
  const calls: Record<string, (store: ReturnType<typeof createRedisStore>) => Promise<unknown>> = {
    read: (store) => store.read('a'),
    write: (store) => store.write('a', record, null),
    end: (store) => store.end('a'),
    list: (store) => store.index.list('ann'),
    'index.end': (store) => store.index.end('ann'),
    page: (store) => store.page(null),
    health: (store) => store.health!() as Promise<unknown>,
  }

  it.each<[call: string, answers: unknown[]]>([
    ['read', [undefined, null, 0, [], {}]],
    ['write', [undefined, null, 2, {}, [], [2, 'x']]],
    ['end', [undefined, null, '1', [1]]],
    ['list', [undefined, null, '', ['a'], {}]],
    ['index.end', [undefined, null, '1', [1]]],
    ['page', [undefined, null, '0', [], ['0', 'a'], {}]],
    ['health', [undefined, null, 'PING', 1]],
  ])('is unavailable, and never takes it for an answer: %s', async (call, answers) => {
    for (const answer of answers) {
      const store = createRedisStore({ send: async () => answer })
      const error = await errorOf(() => calls[call]!(store))
      expect([answer, error.code]).toEqual([answer, 'ERR_STORE_UNAVAILABLE'])
    }
  })

  it('goes from page to page by the cursor of Redis', async () => {
    const commands: (readonly string[])[] = []
    const answers = [['17'], ['0']]
    const send = async (command: readonly string[]) => {
      commands.push(command)
      return answers.shift()
    }
    const store = createRedisStore({ send })
    const first = await store.page(null)
    const last = await store.page(first.cursor)
    expect([first.cursor, last.cursor]).toEqual(['17', null])
    expect(commands.map((command) => command.at(-1))).toEqual(['0', '17'])
  })

  it('lists no session under a key that its record has not', async () => {
    const real = createRedisStore({
      prefix: 'moved:',
      send: ([name, ...args]) => ioredis.call(name, ...args),
    })
    await real.write('a', { ...record, keys: ['ann'] }, null)
    const text = await ioredis.get('moved:s:a')
    for (const [key, count] of [
      ['ann', 1],
      ['bob', 0],
    ] as const) {
      const store = createRedisStore({ send: async () => ['a', text] })
      expect((await store.index.list(key)).length).toBe(count)
    }
  })
})

describe('createRedisStore().inspect()', () => {
  const NOW = 1_700_000_000_000
  const look = async (lines: string[], more: Record<string, unknown> = {}, times = [NOW]) => {
    const answers: Record<string, unknown> = {
      INFO: ['# Server', ...lines, ''].join('\r\n'),
      TIME: ['1700000000', '0'],
      PING: 'PONG',
      ...more,
    }
    const asked: string[] = []
    const send = async ([name]: readonly string[]) => {
      asked.push(name!)
      if (answers[name!] instanceof Error) throw answers[name!]
      return answers[name!]
    }
    let i = 0
    const now = (): number => times[Math.min(i++, times.length - 1)]!
    const { figures, problems, warnings } = await createRedisStore({ send, now }).inspect!()
    return { figures, problems, warnings, asked }
  }

  it('has the figures of a primary, and leaves out what Redis does not say', async () => {
    const lines = ['role:master', 'used_memory:1048576', 'maxmemory:0', 'evicted_keys:12']
    expect(await look([...lines, 'maxmemory_policy:noeviction'])).toEqual({
      figures: {
        role: 'primary',
        memoryUsed: 1_048_576,
        memoryLimit: 0,
        evictionPolicy: 'noeviction',
        evicted: 12,
        clockOffsetMs: 0,
      },
      problems: [],
      warnings: [],
      asked: ['INFO', 'TIME'],
    })
    const odd = ['used_memory:12 MB', 'maxmemory:about 7', 'x role:slave']
    expect((await look(odd)).figures).toEqual({ clockOffsetMs: 0 })
  })

  it.each<[lines: string[], problems: string[], warnings: string[]]>([
    [['used_memory:100', 'maxmemory:100'], ['full'], []],
    [['used_memory:99', 'maxmemory:100'], [], []],
    [['used_memory:100', 'maxmemory:100', 'maxmemory_policy:noeviction'], ['full'], []],
    [['used_memory:100', 'maxmemory:100', 'maxmemory_policy:allkeys-lru'], [], ['eviction-policy']],
    [['role:slave', 'master_link_status:up', 'master_last_io_seconds_ago:10'], ['read-only'], []],
    [
      ['role:slave', 'master_link_status:up', 'master_last_io_seconds_ago:11'],
      ['read-only', 'lagging'],
      [],
    ],
    [['role:slave', 'master_link_status:down'], ['read-only', 'lagging'], []],
    [['role:slave', 'master_link_status:up', 'slave_read_only:0'], [], []],
    [['role:master', 'slave0:state=online,lag=10', 'slave12:state=online,lag=3'], [], []],
    [['role:master', 'slave0:state=online,lag=1', 'slave12:state=online,lag=11'], ['lagging'], []],
    [['role:master', 'slave0:state=wait', 'myslave1:lag=99', 'slave1x:lag=99'], [], []],
  ])('of %j says what is wrong, and what may be', async (lines, problems, warnings) => {
    const found = await look(lines)
    expect([found.problems, found.warnings]).toEqual([problems, warnings])
  })

  it('tells how far the slowest replica is behind, and nothing of one without a primary', async () => {
    const lags = ['role:master', 'slave0:lag=2,x=1', 'slave1:lag=15']
    expect((await look(lags)).figures.replicaLag).toBe(15)
    const own = ['role:slave', 'master_link_status:up', 'master_last_io_seconds_ago:4']
    expect((await look(own)).figures).toMatchObject({ role: 'replica', replicaLag: 4 })
    const lost = await look(['role:slave', 'master_link_status:down'])
    expect(lost.figures).not.toHaveProperty('replicaLag')
  })

  it.each<[time: unknown, offset: number | undefined, warnings: string[]]>([
    [['1700000000', '250000'], 250, []],
    [['1700000060', '0'], 60_000, []],
    [['1700000060', '1000'], 60_001, ['clock']],
    [['1699999939', '0'], -61_000, ['clock']],
    [['soon', '0'], undefined, []],
    ['1700000060', undefined, []],
  ])('compares the clocks: %j', async (time, offset, warnings) => {
    const found = await look(['role:master'], { TIME: time })
    expect([found.figures.clockOffsetMs, found.warnings]).toEqual([offset, warnings])
  })

  it('compares them with the middle of the question', async () => {
    const { figures } = await look([], { TIME: ['1700000000', '0'] }, [NOW, NOW + 300])
    expect(figures.clockOffsetMs).toBe(-150)
  })

  it('does without what Redis forbids, and asks whether it is there where it forbids all', async () => {
    const forbidden = new Error('NOPERM this user has no permissions to run the command')
    const some = await look([], { INFO: forbidden })
    expect([some.figures, some.asked]).toEqual([{ clockOffsetMs: 0 }, ['INFO', 'TIME']])
    const all = { INFO: forbidden, TIME: forbidden }
    expect((await look([], all)).asked).toEqual(['INFO', 'TIME', 'PING'])
    const info = { INFO: 7, TIME: forbidden }
    expect((await look([], info)).figures).toEqual({})
    for (const PING of ['x', new Error('Connection is closed.')]) {
      const error = await errorOf(() => look([], { ...all, PING }))
      expect(error.code).toBe('ERR_STORE_UNAVAILABLE')
    }
    const gone = await errorOf(() => look([], { INFO: new Error('Connection is closed.') }))
    expect(gone.code).toBe('ERR_STORE_UNAVAILABLE')
  })
})
