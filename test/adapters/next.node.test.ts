import { NextRequest } from 'next/server.js'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import {
  getSession,
  type PageRequirements,
  requireSession,
  sessionProxy,
  withSession,
} from '../../src/adapters/next.ts'
import { createSessions, type SessionEvent, type Sessions } from '../../src/index.ts'
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
      message: expect.stringMatching(/component or after\(\).*server action or route handler/),
    })
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

  it('refuses every change', async () => {
    const sessions = createSessions({ secret: SECRET })
    const session = (await getSession(sessions)) as never as Record<
      string,
      (...a: unknown[]) => void
    >
    for (const name of ['set', 'unset', 'update', 'flash', 'login', 'destroy', 'regenerate']) {
      const error = await errorOf(() => session[name]?.('key', 'value'))
      expect([name, error]).toEqual([
        name,
        expect.objectContaining({ code: 'ERR_SESSION_READ_ONLY' }),
      ])
    }
    expect(session.flash?.('key')).toBe(undefined)
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
