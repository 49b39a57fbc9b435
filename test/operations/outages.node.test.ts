/**
 * Seven outages of a real redis-server, each told apart by what an operator has: the log at its usual levels, and
 * `health({ deep: true })`. `docs/operations.md` has what users see meanwhile.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterEach, describe, expect, it } from 'vitest'
import { createSessions } from '../../src/index.ts'
import { logEvents } from '../../src/observe/log.ts'
import { createRedisStore } from '../../src/stores/redis.ts'
import { resilient } from '../../src/stores/resilient.ts'
import { createCookieJar } from '../../src/testing/index.ts'
import { startRedis } from '../support/redis.ts'
import { SECRET } from '../support/sessions.ts'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})

/** A signed-in user at a server on Redis, and what its operator sees. */
async function start() {
  const dir = mkdtempSync(join(tmpdir(), 'redis-outage-'))
  const redis = await startRedis('--dir', dir)
  const client = new Redis(redis.port, '127.0.0.1', {
    retryStrategy: () => 20,
    maxRetriesPerRequest: 0,
    // Else it closes a connection that is not allowed to ask for INFO.
    enableReadyCheck: false,
  })
  client.on('error', () => {})
  ends.push(
    () => client.disconnect(),
    redis.stop,
    () => rmSync(dir, { recursive: true }),
  )
  const lines: [level: string, type: string, fields: Record<string, unknown>][] = []
  const write = (level: string) => (message: string, fields: object) => {
    lines.push([level, message.replace('sojourn: ', ''), { ...fields }])
  }
  const logger = {
    debug: () => {},
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
  }
  // A slow machine is no outage: time limits are short once nothing will come.
  let limits = { attemptTimeoutMs: 20_000, deadlineMs: 60_000 }
  const hurry = (): void => {
    limits = { attemptTimeoutMs: 150, deadlineMs: 400 }
  }
  const store = resilient(
    createRedisStore({ send: ([name, ...args]) => client.call(name, ...args), timeoutMs: 20_000 }),
    () => limits,
  )
  const sessions = createSessions({
    secret: SECRET,
    store,
    storeTimeout: 60,
    onEvent: logEvents(logger),
  })
  const jar = createCookieJar()
  /** One page of the user; `change` is what it changes. */
  const visit = (change: 'reads' | 'writes' | 'signs in' = 'reads'): Promise<Response> => {
    const handler = sessions.handler(async (request) => {
      const session = await sessions.get(request)
      if (change === 'signs in') session.login('ann')
      if (change === 'writes') session.increment('pages')
      return Response.json({ user: session.subject, pages: session.get('pages') ?? 0 })
    })
    return jar.fetch(handler, '/')
  }
  const said = (type: string) => lines.filter((line) => line[1] === type).map((line) => line[2])
  const failures = () =>
    new Set(
      said('store.failed').map(({ reason, word }) => [reason, word].filter(Boolean).join(' ')),
    )
  await visit('signs in')
  // Writes the marker whose absence tells of an empty store.
  await sessions.health({ deep: true })
  lines.length = 0
  const isUp = async (): Promise<void> => {
    for (let tries = 0; tries < 3000; tries++) {
      if (/PONG|NOAUTH/.test(await client.ping().catch(String))) return
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    throw new Error('Redis does not come back')
  }
  return { client, hurry, redis, sessions, visit, said, failures, isUp }
}

describe('an outage of Redis', () => {
  it('hangs: the reason is timeout; nobody is signed out', async () => {
    const { hurry, redis, sessions, visit, failures, said } = await start()
    redis.signal('SIGSTOP')
    hurry()
    expect((await visit('writes')).status).toBe(503)
    expect(failures()).toEqual(new Set(['timeout']))
    expect((await sessions.health({ deep: true })).store?.reason).toBe('timeout')
    redis.signal('SIGCONT')
    expect(said('session.missing')).toEqual([])
  })

  it('dies: the reason is network; nobody is signed out', async () => {
    const { redis, sessions, visit, failures } = await start()
    await redis.stop()
    expect((await visit('writes')).status).toBe(503)
    expect(failures()).toEqual(new Set(['network']))
    const { ok, store } = await sessions.health()
    expect([ok, store?.reason]).toEqual([false, 'network'])
  })

  it('comes back empty: session.missing, and store.emptied', async () => {
    const { redis, sessions, visit, said, isUp } = await start()
    await redis.stop()
    await redis.start()
    await isUp()
    expect(await (await visit()).json()).toEqual({ user: null, pages: 0 })
    const report = await sessions.health({ deep: true })
    expect([report.ok, report.store?.problems]).toEqual([false, ['emptied']])
    expect([said('session.missing').length, said('store.emptied').length]).toEqual([1, 1])
  })

  it('comes back from an older dump: store.rolled-back says how many writes are gone', async () => {
    const { client, redis, visit, said, isUp } = await start()
    await client.call('SAVE')
    await visit('writes')
    await visit('signs in')
    await redis.stop()
    await redis.start()
    await isUp()
    await visit()
    expect(said('store.rolled-back')).toMatchObject([{ store: 'redis', lost: 2 }])
    expect(said('store.emptied')).toEqual([])
  })

  it('is read-only: reads go on, and writes say read-only', async () => {
    const { client, sessions, visit, failures } = await start()
    await client.replicaof('127.0.0.1', 1)
    expect(await (await visit()).json()).toEqual({ user: 'ann', pages: 0 })
    expect((await visit('writes')).status).toBe(503)
    expect(failures()).toEqual(new Set(['read-only READONLY']))
    const { store } = await sessions.health({ deep: true })
    expect(store?.problems).toContain('read-only')
  })

  it('is full: writes say full', async () => {
    const { client, sessions, visit, failures } = await start()
    await client.config('SET', 'maxmemory', '1')
    expect(await (await visit()).json()).toEqual({ user: 'ann', pages: 0 })
    await expect(visit('writes')).rejects.toMatchObject({ code: 'ERR_STORE', reason: 'full' })
    expect(failures()).toEqual(new Set(['full OOM']))
    expect((await sessions.health({ deep: true })).store?.problems).toEqual(['full'])
  })

  it('has another password: everything says auth; nobody is signed out', async () => {
    const { client, redis, sessions, visit, failures, said, isUp } = await start()
    await client.config('SET', 'requirepass', 'changed')
    const other = new Redis(redis.port, '127.0.0.1', { password: 'changed' })
    await other.client('KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    other.disconnect()
    await isUp()
    await expect(visit('writes')).rejects.toMatchObject({ code: 'ERR_STORE', reason: 'auth' })
    expect((await visit()).status).toBe(200)
    expect(failures()).toEqual(new Set(['auth NOAUTH']))
    expect((await sessions.health()).store).toMatchObject({ ok: false, reason: 'auth' })
    expect(said('session.missing')).toEqual([])
  })
})
