import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createSessions, type Session, type Sessions } from '../../src/index.ts'
import { resilient } from '../../src/stores/resilient.ts'
import { createUpstashStore } from '../../src/stores/upstash.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { SECRET } from '../support/sessions.ts'
import { type Bridge, startBridge, TOKEN } from '../support/upstash-bridge.ts'

/* Many writers on one session in real Redis, every call over HTTP. */

const WRITERS = 20
const TIMES = 25

let redis: RedisServer
let bridge: Bridge

beforeAll(async () => {
  redis = await startRedis()
  bridge = await startBridge(redis.port)
})

afterAll(async () => {
  await bridge.close()
  await redis.stop()
})

// A slow machine is no outage.
const createStore = () =>
  resilient(createUpstashStore({ url: bridge.url, token: TOKEN }), {
    attemptTimeoutMs: 20_000,
    deadlineMs: 60_000,
  })

const createIsolates = (count: number): Sessions[] =>
  Array.from({ length: count }, () =>
    createSessions({ secret: SECRET, store: createStore(), storeTimeout: 60 }),
  )

async function storm(isolates: number, change: (session: Session, name: string) => void) {
  const all = createIsolates(isolates)
  const first = all[0]!
  const session = await first.open(null)
  session.login('ann')
  const [setCookie = ''] = await first.save(session)
  const header = setCookie.split(';')[0] as string
  const before = bridge.requests.length
  await Promise.all(
    Array.from({ length: WRITERS }, async (_, writer) => {
      const sessions = all[writer % isolates]!
      for (let i = 0; i < TIMES; i++) {
        const mine = await sessions.open(header)
        change(mine, `${writer} ${i}`)
        await sessions.save(mine)
      }
    }),
  )
  const trips = (bridge.requests.length - before) / (WRITERS * TIMES)
  return { last: await first.open(header), trips, header }
}

describe(`${WRITERS} writers with ${TIMES} writes each, on one session in Redis`, () => {
  it.each([1, 5, WRITERS])(
    'keep every value, in two round trips each, from %d isolates',
    async (isolates) => {
      const { last, trips } = await storm(isolates, (session, name) => session.set(name, true))
      expect(Object.keys(last.data).length).toBe(WRITERS * TIMES)
      // One of them is the read; a record with 64 entries refuses all until one has merged them.
      expect(trips).toBeLessThan(2.5)
    },
  )

  it.each([1, WRITERS])(
    'count every increment, in two round trips each, from %d isolates',
    async (isolates) => {
      const { last, trips } = await storm(isolates, (session) => session.increment('n'))
      expect(last.get('n')).toBe(WRITERS * TIMES)
      expect(trips).toBeLessThan(2.5)
    },
  )
})

describe('150 overlapping requests in three isolates', () => {
  it('refresh a token once, and sign nobody out', async () => {
    const isolates = createIsolates(3)
    const session = await isolates[0]!.open(null)
    session.login('ann')
    const [setCookie = ''] = await isolates[0]!.save(session)
    const header = setCookie.split(';')[0] as string
    let calls = 0
    const tokens = await Promise.all(
      Array.from({ length: 150 }, async (_, i) => {
        const sessions = isolates[i % 3]!
        const mine = await sessions.open(header)
        const token = await mine.once('refresh', async () => {
          calls++
          await new Promise((resolve) => setTimeout(resolve, 100))
          return `token ${calls}`
        })
        mine.set('token', token)
        await sessions.save(mine)
        return token
      }),
    )
    expect([calls, new Set(tokens).size]).toEqual([1, 1])
    const last = await isolates[1]!.open(header)
    expect([last.status, last.subject, last.get('token')]).toEqual(['active', 'ann', 'token 1'])
  })

  it('go on without a holder that dies', async () => {
    const [sessions] = createIsolates(1)
    const session = await sessions!.open(null)
    session.login('ann')
    await sessions!.save(session)
    await new Promise<void>((begun) => {
      void session.once('refresh', () => new Promise(() => begun()), { lease: 1 })
    })
    expect(await session.once('refresh', async () => 'done', { lease: 1 })).toBe('done')
  })
})
