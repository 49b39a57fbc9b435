import { describe, expect, it } from 'vitest'
import { createSessions, type Session, type SessionsOptions } from '../../src/index.ts'
import type { CookieImporter } from '../../src/migrate/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { type Clock, createClock, createCookieJar } from '../../src/testing/index.ts'
import { countCrypto, createWorld, errorOf, OTHER_SECRET, SECRET } from '../support/sessions.ts'

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0'
const UPDATED = 'Mozilla/5.0 (X11; Linux x86_64; rv:151.0) Gecko/20100101 Firefox/151.0'
const CURL = 'curl/8.1'

function createBound(
  binding: NonNullable<SessionsOptions['binding']>,
  createOptions: (clock: Clock) => Partial<SessionsOptions>,
  clock = createClock(),
) {
  const world = createWorld({ binding, ...createOptions(clock) }, clock)
  /** A request of some client that has the browser's cookies. */
  const from = async (
    headers: Record<string, string>,
    use: (session: Session) => unknown = () => {},
  ) => {
    let session: Session | undefined
    const handler = world.sessions.handler(async (request) => {
      session = await world.sessions.get(request)
      await use(session)
      return new Response('ok')
    })
    const request = world.jar.request('/', { headers })
    const response = await handler(request)
    return { session: session as Session, response, request }
  }
  const signIn = async (headers: Record<string, string>) => {
    const { response } = await from(headers, (s) => s.login('ann'))
    world.jar.store(response)
  }
  return { from, signIn, ...world }
}

const stores = {
  'in cookies': (_: Clock) => ({}),
  'in a store': (now: Clock) => ({ store: createMemoryStore({ now }) }),
}

for (const [where, createOptions] of Object.entries(stores)) {
  describe(`binding, ${where}`, () => {
    it('costs nothing and stores nothing for visitors without a session', async () => {
      const { from, signIn } = createBound({ userAgent: true }, createOptions)
      await signIn({ 'user-agent': FIREFOX })
      const { sessions } = createBound({ userAgent: true }, createOptions)
      const headers = { 'user-agent': FIREFOX }
      const anonymous = new Request('https://app.example/', { headers })
      expect(await countCrypto(() => sessions.get(anonymous))).toBe(0)
      expect((await from({ 'user-agent': FIREFOX })).session.subject).toBe('ann')
    })

    it('goes by the first 512 characters of an agent', async () => {
      const { from, signIn } = createBound({ userAgent: true }, createOptions)
      const long = `Agent ${'x'.repeat(506)}`
      await signIn({ 'user-agent': `${long}one` })
      expect((await from({ 'user-agent': `${long}two` })).session.subject).toBe('ann')
      expect((await from({ 'user-agent': long.slice(1) })).session.subject).toBe(null)
    })

    it('binds a session that is new, imported or signed in, when it is saved', async () => {
      const { from, jar } = createBound({ userAgent: true }, createOptions)
      jar.store((await from({ 'user-agent': FIREFOX }, (s) => s.set('a', 1))).response)
      expect((await from({ 'user-agent': CURL })).session.status).toBe('invalid')
      expect((await from({ 'user-agent': FIREFOX })).session.get('a')).toBe(1)
    })

    it('lets the same browser through, also after an update', async () => {
      const { from, signIn } = createBound({ userAgent: true }, createOptions)
      await signIn({ 'user-agent': FIREFOX })
      for (const agent of [FIREFOX, UPDATED]) {
        const { session } = await from({ 'user-agent': agent })
        expect([session.status, session.subject]).toEqual(['active', 'ann'])
      }
    })

    it('gives another client nothing, and leaves the cookie alone', async () => {
      const { from, signIn, sessions, types } = createBound({ userAgent: true }, createOptions)
      await signIn({ 'user-agent': FIREFOX })
      const { session, response, request } = await from({ 'user-agent': CURL })
      expect([session.status, session.subject, session.data]).toEqual(['invalid', null, {}])
      expect(response.headers.getSetCookie()).toEqual([])
      expect(types()).toContain('session.binding-mismatch')
      const error = await errorOf(() => sessions.require(request))
      expect([error.name, error.code]).toEqual(['SessionBindingError', 'ERR_SESSION_BINDING'])
      expect((await from({ 'user-agent': FIREFOX })).session.subject).toBe('ann')
    })

    it('says what differs: the browser, the address, or both', async () => {
      const ip = (request: Request) => request.headers.get('x-ip') ?? ''
      const binding = { userAgent: true, ip }
      const clock = createClock()
      const options = createOptions(clock)
      const { events, from, jar, signIn } = createBound(binding, () => options, clock)
      await signIn({ 'user-agent': FIREFOX, 'x-ip': '192.0.2.1' })
      // A mark that was made under a former secret counts.
      const secret: [string, string] = [OTHER_SECRET, SECRET]
      const renewed = createWorld({ ...options, binding, secret }, clock)
      for (const [agent, address] of [
        [FIREFOX, '192.0.2.1'],
        [CURL, '192.0.2.1'],
        [FIREFOX, '192.0.2.2'],
        [CURL, '192.0.2.2'],
      ] as const) {
        const headers = { 'user-agent': agent, 'x-ip': address }
        await from(headers)
        await renewed.sessions.get(jar.request('/', { headers }))
      }
      for (const told of [events, renewed.events]) {
        const mismatches = told.filter(({ type }) => type === 'session.binding-mismatch')
        expect(mismatches).toMatchObject([{ by: 'user-agent' }, { by: 'ip' }, { by: 'both' }])
      }
    })

    it('ties a session from before it was switched on to whoever writes it next', async () => {
      const clock = createClock()
      const options = createOptions(clock)
      const before = createWorld(options, clock)
      await before.visit((session) => session.login('ann'))
      const { from, jar } = createBound({ userAgent: true }, () => options, clock)
      jar.store(
        new Response('', { headers: { 'set-cookie': `${before.jar.header()}; Path=/; Secure` } }),
      )
      expect((await from({ 'user-agent': CURL })).session.subject).toBe('ann')
      const { response } = await from({ 'user-agent': FIREFOX }, (session) => session.set('a', 1))
      jar.store(response)
      expect((await from({ 'user-agent': CURL })).session.subject).toBe(null)
      expect((await from({ 'user-agent': FIREFOX })).session.subject).toBe('ann')
    })

    it('steps down if told to, in that request only', async () => {
      const options = { userAgent: true, onMismatch: 'step-down' } as const
      const { from, signIn } = createBound(options, createOptions)
      await signIn({ 'user-agent': FIREFOX })
      const { session } = await from({ 'user-agent': CURL })
      expect([session.subject, session.authenticatedAt]).toEqual(['ann', null])
      const mine = (await from({ 'user-agent': FIREFOX })).session
      expect([mine.subject, typeof mine.authenticatedAt]).toEqual(['ann', 'number'])
    })

    it('steps down if told to, and takes nothing from the client it belongs to', async () => {
      const options = { userAgent: true, onMismatch: 'step-down' } as const
      const { from, signIn, jar } = createBound(options, createOptions)
      await signIn({ 'user-agent': FIREFOX })
      jar.store((await from({ 'user-agent': CURL }, (s) => s.set('a', 1))).response)
      expect((await from({ 'user-agent': CURL })).session.authenticatedAt).toBe(null)
      const mine = (await from({ 'user-agent': FIREFOX })).session
      expect([mine.get('a'), typeof mine.authenticatedAt]).toEqual([1, 'number'])
    })

    it('takes no tag and no actor from a session that another client elevates', async () => {
      const options = { userAgent: true, onMismatch: 'step-down' } as const
      const { from, jar } = createBound(options, createOptions)
      const { response } = await from({ 'user-agent': FIREFOX }, (s) => {
        s.login('ann', { tags: ['admin'], actor: 'bob' })
        s.elevate('otp')
      })
      jar.store(response)
      jar.store((await from({ 'user-agent': CURL }, (s) => s.elevate('passkey'))).response)
      const { session } = await from({ 'user-agent': CURL })
      expect([session.subject, session.actor, session.tags]).toEqual(['ann', 'bob', ['admin']])
      // What the other client had proven is not proven by this one.
      expect(Object.keys(session.factors)).toEqual(['passkey'])
    })

    it('shows its time to the client that signs in, in that request', async () => {
      const options = { userAgent: true, onMismatch: 'step-down' } as const
      const { from, signIn } = createBound(options, createOptions)
      await signIn({ 'user-agent': FIREFOX })
      const { session } = await from({ 'user-agent': CURL }, (s) => {
        expect(s.authenticatedAt).toBe(null)
        s.login('ann')
      })
      expect(typeof session.authenticatedAt).toBe('number')
    })

    it('knows a client by each of its version numbers, however long', async () => {
      const { from, signIn } = createBound({ userAgent: true }, createOptions)
      await signIn({ 'user-agent': 'Browser/9.9' })
      expect((await from({ 'user-agent': 'Browser/110.0.1' })).session.subject).toBe('ann')
      expect((await from({})).session.subject).toBe(null)
    })

    it('may go by the address', async () => {
      const ip = (request: Request) => request.headers.get('cf-connecting-ip')
      const { from, signIn } = createBound({ ip }, createOptions)
      await signIn({ 'cf-connecting-ip': '192.0.2.1' })
      expect((await from({ 'cf-connecting-ip': '192.0.2.1' })).session.status).toBe('active')
      expect((await from({ 'cf-connecting-ip': '192.0.2.2' })).session.status).toBe('invalid')
    })

    it('refuses an address that is no text: every client would have the same', async () => {
      for (const wrong of [undefined, 5, {}, Promise.resolve('192.0.2.1')]) {
        const { from } = createBound({ ip: () => wrong as never }, createOptions)
        const error = await errorOf(() => from({}))
        expect([error instanceof TypeError, error.message]).toEqual([
          true,
          expect.stringMatching(
            /^Option "binding.ip" must be a function that returns a text or null, got /,
          ),
        ])
      }
    })

    it('moves to the client that signs in', async () => {
      const { from, signIn, jar } = createBound({ userAgent: true }, createOptions)
      const { response } = await from({ 'user-agent': FIREFOX }, (s) => s.set('cart', 1))
      jar.store(response)
      await signIn({ 'user-agent': CURL })
      expect((await from({ 'user-agent': CURL })).session.subject).toBe('ann')
      expect((await from({ 'user-agent': FIREFOX })).session.subject).toBe(null)
    })
  })

  describe(`notBefore, ${where}`, () => {
    it('ends the sessions that signed in earlier, and no others', async () => {
      const clock = createClock()
      const limits: Record<string, number> = {}
      const notBefore = (subject: string) => limits[subject] ?? null
      const { sessions, types } = createWorld({ notBefore, ...createOptions(clock) }, clock)
      const signIn = async (subject: string) => {
        const jar = createCookieJar({ now: clock })
        const session = await sessions.open(null)
        session.login(subject)
        const headers = (await sessions.save(session)).map((one) => ['set-cookie', one])
        jar.store(new Response('', { headers: headers as [string, string][] }))
        return jar
      }
      const old = await signIn('ann')
      const bob = await signIn('bob')
      clock.advanceMs(300)
      limits.ann = clock()
      // In the same second: a change of password that keeps this browser signed in.
      const now = await signIn('ann')
      const found = await Promise.all([old, bob, now].map((jar) => sessions.open(jar.header())))
      expect(found.map(({ status }) => status)).toEqual(['expired', 'active', 'active'])
      expect(found[0]?.subject).toBe(null)
      expect(types()).toContain('session.expired')
    })

    it('that fails says nothing about the session', async () => {
      const notBefore = () => Promise.reject(new Error('SELECT secret'))
      const clock = createClock()
      const { visit, jar, types, sessions } = createWorld(
        { notBefore, ...createOptions(clock) },
        clock,
      )
      await visit((s) => s.login('ann'))
      const header = jar.header()
      const { session } = await visit()
      expect([session.status, session.subject, jar.header()]).toEqual(['degraded', null, header])
      const open = await sessions.open(header)
      expect((await errorOf(() => open.set('a', 1))).code).toBe('ERR_STORE_UNAVAILABLE')
      const required = await errorOf(() => sessions.require(jar.request('/')))
      expect(required.code).toBe('ERR_STORE_UNAVAILABLE')
      expect(types()).toContain('store.degraded')
      const strict = createWorld(
        { notBefore, onStoreFailure: 'throw', ...createOptions(clock) },
        clock,
      )
      await strict.visit((s) => s.login('ann'))
      const error = await errorOf(() => strict.sessions.open(strict.jar.header()))
      expect([error.code, error.message.includes('secret')]).toEqual([
        'ERR_STORE_UNAVAILABLE',
        false,
      ])
    })

    it('that never answers is a failure after storeTimeout', async () => {
      const notBefore = () => new Promise<null>(() => {})
      const clock = createClock()
      const options = { notBefore, storeTimeout: 0.01, ...createOptions(clock) }
      const { visit, types } = createWorld(options, clock)
      await visit((s) => s.login('ann'))
      expect((await visit()).session.status).toBe('degraded')
      expect(types()).toContain('store.degraded')
    })

    it('that answers with what is no time is refused, and nobody takes seconds for never', async () => {
      const clock = createClock()
      const seconds = Math.floor(clock() / 1000)
      for (const wrong of [
        seconds,
        1,
        Number.NaN,
        '2026-11-28',
        String(clock()),
        new Date(),
        true,
        {},
      ]) {
        const notBefore = () => wrong as never
        const { visit } = createWorld({ notBefore, ...createOptions(clock) }, clock)
        await visit((s) => s.login('ann'))
        const error = await errorOf(() => visit())
        expect([wrong, error instanceof TypeError, error.message]).toEqual([
          wrong,
          true,
          expect.stringMatching(
            /^Option "notBefore" must be a function that returns epoch milliseconds, or null, got /,
          ),
        ])
      }
      for (const never of [null, 0]) {
        const { visit } = createWorld({ notBefore: () => never, ...createOptions(clock) }, clock)
        await visit((s) => s.login('ann'))
        expect((await visit()).session.subject).toBe('ann')
      }
    })

    it('that knows nothing of a user ends nothing', async () => {
      const clock = createClock()
      const unknown = async (): Promise<never> => undefined as never
      const { visit } = createWorld({ notBefore: unknown, ...createOptions(clock) }, clock)
      await visit((s) => s.login('ann'))
      expect((await visit()).session.subject).toBe('ann')
    })

    it('that fails because the client has gone is no failure of a store', async () => {
      const clock = createClock()
      const client = new AbortController()
      const notBefore = async (): Promise<never> => {
        client.abort(new Error('gone'))
        throw new Error('the query was cancelled')
      }
      const { visit, jar, sessions, types } = createWorld(
        { notBefore, ...createOptions(clock) },
        clock,
      )
      await visit((s) => s.login('ann'))
      const before = types()
      const request = new Request(jar.request('/'), { signal: client.signal })
      expect((await errorOf(() => sessions.get(request))).message).toBe('gone')
      expect(types()).toEqual(before)
    })

    it('applies to imported sessions, on their first visit too', async () => {
      const clock = createClock()
      const aged = { createdAt: clock() - 9000 }
      for (const [age, limit, status] of [
        [aged, clock() - 5000, 'expired'],
        [aged, clock() - 10_000, 'active'],
        // Of unknown age.
        [{}, clock() - 10_000, 'expired'],
        [{}, null, 'active'],
      ] as const) {
        const old: CookieImporter = {
          name: 'old',
          read: async () => ({ data: {}, subject: 'ann', ...age, remove: ['old'] }),
        }
        const options: Partial<SessionsOptions> = {
          notBefore: () => limit,
          importFrom: [old],
          ...createOptions(clock),
        }
        const { sessions } = createWorld(options, clock)
        const session = await sessions.open('old=1')
        const subject = status === 'active' ? 'ann' : null
        expect([session.status, session.subject]).toEqual([status, subject])
        expect((await sessions.save(session)).length).toBe(subject ? 2 : 0)
        if (options.store) expect((await sessions.list('ann')).length).toBe(subject ? 1 : 0)
      }
    })

    it('is not asked about visitors', async () => {
      let calls = 0
      const notBefore = () => {
        calls++
        return null
      }
      const clock = createClock()
      const { visit } = createWorld({ notBefore, ...createOptions(clock) }, clock)
      await visit((s) => s.set('a', 1))
      await visit()
      expect(calls).toBe(0)
    })
  })
}

describe('a cookie that was replaced long ago', () => {
  const create = (onReuse?: 'report' | 'revoke') => {
    const clock = createClock()
    const store = createMemoryStore({ now: clock })
    const world = createWorld({ store, renewAfter: 60, ...(onReuse && { onReuse }) }, clock)
    return { ...world, clock }
  }

  it('opens nothing: superseded for 30 seconds, then missing and reported as reused', async () => {
    const { visit, sessions, jar, clock, types } = create()
    await visit((s) => s.set('cart', 1))
    const stolen = jar.header()
    await visit((s) => s.login('ann'))
    clock.advance(29)
    const soon = await sessions.open(stolen)
    expect([soon.status, soon.subject, soon.data]).toEqual(['superseded', null, {}])
    expect(types()).not.toContain('session.reused')
    clock.advance(1)
    const late = await sessions.open(stolen)
    expect([late.status, late.subject]).toEqual(['missing', null])
    expect(types()).toContain('session.reused')
    expect((await visit()).session.subject).toBe('ann')
  })

  it('ends the session if told to', async () => {
    const { visit, sessions, jar, clock } = create('revoke')
    await visit((s) => s.login('ann'))
    const stolen = jar.header()
    await visit((s) => s.regenerate())
    clock.advance(31)
    expect((await sessions.open(stolen)).status).toBe('missing')
    expect((await visit()).session.status).toBe('missing')
  })

  it('is not suspected of overlapping renewals', async () => {
    const { visit, sessions, jar, clock, types } = create('revoke')
    await visit((s) => s.login('ann'))
    clock.advance(61)
    const header = jar.header()
    const both = [await sessions.open(header), await sessions.open(header)]
    const cookies: string[][] = []
    for (const session of both) {
      cookies.push(await sessions.save(session))
      clock.advance(2)
    }
    clock.advance(50)
    for (const [setCookie = ''] of cookies) {
      const session = await sessions.open(setCookie.split(';')[0] ?? '')
      expect(session.status).toBe('active')
    }
    expect(types()).not.toContain('session.reused')
  })
})

describe('the guards', () => {
  it('cost nothing where they are not used', async () => {
    const sessions = createSessions({ secret: SECRET })
    expect((await sessions.open(null)).status).toBe('new')
  })

  it('are checked when they are configured', async () => {
    const wrong = [
      { binding: 1 },
      { notBefore: 1 },
      { onReuse: 'ignore' },
      { seal: 'none' },
      { compress: {} },
    ]
    for (const options of wrong) {
      const error = await errorOf(() => createWorld(options as never))
      expect(error.message).toContain(`"${Object.keys(options)[0]}`)
    }
  })
})
