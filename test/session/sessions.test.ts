import { describe, expect, it } from 'vitest'
import { createSessions, type LoginOptions, type Session } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createClock, createCookieJar } from '../../src/testing/index.ts'
import {
  createCountingStore,
  createWorld,
  errorOf,
  OTHER_SECRET,
  SECRET,
} from '../support/sessions.ts'

const NAME = '__Host-session'
/** Seconds. */
const DAY = 86_400

describe('createSessions() with cookies', () => {
  it('stores data from one request to the next', async () => {
    const { visit } = createWorld()
    const seen: unknown[] = []
    for (let i = 0; i < 3; i++) {
      await visit((session) => {
        session.update('visits', (n = 0) => (n as number) + 1)
        seen.push(session.get('visits'))
      })
    }
    expect(seen).toEqual([1, 2, 3])
  })

  it('sets a cookie with safe attributes and nothing else', async () => {
    const { visit } = createWorld()
    const { setCookie } = await visit((session) => session.set('a', 1))
    expect(setCookie.length).toBe(1)
    expect(setCookie[0]?.replace(/=[\w-]+;/, '=token;')).toBe(
      `${NAME}=token; Path=/; HttpOnly; Secure; SameSite=Lax`,
    )
  })

  it('leaves a response alone whose handler did not use the session', async () => {
    const { sessions } = createWorld()
    const original = new Response('static', { headers: { 'cache-control': 'public' } })
    const response = await sessions.handler(() => original)(new Request('https://example.com'))
    expect(response).toBe(original)
    expect([...response.headers.keys()].includes('vary')).toBe(false)
  })

  it('sets no cookie when a visitor is only read', async () => {
    const { visit } = createWorld()
    const { response, session, setCookie } = await visit((s) => s.get('a'))
    expect(setCookie).toEqual([])
    expect(session.status).toBe('new')
    expect(response.headers.get('vary')).toBe('Cookie')
  })

  it('sets no cookie when writing changed nothing', async () => {
    const { visit } = createWorld()
    await visit((session) => session.set('a', { b: [1] }))
    const { setCookie } = await visit((session) => session.set('a', { b: [1] }))
    expect(setCookie).toEqual([])
  })

  it('sets no cookie for a visitor whose value was taken back', async () => {
    const { visit, types } = createWorld()
    const { setCookie } = await visit((session) => {
      session.set('a', 1)
      session.unset('a')
    })
    expect([setCookie, types()]).toEqual([[], []])
  })

  it('stores a session whose values were all unset', async () => {
    const { visit } = createWorld()
    const { session: before } = await visit((session) => session.set('a', 1))
    await visit((session) => session.unset('a'))
    const { session } = await visit()
    expect([session.status, session.id, session.data]).toEqual(['active', before.id, {}])
  })

  it('gives the same session for the same request', async () => {
    const { sessions } = createWorld()
    const request = new Request('https://example.com')
    expect(await sessions.get(request)).toBe(await sessions.get(request))
  })

  it('tells by the status what it found', async () => {
    const { visit, jar, clock, types } = createWorld()
    expect((await visit((s) => s.set('a', 1))).session.status).toBe('new')
    expect((await visit()).session.status).toBe('active')
    clock.advance(86_400)
    expect((await visit()).session.status).toBe('expired')
    expect(types()).toEqual(['session.created', 'session.expired'])
    const other = createWorld({ secret: OTHER_SECRET }, clock)
    const header = jar.header('/')
    expect((await other.sessions.open(header)).status).toBe('invalid')
    expect(other.types()).toEqual(['session.invalid'])
  })

  it('leaves a cookie it cannot open where it is until something is written', async () => {
    const { jar, visit, clock } = createWorld()
    await visit((s) => s.set('a', 1))
    const newer = createWorld({ secret: OTHER_SECRET }, clock)
    const handler = newer.sessions.handler(async (request) => {
      await newer.sessions.get(request)
      return new Response('ok')
    })
    expect((await jar.fetch(handler)).headers.getSetCookie()).toEqual([])
    expect((await visit()).session.get('a')).toBe(1)
  })

  it('throws the reason from require()', async () => {
    const { sessions, visit, jar, clock } = createWorld()
    const codeOf = async (cookie: string | null) => {
      const request = new Request('https://example.com', cookie ? { headers: { cookie } } : {})
      return (await errorOf(() => sessions.require(request))).code
    }
    expect(await codeOf(null)).toBe('ERR_SESSION_NOT_FOUND')
    expect(await codeOf(`${NAME}=forged`)).toBe('ERR_SESSION_ENCRYPTION')
    await visit((s) => s.set('a', 1))
    expect((await sessions.require(jar.request('/'))).get('a')).toBe(1)
    clock.advance(86_400)
    expect(await codeOf(jar.header('/'))).toBe('ERR_SESSION_EXPIRED')
  })

  it('opens and saves without a request', async () => {
    const { sessions, jar } = createWorld()
    const session = await sessions.open(null)
    session.set('a', 1)
    const [cookie] = await sessions.save(session)
    expect(await sessions.save(session)).toEqual([cookie])
    jar.store(new Response(null, { headers: { 'set-cookie': cookie as string } }))
    expect((await sessions.open(jar.header())).get('a')).toBe(1)
  })

  it('refuses changes once the response is committed', async () => {
    const { visit } = createWorld()
    const { session } = await visit((s) => s.set('a', 1))
    expect((await errorOf(() => session.set('a', 2))).code).toBe('ERR_SESSION_COMMITTED')
    expect(session.get('a')).toBe(1)
  })

  it('commits nothing when the handler throws, and passes the error on', async () => {
    const { visit, jar } = createWorld()
    const boom = new Error('boom')
    const error = await errorOf(() =>
      visit((session) => {
        session.set('a', 1)
        throw boom
      }),
    )
    expect(error).toBe(boom)
    expect(jar.cookies('/')).toEqual([])
  })

  it('seals under the first secret and opens under all', async () => {
    const old = createWorld()
    await old.visit((s) => s.set('a', 1))
    const both = createWorld({ secret: [OTHER_SECRET, SECRET] }, old.clock)
    const first = await both.sessions.open(old.jar.header())
    expect(first.get('a')).toBe(1)
    first.set('a', 2)
    const [cookie] = await both.sessions.save(first)
    const onlyNew = createWorld({ secret: OTHER_SECRET }, old.clock)
    expect((await onlyNew.sessions.open((cookie as string).split(';')[0] as string)).get('a')).toBe(
      2,
    )
  })

  it('reseals a cookie of an older secret when it is renewed', async () => {
    const old = createWorld()
    await old.visit((s) => s.set('a', 1))
    const both = createWorld({ secret: [OTHER_SECRET, SECRET] }, old.clock)
    const read = async () => both.sessions.save(await both.sessions.open(old.jar.header()))
    expect(await read()).toEqual([])
    old.clock.advance(8640)
    const [cookie] = await read()
    const onlyNew = createWorld({ secret: OTHER_SECRET }, old.clock)
    expect((await onlyNew.sessions.open((cookie as string).split(';')[0] as string)).get('a')).toBe(
      1,
    )
  })

  it('refuse changes from inside an update, which would be lost', async () => {
    const { visit, sessions } = createWorld()
    const changes: ((session: Session) => void)[] = [
      (session) => session.set('b', 1),
      (session) => session.unset('b'),
      (session) => session.flash('b', 1),
      (session) => session.login('ann'),
      (session) => session.update('b', () => 1),
    ]
    for (const change of changes) {
      const error = await errorOf(() =>
        visit((session) =>
          session.update('a', () => {
            change(session)
            return 1
          }),
        ),
      )
      expect(error.message).toContain('return the new value')
    }
    const session = await sessions.open(null)
    session.update('a', () => session.has('b'))
    expect(session.get('a')).toBe(false)
  })

  it('takes the newest cookie whose session is not over, then the newest', async () => {
    const { sessions, jar, visit, clock } = createWorld()
    const signIn = async (subject: string, idleTimeout: number): Promise<string> => {
      jar.clear()
      await visit((session) => session.login(subject, { idleTimeout }))
      clock.advance(10)
      return jar.header()!
    }
    const cookies = [await signIn('ada', DAY), await signIn('bob', 60), await signIn('cy', 30)]
    const subjects = async (): Promise<unknown[]> =>
      Promise.all(
        [cookies, cookies.toReversed()].map(
          async (all) => (await sessions.open(all.join('; '))).subject,
        ),
      )
    expect(await subjects()).toEqual(['cy', 'cy'])
    clock.advance(25)
    expect(await subjects()).toEqual(['bob', 'bob'])
    clock.advance(40)
    expect(await subjects()).toEqual(['ada', 'ada'])
  })

  it('closes what there is to close', async () => {
    expect(await createWorld().sessions.close()).toBe(undefined)
    const { store } = createCountingStore()
    expect(await createWorld({ store }).sessions.close()).toBe(undefined)
  })

  it('removes the cookie of a destroyed session beside the rest of a former, longer one', async () => {
    const { sessions, jar, visit } = createWorld()
    await visit((session) => session.login('ann'))
    const session = await sessions.open(`${jar.header()}; ${NAME}.1=rest`)
    session.destroy()
    const removed = (await sessions.save(session)).map((one) => one.split(';')[0])
    expect(removed.slice(0, 2).toSorted()).toEqual([`${NAME}.1=`, `${NAME}=`])
  })

  it('separates sessions of other cookie names', async () => {
    const a = createSessions({ secret: SECRET, cookie: { name: '__Host-a' } })
    const b = createSessions({ secret: SECRET, cookie: { name: '__Host-b' } })
    const jar = createCookieJar()
    const both = a.handler(
      b.handler(async (request) => {
        const [first, second] = [await a.get(request), await b.get(request)]
        first.update('n', (n: number = 0) => n + 1)
        second.update('n', (n: number = 10) => n + 10)
        return new Response(`${first.get('n')} ${second.get('n')}`)
      }),
    )
    expect(await (await jar.fetch(both)).text()).toBe('1 20')
    expect(await (await jar.fetch(both)).text()).toBe('2 30')
    expect((await b.open(`__Host-b=${jar.get('__Host-a')}`)).status).toBe('invalid')
  })
})

describe('Session', () => {
  it('hands out deeply frozen values and copies what it is given', async () => {
    const { visit } = createWorld()
    const cart = { items: [{ id: 1 }] }
    await visit((session) => {
      session.set('cart', cart)
      cart.items.push({ id: 2 })
      expect(session.get('cart')).toEqual({ items: [{ id: 1 }] })
    })
    const { session } = await visit()
    const opened = session.get('cart') as typeof cart
    expect((await errorOf(() => opened.items.push({ id: 3 }))) instanceof TypeError).toBe(true)
    expect(Object.isFrozen(session.data)).toBe(true)
  })

  it('knows own keys only', async () => {
    const { visit } = createWorld()
    await visit((session) => {
      expect(session.get('toString')).toBe(undefined)
      expect(session.has('constructor')).toBe(false)
      session.set('__proto__', { polluted: true })
      expect(session.get('__proto__')).toEqual({ polluted: true })
    })
    const { session } = await visit()
    expect(session.get('__proto__')).toEqual({ polluted: true })
    expect(({} as { polluted?: boolean }).polluted).toBe(undefined)
  })

  it('removes keys by unset and by undefined', async () => {
    const { visit } = createWorld()
    await visit((s) => {
      s.set('a', 1)
      s.set('b', 2)
    })
    await visit((s) => {
      s.unset('a')
      s.set('b', undefined)
    })
    expect((await visit()).session.data).toEqual({})
  })

  it('adds to numbers and lists, and to what is not there yet', async () => {
    const { visit } = createWorld()
    await visit((s) => {
      s.set('none', null)
      s.set('nothing', null)
      for (const by of [1, 2.5, -0.5]) s.increment('n', by)
      s.append('list', 'a', 'b')
      s.append('list', ['c'])
      s.increment('none')
      s.append('nothing', 1)
    })
    expect((await visit()).session.data).toEqual({
      n: 3,
      list: ['a', 'b', ['c']],
      none: 1,
      nothing: [1],
    })
  })

  it.each([
    ['to text', (s: Session) => s.increment('text'), '"text": it holds no number'],
    ['to a list', (s: Session) => s.increment('list'), '"list": it holds no number'],
    ['to no list', (s: Session) => s.append('n', 1), '"n": it holds no list'],
    ['NaN', (s: Session) => s.increment('n', Number.NaN), 'finite number'],
    ['text', (s: Session) => s.increment('n', '1' as never), 'finite number'],
    ['infinitely', (s: Session) => s.increment('big', 1.7e308), 'finite number'],
  ])('refuses to add %s, and changes nothing', async (_what, add, message) => {
    const { sessions } = createWorld()
    const session = await sessions.open(null)
    const data = { text: '1', list: [1], n: 1, big: 1.7e308 }
    for (const [key, value] of Object.entries(data)) session.set(key, value)
    const error = await errorOf(() => add(session))
    expect([error instanceof TypeError, error.message.includes(message)]).toEqual([true, true])
    expect(session.data).toEqual(data)
  })

  it('is no session of a page any more once it is destroyed: nothing can be changed', async () => {
    const { sessions } = createWorld()
    const changes: ((session: Session) => unknown)[] = [
      (s) => s.set('a', 1),
      (s) => s.unset('a'),
      (s) => s.update('a', () => 1),
      (s) => s.increment('n'),
      (s) => s.append('list', 1),
      (s) => s.flash('notice', 'bye'),
      (s) => s.login('ann'),
      (s) => s.elevate('otp'),
      (s) => s.tag('a'),
      (s) => s.untag('a'),
      (s) => s.regenerate(),
      (s) => s.bind(),
    ]
    for (const change of changes) {
      const session = await sessions.open(null)
      session.destroy()
      expect((await errorOf(() => change(session))).code).toBe('ERR_SESSION_DESTROYED')
    }
  })

  it('names the path of a value that would not survive', async () => {
    const { sessions } = createWorld()
    const session = await sessions.open(null)
    const error = await errorOf(() => session.set('cart', { items: [{ at: new Date() }] }))
    expect(error.code).toBe('ERR_SESSION_SERIALIZATION')
    expect(error.path).toBe('cart.items[0].at')
  })

  it('shows flash values to the next request only', async () => {
    const { visit } = createWorld()
    await visit((s) => {
      s.flash('notice', 'saved')
      expect(s.flash('notice')).toBe(undefined)
    })
    await visit((s) => {
      expect(s.flash('notice')).toBe('saved')
      expect(s.flash('notice')).toBe(undefined)
    })
    await visit((s) => expect(s.flash('notice')).toBe(undefined))
  })

  it('drops a flash value that the next request did not read', async () => {
    const { visit } = createWorld()
    await visit((s) => s.flash('notice', 'saved'))
    await visit()
    await visit((s) => expect(s.flash('notice')).toBe(undefined))
  })

  it('replaces the credential when a user signs in; id and cart stay', async () => {
    const { visit, clock, types } = createWorld()
    const { session: before } = await visit((s) => s.set('cart', ['book']))
    clock.advance(60)
    const { session } = await visit((s) => s.login('user-1'))
    expect(session.id).toBe(before.id)
    expect(session.rotationId === before.rotationId).toBe(false)
    expect(session.subject).toBe('user-1')
    expect(session.authenticatedAt).toBe(clock())
    expect(session.createdAt).toBe(clock())
    const next = (await visit()).session
    expect(next.get('cart')).toEqual(['book'])
    expect([next.subject, next.id]).toEqual(['user-1', session.id])
    expect(next.rotationId).toBe(session.rotationId)
    expect(types()).toEqual(['session.created', 'session.regenerated', 'session.login'])
  })

  it('does not show one user the data of another, and gives the other one a new id', async () => {
    const { visit } = createWorld()
    const { session: hers } = await visit((s) => {
      s.login('alice')
      s.set('private', 'hers')
    })
    const { session: his } = await visit((s) => {
      s.login('bob')
      s.set('own', 'his')
    })
    expect(his.id === hers.id).toBe(false)
    expect((await visit()).session.data).toEqual({ own: 'his' })
  })

  it('remembers a user with a persistent cookie and longer timeouts', async () => {
    const { visit, clock } = createWorld()
    const { setCookie } = await visit((s) =>
      s.login('u', { persistent: true, idleTimeout: 2_592_000, absoluteTimeout: 31_536_000 }),
    )
    expect(setCookie[0]?.includes('; Max-Age=2592000;')).toBe(true)
    clock.advance(2_591_999)
    expect((await visit()).session.status).toBe('active')
    clock.advance(2_591_999)
    expect((await visit()).session.subject).toBe('u')
  })

  it('replaces the credential with regenerate; everything else stays', async () => {
    const { visit } = createWorld()
    const { session: before } = await visit((s) => s.set('a', 1))
    const { session } = await visit((s) => s.regenerate())
    expect([session.id, session.createdAt]).toEqual([before.id, before.createdAt])
    expect(session.rotationId === before.rotationId).toBe(false)
    expect((await visit()).session.get('a')).toBe(1)
  })

  it('begins with the first credential, also where its first request signs in', async () => {
    const clock = createClock()
    const store = createMemoryStore({ now: clock })
    const { visit } = createWorld({ store }, clock)
    const { session } = await visit((s) => {
      expect(s.status).toBe('new')
      s.regenerate()
      s.login('ann')
      expect([s.status, s.bound]).toEqual(['new', null])
    })
    expect((await store.read(session.id))?.epoch).toMatch(/^1\./)
    const { session: other } = await visit((s) => s.login('bob'))
    expect(other.id).not.toBe(session.id)
    expect((await store.read(other.id))?.epoch).toMatch(/^1\./)
  })

  it.each([
    ['idleTimeout', 0],
    ['label', 'x'.repeat(201)],
    ['label', ['phone']],
    ['label', 5],
  ])('refuses a login with %s %j', async (name, value) => {
    const session = await createWorld().sessions.open(null)
    session.login('ann', { label: 'x'.repeat(200) })
    const error = await errorOf(() => session.login('ann', { [name]: value } as LoginOptions))
    expect(error.message).toContain(`login.${name}`)
  })

  it('replaces the credential once in a request, however often it is asked to', async () => {
    const clock = createClock()
    const store = createMemoryStore({ now: clock })
    const { visit } = createWorld({ store }, clock)
    const { session } = await visit((s) => s.set('a', 1))
    await visit((s) => {
      s.regenerate()
      s.login('ann')
      s.regenerate()
      s.elevate('otp')
    })
    expect((await store.read(session.id))?.epoch).toMatch(/^2\./)
  })

  it('removes the cookie of a destroyed session and refuses further changes', async () => {
    const { visit, jar } = createWorld()
    await visit((s) => s.set('a', 1))
    const { session, setCookie } = await visit((s) => s.destroy())
    expect(setCookie[0]).toBe(`${NAME}=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Lax`)
    // A response that was made before it may still arrive. A note says that the session has ended, for
    // as long as a cookie of it could be good.
    const note = new RegExp(
      `^${NAME}\\.n[\\w-]{4}=[\\w-]{50,100}; Max-Age=86400; Path=/; HttpOnly; Secure; SameSite=Lax$`,
    )
    expect(setCookie.slice(1)).toEqual([expect.stringMatching(note)])
    expect(jar.cookies('/').some(({ name }) => name === NAME)).toBe(false)
    expect(session.status).toBe('destroyed')
    expect(session.data).toEqual({})
    await visit(async (s) => {
      s.set('a', 1)
      s.destroy()
      expect((await errorOf(() => s.set('b', 1))).code).toBe('ERR_SESSION_DESTROYED')
    })
    expect((await visit()).session.status).toBe('new')
  })

  it('shows nothing of itself when printed', async () => {
    const { visit } = createWorld()
    const { session } = await visit((s) => s.set('pin', 'hunter2'))
    expect(JSON.stringify(session)).toBe('{}')
    expect(Object.keys(session)).toEqual([])
  })
})

describe('timeouts', () => {
  it('ends a session exactly when it was idle for too long', async () => {
    const { visit, sessions, jar, clock } = createWorld({ idleTimeout: 600 })
    const { session } = await visit((s) => s.set('a', 1))
    expect(session.expiresAt).toBe(clock() + 600_000)
    clock.advanceMs(599_999)
    expect((await sessions.open(jar.header())).status).toBe('active')
    clock.advanceMs(1)
    expect((await sessions.open(jar.header())).status).toBe('expired')
  })

  it('renews a session in use at most once every renewAfter', async () => {
    const { visit, clock, types } = createWorld({ idleTimeout: 600, renewAfter: 60 })
    await visit((s) => s.set('a', 1))
    clock.advance(59)
    expect((await visit()).setCookie).toEqual([])
    clock.advance(1)
    expect((await visit()).setCookie.length).toBe(1)
    expect((await visit()).setCookie).toEqual([])
    for (let i = 0; i < 20; i++) {
      clock.advance(300)
      expect((await visit()).session.status).toBe('active')
    }
    expect(types().filter((type) => type === 'session.renewed').length).toBe(21)
  })

  it('ends a session when it is too old, whatever was done with it', async () => {
    const { visit, clock } = createWorld({ idleTimeout: 600, absoluteTimeout: 3600 })
    await visit((s) => s.set('n', 0))
    for (let i = 1; i < 12; i++) {
      clock.advance(300)
      await visit((s) => (i % 2 ? s.set('n', i) : s.regenerate()))
    }
    clock.advanceMs(299_999)
    expect((await visit()).session.status).toBe('active')
    clock.advanceMs(1)
    expect((await visit()).session.status).toBe('expired')
  })

  it('lives as long as idleTimeout says, by that option alone', async () => {
    const { visit, clock } = createWorld({ idleTimeout: 30 * DAY })
    const { setCookie } = await visit((session) => session.login('ann', { persistent: true }))
    expect(setCookie[0]).toContain(`; Max-Age=${30 * DAY};`)
    clock.advance(30 * DAY - 1)
    expect((await visit()).session.subject).toBe('ann')
  })

  it('lives as long as the idleTimeout of login says, by that option alone', async () => {
    const { visit, clock } = createWorld()
    const options = { persistent: true, idleTimeout: 30 * DAY }
    const { setCookie } = await visit((session) => session.login('ann', options))
    expect(setCookie[0]).toContain(`; Max-Age=${30 * DAY};`)
    clock.advance(30 * DAY - 1)
    expect((await visit()).session.subject).toBe('ann')
  })

  it('applies an absoluteTimeout that was configured, whatever idleTimeout login asks for', async () => {
    const { visit } = createWorld({ absoluteTimeout: 7 * DAY })
    const logins: [options: LoginOptions, words: RegExp][] = [
      [{ idleTimeout: 30 * DAY }, /"login.idleTimeout" must be at most absoluteTimeout \(604800\)/],
      [
        { idleTimeout: 3 * DAY, absoluteTimeout: 2 * DAY },
        /"login.idleTimeout" must be at most absoluteTimeout \(172800\)/,
      ],
    ]
    for (const [options, words] of logins) {
      const error = await errorOf(() => visit((session) => session.login('ann', options)))
      expect(error.name).toBe('RangeError')
      expect(error.message).toMatch(words)
    }
    const both = { idleTimeout: 30 * DAY, absoluteTimeout: 60 * DAY }
    const { session } = await visit((one) => one.login('ann', both))
    expect(session.expiresAt - session.createdAt).toBe(30_000 * DAY)
  })

  it.each([{ cookie: { maxAge: 3600 } }, { cookie: { maxAge: 3600 }, renewAfter: 3600 }])(
    'stays signed in while active, with a short cookie (%j)',
    async (options) => {
      const { visit, clock, jar } = createWorld(options)
      await visit((session) => session.login('ann'))
      for (let i = 0; i < 30; i++) {
        clock.advance(300)
        expect([i, jar.header() !== null]).toEqual([i, true])
        expect((await visit()).session.subject).toBe('ann')
      }
    },
  )

  it('stays signed in while active, with an idleTimeout of login under renewAfter', async () => {
    const { visit, clock } = createWorld({ renewAfter: 3600 })
    await visit((session) => session.login('ann', { idleTimeout: 1800 }))
    for (let i = 0; i < 10; i++) {
      clock.advance(900)
      expect((await visit()).session.subject).toBe('ann')
    }
  })

  it('lets no cookie outlive its session, nor 400 days', async () => {
    const year = 31_536_000
    const long = createWorld({ idleTimeout: 2 * year, absoluteTimeout: 3 * year })
    const { setCookie } = await long.visit((session) => session.login('ann', { persistent: true }))
    expect(setCookie[0]).toContain('; Max-Age=34560000;')
    for (const cookie of [{}, { maxAge: 5000 }]) {
      const { visit, clock } = createWorld({ cookie, absoluteTimeout: 5000, renewAfter: 1 })
      await visit((session) => session.login('ann', { persistent: true }))
      clock.advance(4000)
      expect((await visit()).setCookie[0]).toContain('; Max-Age=1000;')
    }
  })

  it('ends every session while the clock tells no time', async () => {
    let time = Date.now()
    const sessions = createSessions({ secret: SECRET, now: () => time })
    const session = await sessions.open(null)
    session.login('ann')
    const [setCookie = ''] = await sessions.save(session)
    time = Number.NaN
    expect((await sessions.open(setCookie.split(';')[0] ?? '')).status).toBe('expired')
  })

  it('counts full seconds, also with a clock that moves on between two readings', async () => {
    let time = 1_700_000_000_997
    const sessions = createSessions({ secret: SECRET, now: () => time++ })
    for (let i = 0; i < 4; i++) expect((await sessions.open(null)).createdAt % 1000).toBe(0)
  })

  it('tolerates a clock that is up to an hour behind, and no more', async () => {
    const { visit, sessions, jar, clock } = createWorld()
    await visit((s) => s.set('a', 1))
    clock.advance(-3600)
    expect((await sessions.open(jar.header())).status).toBe('active')
    clock.advance(-1)
    expect((await sessions.open(jar.header())).status).toBe('invalid')
    const fresh = createWorld({}, clock)
    expect((await fresh.sessions.open(jar.header())).status).toBe('invalid')
  })
})

describe('events', () => {
  it('say what happened, not what was tried', async () => {
    const { sessions, types } = createWorld()
    const session = await sessions.open(null)
    session.set('a', 'x'.repeat(5000))
    expect((await errorOf(() => sessions.save(session))).code).toBe('ERR_COOKIE_TOO_LARGE')
    session.set('a', 'fits')
    expect((await sessions.save(session)).length).toBe(1)
    expect(types()).toEqual(['cookie.too-large', 'session.created'])
  })

  it('cannot change the outcome by throwing or rejecting', async () => {
    for (const onEvent of [() => Promise.reject(new Error('late'))]) {
      const { visit } = createWorld({ onEvent: onEvent as () => void })
      expect((await visit((s) => s.set('a', 1))).response.status).toBe(200)
    }
    const { visit } = createWorld({
      onEvent: () => {
        throw new Error('listener')
      },
    })
    expect((await visit((s) => s.set('a', 1))).response.status).toBe(200)
  })
})
