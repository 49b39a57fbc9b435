import { NextRequest, NextResponse } from 'next/server.js'
import { describe, expect, it } from 'vitest'
import { type ProxyHandler, sessionProxy } from '../../src/adapters/next-proxy.ts'
import { requireSession } from '../../src/guard/guard.ts'
import type { Session } from '../../src/index.ts'
import { createSessions } from '../../src/index.ts'
import { fromIronSession } from '../../src/migrate/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createClock, createCookieJar, createFaultyStore } from '../../src/testing/index.ts'
import { SECRET } from '../support/sessions.ts'
import frozen from '../vectors/migrate.json' with { type: 'json' }
import { testGuards } from './guarded.ts'

const FLASH = 'x-middleware-request-x-sojourn-flash'
const AHEAD = { 'next-router-prefetch': '1' }

function createProxied(more = {}) {
  const clock = createClock()
  const jar = createCookieJar({ now: clock })
  const sessions = createSessions({ secret: SECRET, now: clock, ...more })
  const visit = (use: (session: Session) => void) =>
    jar.fetch(
      sessions.handler(async (request) => {
        use(await sessions.get(request))
        return new Response()
      }),
      '/',
    )
  /** What the proxy answers to what the browser sends next. */
  const send = async (
    handler?: ProxyHandler,
    headers: Record<string, string> = {},
    { path = '/', method = 'GET' } = {},
  ) => {
    const { url, headers: sent } = jar.request(path, { headers })
    const request = new NextRequest(url, { headers: sent, method })
    const response = await sessionProxy(sessions, handler)(request)
    jar.store(response, '/')
    return response.headers
  }
  return { clock, jar, sessions, visit, send }
}

describe('sessionProxy()', () => {
  it('refuses what are no sessions, and a handler that is no function, before the first request', () => {
    const { sessions } = createProxied()
    for (const wrong of [undefined, null, {}, { secret: SECRET }]) {
      expect(() => sessionProxy(wrong as never)).toThrow(/"sessions" must be createSessions/)
    }
    for (const wrong of [null, {}, '/app']) {
      expect(() => sessionProxy(sessions, wrong as never)).toThrow(/"handler" must be a function/)
    }
  })

  it('leaves requests without a session alone', async () => {
    const { send } = createProxied()
    const headers = await send()
    expect([...headers]).toEqual([['x-middleware-next', '1']])
  })

  it('keeps the request headers that its handler changed', async () => {
    const { send, visit } = createProxied()
    await visit((session) => session.flash('notice', 'hello'))
    const headers = await send((request) => {
      const changed = new Headers(request.headers)
      changed.set('x-nonce', 'n1')
      return NextResponse.next({ request: { headers: changed } })
    })
    expect(headers.get('x-middleware-override-headers')?.split(',')).toEqual(
      expect.arrayContaining(['cookie', 'x-nonce', 'x-sojourn-flash']),
    )
    expect(headers.get('x-middleware-request-x-nonce')).toBe('n1')
  })

  it('goes on without the request headers that its handler took away', async () => {
    const { send, visit } = createProxied()
    await visit((session) => session.flash('notice', 'hello'))
    const headers = await send(() => NextResponse.next({ request: { headers: new Headers() } }))
    expect(headers.get('x-middleware-override-headers')?.split(',').sort()).toEqual([
      'cookie',
      'x-sojourn-flash',
    ])
  })

  it('hands the new cookie to the page of the same request', async () => {
    const { clock, jar, send, visit } = createProxied()
    await visit((session) => session.login('ann'))
    clock.advance(8641)
    const headers = await send()
    expect(headers.getSetCookie().length).toBe(1)
    expect(headers.get('x-middleware-request-cookie')).toBe(jar.header())
  })

  it('hands it on beside the cookies of the request, of which there may be none', async () => {
    const { sessions } = createProxied()
    const proxy = sessionProxy(sessions, async (request) => {
      ;(await sessions.get(request)).set('seen', true)
      return null
    })
    for (const [sent, kept] of [
      ['', ''],
      ['a=b;c=d', 'a=b; c=d; '],
    ] as const) {
      const request = new NextRequest('https://example.com/', { headers: { cookie: sent } })
      const { headers } = await proxy(request)
      const [own] = headers.getSetCookie()[0]!.split(';')
      expect(headers.get('x-middleware-request-cookie')).toBe(kept + own)
    }
  })

  it('takes a cookie that its handler sets for none of its own', async () => {
    const { send } = createProxied()
    const headers = { 'set-cookie': 'theme=dark; Path=/' }
    const own = await send(() => NextResponse.next({ headers }))
    expect([own.getSetCookie(), own.get('x-middleware-override-headers')]).toEqual([
      ['theme=dark; Path=/'],
      null,
    ])
    const { send: sendOn, visit } = createProxied()
    await visit((session) => session.flash('notice', 'hello'))
    const shown = await sendOn(() => NextResponse.next({ headers }))
    expect(shown.get('x-middleware-request-cookie')).not.toContain('theme=dark')
  })

  it('hands on no flash that a client made up', async () => {
    const { send } = createProxied()
    const headers = await send(undefined, { 'x-sojourn-flash': 'forged', 'x-own': '1' })
    expect(headers.get('x-middleware-override-headers')?.split(',')).toEqual(['x-own'])
  })

  it('saves nothing with an answer of 500', async () => {
    const { jar, send, sessions } = createProxied()
    const answer = (status: number) =>
      send(async (request) => {
        ;(await sessions.get(request)).set('seen', true)
        return new Response(null, { status })
      })
    expect((await answer(500)).getSetCookie()).toEqual([])
    expect(jar.header()).toBe(null)
    expect((await answer(404)).getSetCookie()).toHaveLength(1)
  })

  it('answers 503 when the store fails, and passes on what its handler throws', async () => {
    const store = createFaultyStore(createMemoryStore())
    const sessions = createSessions({ secret: SECRET, store })
    const proxy = sessionProxy(sessions, async (request) => {
      ;(await sessions.get(request)).set('seen', true)
      if (request.nextUrl.pathname === '/throws') throw new RangeError('mine')
      return null
    })
    store.down()
    const { headers, status } = await proxy(new NextRequest('https://example.com/'))
    expect([status, headers.has('retry-after')]).toEqual([503, true])
    const thrown = proxy(new NextRequest('https://example.com/throws'))
    await expect(thrown).rejects.toThrow('mine')
  })

  it('redirects to a path of its own, as Next wants an address', async () => {
    const { send } = createProxied()
    const to = (location: string, status = 303) =>
      send(() => new Response(null, { status, headers: location ? { location } : {} }))
    expect((await to('/b/c?d')).get('location')).toBe('https://example.com/b/c?d')
    expect((await to('https://other.example/b/')).get('location')).toBe('https://other.example/b/')
    expect((await to('', 401)).get('location')).toBe(null)
  })

  it.each(['\xa0', '\xa0\t', '\x85', 'x'])(
    'makes no __Host- cookie of one that only looks like it, with %j in front of its name',
    async (blank) => {
      const { jar, sessions } = createProxied()
      const planted = await sessions.open(null)
      planted.login('attacker')
      const [line = ''] = await sessions.save(planted)
      const cookie = `a=b; ${blank}${line.split(';')[0]}`
      expect((await sessions.open(cookie)).status).toBe('new')
      // The handler starts a session, so that the header is written again.
      const proxy = sessionProxy(sessions, async (request) => {
        ;(await sessions.get(request)).set('seen', true)
        return null
      })
      const { url } = jar.request('/')
      const { headers } = await proxy(new NextRequest(url, { headers: { cookie } }))
      const next = await sessions.open(headers.get('x-middleware-request-cookie'))
      expect([next.subject, next.data]).toEqual([null, { seen: true }])
      expect(headers.get('x-middleware-request-cookie')).toContain(cookie)
    },
  )

  it('consumes flash for a page that is shown, once', async () => {
    const { jar, send, visit } = createProxied()
    await visit((session) => session.flash('notice', 'hello'))
    const before = jar.header()
    expect((await send()).get(FLASH)).not.toBe(null)
    expect(jar.header()).not.toBe(before)
    expect((await send()).get(FLASH)).toBe(null)
  })

  it('consumes none for a page that is only fetched ahead, be it guarded or not', async () => {
    const { jar, send, sessions, visit } = createProxied()
    await visit((session) => session.flash('notice', 'hello'))
    const before = jar.header()
    const guard = requireSession(sessions)
    for (const ahead of [AHEAD, { 'sec-purpose': 'prefetch' }]) {
      await send(undefined, ahead)
      await send((request) => guard(request), ahead)
      expect(jar.header()).toBe(before)
    }
    expect((await send()).get(FLASH)).not.toBe(null)
  })

  it('neither renews nor consumes flash for a page that asks for its status', async () => {
    const { clock, jar, send, visit } = createProxied()
    await visit((session) => session.flash('notice', 'hello'))
    clock.advance(20_000)
    const before = jar.header()
    const headers = await send(undefined, { 'sojourn-status': '1' })
    expect([headers.getSetCookie(), jar.header()]).toEqual([[], before])
    expect((await send()).getSetCookie()).toHaveLength(1)
  })

  it('lets files of the build and images pass, unopened and unseen by its handler', async () => {
    const { jar, send, visit } = createProxied()
    await visit((session) => session.flash('notice', 'hello'))
    const before = jar.header()
    const handler = () => NextResponse.redirect('https://example.com/login')
    for (const path of ['/_next/static/chunks/a.js', '/_next/image?url=%2Fa.png&w=64&q=75']) {
      expect([...(await send(handler, {}, { path }))]).toEqual([['x-middleware-next', '1']])
    }
    expect(jar.header()).toBe(before)
    for (const path of ['/_next/statics', '/_next/data/a.json', '/a/_next/static/a.js']) {
      expect((await send(handler, {}, { path })).get('location')).toContain('/login')
    }
  })

  it.each(['POST', 'PUT', 'HEAD'])(
    'leaves renewal, imports and flash of a %s to the action or route handler, but for what it changed itself',
    async (method) => {
      const importFrom = [fromIronSession({ password: frozen.secret, cookieName: 'app' })]
      const { clock, jar, send, sessions, visit } = createProxied({ importFrom })
      const old = { cookie: frozen.cookies.iron }
      expect((await send(undefined, old, { method })).getSetCookie()).toEqual([])
      await visit((session) => session.flash('notice', 'hello'))
      clock.advance(8641)
      const before = jar.header()
      const guard = requireSession(sessions, { allow: () => true })
      for (const handler of [undefined, (request: Request) => guard(request)]) {
        const headers = await send(handler, {}, { method })
        expect([headers.getSetCookie(), headers.get(FLASH)]).toEqual([[], null])
      }
      expect(jar.header()).toBe(before)
      const change = async (request: Request) => {
        ;(await sessions.get(request)).set('seen', true)
        return null
      }
      expect((await send(change, {}, { method })).getSetCookie()).toHaveLength(1)
      const end = async (request: Request) => {
        ;(await sessions.get(request)).destroy()
        return null
      }
      expect((await send(end, {}, { method })).getSetCookie()[0]).toContain('Max-Age=0')
    },
  )

  it('sets nothing that a client sent with a page fetched ahead', async () => {
    const { send } = createProxied()
    const headers = await send(undefined, { ...AHEAD, 'set-cookie': 'evil=1' })
    expect(headers.getSetCookie()).toEqual([])
  })

  it('takes over the cookies of other libraries', async () => {
    const importFrom = [fromIronSession({ password: frozen.secret, cookieName: 'app' })]
    const { send } = createProxied({ importFrom })
    const names = (await send(undefined, { cookie: frozen.cookies.iron })).getSetCookie()
    expect(names.map((one) => one.split('=')[0])).toEqual(['__Host-session', 'app'])
  })

  it.each<[string, () => Response]>([
    ['NextResponse.next()', () => NextResponse.next()],
    ['NextResponse.rewrite()', () => NextResponse.rewrite('https://example.com/b')],
    ['NextResponse.redirect()', () => NextResponse.redirect('https://example.com/b')],
    [
      'a redirect to a path',
      () => new Response(null, { status: 303, headers: { location: '/b' } }),
    ],
    ['Response.redirect(), which is immutable', () => Response.redirect('https://example.com/b')],
    ['an empty 401', () => new Response(null, { status: 401 })],
  ])(
    'gives every request a response of its own when its handler answers with one constant: %s',
    async (_, make) => {
      const constant = Object.freeze(make())
      const before = [...constant.headers]
      const sessions = createSessions({ secret: SECRET })
      const proxy = sessionProxy(sessions, async (request) => {
        const session = await sessions.get(request)
        const user = request.nextUrl.searchParams.get('as')
        if (user) session.login(user)
        return constant
      })
      const send = async (query = '', headers = {}) =>
        await proxy(new NextRequest(`https://example.com/${query}`, { headers }))
      const signedIn = await send('?as=ann')
      expect(signedIn.headers.getSetCookie().length).toBe(1)
      expect(signedIn.headers.get('cache-control')).toBe('private, no-store')
      const cookie = signedIn.headers.getSetCookie()[0]?.split(';')[0] as string
      await send('', { cookie, [FLASH.slice(21)]: 'forged' })
      const stranger = await send()
      expect(stranger.headers.getSetCookie()).toEqual([])
      expect(stranger.headers.get('cache-control')).toBe(null)
      expect(stranger.headers.get('x-middleware-override-headers')).toBe(null)
      expect(stranger.headers.get('vary')).toBe('Cookie')
      expect(stranger.status).toBe(constant.status)
      expect([...constant.headers]).toEqual(before)
    },
  )

  it('hands on the headers that its constant changes, with those of this request alone', async () => {
    const constant = NextResponse.next({ request: { headers: new Headers({ 'x-nonce': 'n1' }) } })
    const { send, visit } = createProxied()
    await visit((session) => session.flash('notice', 'hello'))
    const names = 'x-middleware-override-headers'
    expect((await send(() => constant)).get(names)?.split(',')).toContain('x-sojourn-flash')
    const next = await send(() => constant)
    expect([next.get(names), next.get(FLASH)]).toEqual(['x-nonce', null])
  })

  it('leaves Cache-Control to a page that it sets no cookie for', async () => {
    const { send, sessions, visit } = createProxied()
    await visit((session) => session.login('ann'))
    expect((await send()).get('cache-control')).toBe(null)
    const headers = { 'cache-control': 'public, max-age=60' }
    const own = await send(() => NextResponse.next({ headers }))
    expect(own.get('cache-control')).toBe('public, max-age=60')
    const answered = await send(async (request) => {
      await sessions.get(request)
      return new Response('hello ann', { headers })
    })
    expect(answered.get('cache-control')).toBe('private, max-age=60')
  })

  it('lets no cache give what was decided by the session to somebody else', async () => {
    const { send, sessions } = createProxied()
    const guard = requireSession(sessions)
    const answers: ProxyHandler[] = [
      () => new Response('hello'),
      () => NextResponse.redirect('https://example.com/login'),
      () => undefined,
    ]
    for (const answer of answers) {
      const headers = await send(async (request) => {
        await sessions.get(request)
        return answer(request)
      })
      expect(headers.get('vary')).toBe('Cookie')
    }
    expect((await send((request) => guard(request))).get('vary')).toBe('Cookie')
    expect((await send((request) => guard(request), AHEAD)).get('vary')).toBe('Cookie')
    expect((await send()).get('vary')).toBe(null)
  })
})

testGuards('Next.js, in its proxy', (sessions, requirements, page) => {
  const guard = requireSession(sessions, requirements)
  const proxy = sessionProxy(sessions, (request) => guard(request))
  return async (request) => {
    const response = await proxy(new NextRequest(request))
    return response.headers.has('x-middleware-next') ? page(request) : response
  }
})
