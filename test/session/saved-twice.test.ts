import { describe, expect, it } from 'vitest'
import type { Session, SessionsOptions } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createClock, createFaultyStore } from '../../src/testing/index.ts'
import { createWorld } from '../support/sessions.ts'

/** One isolate, and what its store is told to do wrong. */
function createStored(options: Partial<SessionsOptions> = {}) {
  const clock = createClock()
  const store = createFaultyStore(createMemoryStore({ now: clock }))
  return { ...createWorld({ store, ...options }, clock), store }
}

for (const [where, create] of [
  ['in cookies', () => createWorld()],
  ['in a store', () => createStored()],
] as const) {
  describe(`a session that is saved twice, ${where}`, () => {
    it('is changed once by two handlers around one request', async () => {
      const { jar, sessions } = create()
      const handler = sessions.handler(
        sessions.handler(async (request) => {
          const session = await sessions.get(request)
          session.increment('visits')
          return new Response('ok')
        }),
      )
      for (let i = 0; i < 2; i++) {
        const cookies = (await jar.fetch(handler, '/')).headers.getSetCookie()
        expect(new Set(cookies).size).toBe(cookies.length)
      }
      expect((await sessions.open(jar.header())).get('visits')).toBe(2)
    })

    it.each([
      ['begins one', (session: Session) => session.set('inner', 1)],
      ['signs the same user in', (session: Session) => session.login('ada')],
      ['signs another user in', (session: Session) => session.login('bob')],
      ['signs out', (session: Session) => session.destroy()],
    ])('is signed in to by a handler around one that %s', async (_, change) => {
      for (const before of [undefined, 'ada', 'zoe']) {
        const { events, jar, sessions, visit } = create()
        if (before) await visit((session) => session.login(before))
        const inner = sessions.handler(async (request) => {
          change(await sessions.get(request))
          return new Response('ok')
        })
        const outer = sessions.handler(async (request) => {
          ;(await sessions.get(request)).login('ada')
          return inner(new Request(request.url, { headers: request.headers }))
        })
        await jar.fetch(outer, '/')
        expect([before, (await sessions.open(jar.header())).subject]).toEqual([before, 'ada'])
        expect(events.filter(({ type }) => type === 'session.uncommitted')).toEqual([])
      }
    })

    it('sends its cookie, though the handler saved it and dropped the values', async () => {
      const { jar, sessions, visit } = create()
      await visit(async (session) => {
        session.login('ada')
        await sessions.save(session)
      })
      expect((await sessions.open(jar.header())).subject).toBe('ada')
    })
  })
}

describe('a session whose save failed', () => {
  it('has failed for all who save it at once', async () => {
    const { sessions, store } = createStored()
    const session = await sessions.open(null)
    session.set('a', 1)
    store.inject({ type: 'throw-before' }, 'write')
    const saves = [sessions.save(session), sessions.save(session)]
    const results = await Promise.allSettled(saves)
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect((await sessions.save(session)).length).toBe(1)
  })

  it.each([
    ['nothing', () => {}],
    ['more changes', (session: { set(key: string, value: string): void }) => session.set('b', '')],
  ])('adds once when it is saved again with %s, and only the answer was lost', async (_, more) => {
    const { jar, sessions, store, visit } = createStored()
    await visit((session) => session.set('n', 0))
    await visit(async (session) => {
      session.increment('n')
      store.inject({ type: 'throw-after' }, 'write')
      await expect(sessions.save(session)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
      more(session)
    })
    const { data } = await sessions.open(jar.header())
    expect(data).toEqual(more.length ? { n: 1, b: '' } : { n: 1 })
  })
})

describe('a handler around one that has set the cookie', () => {
  /** The outer one does `change`, then the inner one does `first`; `between` happens before the outer one is saved. */
  async function nest(
    { jar, sessions }: ReturnType<typeof createStored>,
    change: (session: Session) => unknown,
    first: (session: Session) => unknown,
    between: () => void = () => {},
  ) {
    const inner = sessions.handler(async (request) => {
      await first(await sessions.get(request))
      return new Response('ok')
    })
    const outer = sessions.handler(async (request) => {
      await change(await sessions.get(request))
      const response = await inner(new Request(request.url, { headers: request.headers }))
      between()
      return response
    })
    return await jar.fetch(outer, '/')
  }
  const rotate = (session: Session) => {
    session.set('inner', true)
    session.regenerate()
  }

  it('answers 503 when the store fails between the two, with the cookie of the other one', async () => {
    const world = createStored()
    const { clock, jar, sessions, store, visit } = world
    await visit((session) => session.set('n', 1))
    const response = await nest(
      world,
      (session) => session.increment('n'),
      rotate,
      () => store.inject({ type: 'throw-before' }, 'read'),
    )
    expect(response.status).toBe(503)
    clock.advance(60)
    const later = await sessions.open(jar.header())
    expect([later.status, later.data]).toEqual(['active', { n: 1, inner: true }])
  })

  it.each([
    ['rotated', rotate, { n: 11, inner: true }],
    ['ended', (session: Session) => session.destroy(), { n: 10 }],
  ])(
    'applies a deferred write to no session but its own, which the other one has %s',
    async (_, first, data) => {
      const world = createStored({ snapshot: { maxAge: 0, staleIfError: 60 } })
      const { jar, sessions, store, visit } = world
      await visit((session) => session.set('n', 0))
      store.down(undefined, 'write')
      await visit((session) => session.increment('n'))
      store.up()
      await nest(world, (session) => session.increment('n', 10), first)
      expect((await sessions.open(jar.header())).data).toEqual(data)
    },
  )

  it('clears nothing of the site unless it is asked to', async () => {
    const response = await nest(createStored(), (session) => session.increment('n'), rotate)
    expect(response.headers.has('clear-site-data')).toBe(false)
  })
})

describe('sessions of two cookies, one handler in the other', () => {
  it('a rotation of the inner one is not lost with the 503 of the outer one', async () => {
    const clock = createClock()
    const inner = createStored()
    const down = createFaultyStore(createMemoryStore({ now: clock }))
    const outer = createWorld({ store: down, cookie: { name: '__Host-other' } }, clock)
    const app = outer.sessions.handler(async (request) => {
      const other = await outer.sessions.get(request)
      other.increment('n')
      const handler = inner.sessions.handler(async () => {
        const session = await inner.sessions.get(request)
        session.increment('n')
        if (new URL(request.url).pathname === '/sign-in') session.login('ada')
        return new Response('ok')
      })
      return handler(request)
    })
    await inner.jar.fetch(app, '/')
    down.inject({ type: 'throw-before' }, 'write')
    const response = await inner.jar.fetch(app, '/sign-in')
    expect([response.status, await response.text()]).toEqual([503, 'Service Unavailable'])
    const session = await inner.sessions.open(inner.jar.header())
    expect([session.status, session.subject, session.get('n')]).toEqual(['active', 'ada', 2])
  })
})

describe('two sessions of one header', () => {
  it('answer with one token, which opens', async () => {
    const transport = { header: 'x-session' }
    const [one, other] = [createWorld({ transport }), createWorld({ transport })]
    const inner = one.sessions.handler(async (request) => {
      const session = await one.sessions.get(request)
      session.set('inner', 1)
      return new Response('ok')
    })
    const outer = other.sessions.handler(async (request) => {
      const session = await other.sessions.get(request)
      session.set('outer', 1)
      return await inner(request.clone())
    })
    const response = await outer(new Request('https://example.com/'))
    const session = await one.sessions.open(response.headers.get('x-session'))
    expect([session.status, session.data]).toEqual(['active', { outer: 1 }])
  })
})
