import '../support/next-scope.ts'
import { redirect } from 'next/navigation.js'
import { NextRequest } from 'next/server.js'
import { describe, expect, it } from 'vitest'
import { getSession, handler, withSession } from '../../src/adapters/next.ts'
import { sessionProxy } from '../../src/adapters/next-proxy.ts'
import { createSessions, generateSecret } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createClock, createDeviceBrowser } from '../../src/testing/index.ts'
import { runInNext } from '../support/next-scope.ts'
import { adapters, type Visit } from './every-adapter.ts'

describe.each(adapters)('$name', ({ serve }) => {
  it('a sign-in binds the session to the device, whose requests the application does not see', async () => {
    const clock = createClock(Date.now())
    const sessions = createSessions({
      secret: generateSecret(),
      store: createMemoryStore({ now: clock }),
      deviceBound: { enforce: 'always' },
      now: clock,
    })
    const seen: string[] = []
    const app = serve(sessions, async ({ request, session }: Visit) => {
      const { pathname } = new URL(request.url)
      seen.push(pathname)
      const current = await session()
      if (pathname === '/login') current.login('ada')
      if (pathname === '/logout') current.destroy()
      return new Response(`${current.subject} ${current.bound}`)
    })
    const browser = createDeviceBrowser({ now: clock })
    const read = async (path: string) => (await browser.fetch(app, path)).text()
    await read('/login')
    expect(await read('/')).toBe('ada true')
    const before = browser.jar.header()!
    clock.advance(3600)
    expect(await read('/')).toBe('ada true')
    const copy = await app(new Request('https://example.com/', { headers: { cookie: before } }))
    expect(await copy.text()).toBe('null false')
    await read('/logout')
    expect(await read('/')).toBe('null null')
    expect(browser.bound.size).toBe(0)
    expect(seen).toEqual(['/login', '/', '/', '/', '/logout', '/'])
    expect(browser.asked.map(({ path, status }) => `${status} ${path}`)).toEqual([
      '200 /device-bound/register',
      '403 /device-bound/refresh',
      '200 /device-bound/refresh',
      '200 /device-bound/refresh',
    ])
  })

  it('the response of a sign-in asks for the key, and keeps each cookie and header of the application', async () => {
    const sessions = createSessions({
      secret: generateSecret(),
      store: createMemoryStore(),
      deviceBound: true,
    })
    const app = serve(sessions, async ({ session }: Visit) => {
      const current = await session()
      current.login('ada')
      const headers = new Headers({ link: '</a>; rel=preload, </b>; rel=preload' })
      for (const cookie of ['theme=dark; Path=/', 'lang=en; Path=/']) {
        headers.append('set-cookie', cookie)
      }
      return new Response('ok', { headers })
    })
    const { headers } = await app(new Request('https://example.com/login', { method: 'POST' }))
    const own = headers.getSetCookie().filter((one) => /^(theme|lang)=/.test(one))
    expect(headers.get('secure-session-registration')).not.toBe(null)
    expect(own.sort()).toEqual(['lang=en; Path=/', 'theme=dark; Path=/'])
    expect(headers.get('link')).toBe('</a>; rel=preload, </b>; rel=preload')
  })
})

describe('Next', () => {
  it.each([
    ['an action', false],
    ['an action, and a redirect', true],
    ['a route handler that redirects', 'handler'],
  ] as const)('%s signs in, and the page after it asks for the key', async (_, how) => {
    const clock = createClock(Date.now())
    const sessions = createSessions({
      secret: generateSecret(),
      store: createMemoryStore({ now: clock }),
      deviceBound: { enforce: 'always' },
      now: clock,
    })
    const signIn = async (): Promise<Response> => {
      await withSession(sessions)((session) => {
        session.login('ada')
        if (how) redirect('/account')
      })
      return new Response('signed in')
    }
    const route = handler(sessions)(async (request) => {
      const session = await sessions.get(request)
      session.login('ada')
      redirect('/account')
    })
    const proxy = sessionProxy(sessions)
    const app = async (request: Request): Promise<Response> => {
      if (!request.url.endsWith('/login')) return proxy(new NextRequest(request))
      return runInNext(request, async (own) => {
        try {
          return await (how === 'handler' ? route(own) : signIn())
        } catch {
          // Next itself turns it into a response.
          return new Response(null, { status: 303, headers: { location: '/account' } })
        }
      })
    }
    const browser = createDeviceBrowser({ now: clock })
    await browser.fetch(app, '/login')
    expect(browser.asked).toEqual([])
    await browser.fetch(app, '/account')
    expect(browser.asked.map(({ path }) => path)).toEqual(['/device-bound/register'])
    clock.advance(3600)
    await browser.fetch(app, '/account')
    expect((await sessions.open(browser.jar.header())).bound).toBe(true)
    expect(browser.asked).toHaveLength(3)
  })

  it('a copied cookie writes nothing with enforce "writes", in an action as anywhere', async () => {
    const clock = createClock(Date.now())
    const sessions = createSessions({
      secret: generateSecret(),
      store: createMemoryStore({ now: clock }),
      deviceBound: { enforce: 'writes' },
      now: clock,
    })
    const browser = createDeviceBrowser({ now: clock })
    const signIn = sessions.handler(async (request) => {
      ;(await sessions.get(request)).login('ada')
      return new Response()
    })
    await browser.fetch(signIn, '/login')
    const cookie = String(browser.jar.header())
    clock.advance(3600)
    const seen: unknown[] = []
    const act = (headers: Record<string, string>, use = withSession(sessions)) =>
      runInNext(
        new Request('https://example.com/', { method: 'POST', headers: { cookie, ...headers } }),
        async () => {
          seen.push((await getSession(sessions)).subject)
          await use((session) => {
            seen.push(session.subject)
            session.set('n' as never, 1 as never)
          })
          return new Response()
        },
      )
    await act({ 'next-action': '40ab' })
    await act({ 'content-type': 'multipart/form-data; boundary=x' })
    await act({ 'content-type': 'application/x-www-form-urlencoded' })
    expect(seen).toEqual([null, null, null, null, null, null])
    expect((await sessions.open(cookie)).data).toEqual({})
  })
})
