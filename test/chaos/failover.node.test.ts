import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createSessions, type Session, type SessionEvent } from '../../src/index.ts'
import { createRedisStore } from '../../src/stores/redis.ts'
import { resilient } from '../../src/stores/resilient.ts'
import { type CookieJar, createCookieJar } from '../../src/testing/index.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { SECRET } from '../support/sessions.ts'

/*
 * A failover that loses the last writes, as an asynchronous replica that takes over does: the real
 * redis-server writes a dump, takes 1.5 seconds of traffic, is killed, and starts again from the dump.
 */

const TRAFFIC_MS = 1500
const USERS = 12

let folder = ''
let redis: RedisServer
let client: Redis

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sojourn-'))
  redis = await startRedis('--dir', folder)
  client = new Redis(redis.port, '127.0.0.1', { retryStrategy: () => 20 })
  client.on('error', () => {})
})

afterAll(async () => {
  client.disconnect()
  await redis.stop()
  rmSync(folder, { recursive: true, force: true })
})

interface User {
  readonly name: string
  readonly jar: CookieJar
  /** Numbers that were acknowledged. */
  readonly added: number[]
}

describe.each([false, { maxAge: 2, staleIfError: 60 }] as const)(
  'a store that loses its last 1.5 seconds (snapshot: %j)',
  (snapshot) => {
    const events: SessionEvent[] = []
    const store = resilient(
      createRedisStore({
        send: ([name, ...args]) => client.call(name, ...args),
        prefix: `${JSON.stringify(snapshot).length}:`,
        timeoutMs: 20_000,
      }),
      // A slow machine is no outage.
      { attemptTimeoutMs: 20_000, deadlineMs: 60_000 },
    )
    const sessions = createSessions({
      secret: SECRET,
      store,
      snapshot,
      storeTimeout: 60,
      renewAfter: 1,
      onEvent: (event) => void events.push(event),
    })
    const visit = async ({ jar }: User, use: (session: Session) => void = () => {}) => {
      let session: Session | undefined
      const handler = sessions.handler(async (request) => {
        session = await sessions.get(request)
        use(session)
        return new Response()
      })
      const { status } = await jar.fetch(handler)
      return { status, session: session! }
    }
    const userOf = (name: string): User => ({ name, jar: createCookieJar(), added: [] })
    const add = async (user: User, number: number): Promise<void> => {
      const { status } = await visit(user, (session) => {
        session.append('numbers', number)
        // Every third user's credential is replaced within what is lost.
        if (number === 3 && user.name.endsWith('0')) session.regenerate()
      })
      expect(status).toBe(200)
      user.added.push(number)
    }
    const users = Array.from({ length: USERS }, (_, i) => userOf(`user-${i}-${i % 3}`))
    const early = userOf('early')
    const late = userOf('late')

    beforeAll(async () => {
      for (const user of [...users, early]) {
        await visit(user, (session) => session.login(user.name))
        await add(user, 1)
      }
      await client.call('SAVE')
      await visit(late, (session) => session.login('late'))
      await visit(early, (session) => session.destroy())
      const until = performance.now() + TRAFFIC_MS
      for (let number = 2; number < 5 || performance.now() < until; number++) {
        for (const user of users) await add(user, number)
        await sleep(100)
      }
      events.length = 0
      await redis.stop()
      await redis.start()
    })

    it('signs nobody out whose sign-in is older than the dump', async () => {
      // Half of them write at once: with a snapshot, without having read anything.
      for (const [i, user] of users.entries()) {
        if (i % 2) await add(user, 900)
      }
      // Snapshots are too old now: everybody asks the store.
      if (snapshot) await sleep(1000 * snapshot.maxAge)
      for (const user of users) {
        const { session } = await visit(user)
        expect([user.name, session.status, session.subject]).toEqual([
          user.name,
          'active',
          user.name,
        ])
      }
      const rolledBack = events.filter(({ type }) => type === 'store.rolled-back')
      expect(rolledBack.length >= USERS).toBe(true)
    })

    it(`${snapshot ? 'loses nothing that was acknowledged' : 'goes on from what the dump has'}, and takes new writes`, async () => {
      for (const user of users) {
        await add(user, 1000)
        const { session } = await visit(user)
        const expected = snapshot ? user.added : user.added.filter((n) => n === 1 || n >= 900)
        expect(session.get('numbers')).toEqual(expected)
        expect((await sessions.list(user.name)).map(({ id }) => id)).toEqual([session.id])
      }
    })

    it('signs in again who signed in within the lost writes, and lets who signed out stay so', async () => {
      const before = await visit(late)
      expect([before.session.status, before.session.subject]).toEqual(['missing', null])
      await visit(late, (session) => session.login('late'))
      expect((await visit(late)).session.subject).toBe('late')
      expect((await visit(early)).session.subject).toBe(null)
    })
  },
)
