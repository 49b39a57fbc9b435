import { describe, expect, it } from 'vitest'
import { createSessions, type SessionEvent, type SessionsOptions } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createClock } from '../../src/testing/index.ts'
import { createWorld, errorOf, OTHER_SECRET, SECRET } from '../support/sessions.ts'

const DAY = 86_400
type Where = 'cookie' | 'store'
const places: Where[] = ['cookie', 'store']

function setUp(where: Where, options: Partial<SessionsOptions> = {}) {
  const clock = createClock()
  const store = createMemoryStore({ now: clock })
  const world = createWorld({ ...(where === 'store' && { store }), ...options }, clock)
  const { events, jar, sessions } = world
  const last = () => {
    const { at: _, session: __, ...rest } = events.at(-1) as SessionEvent & { session?: string }
    return rest
  }
  const refusal = () => errorOf(() => sessions.require(jar.request('/')))
  return { ...world, last, refusal, store }
}

it('a reason has no negative age where the clock that made the cookie was ahead', async () => {
  const { clock, jar, last, sessions, store, visit } = setUp('store')
  const ahead = createWorld({ store, now: () => clock() + 2000 }, clock)
  await visit((session) => session.set('a', 1))
  const session = await ahead.sessions.open(jar.header())
  session.login('ann')
  const [setCookie = ''] = await ahead.sessions.save(session)
  await sessions.revoke(session.id)
  await sessions.open(setCookie.split(';')[0]!)
  expect(last()).toEqual({ type: 'session.missing', age: 0, sinceLastSeen: 0 })
})

describe.each(places)('the reason of session.expired, sessions in a %s', (where) => {
  it('is idle, with the age and the time since the last renewal', async () => {
    const { clock, last, refusal, visit } = setUp(where)
    await visit((session) => session.login('ann'))
    clock.advance(3 * 3600)
    await visit()
    clock.advance(90_000)
    const error = await refusal()
    expect(last()).toEqual({
      type: 'session.expired',
      reason: 'idle',
      age: 3 * 3600 + 90_000,
      idleFor: 90_000,
    })
    expect([error.code, error.reason, error.message]).toEqual([
      'ERR_SESSION_EXPIRED',
      'idle',
      'The session is over: it was idle for 90000 s, and idleTimeout is 86400 s',
    ])
  })

  it('is idle where both timeouts end at once', async () => {
    const { clock, last, visit, sessions, jar } = setUp(where, {
      idleTimeout: 60,
      absoluteTimeout: 60,
    })
    await visit((session) => session.login('ann'))
    clock.advance(60)
    await sessions.open(jar.header())
    expect(last()).toEqual({ type: 'session.expired', reason: 'idle', age: 60, idleFor: 60 })
  })

  it('is absolute where the session is too old, though it was in use', async () => {
    const { clock, last, refusal, visit } = setUp(where, {
      absoluteTimeout: DAY,
      idleTimeout: DAY / 2,
    })
    await visit((session) => session.login('ann'))
    for (let i = 0; i < 5; i++) {
      clock.advance(5 * 3600)
      await visit()
    }
    const error = await refusal()
    expect(last()).toMatchObject({ type: 'session.expired', reason: 'absolute', age: 25 * 3600 })
    expect(error.reason).toBe('absolute')
    expect(error.message).toBe(
      'The session is over: it is 90000 s old, and absoluteTimeout is 86400 s',
    )
  })

  it('names the timeout of the session itself, which login gave', async () => {
    const { clock, refusal, visit } = setUp(where)
    await visit((session) => session.login('ann', { idleTimeout: 600 }))
    clock.advance(601)
    expect((await refusal()).message).toContain('it was idle for 601 s, and idleTimeout is 600 s')
  })

  it('is not-before where the user signed out everywhere', async () => {
    let limit = 0
    const { clock, last, refusal, visit } = setUp(where, { notBefore: () => limit })
    await visit((session) => session.login('ann'))
    clock.advance(60)
    limit = clock()
    const error = await refusal()
    expect(last()).toEqual({ type: 'session.expired', reason: 'not-before', age: 60, idleFor: 60 })
    expect([error.code, error.reason]).toEqual(['ERR_SESSION_EXPIRED', 'not-before'])
  })
})

describe.each(places)('the reason of session.invalid, sessions in a %s', (where) => {
  it('is unknown-key where the secret is not configured, with the id of the key', async () => {
    const { clock, jar, visit } = setUp(where)
    await visit((session) => session.login('ann'))
    const events: SessionEvent[] = []
    const onEvent = (event: SessionEvent): void => void events.push(event)
    const store = where === 'store' ? { store: createMemoryStore({ now: clock }) } : {}
    const other = createSessions({ secret: OTHER_SECRET, now: clock, onEvent, ...store })
    const error = await errorOf(() => other.require(jar.request('/')))
    const [told] = events.filter(({ type }) => type === 'session.invalid')
    expect(told).toEqual({
      at: clock(),
      type: 'session.invalid',
      reason: 'unknown-key',
      keyId: expect.stringMatching(/^[0-9a-f]{8}$/),
    })
    expect([error.code, error.reason]).toEqual(['ERR_SESSION_ENCRYPTION', 'unknown-key'])
    expect(error.message).toContain((told as { keyId: string }).keyId)
  })

  it('is future where a clock is ahead, and says by how much', async () => {
    const { clock, jar, last, refusal, visit } = setUp(where)
    clock.advance(3 * 3600)
    await visit((session) => session.login('ann'))
    const header = jar.header() ?? ''
    clock.advance(-3 * 3600)
    const events: SessionEvent[] = []
    const onEvent = (event: SessionEvent): void => void events.push(event)
    const store = where === 'store' ? { store: createMemoryStore({ now: clock }) } : {}
    const elsewhere = createSessions({ secret: SECRET, now: clock, onEvent, ...store })
    const request = new Request('https://example.com', { headers: { cookie: header } })
    expect(await errorOf(() => elsewhere.require(request))).toMatchObject({ reason: 'future' })
    // The isolate that sealed it knows it, and does not take it either.
    expect(await refusal()).toMatchObject({ reason: 'future' })
    for (const told of [events.find(({ type }) => type === 'session.invalid'), last()]) {
      expect(told).toMatchObject({ type: 'session.invalid', reason: 'future' })
      const { aheadBy } = told as { aheadBy: number }
      expect(aheadBy).toBeGreaterThan(2 * 3600)
      expect(aheadBy).toBeLessThanOrEqual(3 * 3600)
    }
  })

  it.each([
    ['malformed', () => 'x'.repeat(80)],
    ['malformed', () => ''],
    ['malformed', (token: string) => token.slice(0, 30)],
    ['malformed', () => 'A'.repeat(20_000)],
    ['newer', (token: string) => `Ag${token.slice(2)}`],
    ['forged', (token: string) => `${token.slice(0, -4)}AAAA`],
  ])('is %s for a cookie that was changed', async (reason, change) => {
    const { jar, last, sessions, visit } = setUp(where)
    await visit((session) => session.login('ann'))
    const { name, value } = jar.cookies()[0]!
    const headers = { cookie: `${name}=${change(value)}` }
    const error = await errorOf(() =>
      sessions.require(new Request('https://example.com', { headers })),
    )
    expect(last()).toMatchObject({ type: 'session.invalid', reason })
    expect([error.code, error.reason]).toEqual(['ERR_SESSION_ENCRYPTION', reason])
  })

  it('is forged for a changed cookie of any secret that is configured', async () => {
    const { jar, last, sessions, visit } = setUp(where, { secret: [SECRET, OTHER_SECRET] })
    await visit((session) => session.login('ann'))
    const [name, value = ''] = jar.header()!.split('; ')[0]!.split('=')
    await sessions.open(
      `${name}=${value.slice(0, 40)}${value[40] === 'A' ? 'B' : 'A'}${value.slice(41)}`,
    )
    expect(last()).toMatchObject({ type: 'session.invalid', reason: 'forged' })
  })

  it('is that which says most, of several cookies', async () => {
    const { jar, last, sessions, visit } = setUp(where)
    await visit((session) => session.login('ann'))
    const { name, value } = jar.cookies()[0]!
    const forged = `${value.slice(0, -4)}AAAA`
    const unknown = `AQAAAA${value.slice(6)}`
    for (const [tokens, reason] of [
      [['', forged], 'forged'],
      [[forged, unknown, ''], 'unknown-key'],
    ] as const) {
      const cookie = tokens.map((token) => `${name}=${token}`).join('; ')
      await sessions.get(new Request('https://example.com', { headers: { cookie } }))
      expect(last()).toMatchObject({ type: 'session.invalid', reason })
    }
  })
})

describe('the reason of a session that is missing', () => {
  it('is told with the age of the session and of its cookie, where the store has lost it', async () => {
    const { clock, last, refusal, sessions, store, visit } = setUp('store')
    await visit((session) => session.login('ann'))
    clock.advance(4 * 3600)
    const { session } = await visit()
    clock.advance(100)
    await store.end(session.id, { markFor: 0 })
    const error = await refusal()
    expect(last()).toEqual({ type: 'session.missing', age: 4 * 3600 + 100, sinceLastSeen: 100 })
    expect([error.code, error.reason]).toEqual(['ERR_SESSION_NOT_FOUND', 'missing'])
    expect(error.message).toContain('since its cookie was made 100 s ago')
    expect(await errorOf(() => sessions.require(new Request('https://example.com')))).toMatchObject(
      {
        code: 'ERR_SESSION_NOT_FOUND',
        reason: 'no-cookie',
      },
    )
  })

  it('is told of a sign-out in a cookie, too', async () => {
    const { clock, jar, last, sessions, visit } = setUp('cookie')
    await visit((session) => session.login('ann'))
    const { name, value } = jar.cookies()[0]!
    clock.advance(50)
    await visit((session) => session.destroy())
    const headers = { cookie: `${name}=${value}; ${jar.header()}` }
    const old = new Request('https://example.com', { headers })
    expect(await errorOf(() => sessions.require(old))).toMatchObject({ reason: 'missing' })
    expect(last()).toEqual({ type: 'session.missing', age: 50, sinceLastSeen: 50 })
  })

  it('is superseded, then reused, for a cookie that was replaced', async () => {
    const { clock, events, jar, sessions, visit } = setUp('store')
    await visit((session) => session.set('n', 1))
    const cookie = jar.header() ?? ''
    const old = () => new Request('https://example.com', { headers: { cookie } })
    await visit((session) => session.login('ann'))
    clock.advance(12)
    const late = await errorOf(() => sessions.require(old()))
    expect(events.at(-1)).toMatchObject({ type: 'session.superseded', sinceRotation: 12 })
    expect([late.reason, late.code]).toEqual(['superseded', 'ERR_SESSION_NOT_FOUND'])
    clock.advance(100)
    const copied = await errorOf(() => sessions.require(old()))
    expect(events.at(-1)).toMatchObject({ type: 'session.reused', sinceRotation: 112 })
    expect(copied.reason).toBe('reused')
    expect(copied.message).toContain('was replaced 112 s ago')
  })

  it('is told when it ends, or is rotated, while a request uses it', async () => {
    const { clock, events, jar, sessions, visit } = setUp('store')
    await visit((session) => session.login('ann'))
    const handler = (during: () => Promise<unknown>) =>
      sessions.handler(async (request) => {
        const session = await sessions.get(request)
        session.set('n', 1)
        await during()
        return new Response()
      })
    clock.advance(10)
    const request = jar.request('/')
    await handler(() => visit((session) => session.regenerate()))(request)
    expect(events.find(({ type }) => type === 'session.superseded')).toMatchObject({
      sinceRotation: 0,
    })
    await jar.fetch(
      handler(() => sessions.revokeAll('ann')),
      '/',
    )
    expect(events.find(({ type }) => type === 'session.missing')).toMatchObject({ age: 10 })
  })
})

describe('the reasons', () => {
  it('are not looked for where nobody listens, nor asks with require', async () => {
    const { jar, visit } = createWorld()
    await visit((session) => session.login('ann'))
    let reads = 0
    // The clock is asked for each reason.
    const now = (): number => {
      reads++
      return Date.now()
    }
    const headers = { cookie: `${jar.header()?.slice(0, -4)}AAAA` }
    const open = async (onEvent?: () => void) => {
      const sessions = createSessions({ secret: SECRET, now, ...(onEvent && { onEvent }) })
      reads = 0
      const { status } = await sessions.get(new Request('https://example.com', { headers }))
      expect(status).toBe('invalid')
      return reads
    }
    expect(await open(() => {})).toBeGreaterThan((await open()) + 1)
  })
})

describe('session.ended', () => {
  it('tells of revoke and revokeAll, by what, and how many were live', async () => {
    const { events, sessions, visit } = setUp('store')
    const { session } = await visit((one) => one.login('ann'))
    const told = () => events.filter(({ type }) => type === 'session.ended')
    expect(await sessions.revoke(session.id)).toBe(true)
    expect(told()).toMatchObject([{ by: 'id', count: 1, session: expect.any(String) }])
    const login = events.find(({ type }) => type === 'session.login') as { session: string }
    expect(told()[0]).toMatchObject({ session: login.session })
    expect(await sessions.revoke(session.id)).toBe(false)
    expect(told()[1]).toMatchObject({ by: 'id', count: 0 })
    await visit((one) => one.login('ann'))
    expect(await sessions.revokeAll('ann')).toBe(1)
    expect(told()[2]).toMatchObject({ by: 'subject', count: 1 })
    expect(told()[2]).not.toHaveProperty('session')
  })

  it('counts a session once, where its sign-out or another sign-in comes after its end', async () => {
    const { events, sessions, visit } = setUp('store')
    const counts = () =>
      events.flatMap((event) => (event.type === 'session.ended' ? [[event.by, event.count]] : []))
    await visit((one) => one.login('ann'))
    await visit(async (one) => {
      await sessions.revokeAll(one)
      one.destroy()
    })
    expect(counts()).toEqual([
      ['subject', 1],
      ['destroy', 0],
    ])
    await visit((one) => one.login('ann'))
    await visit(async (one) => {
      await sessions.revokeAll(one)
      one.login('bob')
    })
    expect(counts().slice(2)).toEqual([
      ['subject', 1],
      ['login', 0],
    ])
  })

  it('tells nothing of a session of somebody else, which stays', async () => {
    const { events, sessions, visit } = setUp('store')
    const { session } = await visit((one) => one.login('ann'))
    expect(await sessions.revoke(session.id, { subject: 'bob' })).toBe(false)
    expect(events.map(({ type }) => type)).not.toContain('session.ended')
  })

  it('tells how many had ended where the store failed half-way', async () => {
    const clock = createClock()
    const memory = createMemoryStore({ now: clock })
    let calls = 0
    const index = {
      ...memory.index,
      end: async (key: string) => {
        if (calls++) throw new Error('gone')
        return memory.index.end(key)
      },
    }
    const { events, sessions, visit } = createWorld(
      { store: { ...memory, index }, secret: [SECRET, OTHER_SECRET] },
      clock,
    )
    await visit((one) => one.login('ann'))
    await errorOf(() => sessions.revokeAll('ann'))
    expect(events.at(-1)).toMatchObject({ type: 'session.ended', by: 'subject', count: 1 })
  })
})

describe('key.used', () => {
  it.each(places)(
    'tells that a former secret opened something in a %s, once a minute',
    async (where) => {
      const clock = createClock()
      const store = where === 'store' ? { store: createMemoryStore({ now: clock }) } : {}
      const before = createWorld({ ...store }, clock)
      await before.visit((session) => session.login('ann'))
      const events: SessionEvent[] = []
      const onEvent = (event: SessionEvent): void => void events.push(event)
      const now = createSessions({
        secret: [OTHER_SECRET, SECRET],
        now: clock,
        cache: false,
        onEvent,
        ...store,
      })
      const told = () => events.filter(({ type }) => type === 'key.used')
      const read = () => now.open(before.jar.header())
      await read()
      await read()
      // One key for cookies, and with a store one for its records.
      const kinds = where === 'store' ? 2 : 1
      expect(told()).toHaveLength(kinds)
      expect(told()[0]).toEqual({
        at: clock(),
        type: 'key.used',
        key: expect.stringMatching(/^[0-9a-f]{8}$/),
        position: 1,
      })
      clock.advance(59)
      await read()
      expect(told()).toHaveLength(kinds)
      clock.advance(1)
      await read()
      expect(told()).toHaveLength(2 * kinds)
      // A renewal is due, which seals cookie and record with the first secret.
      clock.advance(3 * 3600)
      const visit = now.handler(async (request) => {
        ;(await now.get(request)).set('n', 1)
        return new Response()
      })
      await before.jar.fetch(visit, '/')
      expect(told()).toHaveLength(3 * kinds)
      clock.advance(61)
      await read()
      expect(told()).toHaveLength(3 * kinds)
    },
  )

  it('tells nothing of what does not open, nor where the first secret does', async () => {
    const { events, jar, sessions, visit } = createWorld({ secret: [SECRET, OTHER_SECRET] })
    await visit((session) => session.login('ann'))
    await visit()
    const other = createWorld({ secret: OTHER_SECRET })
    await other.visit((session) => session.login('bob'))
    const { name, value } = other.jar.cookies()[0]!
    await sessions.open(`${name}=${value.slice(0, -4)}AAAA; ${jar.header()}`)
    expect(events.map(({ type }) => type)).not.toContain('key.used')
  })
})
