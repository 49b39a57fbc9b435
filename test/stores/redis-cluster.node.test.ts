import { createCluster, createSentinel } from '@redis/client'
import { Cluster } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { StoreError } from '../../src/errors.ts'
import { createSessions } from '../../src/index.ts'
import { createRedisStore, type RedisStoreOptions } from '../../src/stores/redis.ts'
import { resilient } from '../../src/stores/resilient.ts'
import { createClock, createCookieJar, testStore } from '../../src/testing/index.ts'
import { type RedisCluster, startCluster, startSentinel } from '../support/redis.ts'
import { errorOf, SECRET } from '../support/sessions.ts'

type Send = RedisStoreOptions['send']

const prefix = '{sojourn}:'
let servers: RedisCluster
let ioredis: Cluster
let nodeRedis: ReturnType<typeof createCluster>

beforeAll(async () => {
  servers = await startCluster(3)
  const rootNodes = servers.ports.map((port) => ({ url: `redis://127.0.0.1:${port}` }))
  nodeRedis = createCluster({ rootNodes })
  nodeRedis.on('error', () => {})
  await nodeRedis.connect()
  ioredis = new Cluster(servers.ports.map((port) => ({ host: '127.0.0.1', port })))
  ioredis.on('error', () => {})
})

afterAll(async () => {
  ioredis.disconnect()
  nodeRedis.destroy()
  await servers.stop()
})

const clients: Record<string, Send> = {
  'Cluster of ioredis': ([name, ...args]) => ioredis.call(name, ...args),
  'createCluster() of node-redis': (command, { signal }) =>
    nodeRedis.sendCommand(prefix, false, command, { abortSignal: signal }),
}

for (const [name, send] of Object.entries(clients)) {
  testStore(
    `createRedisStore() in a cluster, through ${name}`,
    () => {
      const clock = createClock(Date.now())
      const store = createRedisStore({ send, prefix, now: clock })
      return { store, now: clock, advance: (ms) => void clock.advanceMs(ms) }
    },
    { describe, it, expect },
  )
}

describe('createRedisStore() in a cluster', () => {
  it.each(Object.keys(clients))(
    'refuses a prefix without a hash tag at the first write, and says why (%s)',
    async (name) => {
      // The keys of one session and of one user are in one slot by chance once in 16,384 times.
      const store = createRedisStore({ send: clients[name] as Send })
      const sessions = createSessions({ secret: SECRET, store: resilient(store) })
      const visit = sessions.handler(async (request) => {
        const session = await sessions.get(request)
        session.set('n', 1)
        return new Response()
      })
      const error = await errorOf(() => createCookieJar().fetch(visit))
      expect(error).toBeInstanceOf(StoreError)
      expect(error).toMatchObject({
        reason: 'cluster',
        word: expect.stringMatching(/^(CROSSSLOT|MOVED)$/),
      })
      expect(String(error)).toContain('cluster')
      expect(await errorOf(() => sessions.list('ann'))).toBeInstanceOf(Error)
      expect(await errorOf(() => sessions.revokeAll('ann'))).toBeInstanceOf(Error)
    },
  )
})

describe('createRedisStore() behind Sentinel', () => {
  it('follows the primary, through createSentinel() of node-redis', async () => {
    const sentinel = await startSentinel('sessions')
    const client = createSentinel({
      name: 'sessions',
      sentinelRootNodes: [{ host: '127.0.0.1', port: sentinel.port }],
    })
    client.on('error', () => {})
    await client.connect()
    try {
      const store = createRedisStore({
        send: (command, { signal }) => client.sendCommand(false, command, { abortSignal: signal }),
      })
      const record = { value: 'v', version: '1.a', epoch: '1', expiresAt: Date.now() + 60_000 }
      expect(await store.write('id', record, null)).toEqual({ ok: true })
      expect(await store.read('id')).toEqual(record)
    } finally {
      await client.destroy()
      await sentinel.stop()
    }
  })
})
