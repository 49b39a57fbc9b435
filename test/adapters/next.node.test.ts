import { NextRequest } from 'next/server.js'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import {
  getSession,
  handler,
  type PageRequirements,
  requireSession,
  sessionProxy,
  withSession,
} from '../../src/adapters/next.ts'
import { createSessions, type Session, type SessionEvent, type Sessions } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createClock, createCookieJar, createFaultyStore } from '../../src/testing/index.ts'
import { errorOf, SECRET } from '../support/sessions.ts'

/** Next's request, as far as the adapter asks: its headers, its cookies, and where it is. */
const next = vi.hoisted(() => ({
  headers: new Headers(),
  /** What this request has set, decoded; an empty value is one that it has removed. */
  jar: new Map<string, string>(),
  place: 'action' as 'action' | 'component' | 'route',
  refreshed: 0,
}))

vi.mock('next/headers.js', () => ({
  headers: async () => next.headers,
  cookies: async () => ({
    getAll() {
      const { cookies } = new NextRequest('http://localhost', { headers: next.headers })
      for (const [name, value] of next.jar) cookies.set(name, value)
      return cookies.getAll()
    },
    set({ name, value }: { name: string; value?: string }) {
      if (next.place === 'component') throw new Error('Cookies can only be modified in')
      next.jar.set(name, value ?? '')
    },
  }),
}))
vi.mock('next/cache.js', () => ({
  refresh() {
    if (next.place !== 'action') throw new Error('refresh can only be called from within')
    next.refreshed++
  },
}))

const FLASH = 'x-sojourn-flash'
const SEALED = 'x-middleware-request-x-sojourn-flash'

/** Sends the cookies through the proxy, which may change them. */
async function throughProxy(sessions: Sessions): Promise<Headers> {
  // What an action has removed, Next still lists; a browser sends it no more.
  const sent = [...next.jar].filter(([, value]) => value)
  const cookie = sent.map((pair) => pair.join('=')).join('; ')
  const request = new NextRequest('https://example.com/', { headers: { cookie } })
  const { headers } = await sessionProxy(sessions)(request)
  for (const line of headers.getSetCookie()) {
    const [, name = '', value = ''] = /^([^=]*)=([^;]*)/.exec(line) ?? []
    if (value) next.jar.set(name, value)
    else next.jar.delete(name)
  }
  return headers
}

beforeEach(() => {
  next.headers = new Headers()
  next.jar.clear()
  next.place = 'action'
  next.refreshed = 0
})

describe('withSession()', () => {
  it('has the page rendered again when only the store has changed', async () => {
    const sessions = createSessions({ secret: SECRET, store: createMemoryStore() })
    const use = withSession(sessions)
    await use((session) => session.set('n', 1))
    expect(next.refreshed).toBe(0) // The cookie does it.
    await use((session) => session.get('n'))
    expect(next.refreshed).toBe(0)
    await use((session) => session.set('n', 2))
    expect(next.refreshed).toBe(1)
    next.place = 'route'
    await use((session) => session.set('n', 3))
    expect((await getSession(sessions)).get('n')).toBe(3)
  })

  it('says where to write', async () => {
    next.place = 'component'
    const use = withSession(createSessions({ secret: SECRET }))
    const error = await errorOf(() => use((session) => session.set('n', 1)))
    expect(error).toMatchObject({
      code: 'ERR_SESSION_READ_ONLY',
      message: expect.stringMatching(
        /component, in after\(\), or after the action ended: await withSession\(\) in a server action/,
      ),
    })
  })

  it.each<[string, () => Sessions]>([
    ['in cookies', () => createSessions({ secret: SECRET })],
    ['in a store', () => createSessions({ secret: SECRET, store: createMemoryStore() })],
  ])(
    'loses no write of calls side by side or inside of each other: sessions %s',
    async (_, make) => {
      const sessions = make()
      const use = withSession(sessions)
      const wait = () => new Promise((resolve) => setTimeout(resolve, 1))
      await Promise.all([
        use(async (session) => {
          await wait()
          session.set('a', 1)
        }),
        use((session) => session.set('b', 2)),
        // What is called with `withSession` of the same sessions made elsewhere waits too.
        withSession(sessions)((session) => session.set('c', 3)),
      ])
      expect((await getSession(sessions)).data).toEqual({ a: 1, b: 2, c: 3 })

      let late: Promise<void> | undefined
      await use(async (outer) => {
        outer.set('outer', 1)
        await use(async (inner) => {
          expect(inner).toBe(outer)
          await use((innermost) => innermost.login('ann'))
          inner.set('inner', inner.subject)
        })
        // Not awaited, and yet saved with the rest.
        late = use(async (inner) => {
          await wait()
          await use((innermost) => innermost.set('innermost', true))
          inner.set('late', true)
        })
      })
      await late
      const { data, subject } = await getSession(sessions)
      const more = { outer: 1, inner: 'ann', innermost: true, late: true }
      expect([subject, data]).toEqual(['ann', { a: 1, b: 2, c: 3, ...more }])
    },
  )

  it('does not hold up or take along other calls when one fails', async () => {
    const sessions = createSessions({ secret: SECRET })
    const use = withSession(sessions)
    const results = await Promise.allSettled([
      use((session) => {
        session.set('failed', true)
        throw new Error('no')
      }),
      use((session) => session.set('saved', true)),
    ])
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
    expect((await getSession(sessions)).data).toEqual({ saved: true })
    await use(async (session) => {
      await errorOf(() => use(() => Promise.reject(new Error('no'))))
      session.set('after', true)
    })
    expect((await getSession(sessions)).data).toEqual({ saved: true, after: true })
  })

  it('keeps the sessions of two cookies and of two requests apart', async () => {
    const shop = createSessions({ secret: SECRET })
    const admin = createSessions({ secret: SECRET, cookie: { name: '__Host-admin' } })
    await withSession(shop)(async (session) => {
      session.set('of', 'shop')
      await withSession(admin)((other) => other.set('of', 'admin'))
      const here = next.headers
      next.headers = new Headers()
      await withSession(shop)((other) => expect(other).not.toBe(session))
      next.headers = here
    })
    expect((await getSession(shop)).data).toEqual({ of: 'shop' })
    expect((await getSession(admin)).data).toEqual({ of: 'admin' })
  })

  it('is refused for sessions in a header, which Next lets nobody set', async () => {
    const sessions = createSessions({ secret: SECRET, transport: { header: 'x-session' } })
    const error = await errorOf(() => withSession(sessions))
    expect([error.name, error.message]).toEqual([
      'TypeError',
      expect.stringContaining('Option "transport" must be "cookie" for withSession()'),
    ])
    next.headers.set('x-session', 'not one')
    expect((await getSession(sessions)).status).toBe('invalid')
  })

  it('takes a cookie that an action has removed for none', async () => {
    const events: SessionEvent[] = []
    const sessions = createSessions({ secret: SECRET, onEvent: (event) => events.push(event) })
    await withSession(sessions)((session) => session.login('ann'))
    await withSession(sessions)((session) => session.destroy())
    expect((await getSession(sessions)).status).toBe('new')
    expect(events.map(({ type }) => type)).not.toContain('session.invalid')
  })
})

describe('handler()', () => {
  const REDIRECT = Object.assign(new Error('NEXT_REDIRECT'), {
    digest: 'NEXT_REDIRECT;replace;/account;307;',
  })
  const NOT_FOUND = Object.assign(new Error('not found'), {
    digest: 'NEXT_HTTP_ERROR_FALLBACK;404',
  })
  const sessions = createSessions({ secret: SECRET })
  const handle = handler(sessions)
  const request = () => new NextRequest('https://example.com/', { headers: next.headers })
  beforeEach(() => {
    next.place = 'route'
  })

  it('saves before redirect(), and not before notFound() or another error', async () => {
    for (const thrown of [NOT_FOUND, new Error('no')]) {
      const route = handle(async (request) => {
        ;(await sessions.get(request)).login('ann')
        throw thrown
      })
      expect(await errorOf(() => route(request()))).toBe(thrown)
      expect(next.jar.size).toBe(0)
    }
    const route = handle(async (request) => {
      ;(await sessions.get(request)).login('ann')
      throw REDIRECT
    })
    expect(await errorOf(() => route(request()))).toBe(REDIRECT)
    expect((await getSession(sessions)).subject).toBe('ann')
  })

  it('saves before redirect() from withSession() too, and not before notFound()', async () => {
    next.place = 'action'
    for (const [thrown, user] of [
      [NOT_FOUND, null],
      [REDIRECT, 'ann'],
    ] as const) {
      const use = withSession(sessions)((session) => {
        session.login('ann')
        throw thrown
      })
      expect(await errorOf(() => use)).toBe(thrown)
      expect((await getSession(sessions)).subject).toBe(user)
    }
  })

  it('refuses destroy({ clear }) where Next lets nobody set a header, and saves nothing then', async () => {
    const signOut = (session: Session): void => session.destroy({ clear: ['cache'] })
    await withSession(sessions)((session) => session.login('ann'))
    const route = handle(async (request) => {
      signOut(await sessions.get(request))
      throw REDIRECT
    })
    for (const use of [() => withSession(sessions)(signOut), () => route(request())]) {
      expect((await errorOf(use)).message).toMatch(/Clear-Site-Data.*return a Response of 303/)
      expect((await getSession(sessions)).subject).toBe('ann')
    }
  })

  it('gives what is in it to withSession(), and keeps caches from the response', async () => {
    const route = handle(async (request, { id }: { id: number }) => {
      await withSession(sessions)(async (session) => {
        session.set('id', id)
        expect(session).toBe(await sessions.get(request))
      })
      ;(await sessions.get(request)).set('more', true)
      return new Response(null, { headers: { 'cache-control': 'public, max-age=60' } })
    })
    const { headers } = await route(request(), { id: 7 })
    expect(headers.get('cache-control')).toBe('private, no-store')
    expect(headers.getSetCookie().length).toBe(1)
    expect(next.jar.size).toBe(0)
    const { data } = await sessions.open(headers.getSetCookie()[0]?.split(';')[0] as string)
    expect(data).toEqual({ id: 7, more: true })
  })

  it('leaves a response alone whose request used no session', async () => {
    const response = new Response('hello')
    expect(await handle(() => response)(request())).toBe(response)
    expect(await errorOf(() => handle(() => Promise.reject(REDIRECT))(request()))).toBe(REDIRECT)
    expect(next.jar.size).toBe(0)
  })
})

describe('getSession()', () => {
  it('is refused to another client, when sessions are bound to one', async () => {
    const sessions = createSessions({ secret: SECRET, binding: { userAgent: true } })
    next.headers.set('user-agent', 'Firefox/1')
    await withSession(sessions)((session) => session.login('ann'))
    expect((await getSession(sessions)).subject).toBe('ann')
    next.headers.set('user-agent', 'curl/8')
    expect((await getSession(sessions)).subject).toBe(null)
  })

  it('has the messages that wait in cookies while the store is down, each once', async () => {
    const now = createClock()
    const store = createFaultyStore(createMemoryStore({ now }))
    const snapshot = { maxAge: 1, staleIfError: 3600 }
    const sessions = createSessions({ secret: SECRET, store, snapshot, now })
    const notice = async () => (await getSession(sessions)).flash('notice')
    await withSession(sessions)((session) => session.login('ann'))
    now.advance(2)
    store.down()
    for (const text of ['one', 'two']) {
      await withSession(sessions)((session) => session.flash('notice', text))
      expect(await notice()).toBe(text) // In the render after the action.
      next.headers.set(FLASH, (await throughProxy(sessions)).get(SEALED) ?? '')
      expect(await notice()).toBe(undefined)
      next.headers.delete(FLASH)
    }
    await withSession(sessions)((session) => session.flash('notice', 'three'))
    next.headers.set(FLASH, (await throughProxy(sessions)).get(SEALED) ?? '')
    expect(await notice()).toBe('three')
  })

  it('has flash once, though Next dropped the cookie that takes it away, and not ahead', async () => {
    const sessions = createSessions({ secret: SECRET })
    await withSession(sessions)((session) => session.flash('notice', 'hello'))
    const [pair] = [...next.jar].map((one) => one.join('='))
    next.jar.clear()
    const show = async (more = {}) => {
      const sent = { cookie: pair!, ...more }
      const request = new NextRequest('https://example.com/', { headers: sent })
      const { headers } = await sessionProxy(sessions)(request)
      const cookie = headers.get('x-middleware-request-cookie') ?? pair!
      next.headers = new Headers({ cookie, [FLASH]: headers.get(SEALED) ?? '' })
      return (await getSession(sessions)).flash('notice')
    }
    expect(await show({ 'next-router-prefetch': '1' })).toBe(undefined)
    expect(await show()).toBe('hello')
    expect(await show()).toBe(undefined)
  })

  it('shows what the proxy sealed to its own session only, and for a minute', async () => {
    const now = createClock()
    const sessions = createSessions({ secret: SECRET, now })
    const leave = async (name: string): Promise<string> => {
      next.jar.clear()
      await withSession(sessions)((session) => {
        session.login(name)
        session.flash('notice', `hello ${name}`)
      })
      return (await throughProxy(sessions)).get(SEALED) ?? ''
    }
    const notice = async (token: string) => {
      next.headers.set(FLASH, token)
      return (await getSession(sessions)).flash('notice')
    }
    const anns = await leave('ann')
    const bobs = await leave('bob')
    expect(await notice(bobs)).toBe('hello bob')
    expect(await notice(anns)).toBe(undefined)
    now.advance(59)
    expect(await notice(bobs)).toBe('hello bob')
    now.advance(1)
    expect(await notice(bobs)).toBe(undefined)
  })

  it('refuses every method that writes, also one that is added later', async () => {
    const sessions = createSessions({ secret: SECRET })
    const session = (await getSession(sessions)) as never as Record<
      string,
      (...a: unknown[]) => void
    >
    const readOnly = {
      code: 'ERR_SESSION_READ_ONLY',
      message: expect.stringMatching(/getSession\(\) is read-only; call withSession\(\)/),
    }
    const members = Object.getOwnPropertyDescriptors(Object.getPrototypeOf(session))
    const methods = Object.keys(members).filter(
      (name) => members[name]?.value && !['constructor', 'get', 'has'].includes(name),
    )
    expect(methods).toEqual(expect.arrayContaining(['set', 'increment', 'append', 'once']))
    for (const name of methods) {
      const error = await errorOf(() => session[name]?.('key', 'value'))
      expect([name, error]).toEqual([name, expect.objectContaining(readOnly)])
    }
    const assign = () => {
      session.cart = () => {}
    }
    expect(await errorOf(assign)).toMatchObject(readOnly)
    expect(session.flash?.('key')).toBe(undefined)
  })

  it('says outside of a request that there is none', async () => {
    const sessions = createSessions({ secret: SECRET })
    const { headers } = next
    Object.defineProperty(next, 'headers', {
      configurable: true,
      get: () => {
        throw new Error('`headers` was called outside a request scope')
      },
    })
    const expected = {
      code: 'ERR_SESSION',
      message: expect.stringContaining('not as a module loads'),
    }
    expect(await errorOf(() => getSession(sessions))).toMatchObject(expected)
    expect(await errorOf(() => withSession(sessions)(() => {}))).toMatchObject(expected)
    Object.defineProperty(next, 'headers', { configurable: true, writable: true, value: headers })
  })

  it('is no plain object, which React would pass to a client component without a word', async () => {
    const session = await getSession(createSessions({ secret: SECRET }))
    expect(Object.getPrototypeOf(Object.getPrototypeOf(session))).not.toBe(null)
  })
})

describe('the session cookie in Next', () => {
  const now = createClock()
  const sessions = createSessions({ secret: SECRET, now })
  const signIn = async (name: string): Promise<string> => {
    const jar = createCookieJar({ now })
    const answer = sessions.handler(async (request) => {
      ;(await sessions.get(request)).login(name)
      return new Response()
    })
    await jar.fetch(answer, '/')
    return jar.header() ?? ''
  }
  /** Who is signed in for whatever may read or write the session of a request with this header. */
  const usersOf = async (cookie: string): Promise<Record<string, string | null>> => {
    next.headers = new Headers({ cookie })
    const request = new NextRequest('https://example.com/', { headers: { cookie } })
    const routeHandler = (await sessions.get(request)).subject
    const page = (await getSession(sessions)).subject
    let action: string | null = null
    await withSession(sessions)((session) => {
      action = session.subject
      session.set('seen', true)
    })
    const afterAction = (await getSession(sessions)).subject
    next.jar.clear()
    // Sessions of this age are renewed by the proxy, which hands the header on.
    now.advance(9000)
    const { headers } = await sessionProxy(sessions)(
      new NextRequest('https://example.com/', { headers: { cookie } }),
    )
    const handedOn = headers.get('x-middleware-request-cookie') ?? cookie
    const proxy = (await sessions.open(handedOn)).subject
    return { routeHandler, page, action, afterAction, proxy }
  }
  const allAre = (name: string) => ({
    routeHandler: name,
    page: name,
    action: name,
    afterAction: name,
    proxy: name,
  })
  const inside = (cookie: string) => `lang=${encodeURIComponent(`en; ${cookie}`)}`

  it('is never taken from the decoded value of another cookie', async () => {
    const ann = await signIn('ann')
    now.advance(9000)
    const mallory = await signIn('mallory')
    for (const cookie of [`${ann}; ${inside(mallory)}`, `${inside(mallory)}; ${ann}`]) {
      expect(await usersOf(cookie)).toEqual(allAre('ann'))
    }
    next.headers = new Headers({ cookie: inside(mallory) })
    expect((await getSession(sessions)).status).toBe('new')
  })

  it('is never taken from the value of a cookie that the request itself has set', async () => {
    next.jar.set('lang', `en; ${await signIn('mallory')}`)
    expect((await getSession(sessions)).status).toBe('new')
  })

  it('is the one that opens when there are two of its name', async () => {
    const ann = await signIn('ann')
    const garbage = '__Host-session=garbage'
    for (const cookie of [`${ann}; ${garbage}`, `${garbage}; ${ann}`, `${ann}; __Host-session=`]) {
      expect(await usersOf(cookie)).toEqual(allAre('ann'))
    }
  })

  it('may stand beside cookies of any value', async () => {
    const ann = await signIn('ann')
    for (const other of ['name=%E2%82%AC', 'name=%zz', 'name="quoted; text"', 'name', '=name']) {
      expect(await usersOf(`${other}; ${ann}`)).toEqual(allAre('ann'))
    }
  })

  it('reaches the page as the browser sent it, but for what the proxy has changed', async () => {
    const ann = await signIn('ann')
    now.advance(9000)
    const others = 'lang=en%3B%20a%3Db; lang=de; odd=%zz'
    const cookie = `${others}; ${ann}; __Host-session=garbage`
    const request = new NextRequest('https://example.com/', { headers: { cookie } })
    const { headers } = await sessionProxy(sessions)(request)
    const renewed = headers.getSetCookie()[0]?.split(';')[0]
    expect(headers.get('x-middleware-request-cookie')).toBe(`${others}; ${renewed}`)
  })
})

describe('wrong arguments are refused by name', () => {
  const sessions = createSessions({ secret: SECRET })
  const junk = undefined as never
  const calls: Record<string, [call: () => unknown, name: string]> = {
    'withSession, sessions': [() => withSession(junk), 'sessions'],
    'withSession, fn': [() => withSession(sessions)(junk), 'fn'],
    'handler, sessions': [() => handler(junk), 'sessions'],
    'handler, fn': [() => handler(sessions)(junk), 'fn'],
    // As requirements these would be none, and let everybody in who is signed in.
    'requireSession, a function': [
      () => requireSession(sessions, (() => false) as never),
      'requireSession',
    ],
    'requireSession, a promise': [
      () => requireSession(sessions, Promise.resolve({ actor: false }) as never),
      'requireSession',
    ],
  }
  it.each(Object.entries(calls))('%s', async (_what, [call, name]) => {
    const error = await errorOf(call)
    expect([error.name, error.message]).toEqual([
      'TypeError',
      expect.stringMatching(new RegExp(`^(Option|Argument) "${name}" must be .+, got `)),
    ])
  })
})

describe('requireSession()', () => {
  const onMissing = () => {
    throw new Error('NEXT_REDIRECT')
  }

  it('gives the session of who may go on, and sends others away', async () => {
    const sessions = createSessions({ secret: SECRET })
    const messageOf = async (requirements: PageRequirements) =>
      (await errorOf(() => requireSession(sessions, requirements))).message
    expect(await messageOf({ onMissing })).toBe('NEXT_REDIRECT')
    await withSession(sessions)((session) => session.login('ann'))
    expect((await requireSession(sessions, { onMissing, freshWithin: 60 })).subject).toBe('ann')
    await new Promise((resolve) => setTimeout(resolve, 1100))
    expect(await messageOf({ onMissing, freshWithin: 1 })).toBe('NEXT_REDIRECT')
  })

  it('sends who has not proven the factors to another page than visitors, and keeps actors out', async () => {
    const sessions = createSessions({ secret: SECRET, factors: ['passkey', 'totp'] })
    const asked: string[][] = []
    const onStepUp = (missing: string[]) => {
      asked.push(missing)
      throw new Error('NEXT_REDIRECT to /verify')
    }
    const factors = { passkey: 60, totp: 60 }
    const messageOf = async (requirements: PageRequirements) =>
      (await errorOf(() => requireSession(sessions, requirements))).message
    expect(await messageOf({ onMissing, onStepUp, factors })).toBe('NEXT_REDIRECT')
    await withSession(sessions)((session) => session.login('ann'))
    expect(await messageOf({ onMissing, onStepUp, factors })).toBe('NEXT_REDIRECT to /verify')
    expect(asked).toEqual([['passkey', 'totp']])
    expect(await messageOf({ onMissing, factors })).toBe('NEXT_REDIRECT')
    expect(await messageOf({ onStepUp: () => {}, factors })).toContain('lately enough')
    expect(await messageOf({ factors: { paskey: 60 } })).toContain(
      '"requireSession.factors.paskey"',
    )
    await withSession(sessions)((session) => {
      session.elevate('passkey')
      session.elevate('totp')
    })
    const { factors: proven, actor } = await requireSession(sessions, { onMissing, factors })
    expect([Object.keys(proven), actor]).toEqual([['passkey', 'totp'], null])
    await withSession(sessions)((session) => session.login('ann', { actor: 'support-7' }))
    expect((await requireSession(sessions)).actor).toBe('support-7')
    expect((await errorOf(() => requireSession(sessions, { actor: false }))).code).toBe(
      'ERR_SESSION',
    )
  })

  it('says which option is wrong to who is signed in too', async () => {
    const sessions = createSessions({ secret: SECRET })
    await withSession(sessions)((session) => session.login('ann'))
    for (const wrong of [{ onMissing: '/sign-in' }, { freshWithin: 0 }, { unknown: 1 }]) {
      const error = await errorOf(() => requireSession(sessions, wrong as never))
      expect(error.message).toContain(`"requireSession.${Object.keys(wrong)[0]}"`)
    }
  })

  it('says why there is none, where nobody is sent anywhere', async () => {
    const store = createFaultyStore(createMemoryStore())
    const sessions = createSessions({ secret: SECRET, store })
    const codeOf = async (requirements = {}) =>
      (await errorOf(() => requireSession(sessions, requirements))).code
    expect(await codeOf()).toBe('ERR_SESSION_NOT_FOUND')
    expect(await codeOf({ onMissing: () => {} })).toBe('ERR_SESSION_NOT_FOUND')
    await withSession(sessions)((session) => session.login('ann'))
    expect(await codeOf({ allow: () => false, onMissing })).toBe('ERR_SESSION')
    store.down()
    expect(await codeOf({ onMissing })).toBe('ERR_STORE_UNAVAILABLE')
  })
  it('lets onUnavailable answer during an outage, and throws its error if that returns', async () => {
    for (const onStoreFailure of ['degrade', 'throw'] as const) {
      next.jar.clear()
      const store = createFaultyStore(createMemoryStore())
      const sessions = createSessions({ secret: SECRET, store, onStoreFailure })
      await withSession(sessions)((session) => session.login('ann'))
      store.down()
      const backSoon = () => {
        throw new Error('NEXT_REDIRECT to /back-soon')
      }
      const ask = (more: PageRequirements) =>
        errorOf(() => requireSession(sessions, { onMissing, ...more }))
      expect((await ask({ onUnavailable: backSoon })).message).toContain('/back-soon')
      expect((await ask({ onUnavailable: () => {} })).code).toMatch(/^ERR_(STORE|CIRCUIT)/)
      expect((await ask({})).code).toMatch(/^ERR_(STORE|CIRCUIT)/)
    }
  })
})
