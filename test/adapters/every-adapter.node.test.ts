import { describe, expect, it } from 'vitest'
import { requireSession } from '../../src/guard/guard.ts'
import { StoreUnavailableError } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createCookieJar } from '../../src/testing/index.ts'
import { createWorld } from '../support/sessions.ts'
import { adapters, type Route } from './every-adapter.ts'

const ORIGIN = 'https://example.com'
const ask = (path: string, headers: Record<string, string> = {}) =>
  new Request(ORIGIN + path, { headers })
const nameIn = ({ url }: Request) => new URL(url).searchParams.get('as')
const headersOf = ({ headers }: Response) => JSON.stringify([...headers])

/** Responses that a module makes once, with no body that would be used up. */
const constants: Record<string, () => Response> = {
  'a 204': () => new Response(null, { status: 204 }),
  'a 304': () => new Response(null, { status: 304, headers: { 'content-type': 'text/html' } }),
  'an empty 200': () => new Response(null, { headers: { 'cache-control': 'public, max-age=60' } }),
  'a 204 with a type': () =>
    new Response(null, { status: 204, headers: { 'content-type': 'application/json' } }),
  'an empty 200 with a type': () =>
    new Response(null, { headers: { 'content-type': 'text/plain', 'content-length': '0' } }),
  'an empty 401': () => new Response(null, { status: 401, headers: { vary: 'Accept' } }),
  'a redirect': () => new Response(null, { status: 303, headers: { location: '/home' } }),
  'a redirect that cannot be changed': () => Response.redirect(`${ORIGIN}/home`, 302),
}

describe.each(adapters)('$name', ({ serve }) => {
  describe.each([
    ['in cookies', {}],
    ['in a store', { store: createMemoryStore() }],
  ])('a response of everybody, sessions %s', (_, options) => {
    it.each(Object.entries(constants))(
      '%s gives each visitor their own cookie',
      async (_, make) => {
        const { sessions } = createWorld({ ...options, now: Date.now })
        const shared = Object.freeze(make())
        const before = headersOf(shared)
        const fetch = serve(sessions, async ({ request, session }) => {
          const current = await session()
          const name = nameIn(request)
          if (name) current.login(name)
          return shared
        })
        for (const name of ['ann', 'bob']) {
          const [cookie = '', ...more] = (await fetch(ask(`/?as=${name}`))).headers.getSetCookie()
          // Beside it is at most the note of the sign-in.
          expect(more.filter((one) => !/^__Host-session\.n/.test(one))).toEqual([])
          expect((await sessions.open(cookie.split(';')[0] as string)).subject).toBe(name)
          const stranger = await fetch(ask('/'))
          expect(stranger.headers.getSetCookie()).toEqual([])
          expect(stranger.headers.get('vary')).toMatch(/Cookie$/)
          expect(headersOf(shared)).toBe(before)
        }
      },
    )
  })

  it('a response of everybody does not become private with the first who is signed in', async () => {
    const { sessions } = createWorld()
    const shared = new Response(null, { headers: { 'cache-control': 'public, max-age=60' } })
    const jar = createCookieJar()
    const signIn: Route = async ({ session }) => {
      ;(await session()).login('ann')
      return new Response('hello')
    }
    const read: Route = async ({ session }) => {
      await session()
      return shared
    }
    await jar.fetch(serve(sessions, signIn), '/')
    const fetch = serve(sessions, read)
    const hers = await fetch(jar.request('/'))
    expect(hers.headers.get('cache-control')).toBe('private, max-age=60')
    const theirs = await fetch(ask('/'))
    expect(theirs.headers.get('cache-control')).toBe('public, max-age=60')
  })

  it('a response of everybody that a guard answers with gives nobody a cookie of another', async () => {
    const { sessions } = createWorld()
    const no = new Response(null, { status: 401 })
    const guard = requireSession(sessions, { onMissing: () => no })
    const fetch = serve(sessions, async ({ request, session }) => {
      const current = await session()
      const name = nameIn(request)
      if (name) current.set('cart', [name])
      return no
    })
    const guarded = sessions.handler(async (request) => {
      const name = nameIn(request)
      if (name) (await sessions.get(request)).set('cart', [name])
      return (await guard(request)) ?? new Response('in')
    })
    for (const visit of [fetch, guarded]) {
      expect((await visit(ask('/?as=ann'))).headers.getSetCookie()).toHaveLength(1)
      expect((await visit(ask('/'))).headers.getSetCookie()).toEqual([])
    }
    expect([...no.headers]).toEqual([])
  })

  it('a page that reads the session of a visitor is private, also for CDNs alone', async () => {
    const { sessions, jar, visit } = createWorld()
    await visit((session) => session.set('cart', ['tent']))
    const headers = { 'cache-control': 'public, s-maxage=600', 'edge-control': 'max-age=600' }
    const fetch = serve(sessions, async ({ session }) => {
      await session()
      return new Response('page', { headers })
    })
    const hers = (await fetch(jar.request('/'))).headers
    expect([hers.get('cache-control'), hers.get('edge-control')]).toEqual(['private', null])
    const theirs = (await fetch(ask('/'))).headers
    expect(theirs.get('cache-control')).toBe('public, s-maxage=600')
    expect(theirs.get('vary')).toMatch(/Cookie$/)
    const unused = serve(sessions, () => new Response('page', { headers }))
    const { headers: plain } = await unused(jar.request('/'))
    expect([plain.get('vary'), plain.get('edge-control')]).toEqual([null, 'max-age=600'])
  })

  it('a session cookie inside the value of another cookie is none', async () => {
    const { sessions, jar, visit } = createWorld()
    await visit((session) => session.login('mallory'))
    const own = createCookieJar()
    await own.fetch(
      sessions.handler(async (request) => {
        ;(await sessions.get(request)).login('ann')
        return new Response('')
      }),
      '/',
    )
    const fetch = serve(sessions, async ({ session }) => Response.json((await session()).subject))
    const planted = `lang=en%3B%20${encodeURIComponent(jar.header() ?? '')}`
    expect(await (await fetch(ask('/', { cookie: planted }))).json()).toBe(null)
    for (const cookie of [`${planted}; ${own.header()}`, `${own.header()}; ${planted}`]) {
      expect(await (await fetch(ask('/', { cookie }))).json()).toBe('ann')
    }
  })

  it('a session first opened in the body of a stream throws ERR_SESSION_COMMITTED', async () => {
    const { sessions } = createWorld()
    const late = (use: Route): Route => {
      return async (visit) => {
        const body = new ReadableStream({
          async start(controller) {
            // After the response was returned.
            await new Promise((resolve) => setTimeout(resolve, 20))
            const code = await Promise.resolve(use(visit)).then(
              () => 'no error',
              (error) => error.code,
            )
            controller.enqueue(new TextEncoder().encode(code))
            controller.close()
          },
        })
        return new Response(body, { headers: { 'content-type': 'text/plain' } })
      }
    }
    const write: Route = async ({ session }) => {
      ;(await session()).login('ann')
      return new Response('')
    }
    const opensLate = serve(sessions, late(write))
    expect(await (await opensLate(ask('/'))).text()).toBe('ERR_SESSION_COMMITTED')
    const writesLate = serve(sessions, async (visit) => {
      await visit.session()
      return late(write)(visit)
    })
    expect(await (await writesLate(ask('/'))).text()).toBe('ERR_SESSION_COMMITTED')
  })

  it('a change before an error is not saved, and session.uncommitted says so', async () => {
    const { sessions, jar, visit, types, clock } = createWorld()
    await visit((session) => session.set('tries', 1))
    const failing: Route[] = [
      async ({ session }) => {
        ;(await session()).set('tries', 2)
        throw new Error('boom')
      },
      async ({ session }) => {
        ;(await session()).set('tries', 2)
        return new Response('sorry', { status: 500 })
      },
    ]
    for (const route of failing) {
      const before = types().length
      const response = await serve(sessions, route)(jar.request('/')).catch(() => null)
      expect(response?.headers.getSetCookie() ?? []).toEqual([])
      expect(response?.status ?? 500).toBe(500)
      clock.advance(60)
      expect((await visit()).session.get('tries')).toBe(1)
      expect(types().slice(before)).toEqual(['session.uncommitted'])
    }
  })

  it('the page of a commit that failed is for no cache that others share, whatever the page that is not sent said', async () => {
    const memory = createMemoryStore()
    let isDown = false
    const write: typeof memory.write = async (...call) => {
      if (isDown) throw new StoreUnavailableError('down')
      return memory.write(...call)
    }
    const worlds = [createWorld({ store: { ...memory, write } }), createWorld()]
    for (const { jar, sessions, visit } of worlds) {
      await visit((session) => session.login('ann'))
      isDown = true
      const headers = {
        'cache-control': 'public, max-age=600',
        'cdn-cache-control': 'max-age=600',
        'content-length': '4',
      }
      const fetch = serve(sessions, async ({ session }) => {
        ;(await session()).set('letter', 'x'.repeat(6000))
        return new Response('page', { headers })
      })
      // Some leave it to their caller.
      const response = await fetch(jar.request('/')).catch(() => new Response(null))
      const control = response.headers.get('cache-control')
      expect([response.ok && !!response.body, String(control)]).toEqual([
        false,
        expect.not.stringMatching(/public/),
      ])
      expect(response.headers.get('cdn-cache-control')).toBe(null)
      if (control) expect(control).toMatch(/no-store|private/)
      const text = await response.text()
      expect([null, String(text.length)]).toContain(response.headers.get('content-length'))
    }
  })

  it('flash values wait for the page that is shown when one is fetched ahead, or asked by HEAD', async () => {
    const { sessions, jar, visit } = createWorld()
    await visit((session) => session.flash('notice', 'hello'))
    const seen: unknown[] = []
    const fetch = serve(sessions, async ({ session }) => {
      seen.push((await session()).flash('notice'))
      return new Response('page')
    })
    for (const init of [
      { headers: { 'sec-purpose': 'prefetch;prerender' } },
      { method: 'HEAD' },
      {},
      {},
    ]) {
      jar.store(await fetch(jar.request('/', init)))
    }
    expect(seen).toEqual([undefined, undefined, 'hello', undefined])
  })

  it('a sign-in of an inner request survives a change of the outer one', async () => {
    const { sessions, jar, visit } = createWorld()
    await visit((session) => session.set('cart', ['tent']))
    const signIn = serve(sessions, async ({ session }) => {
      ;(await session()).login('ann')
      return new Response('in')
    })
    const fetch = serve(sessions, async ({ request, session }) => {
      const current = await session()
      const cookie = request.headers.get('cookie') ?? ''
      const inner = await signIn(ask('/sign-in', { cookie }))
      current.set('seen', true)
      const headers = inner.headers
        .getSetCookie()
        .map((one) => ['set-cookie', one] as [string, string])
      return new Response('page', { headers })
    })
    const response = await jar.fetch(fetch, '/')
    expect(response.headers.getSetCookie()).toHaveLength(1)
    const { session } = await visit()
    expect([session.subject, session.data]).toEqual(['ann', { cart: ['tent'], seen: true }])
  })

  it('a session that no longer fits breaks no page that only reads', async () => {
    const wide = createWorld({ cookie: { maxChunks: 4 } })
    await wide.visit((session) => session.set('letter', 'x'.repeat(6000)))
    const { clock, jar } = wide
    const { sessions, types } = createWorld({}, clock)
    clock.advance(12 * 3600)
    const fetch = serve(sessions, async ({ session }) =>
      Response.json(String((await session()).get('letter')).length),
    )
    const response = await fetch(jar.request('/'))
    expect([response.status, await response.json()]).toEqual([200, 6000])
    expect(types()).toContain('cookie.too-large')
  })

  it('a sign-out sends Clear-Site-Data where it was asked for', async () => {
    const { jar, sessions, visit } = createWorld()
    await visit((session) => session.login('ann'))
    const fetch = serve(sessions, async ({ session }) => {
      ;(await session()).destroy({ clear: ['cache', 'storage'] })
      return new Response(null, { status: 303, headers: { location: '/' } })
    })
    const { headers } = await fetch(jar.request('/'))
    expect(headers.get('clear-site-data')).toBe('"cache", "storage"')
    expect(headers.getSetCookie()[0]).toMatch(/^__Host-session=; Max-Age=0/)
  })

  it('the status of a page that is left open renews nothing, also where something else reads the session', async () => {
    const { clock, jar, sessions, visit } = createWorld()
    await visit((session) => session.login('ann'))
    clock.advance(20_000)
    const status = sessions.statusHandler()
    const fetch = serve(sessions, async ({ request, session }) => {
      await session()
      return status(request)
    })
    const asked = await fetch(jar.request('/'))
    expect(asked.headers.getSetCookie()).toEqual([])
    expect(asked.headers.get('cache-control')).toContain('no-store')
    expect(await asked.json()).toMatchObject({ signedIn: true, secondsLeft: 66_400 })
    const renewed = await fetch(jar.request('/', { method: 'POST' }))
    expect(renewed.headers.getSetCookie()).toHaveLength(1)
    expect(await renewed.json()).toMatchObject({ secondsLeft: 86_400 })
  })
})
