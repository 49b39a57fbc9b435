/** Values of other kinds under a store's keys: what somebody else's code left there, or a hand. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createRedisStore } from '../../src/stores/redis.ts'
import type { StoredRecord } from '../../src/stores/store.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { errorOf } from '../support/sessions.ts'

let server: RedisServer
let client: Redis
const store = createRedisStore({ send: ([name, ...args]) => client.call(name, ...args) })

const record = (more: Partial<StoredRecord> = {}): StoredRecord => ({
  value: 'value',
  version: '1.a',
  epoch: '1',
  expiresAt: Date.now() + 3_600_000,
  keys: ['ann'],
  ...more,
})

beforeAll(async () => {
  server = await startRedis()
  client = new Redis(server.port, '127.0.0.1')
})

beforeEach(async () => {
  await client.flushall()
  for (const id of ['own', 'foreign']) await store.write(id, record(), null)
  await client.del('sojourn:s:foreign')
})

afterAll(async () => {
  client.disconnect()
  await server.stop()
})

const KINDS: [string, () => Promise<unknown>][] = [
  ['a text', () => client.set('sojourn:s:foreign', 'garbage')],
  ['an empty text', () => client.set('sojourn:s:foreign', '')],
  ['a hash', () => client.hset('sojourn:s:foreign', 'field', 'garbage')],
]

describe.each(KINDS)('createRedisStore() where %s is under the key of a session', (kind, plant) => {
  beforeEach(plant)

  it('lists the other sessions of the user, and goes through all of them', async () => {
    expect((await store.index.list('ann')).map(({ id }) => id)).toEqual(['own'])
    const { records } = await store.page(null)
    expect(records.map(({ id }) => id)).toEqual(['own'])
  })

  it('ends all other sessions of the user', async () => {
    expect(await store.index.end('ann')).toBe(1)
    expect(await store.read('own')).toBe(null)
  })

  it('ends it with them, because a newer version may have written it, and marks its id', async () => {
    expect(await store.index.end('ann')).toBe(1)
    expect(await store.read('foreign')).toBe(null)
    expect(await store.write('foreign', record(), null)).toEqual({ ok: false, current: null })
  })

  it('ends it, and marks its id', async () => {
    expect(await store.end('foreign')).toBe(false)
    expect(await store.read('foreign')).toBe(null)
    expect(await store.write('foreign', record(), null)).toEqual({ ok: false, current: null })
  })

  it('never takes it for no session', async () => {
    if (kind === 'an empty text') return
    expect(await errorOf(() => store.read('foreign'))).toMatchObject({ code: 'ERR_STORE' })
  })
})

describe('createRedisStore() where something else is under the index key of a user', () => {
  beforeEach(async () => {
    await client.del('sojourn:u:ann')
    await client.set('sojourn:u:ann', 'garbage')
  })

  it('reads their sessions, and ends them one by one', async () => {
    expect(await store.read('own')).toMatchObject({ version: '1.a' })
    expect(await store.end('own')).toBe(true)
    expect(await store.read('own')).toBe(null)
  })

  it('still says so where Redis refuses a command of a script', async () => {
    await client.acl('SETUSER', 'limited', 'on', 'nopass', '~*', '+@all', '-zscore')
    const limited = new Redis(server.port, '127.0.0.1', { username: 'limited', password: 'any' })
    try {
      const own = createRedisStore({ send: ([name, ...args]) => limited.call(name, ...args) })
      expect(await errorOf(() => own.read('own'))).toMatchObject({ code: 'ERR_STORE' })
    } finally {
      limited.disconnect()
    }
  })

  it('never says that it ended all of them', async () => {
    expect(await errorOf(() => store.index.end('ann'))).toMatchObject({ word: 'WRONGTYPE' })
  })
})

describe('createRedisStore() on a replica', () => {
  it('lists the sessions of a user, of whom one is no more', async () => {
    // A replica saves what it gets first.
    const dir = mkdtempSync(join(tmpdir(), 'redis-replica-'))
    const of = ['--replicaof', '127.0.0.1', String(server.port)]
    const replica = await startRedis('--dir', dir, ...of)
    const asked = new Redis(replica.port, '127.0.0.1')
    try {
      const { index } = createRedisStore({ send: ([name, ...args]) => asked.call(name, ...args) })
      const list = async (): Promise<unknown> => (await index.list('ann')).map(({ id }) => id)
      await expect.poll(list).toEqual(['own'])
    } finally {
      asked.disconnect()
      await replica.stop()
      rmSync(dir, { recursive: true, force: true })
    }
  })
})
