import { describe, expect, it } from 'vitest'
import { requireSession } from '../../src/guard/guard.ts'
import { createSessions, type Session } from '../../src/index.ts'
import { createPlace, places } from '../support/places.ts'
import { createCountingStore, createWorld, errorOf, SECRET } from '../support/sessions.ts'

describe.each(places)('session.elevate() %s', (_place, options) => {
  const start = async () => {
    const world = createPlace(options, { cache: false })
    await world.visit((session) => session.login('ann'))
    world.clock.advance(10)
    return world
  }

  it('records when a factor was last proven, for this request and later ones', async () => {
    const { clock, visit } = await start()
    expect((await visit()).session.factors).toEqual({})
    const proven = clock.advanceMs(123)
    const { session } = await visit((s) => s.elevate('passkey'))
    expect(session.factors).toEqual({ passkey: proven })
    const again = clock.advance(60)
    await visit((s) => s.elevate('totp'))
    expect((await visit()).session.factors).toEqual({ passkey: proven, totp: again })
    const last = clock.advance(60)
    await visit((s) => s.elevate('passkey'))
    expect((await visit()).session.factors).toEqual({ passkey: last, totp: again })
    expect(Object.isFrozen((await visit()).session.factors)).toBe(true)
  })

  it('replaces the credential, and keeps id, data and the time of the sign-in', async () => {
    const { sessions, jar, types, visit } = await start()
    await visit((s) => s.set('cart', 1))
    const before = (await visit()).session
    const stolen = jar.header('/')
    const { session } = await visit((s) => s.elevate('passkey'))
    expect([session.id, session.get('cart')]).toEqual([before.id, 1])
    expect(session.authenticatedAt).toBe(before.authenticatedAt)
    expect(session.rotationId).not.toBe(before.rotationId)
    expect(types().at(-1)).toBe('session.regenerated')
    // A cookie cannot be called back, and it does not say that anything was proven.
    const copy = await sessions.open(stolen)
    expect([copy.status, copy.factors]).toEqual([options ? 'superseded' : 'active', {}])
  })

  it('survives renewals, writes and a login of the same user', async () => {
    const { clock, events, visit } = await start()
    const passkey = clock()
    await visit((s) => s.elevate('passkey'))
    await visit((s) => s.set('a', 1))
    clock.advance(80_000)
    await visit()
    expect(events.at(-1)?.type).toBe('session.renewed')
    expect((await visit()).session.factors).toEqual({ passkey })
    await visit((s) => s.login('ann'))
    expect((await visit()).session.factors).toEqual({ passkey })
    await visit((s) => s.regenerate())
    expect((await visit()).session.factors).toEqual({ passkey })
  })

  it('is dropped by a login as somebody else, and by destroy', async () => {
    const { visit } = await start()
    await visit((s) => s.elevate('passkey'))
    await visit((s) => s.login('bob'))
    expect((await visit()).session.factors).toEqual({})
    await visit((s) => s.elevate('passkey'))
    const { session } = await visit((s) => s.destroy())
    expect(session.factors).toEqual({})
    expect((await visit((s) => s.login('bob'))).session.factors).toEqual({})
  })

  it('goes with a login in one request, in this order', async () => {
    const { clock, visit } = createPlace(options)
    await visit((s) => {
      s.set('a', 1)
      s.login('ann')
      s.elevate('password')
      s.elevate('totp')
    })
    const { session } = await visit()
    expect(session.factors).toEqual({ password: clock(), totp: clock() })
    expect([session.subject, session.get('a')]).toEqual(['ann', 1])
  })

  it('refuses where nobody is signed in, and records nothing', async () => {
    const { visit } = createPlace(options)
    let error: unknown
    const { session } = await visit(async (s) => {
      s.set('a', 1)
      error = await errorOf(() => s.elevate('passkey'))
    })
    expect(error).toBeInstanceOf(TypeError)
    expect(String(error)).toContain('nobody is signed in')
    expect(session.factors).toEqual({})
    await visit((s) => s.login('ann'))
    expect((await visit()).session.factors).toEqual({})
  })

  it.each(['', 'pass key', 'a"b', 'a\n', 'é', 'x'.repeat(201), 7, null, undefined, {}])(
    'refuses %j as the name of a factor',
    async (factor) => {
      const { visit } = await start()
      let error: unknown
      const { session } = await visit(async (s) => {
        error = await errorOf(() => s.elevate(factor as string))
      })
      expect(error).toBeInstanceOf(TypeError)
      expect(session.factors).toEqual({})
    },
  )

  it('takes names that objects have of their own for what they are', async () => {
    const { clock, visit } = await start()
    expect(Object.keys((await visit()).session.factors)).toEqual([])
    await visit((s) => s.elevate('__proto__'))
    const { factors } = (await visit()).session
    expect([Object.keys(factors), Object.hasOwn(factors, '__proto__')]).toEqual([
      ['__proto__'],
      true,
    ])
    expect(clock()).toBe(Object.entries(factors)[0]?.[1])
  })

  it('with the option "factors" takes no other', async () => {
    const { visit } = createPlace(options, { factors: ['passkey', 'totp'] })
    let error: unknown
    await visit(async (s) => {
      s.login('ann')
      s.elevate('totp')
      error = await errorOf(() => s.elevate('paskey'))
    })
    expect(error).toBeInstanceOf(TypeError)
    expect(String(error)).toContain('passkey,totp')
    expect(Object.keys((await visit()).session.factors)).toEqual(['totp'])
  })

  it('after a step-down belongs to the client that proved it, without what others proved', async () => {
    const binding = { userAgent: true, onMismatch: 'step-down' } as const
    const { clock, jar, sessions } = createPlace(options, { binding })
    const as = async (agent: string, use: (session: Session) => void = () => {}) => {
      let session: Session | undefined
      const handler = sessions.handler(async (request) => {
        session = await sessions.get(request)
        use(session)
        return new Response()
      })
      await jar.fetch(handler, '/', { headers: { 'user-agent': agent } })
      return session!
    }
    await as('Firefox', (s) => s.login('ann'))
    await as('Firefox', (s) => s.elevate('totp'))
    const doubted = await as('curl')
    expect([doubted.subject, doubted.authenticatedAt, doubted.factors]).toEqual(['ann', null, {}])
    await as('curl', (s) => s.set('a', 1))
    expect(Object.keys((await as('Firefox')).factors)).toEqual(['totp'])
    const passkey = clock.advance(60)
    const proved = await as('curl', (s) => s.elevate('passkey'))
    // The sign-in was that of the other client: a guard with `freshWithin` asks this one for its own.
    expect([proved.factors, proved.authenticatedAt]).toEqual([{ passkey }, null])
    const after = await as('curl')
    expect([after.subject, after.factors, after.authenticatedAt]).toEqual([
      'ann',
      { passkey },
      null,
    ])
    const guard = requireSession(sessions, { freshWithin: 300 })
    const headers = { cookie: String(jar.header()), 'user-agent': 'curl' }
    expect((await guard(new Request('https://a.example/', { headers })))?.status).toBe(401)
    expect([(await as('Firefox')).factors, (await as('curl')).factors]).toEqual([{}, { passkey }])
    await as('Firefox', (s) => s.login('ann'))
    expect((await as('Firefox')).factors).toEqual({})
  })
})

describe('session.elevate() in a store', () => {
  it('costs one write, and reading factors none', async () => {
    const { store, take } = createCountingStore()
    const { visit } = createWorld({ store, now: Date.now })
    await visit((s) => s.login('ann'))
    take()
    await visit((s) => s.elevate('passkey'))
    expect(take()).toEqual(['read', 'write'])
    await visit((s) => s.factors)
    expect(take()).toEqual(['read'])
  })

  it('is replayed on what other requests have written meanwhile', async () => {
    const { clock, jar, sessions, visit } = createPlace({})
    await visit((s) => s.login('ann'))
    const header = jar.header('/')
    const [slow, fast] = await Promise.all([sessions.open(header), sessions.open(header)])
    slow.elevate('passkey')
    fast.set('a', 1)
    await sessions.save(fast)
    const cookie = (await sessions.save(slow))[0]!.split(';', 1)[0]!
    const session = await sessions.open(cookie)
    expect([session.get('a'), session.factors]).toEqual([1, { passkey: clock() }])
  })

  it('of two at once one counts, and the other one is superseded', async () => {
    const { clock, jar, sessions, visit } = createPlace({})
    await visit((s) => s.login('ann'))
    const header = jar.header('/')
    const both = await Promise.all([sessions.open(header), sessions.open(header)])
    both[0].elevate('passkey')
    both[1].elevate('totp')
    const cookies = await Promise.all(both.map((session) => sessions.save(session)))
    expect(both.map(({ status }) => status).sort()).toEqual(['active', 'superseded'])
    const sent = cookies.flat()[0]!.split(';', 1)[0]!
    expect(Object.values((await sessions.open(sent)).factors)).toEqual([clock()])
  })

  it('is applied once when its answer is lost', async () => {
    const { clock, jar, sessions, store, visit } = createPlace({}, { storeTimeout: 1 })
    await visit((s) => s.login('ann'))
    const session = await sessions.open(jar.header('/'))
    store.inject({ type: 'throw-after' }, 'write')
    session.elevate('passkey')
    const failed = await sessions.save(session).catch((error: unknown) => error)
    expect(failed).toBeInstanceOf(Error)
    const values = await sessions.save(session)
    const again = await sessions.open(values.map((one) => one.split(';', 1)[0]).join('; '))
    expect([again.status, again.factors]).toEqual(['active', { passkey: clock() }])
  })

  it('is never deferred: while the store is down it fails', async () => {
    const { jar, sessions, store, visit } = createPlace({
      snapshot: { maxAge: 0, staleIfError: 600 },
    })
    await visit((s) => s.login('ann'))
    store.down()
    const session = await sessions.open(jar.header('/'))
    session.elevate('passkey')
    const error = await sessions.save(session).catch((one: unknown) => one)
    expect(error).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
    store.up()
    expect((await visit()).session.factors).toEqual({})
  })
})

describe('createSessions() with factors', () => {
  it.each([['passkey'], [['']], [['a b']], [[7]], [{}], [null]])('refuses %j', (factors) => {
    const options = { secret: SECRET, factors: factors as never }
    expect(() => createSessions(options)).toThrow(TypeError)
    expect(() => createSessions(options)).toThrow('"factors"')
  })
})
