import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterEach, describe, expect, it } from 'vitest'
import { createSessions, type SessionEvent } from '../../src/index.ts'
import { createRedisStore } from '../../src/stores/redis.ts'
import { resilient } from '../../src/stores/resilient.ts'
import { createUpstashStore } from '../../src/stores/upstash.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { SECRET } from '../support/sessions.ts'
import { startBridge, TOKEN } from '../support/upstash-bridge.ts'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})

async function server(...args: string[]): Promise<RedisServer & { client: Redis }> {
  // A replica writes what its primary sends to a file.
  const dir = mkdtempSync(join(tmpdir(), 'redis-health-'))
  ends.push(() => rmSync(dir, { recursive: true, force: true }))
  const redis = await startRedis('--dir', dir, ...args)
  const client = new Redis(redis.port, '127.0.0.1', { retryStrategy: () => 50 })
  client.on('error', () => {})
  ends.unshift(() => client.disconnect(), redis.stop)
  return { ...redis, client }
}

function sessionsOver(client: Redis) {
  const events: SessionEvent[] = []
  const store = resilient(
    createRedisStore({ send: ([name, ...args]) => client.call(name, ...args) }),
  )
  const sessions = createSessions({ secret: SECRET, store, onEvent: (one) => events.push(one) })
  return { events, sessions, store }
}

/** Waits until a condition holds that the server brings about. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20))
}

const deep = { deep: true }

describe('health({ deep: true }) of a real Redis', () => {
  it('is ok, with role, memory, policy, evictions and clock, and leaves nothing but the marker', async () => {
    const { client } = await server()
    const { sessions } = sessionsOver(client)
    const report = await sessions.health(deep)
    expect(report).toMatchObject({ ok: true, ready: true })
    expect(report.store).toMatchObject({
      name: 'redis',
      problems: [],
      warnings: [],
      details: { role: 'primary', evictionPolicy: 'noeviction', evicted: 0, memoryLimit: 0 },
    })
    const { clockOffsetMs, memoryUsed } = report.store?.details ?? {}
    expect([typeof clockOffsetMs, typeof memoryUsed]).toEqual(['number', 'number'])
    expect((await client.keys('sojourn:s:*')).length).toBe(1)
  })

  it('is ok over the REST protocol of Upstash, which tells what it is asked too', async () => {
    const { port } = await server()
    const bridge = await startBridge(port)
    ends.unshift(() => bridge.close())
    const store = resilient(createUpstashStore({ url: bridge.url, token: TOKEN }))
    const { ok, store: about } = await createSessions({ secret: SECRET, store }).health(deep)
    expect([ok, about?.problems, about?.warnings]).toEqual([true, [], []])
    expect([about?.details?.role, typeof about?.details?.clockOffsetMs]).toEqual([
      'primary',
      'number',
    ])
  })

  it('says that a full Redis is full', async () => {
    const { client } = await server('--maxmemory', '10mb')
    const { sessions } = sessionsOver(client)
    await sessions.health(deep)
    for (let i = 0; i < 20; i++) await client.set(`fill:${i}`, 'x'.repeat(50_000))
    await client.config('SET', 'maxmemory', '1500000')
    expect((await sessions.health()).ok).toBe(true)
    const { ok, ready, store } = await sessions.health(deep)
    expect([ok, ready, store?.problems, store?.reason, store?.word]).toEqual([
      false,
      false,
      ['full'],
      'full',
      'OOM',
    ])
  })

  it('says that a replica is read-only, and lags when it loses its primary', async () => {
    const [primary, replica] = [await server(), await server()]
    await replica.client.replicaof('127.0.0.1', primary.port)
    await until(async () => (await replica.client.info('replication')).includes('link_status:up'))
    const { sessions } = sessionsOver(replica.client)
    expect((await sessions.health()).ok).toBe(true)
    const { ok, store } = await sessions.health(deep)
    expect([ok, store?.problems, store?.details?.role]).toEqual([false, ['read-only'], 'replica'])
    // Sessions are read as ever: only the breaker of writes opens.
    for (let i = 0; i < 5; i++) await sessions.health(deep)
    const { readBreaker, writeBreaker } = (await sessions.health()).store?.details ?? {}
    expect([readBreaker, writeBreaker]).toEqual(['closed', 'open'])
    await primary.stop()
    await until(async () => (await replica.client.info('replication')).includes('link_status:down'))
    expect((await sessions.health(deep)).store?.problems).toContain('lagging')
  })

  it('says that a Redis was emptied, once as an event', async () => {
    const { client } = await server()
    const { events, sessions } = sessionsOver(client)
    await sessions.health(deep)
    await client.flushall()
    for (let i = 0; i < 2; i++) {
      const { ok, store } = await sessions.health(deep)
      expect([ok, store?.problems]).toEqual([false, ['emptied']])
    }
    expect(events.filter(({ type }) => type === 'store.emptied').length).toBe(1)
  })

  it('says that a Redis came back empty after it died', async () => {
    const { client, start, stop } = await server()
    const { sessions } = sessionsOver(client)
    await sessions.health(deep)
    await stop()
    await start()
    await until(async () => (await sessions.health()).ok)
    expect((await sessions.health(deep)).store?.problems).toEqual(['emptied'])
  })

  it('warns of a policy that drops sessions', async () => {
    const { client } = await server('--maxmemory', '50mb', '--maxmemory-policy', 'allkeys-lru')
    const { ok, store } = await sessionsOver(client).sessions.health(deep)
    expect([ok, store?.warnings, store?.details?.evictionPolicy]).toEqual([
      true,
      ['eviction-policy'],
      'allkeys-lru',
    ])
  })

  it('does without what an ACL forbids: that is no failure', async () => {
    const { client } = await server()
    await client.acl('SETUSER', 'app', 'on', '>pw', '~*', '&*', '+@all', '-info', '-config')
    await client.auth('app', 'pw')
    const { ok, store } = await sessionsOver(client).sessions.health(deep)
    expect([ok, store?.problems, store?.details?.role]).toEqual([true, [], undefined])
  })

  it('says what an ACL forbids that sessions need', async () => {
    const { client } = await server()
    await client.acl('SETUSER', 'reader', 'on', '>pw', '~*', '+@read', '+ping', '+info', '+time')
    await client.auth('reader', 'pw')
    const { ok, store } = await sessionsOver(client).sessions.health(deep)
    expect([ok, store?.reason, store?.word]).toEqual([false, 'auth', 'NOPERM'])
  })

  it('is not ready while a breaker is not closed, and ready when Redis is back', async () => {
    const { client, start, stop } = await server()
    const { sessions, store } = sessionsOver(client)
    await stop()
    for (let i = 0; i < 5; i++) await store.read('id').catch(() => {})
    const { ok, ready, store: about } = await sessions.health()
    expect([ok, ready]).toEqual([false, false])
    // On a machine that is busy it tries the next call by now.
    expect(['open', 'half-open']).toContain(about?.details?.readBreaker)
    await start()
    await until(async () => (await sessions.health()).ready)
    expect((await sessions.health(deep)).ready).toBe(true)
  })
})
