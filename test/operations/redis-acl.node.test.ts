/** The commands that docs/operations.md gives a Redis user are enough, and are those that it names. */
import { readFileSync } from 'node:fs'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createSessions } from '../../src/index.ts'
import { createRedisStore } from '../../src/stores/redis.ts'
import { createCookieJar } from '../../src/testing/index.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { SECRET } from '../support/sessions.ts'

const page = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8')
const [, rules = ''] = /ACL SETUSER sojourn (.*?)\n```/s.exec(page) ?? []

let redis: RedisServer
let admin: Redis
const ends: (() => void)[] = []

beforeAll(async () => {
  redis = await startRedis()
  admin = new Redis(redis.port, '127.0.0.1')
})
afterAll(async () => {
  for (const end of ends) end()
  admin.disconnect()
  await redis.stop()
})

/** A client of the user as the document makes it, with these rules taken away again. */
async function connect(...without: string[]): Promise<Redis> {
  const words = rules.replaceAll('\\\n', ' ').split(/\s+/).filter(Boolean)
  await admin.call('ACL', 'SETUSER', 'sojourn', 'reset', ...words, ...without)
  const password = words.find((word) => word.startsWith('>'))?.slice(1) ?? ''
  const client = new Redis(redis.port, '127.0.0.1', {
    username: 'sojourn',
    password,
    enableReadyCheck: false,
    retryStrategy: () => null,
  })
  client.on('error', () => {})
  ends.push(() => client.disconnect())
  return client
}

/** Everything that a session does in its life. */
async function live(client: Redis): Promise<unknown> {
  await admin.flushall()
  const store = createRedisStore({ send: ([name, ...args]) => client.call(name, ...args) })
  const sessions = createSessions({ secret: SECRET, store, onStoreFailure: 'throw' })
  const jar = createCookieJar()
  const visit = async (change: string): Promise<void> => {
    const handler = sessions.handler(async (request) => {
      const session = await sessions.get(request)
      if (change === 'signs in') session.login('ann')
      if (change === 'adds') session.increment('pages')
      if (change === 'signs out') session.destroy()
      return Response.json(session.data)
    })
    const { status } = await jar.fetch(handler, '/')
    if (status !== 200) throw new Error(String(status))
  }
  await visit('adds')
  await visit('signs in')
  await Promise.all([visit('adds'), visit('adds')])
  const listed = await sessions.list('ann')
  const all = []
  for await (const info of sessions.all()) all.push(info)
  const health = await sessions.health({ deep: true })
  const { ok } = await sessions.health()
  await sessions.revokeAll('ann')
  await visit('adds')
  await visit('signs out')
  return [listed.length, all.length, ok, health.ok, health.store?.details?.role]
}

describe('the ACL that docs/operations.md gives a Redis user', () => {
  it('is enough for all that sessions do, lists and health included', async () => {
    expect(await live(await connect())).toEqual([1, 1, true, true, 'primary'])
  })

  const needed = rules.match(/\+\w+/g) ?? []
  it('names commands', () => expect(needed.length).toBeGreaterThan(10))

  it.each(needed)('has no more than that: without %s something is missing', async (rule) => {
    const client = await connect(rule.replace('+', '-'))
    const lived = await live(client).catch((error) => error.code)
    expect(lived).not.toEqual([1, 1, true, true, 'primary'])
  })
})
