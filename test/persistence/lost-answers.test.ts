import { describe, expect, it } from 'vitest'
import { StoreUnavailableError } from '../../src/errors.ts'
import type { Session, SessionsOptions } from '../../src/index.ts'
import { cached } from '../../src/stores/cached.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { createClock, createCookieJar, createFaultyStore } from '../../src/testing/index.ts'
import { createWorld } from '../support/sessions.ts'

/** A store that loses the answer to the next write, does `meanwhile`, and is asked again: a retry. */
function createRetryingStore(now: () => number) {
  const memory = createMemoryStore({ now })
  let meanwhile: (() => Promise<unknown>) | null = null
  const store: SessionStore = {
    ...memory,
    async write(...call) {
      const result = await memory.write(...call)
      const run = meanwhile
      meanwhile = null
      if (!run) return result
      await run()
      return memory.write(...call)
    },
  }
  const loseAnswer = (run: () => Promise<unknown>): void => {
    meanwhile = run
  }
  return { store, loseAnswer }
}

describe('a write whose answer was lost', () => {
  it('gets no credential of a sign-in that came before its retry', async () => {
    const clock = createClock()
    const { store, loseAnswer } = createRetryingStore(clock)
    const { visit, jar, types } = createWorld({ store }, clock)
    await visit((session) => session.set('cart', 1))
    const thief = createCookieJar({ now: clock })
    const copied = jar.header()!
    loseAnswer(() => visit((session) => session.login('ada')))
    const { sessions } = createWorld({ store }, clock)
    const handler = sessions.handler(async (request) => {
      const session = await sessions.get(request)
      session.set('note', 'mine')
      return new Response('ok')
    })
    const response = await thief.fetch(handler, '/', { headers: { cookie: copied } })
    expect([response.status, response.headers.getSetCookie()]).toEqual([200, []])
    clock.advance(1)
    const { session } = await visit()
    expect([session.subject, session.get('note')]).toEqual(['ada', 'mine'])
    expect(types().filter((type) => type === 'commit.dropped')).toEqual([])
  })
})

describe('a write whose answer was lost, and which a deployment with newer data went on from', () => {
  it('leaves no empty snapshot in the cookie', async () => {
    const clock = createClock()
    const { store, loseAnswer } = createRetryingStore(clock)
    const options = { store, snapshot: { maxAge: 10 } }
    const older = createWorld(options, clock)
    const migrate = (data: unknown) => ({ ...(data as object), migrated: true })
    const newer = createWorld({ ...options, version: 2, migrate }, clock)
    await older.visit((session) => session.set('a', 1))
    const cookie = older.jar.header()
    loseAnswer(async () => {
      const session = await newer.sessions.open(cookie)
      session.set('b', 2)
      await newer.sessions.save(session)
    })
    await older.visit((session) => session.set('c', 3))
    const session = await newer.sessions.open(older.jar.header())
    expect(session.data).toEqual({ a: 1, b: 2, c: 3, migrated: true })
  })
})

describe('a write to a copy of a session', () => {
  const isUnset = async (options: Partial<SessionsOptions>, clock = createClock()) => {
    const memory = createMemoryStore({ now: clock })
    const store = () => cached(memory, { ttl: 5, now: clock })
    const { visit, jar, sessions } = createWorld({ store: store(), ...options }, clock)
    await visit((session) => session.set('cart', 1))
    await visit((session) => session.unset('cart'))
    await visit()
    const elsewhere = createWorld({ store: store(), ...options }, clock)
    const handler = elsewhere.sessions.handler(async (request) => {
      const session = await elsewhere.sessions.get(request)
      session.set('cart', 2)
      return new Response('ok')
    })
    // Its answer never arrives.
    await handler(jar.request('/'))
    await visit((session) => session.unset('cart'))
    clock.advance(20)
    return !(await sessions.open(jar.header())).has('cart')
  }

  it('reaches the store though it changes nothing in the copy: a snapshot', async () => {
    expect(await isUnset({ snapshot: { maxAge: 10 } })).toBe(true)
  })

  it('reaches the store though it changes nothing in the copy: a cache', async () => {
    expect(await isUnset({})).toBe(true)
  })
})

describe('a renewal that arrives late', () => {
  it('brings no change along that changed nothing when it was made', async () => {
    const clock = createClock()
    const memory = createMemoryStore({ now: clock })
    let late: Parameters<SessionStore['write']> | null = null
    const store: SessionStore = {
      ...memory,
      async write(...call) {
        if (clock() < start + 100_000 || late) return memory.write(...call)
        late = call
        throw new StoreUnavailableError('The store is unavailable')
      },
    }
    const start = clock()
    const { visit, types } = createWorld({ store, renewAfter: 60 }, clock)
    await visit((session) => session.set('cart', 1))
    clock.advance(100)
    const { response } = await visit((session) => session.unset('coupon'))
    expect([response.status, types().includes('store.degraded')]).toEqual([200, true])
    await visit((session) => session.set('coupon', 'spring'))
    await memory.write(...late!)
    const { session } = await visit()
    expect(session.data).toEqual({ cart: 1, coupon: 'spring' })
  })
})

describe('a browser with two sessions', () => {
  it('stays with one, whichever of its rotations were answered 503', async () => {
    const clock = createClock()
    const store = createFaultyStore(createMemoryStore({ now: clock }))
    const { jar, sessions, visit } = createWorld({ store }, clock)
    const fail = async (session: Session): Promise<void> => {
      const error = await sessions.save(session).catch((error) => error)
      jar.store(error.getResponse())
    }
    await visit((session) => session.set('n', 1))
    const cookie = jar.header()!
    const [one, two] = [await sessions.open(cookie), await sessions.open(cookie)]
    // It began in a request that had no cookie yet.
    const other = await sessions.open(null)
    other.login('bob')
    const headers = (await sessions.save(other)).map((value): [string, string] => [
      'set-cookie',
      value,
    ])
    jar.store(new Response(null, { headers }))
    one.regenerate()
    store.inject({ type: 'throw-after' }, 'write')
    await fail(one)
    clock.advance(2)
    two.login('ada')
    store.inject({ type: 'throw-before' }, 'write')
    await fail(two)
    for (let i = 0; i < 4; i++) {
      const { session } = await visit()
      expect([i, session.subject, session.get('n')]).toEqual([i, null, 1])
    }
  })
})

describe('a rotation that the store refuses', () => {
  it('signs nobody out, however often it is tried', async () => {
    const clock = createClock()
    const faulty = createFaultyStore(createMemoryStore({ now: clock }))
    const { visit, jar, sessions } = createWorld({ store: faulty }, clock)
    await visit((session) => session.login('ada'))
    for (let i = 0; i < 5; i++) {
      faulty.down({ type: 'throw-before' }, 'write')
      const { response } = await visit((session) => session.regenerate())
      expect(response.status).toBe(503)
      clock.advance(40)
    }
    faulty.up()
    const { status, subject } = await sessions.open(jar.header())
    expect([status, subject]).toEqual(['active', 'ada'])
  })
})

describe('a store that throws one error object for everybody', () => {
  it('has nobody get the cookie of a rotation that it failed', async () => {
    const clock = createClock()
    const memory = createMemoryStore({ now: clock })
    const down = new StoreUnavailableError('down', { retryAfter: 7 })
    let isDown = false
    const store: SessionStore = {
      ...memory,
      async write(...call) {
        const result = await memory.write(...call)
        if (isDown) throw down
        return result
      },
    }
    const { jar, sessions } = createWorld({ store }, clock)
    const other = createWorld({ store, cookie: { name: '__Host-other' } }, clock)
    const app = sessions.handler(
      other.sessions.handler(async (request) => {
        const session = await sessions.get(request)
        session.increment('n')
        if (new URL(request.url).pathname === '/login') session.login('ann')
        return new Response('ok', { headers: { 'set-cookie': 'theme=dark; Path=/' } })
      }),
    )
    await jar.fetch(app, '/')
    isDown = true
    const { headers, status } = await jar.fetch(app, '/login')
    expect([status, headers.get('retry-after')]).toEqual([503, '7'])
    const stranger = await app(new Request('https://a.example/'))
    expect([stranger.status, stranger.headers.getSetCookie()]).toEqual([
      503,
      ['theme=dark; Path=/'],
    ])
    isDown = false
    expect((await sessions.open(jar.header())).subject).toBe('ann')
  })

  it('has loggers see it as it is', async () => {
    const clock = createClock()
    const memory = createMemoryStore({ now: clock })
    const down = new StoreUnavailableError('down', {
      retryAfter: 7,
      cause: new Error('ECONNRESET'),
    })
    let isDown = false
    const write: SessionStore['write'] = (...call) =>
      isDown ? Promise.reject(down) : memory.write(...call)
    const { jar, sessions } = createWorld({ store: { ...memory, write } }, clock)
    await jar.fetch(
      sessions.handler(async (request) => {
        const session = await sessions.get(request)
        session.login('ann')
        return new Response('ok')
      }),
      '/',
    )
    isDown = true
    const request = new Request('https://a.example/', { headers: { cookie: jar.header()! } })
    const session = await sessions.get(request)
    session.increment('n')
    session.regenerate()
    const error = await sessions.commit(request, new Response('ok')).catch((one) => one)
    expect(error).not.toBe(down)
    expect(error).toBeInstanceOf(StoreUnavailableError)
    expect(Object.prototype.toString.call(error)).toBe('[object Error]')
    const { cause, code, message, name, retryAfter, stack } = down
    expect({ ...error }).toEqual({ ...down })
    expect(error).toMatchObject({ cause, code, message, name, retryAfter, stack })
  })
})
