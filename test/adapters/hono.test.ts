import { type Context, Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { hc } from 'hono/client'
import { cors } from 'hono/cors'
import { HTTPException } from 'hono/http-exception'
import { jsx } from 'hono/jsx'
import { renderToReadableStream, Suspense } from 'hono/jsx/streaming'
import { stream } from 'hono/streaming'
import { describe, expect, it } from 'vitest'
import { requireSession, type SessionVariables, session } from '../../src/adapters/hono.ts'
import { returnPath } from '../../src/guard/guard.ts'
import {
  createSessions,
  type Session,
  type Sessions,
  StoreUnavailableError,
} from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createCookieJar, createFaultyStore } from '../../src/testing/index.ts'
import { createWorld, errorOf, SECRET } from '../support/sessions.ts'

interface Data {
  visits: number
}

const sessions = createSessions<Data>({ secret: SECRET })

const app = new Hono()
  .use(session(sessions))
  .get('/', async (c) => {
    const current = await c.var.session()
    current.update('visits', (n = 0) => n + 1)
    return c.text(`visit ${current.get('visits')}`)
  })
  .get('/untouched', (c) => c.text('static', 200, { 'cache-control': 'public' }))
  .get('/redirect', async (c) => {
    ;(await c.var.session()).flash('notice', 'moved')
    return c.redirect('/')
  })
  .get('/plain-redirect', async (c) => {
    ;(await c.var.session()).flash('notice', 'moved')
    return Response.redirect('https://example.com/')
  })
  .get('/stream', async (c) => {
    ;(await c.var.session()).update('visits', (n = 0) => n + 1)
    return stream(c, async (out) => {
      await out.write('one ')
      await out.write('two')
    })
  })
  .get('/cookies', async (c) => {
    c.header('set-cookie', 'theme=dark; Path=/', { append: true })
    ;(await c.var.session()).set('visits', 7)
    c.header('set-cookie', 'lang=en; Path=/', { append: true })
    return c.text('ok')
  })
  .get('/throws', async (c) => {
    ;(await c.var.session()).set('visits', 99)
    throw new Error('boom')
  })
  .get('/forbidden', async (c) => {
    ;(await c.var.session()).set('visits', 99)
    throw new HTTPException(403, { message: 'no' })
  })
  .onError((error, c) =>
    error instanceof HTTPException ? error.getResponse() : c.text(error.message, 500),
  )

const fetch = (request: Request) => app.fetch(request, {})

describe('hono session()', () => {
  it('keeps data from one request to the next', async () => {
    const jar = createCookieJar()
    expect(await (await jar.fetch(fetch, '/')).text()).toBe('visit 1')
    expect(await (await jar.fetch(fetch, '/')).text()).toBe('visit 2')
  })

  it('leaves a route alone that does not use the session', async () => {
    const response = await fetch(new Request('https://example.com/untouched'))
    expect(response.headers.get('cache-control')).toBe('public')
    expect(response.headers.get('vary')).toBe(null)
    expect(response.headers.getSetCookie()).toEqual([])
  })

  for (const path of ['/redirect', '/plain-redirect']) {
    it(`commits with ${path}`, async () => {
      const jar = createCookieJar()
      const response = await jar.fetch(fetch, path)
      expect(response.status).toBe(302)
      expect(response.headers.getSetCookie().length).toBe(1)
    })
  }

  it('commits before a stream starts', async () => {
    const jar = createCookieJar()
    const response = await jar.fetch(fetch, '/stream')
    expect(response.headers.getSetCookie().length).toBe(1)
    expect(await response.text()).toBe('one two')
    expect(await (await jar.fetch(fetch, '/')).text()).toBe('visit 2')
  })

  it('keeps the cookies of others', async () => {
    const response = await fetch(new Request('https://example.com/cookies'))
    const names = response.headers.getSetCookie().map((cookie) => cookie.split('=')[0])
    expect(names).toEqual(['theme', 'lang', '__Host-session'])
  })

  it('commits the request that it was given where bodyLimit() puts another in its place', async () => {
    const app = new Hono()
      .use(session(sessions), bodyLimit({ maxSize: 100 }))
      .post('/', async (c) => {
        const current = await c.var.session()
        current.login(await c.req.text())
        return c.text('signed in')
      })
    const body = new Blob(['ann']).stream()
    const headers = { 'transfer-encoding': 'chunked' }
    const init = { method: 'POST', body, headers, duplex: 'half' } as RequestInit
    const [cookie = ''] = (await app.request('/', init)).headers.getSetCookie()
    expect((await sessions.open(cookie.split(';')[0] as string)).subject).toBe('ann')
  })

  it('commits nothing when a handler throws', async () => {
    const jar = createCookieJar()
    await jar.fetch(fetch, '/')
    expect((await jar.fetch(fetch, '/throws')).status).toBe(500)
    expect((await jar.fetch(fetch, '/forbidden')).status).toBe(403)
    expect(await (await jar.fetch(fetch, '/')).text()).toBe('visit 2')
  })

  it('leaves it to Hono to say that a handler returned no response, and saves nothing', async () => {
    const { sessions, types } = createWorld()
    const app = new Hono()
      .use(session(sessions))
      .get('/', (async (c: Context) => {
        const current = await c.var.session()
        current.set('seen', true)
        c.text('its author forgot to return this')
      }) as never)
      .onError((error, c) => c.text(error.message, 500))
    const response = await app.request('/')
    expect([response.status, await response.text()]).toEqual([
      500,
      expect.stringContaining('Did you forget to return a Response'),
    ])
    expect([response.headers.getSetCookie(), types()]).toEqual([[], ['session.uncommitted']])
  })

  it('lets no cache give the page of an error to somebody else', async () => {
    const pages = new Hono()
      .use(session(sessions))
      .get('/hidden', async (c) => {
        await c.var.session()
        throw new HTTPException(404)
      })
      .get('/other', () => {
        throw new HTTPException(404)
      })
    expect((await pages.request('/hidden')).headers.get('vary')).toBe('Cookie')
    expect((await pages.request('/other')).headers.get('vary')).toBe(null)
  })

  it('makes sessions from the environment once', async () => {
    let made = 0
    const env = { SESSION_SECRET: SECRET }
    const lazy = new Hono<{ Bindings: typeof env }>()
      .use(
        session((c: Context<{ Bindings: typeof env }>) => {
          made++
          return createSessions<Data>({ secret: c.env.SESSION_SECRET })
        }),
      )
      .get('/', async (c) => {
        const current = await c.var.session()
        current.update('visits', (n = 0) => n + 1)
        return c.text(String(current.get('visits')))
      })
    const jar = createCookieJar()
    for (let i = 1; i <= 3; i++) {
      expect(await (await jar.fetch((r) => lazy.fetch(r, env))).text()).toBe(String(i))
    }
    expect(made).toBe(1)
  })

  it('answers 503 by itself when the store fails', async () => {
    const store = createFaultyStore(createMemoryStore())
    const failing = createSessions<Data>({ secret: SECRET, store })
    const shop = new Hono().use(session(failing)).get('/', async (c) => {
      ;(await c.var.session()).set('visits', 1)
      return c.text('ok')
    })
    store.down({
      type: 'throw-before',
      error: new StoreUnavailableError('down', { retryAfter: 3 }),
    })
    const response = await shop.fetch(new Request('https://example.com/'))
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '3'])
  })
})

describe('hono session(), with the rest of Hono', () => {
  it('is told when it runs twice', async () => {
    const twice = new Hono()
      .use(session(sessions))
      .route(
        '/inner',
        new Hono().use(session(sessions)).get('/', (c) => c.text('')),
      )
      .onError((error, c) => c.text(error.message, 500))
    expect(await (await twice.request('/inner')).text()).toContain('session() runs twice')
  })

  it('commits around what app.mount answers', async () => {
    const inner = (request: Request) => new Response(new URL(request.url).pathname)
    const outer = new Hono()
      .use(session(sessions))
      .use(async (c, next) => {
        ;(await c.var.session()).update('visits', (n = 0) => n + 1)
        await next()
      })
      .mount('/other', inner)
    const response = await outer.request('/other/page')
    expect([await response.text(), response.headers.getSetCookie().length]).toEqual(['/page', 1])
  })

  it('commits before JSX streams', async () => {
    const Late = async () => {
      await new Promise((resolve) => setTimeout(resolve, 10))
      return jsx('p', {}, 'late')
    }
    const streaming = new Hono().use(session(sessions)).get('/', async (c) => {
      ;(await c.var.session()).update('visits', (n = 0) => n + 1)
      const page = jsx(Suspense, { fallback: 'soon' }, jsx(Late, {}))
      return c.body(renderToReadableStream(page))
    })
    const response = await streaming.request('/')
    expect(response.headers.getSetCookie().length).toBe(1)
    expect(await response.text()).toContain('<p>late</p>')
  })
})

describe('hono session(), and what was not saved', () => {
  const visit = async (c: { var: { session: () => Promise<Session<Data>> } }) =>
    (await c.var.session()).update('visits', (n = 0) => n + 1)

  it('app.onError sees the session as it was before, and cannot change it', async () => {
    const seen: unknown[] = []
    const failing = new Hono()
      .use(session(sessions))
      .get('/', async (c) => {
        await visit(c)
        return c.text('ok')
      })
      .get('/throws', async (c) => {
        await visit(c)
        throw new Error('boom')
      })
      .onError(async (error, c) => {
        const current = await c.var.session()
        seen.push(current.get('visits'), current === (await c.var.session()))
        const refused = [() => current.set('visits', 9), () => current.flash('a', 1)]
        for (const change of refused) seen.push((await errorOf(change)).code)
        return c.text(error.message, 401)
      })
    const jar = createCookieJar()
    await jar.fetch((request) => failing.fetch(request, {}), '/')
    const response = await jar.fetch((request) => failing.fetch(request, {}), '/throws')
    expect([response.status, response.headers.get('vary')]).toEqual([401, 'Cookie'])
    expect(seen).toEqual([1, true, 'ERR_SESSION_COMMITTED', 'ERR_SESSION_COMMITTED'])
  })

  it.each([
    ['a text', (c: Context) => c.text('too large', 413)],
    ['a Response', () => new Response('too large', { status: 413 })],
  ])(
    'an error of the commit varies by the cookie when app.onError answers with %s',
    async (_, answer) => {
      const large = new Hono()
        .use(session(createSessions<{ letter: string }>({ secret: SECRET })))
        .get('/', async (c) => {
          ;(await c.var.session()).set('letter', 'x'.repeat(9000))
          return new Response('ok')
        })
        .onError((_, c) => answer(c))
      const { status, headers } = await large.request('/')
      expect([status, headers.get('vary'), headers.getSetCookie()]).toEqual([413, 'Cookie', []])
    },
  )

  it.each([
    ['a text', (c: Context) => c.text('sorry', 500)],
    ['a Response', () => new Response('sorry', { status: 500 })],
  ])(
    'the rotation of one session stays when the cookie of another is too large and app.onError answers with %s',
    async (_, answer) => {
      const inner = createWorld({ now: Date.now, store: createMemoryStore() })
      const outer = createWorld({ now: Date.now, cookie: { name: '__Host-outer' } })
      const two = new Hono()
        .use(session(outer.sessions))
        .use(async (c, next) => {
          const current = await c.var.session()
          await next()
          if (c.req.path === '/login') current.set('text', 'x'.repeat(5000))
        })
        .use(session(inner.sessions))
        .get('*', async (c) => {
          const current = await c.var.session()
          current.increment('n')
          if (c.req.path === '/login') current.login('ann')
          return c.text('ok')
        })
        .onError((_, c) => answer(c))
      const jar = createCookieJar()
      await jar.fetch((request) => two.fetch(request), '/')
      const { status } = await jar.fetch((request) => two.fetch(request), '/login')
      const found = await inner.sessions.open(jar.header())
      expect([status, found.subject, found.get('n')]).toEqual([500, 'ann', 2])
    },
  )

  it('refuses two createSessions of one cookie name on a route, and takes two names', async () => {
    const named = (name: string) => createSessions<Data>({ secret: SECRET, cookie: { name } })
    const nest = async (outer: string, between: string, inner: string) => {
      const innermost = new Hono().use(session(named(inner))).get('/', (c) => c.text('ok'))
      const nested = new Hono()
        .use(session(named(outer)))
        .use(session(named(between)))
        .route('/', innermost)
        .onError((error, c) => c.text(error.message, 500))
      return (await nested.request('/')).text()
    }
    expect(await nest('__Host-a', '__Host-b', '__Host-a')).toContain('session() runs twice')
    expect(await nest('__Host-a', '__Host-b', '__Host-c')).toBe('ok')
  })

  it('keeps a shared cache between it and the handler from the page of a visitor', async () => {
    const cached: [vary: string | null, cacheControl: string | null][] = []
    const pages = new Hono()
      .use(session(sessions))
      .use(async (c, next) => {
        await next()
        cached.push([c.res.headers.get('vary'), c.res.headers.get('cache-control')])
      })
      .get('/', async (c) => {
        await visit(c)
        return c.text('ok')
      })
      .get('/static', (c) => c.text('ok'))
    const jar = createCookieJar()
    const ask = (path: string) => jar.fetch((request) => pages.fetch(request, {}), path)
    for (const path of ['/static', '/', '/']) await ask(path)
    expect(cached).toEqual([
      [null, null],
      ['Cookie', null],
      ['Cookie', 'private'],
    ])
    const { headers } = await ask('/')
    expect(headers.get('cache-control')).toBe('private, no-store')
    expect(headers.get('vary')).toBe('Cookie')
  })

  it('takes sessions that wrap others', async () => {
    const wrapped = { ...createSessions({ secret: SECRET }) }
    const pages = new Hono().use(session(wrapped)).get('/', async (c) => {
      await visit(c)
      return c.text('ok')
    })
    const { headers, status } = await pages.request('/')
    expect([status, headers.get('vary'), headers.getSetCookie().length]).toEqual([200, 'Cookie', 1])
  })

  it('adds to what others say to caches, once, by the header that has the session', async () => {
    const options = { secret: SECRET, transport: { header: 'authorization' } as const }
    for (const [sessions, vary] of [
      [createSessions({ secret: SECRET }), 'Origin, Cookie'],
      [createSessions(options), 'Origin, authorization'],
    ] as const) {
      const pages = new Hono().use(session(sessions)).get('/', async (c) => {
        c.header('vary', 'Origin')
        c.header('cache-control', 'no-transform')
        for (let i = 0; i < 2; i++) await visit(c)
        const { headers } = c.res
        return c.json([headers.get('vary'), headers.get('cache-control')])
      })
      const first = await pages.request('/')
      expect(await first.json()).toEqual([vary, 'no-transform'])
      const [cookie = ''] = first.headers.getSetCookie()
      const token = first.headers.get('authorization') ?? ''
      const again = await pages.request('/', {
        headers: { cookie: cookie.split(';')[0]!, authorization: token },
      })
      expect(await again.json()).toEqual([vary, 'no-transform, private'])
    }
  })

  it('gives handlers the sessions themselves', async () => {
    const all = new Hono()
      .use(session(sessions))
      .get('/', async (c) => c.json(await c.var.sessions.health()))
    expect(await (await all.request('/')).json()).toEqual({ ok: true, ready: true, store: null })
  })
})

describe('hono session(), made from the environment', () => {
  interface Bindings {
    SECRET: string
    STORE?: object
    incoming?: object
  }
  /** How many sessions are made for these environments. */
  const count = async (
    create: (c: Context<{ Bindings: Bindings }>) => Sessions,
    envs: Bindings[],
  ): Promise<number> => {
    const made = new Set<Sessions>()
    const pages = new Hono<{ Bindings: Bindings; Variables: SessionVariables }>()
    pages.use(session(create))
    pages.get('/', (c) => {
      made.add(c.var.sessions)
      return c.text('ok')
    })
    for (const env of envs) {
      const response = await pages.request('/', {}, env)
      expect(response.status).toBe(200)
    }
    return made.size
  }
  const create = (c: Context<{ Bindings: Bindings }>) => createSessions({ secret: c.env.SECRET })

  it('is made once where each request has an environment of its own', async () => {
    const fresh = () => ({ SECRET, incoming: {} })
    expect(await count(create, [fresh(), fresh(), fresh()])).toBe(1)
    expect(
      await count(({ env: { SECRET } }) => createSessions({ secret: SECRET }), [fresh()]),
    ).toBe(1)
    const spread = (c: Context<{ Bindings: Bindings }>) =>
      createSessions({ secret: { ...c.env }.SECRET })
    expect(await count(spread, [{ SECRET }, { SECRET }])).toBe(1)
  })

  it('is made again where a binding that it read differs', async () => {
    const [one, other] = [{}, {}]
    const read = (c: Context<{ Bindings: Bindings }>) => {
      expect('STORE' in c.env).toBe(true)
      return create(c)
    }
    const envs = [one, other, one, other].map((STORE) => ({ SECRET, STORE }))
    expect(await count(read, envs)).toBe(2)
    expect(
      await count(read, [
        { SECRET, STORE: one },
        { SECRET, STORE: one },
      ]),
    ).toBe(1)
    expect(await count(create, envs)).toBe(1)
    const looksFor = (c: Context<{ Bindings: Bindings }>) => {
      expect('STORE' in c.env).toBe(c.env.STORE !== undefined)
      return create(c)
    }
    expect(await count(looksFor, [{ SECRET }, { SECRET }, { SECRET, STORE: one }])).toBe(2)
    expect(await count(create, [{ SECRET }, { SECRET: `another ${SECRET}` }, { SECRET }])).toBe(2)
  })

  it('is called for each request where it reads anything else, such as a tenant', async () => {
    const tenant = (c: Context<{ Bindings: Bindings }>) => {
      expect(c.req.header('host') ?? '').toBe('')
      return create(c)
    }
    expect(await count(tenant, [{ SECRET }, { SECRET }])).toBe(2)
    // A method that needs its context.
    const variable = (c: Context<{ Bindings: Bindings }>) => {
      expect(c.get('tenant' as never)).toBe(undefined)
      return create(c)
    }
    expect(await count(variable, [{ SECRET }, { SECRET }])).toBe(2)
  })

  it('keeps no more than twenty', async () => {
    const secrets = Array.from({ length: 21 }, (_, i) => ({ SECRET: `${SECRET} number ${i}` }))
    expect(await count(create, [...secrets, secrets[20]!])).toBe(21)
    expect(await count(create, [...secrets, secrets[1]!])).toBe(21)
    expect(await count(create, [...secrets, secrets[0]!])).toBe(22)
  })
})

describe('a stream in hono', () => {
  it('ends at the next check once its session was revoked', async () => {
    const inStore = createSessions({ secret: SECRET, store: createMemoryStore() })
    const live = new Hono()
      .use(session(inStore))
      .post('/login', async (c) => {
        ;(await c.var.session()).login('ann')
        return c.text('')
      })
      .get('/events', async (c) => {
        const { subject } = await c.var.session()
        const header = c.req.header('cookie') ?? null
        return stream(c, async (out) => {
          while (subject !== null && (await inStore.open(header)).subject === subject) {
            await out.write('tick ')
            await out.sleep(10)
          }
        })
      })
    const jar = createCookieJar()
    jar.store(await live.fetch(jar.request('/login', { method: 'POST' })))
    const response = await live.fetch(jar.request('/events'))
    setTimeout(() => void inStore.revokeAll('ann'), 50)
    const text = await response.text()
    expect(/^(tick )+$/.test(text)).toBe(true)
    expect(await (await live.fetch(jar.request('/events'))).text()).toBe('')
  })
})

describe('hono requireSession()', () => {
  const guarded = new Hono()
    .use(session(sessions))
    .post('/login', async (c) => {
      ;(await c.var.session()).login('ann')
      return c.redirect(returnPath(c.req.raw), 303)
    })
    .use('/account/*', requireSession({ onMissing: '/login' }))
    .get('/account/:page', async (c) => c.json({ page: c.req.param('page') }))
    .get('/admin', requireSession({ allow: (one) => one.subject === 'root' }), (c) =>
      c.text('admin'),
    )

  it('guards the routes behind it', async () => {
    const jar = createCookieJar()
    const ask = (path: string, accept = 'text/html') =>
      guarded.fetch(jar.request(path, { headers: { accept } }))
    const refused = await ask('/account/orders?page=2')
    expect([refused.status, refused.headers.get('location')]).toEqual([
      303,
      '/login?returnTo=%2Faccount%2Forders%3Fpage%3D2',
    ])
    expect((await ask('/account/orders', 'application/json')).status).toBe(401)
    const login = jar.request(refused.headers.get('location') ?? '', { method: 'POST' })
    const response = await guarded.fetch(login)
    jar.store(response)
    expect(response.headers.get('location')).toBe('/account/orders?page=2')
    expect(await (await ask('/account/orders')).json()).toEqual({ page: 'orders' })
    expect((await ask('/admin')).status).toBe(403)
  })

  it('throws the error of an outage, so that app.onError answers', async () => {
    const store = createFaultyStore(createMemoryStore())
    for (const onStoreFailure of ['degrade', 'throw'] as const) {
      const stored = createSessions({ secret: SECRET, store, onStoreFailure })
      const signed = await stored.open(null)
      signed.login('ann')
      const cookie = (await stored.save(signed))[0]!.split(';')[0]!
      store.down()
      const down = new Hono()
        .use(session(stored))
        .use(requireSession({ onMissing: '/login' }))
        .get('/', (c) => c.text('page'))
        .onError((error, c) =>
          error instanceof StoreUnavailableError ? c.text('back soon', 503) : c.text('boom', 500),
        )
      const response = await down.request('/', { headers: { cookie, accept: 'text/html' } })
      expect([response.status, await response.text()]).toEqual([503, 'back soon'])
      store.up()
    }
  })

  it('comes after cors(), which answers preflights', async () => {
    const api = new Hono()
      .use(cors({ origin: 'https://app.example', credentials: true }))
      .use(session(sessions))
      .use(requireSession())
      .put('/api', (c) => c.text('done'))
    const headers = { origin: 'https://app.example', 'access-control-request-method': 'PUT' }
    const preflight = await api.request('/api', { method: 'OPTIONS', headers })
    expect(preflight.status).toBe(204)
    expect(preflight.headers.get('access-control-allow-methods')).toContain('PUT')
    const { origin } = headers
    const refused = await api.request('/api', { method: 'PUT', headers: { origin } })
    expect(refused.status).toBe(401)
    expect(refused.headers.get('access-control-allow-origin')).toBe(origin)
  })

  it('says what comes before it', async () => {
    const alone = new Hono()
      .use(requireSession())
      .get('/', (c) => c.text(''))
      .onError((error, c) => c.text(error.message, 500))
    expect(await (await alone.request('/')).text()).toContain('app.use(session(...)) before it')
  })

  it('keeps the types of routes for a client', () => {
    const client = hc<typeof guarded>('https://example.com')
    expect(typeof client.account[':page'].$get).toBe('function')
  })
})
