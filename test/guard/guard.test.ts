import { describe, expect, it } from 'vitest'
import { type Requirements, requireSession, returnPath } from '../../src/guard/guard.ts'
import { createCheck, rethrow } from '../../src/guard/requirements.ts'
import { type Session, StoreUnavailableError } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createClock, createFaultyStore } from '../../src/testing/index.ts'
import { createBoundWorld } from '../device-bound/world.ts'
import { createWorld, errorOf } from '../support/sessions.ts'

const PAGE = { accept: 'text/html,application/xhtml+xml' }

function createGuarded(requirements: Requirements, more = {}) {
  const world = createWorld(more)
  const guard = requireSession(world.sessions, requirements)
  const ask = async (path = '/account?tab=1', init: RequestInit = { headers: PAGE }) =>
    guard(world.jar.request(path, init))
  const signIn = () => world.visit((session: Session) => session.login('ann'))
  return { ...world, ask, signIn }
}

describe('requireSession()', () => {
  it('lets through who is signed in', async () => {
    const { ask, signIn } = createGuarded({})
    expect((await ask())?.status).toBe(401)
    await signIn()
    expect(await ask()).toBe(null)
  })

  it('goes by the clock of the sessions, in adapters too', async () => {
    const world = createGuarded({ freshWithin: 600 })
    const { ask, clock, jar, sessions, signIn } = world
    const check = createCheck({ freshWithin: 600 })
    const statuses = async (): Promise<unknown[]> => {
      const request = jar.request('/')
      const refusals = [await ask(), await check(request, () => sessions.get(request))]
      return refusals.map((one) => one?.status ?? null)
    }
    await signIn()
    expect(await statuses()).toEqual([null, null])
    clock.advance(601)
    expect(await statuses()).toEqual([401, 401])
  })

  it('sends browsers to the page to sign in on, and back', async () => {
    const { ask } = createGuarded({ onMissing: '/login' })
    const response = await ask()
    expect([response?.status, response?.headers.get('location')]).toEqual([
      303,
      '/login?returnTo=%2Faccount%3Ftab%3D1',
    ])
    const back = new Request(`https://example.org${response?.headers.get('location')}`)
    expect(returnPath(back)).toBe('/account?tab=1')
  })

  it('answers 401 to scripts', async () => {
    const { ask } = createGuarded({ onMissing: '/login' })
    for (const method of ['GET', 'POST', 'PUT', 'DELETE']) {
      for (const accept of ['application/json', '*/*']) {
        expect((await ask('/api', { method, headers: { accept } }))?.status).toBe(401)
      }
    }
    const unguided = createGuarded({})
    expect((await unguided.ask('/api', { method: 'POST', headers: PAGE }))?.status).toBe(401)
  })

  it.each([
    ['https://example.com/cart?tab=1#top', '/login?returnTo=%2Fcart%3Ftab%3D1'],
    ['https://example.com.evil.example/cart', '/login'],
    ['https://evil.example/cart', '/login'],
    ['https://example.com//evil.example', '/login'],
    ['https://example.com/.//evil.example', '/login'],
    ['https://example.com//', '/login'],
    ['https://example.com/\\', '/login'],
    ['https://example.com/\t/', '/login'],
    ['', '/login'],
  ])('sends who sent a form on %j to sign in, and back to that page', async (referer, location) => {
    const { ask, jar } = createGuarded({ onMissing: '/login' })
    expect(jar.request('/').url).toBe('https://example.com/')
    const response = await ask('/cart/add', { method: 'POST', headers: { ...PAGE, referer } })
    expect([response?.status, response?.headers.get('location')]).toEqual([303, location])
  })

  it.each(['//', '///', '////login', '//evil.example/cart', '//[', '//a:b', '/%'])(
    'sends who asks for the path %s to sign in, like any other',
    async (path) => {
      const { ask } = createGuarded({ onMissing: '/login' })
      const response = await ask(`https://example.com${path}`)
      const back = path === '/%' ? '?returnTo=%2F%25' : ''
      expect([response?.status, response?.headers.get('location')]).toEqual([303, `/login${back}`])
    },
  )

  it.each([
    ['/account.data?tab=1&_routes=root', '/account?tab=1'],
    ['/_root.data', '/'],
    ['/a/_.data', '/a/'],
    ['/account/__data.json?tab=1&x-sveltekit-invalidated=01', '/account?tab=1'],
    ['/__data.json', '/'],
  ])('sends the routers of frameworks there too, who fetch %s', async (path, page) => {
    const { ask } = createGuarded({ onMissing: '/login' })
    const response = await ask(path, { headers: { accept: '*/*' } })
    expect([response?.status, response?.headers.get('location')]).toEqual([
      303,
      `/login?returnTo=${encodeURIComponent(page)}`,
    ])
    expect((await ask(path, { method: 'POST' }))?.headers.get('location')).toBe('/login')
  })

  it('sends the router of Next.js there, with or without what it adds to the address', async () => {
    const { ask } = createGuarded({ onMissing: '/login' })
    for (const path of ['/account?tab=1', '/account?tab=1&_rsc=x1']) {
      const response = await ask(path, { headers: { accept: '*/*', 'next-url': '/' } })
      expect(response?.headers.get('location')).toBe('/login?returnTo=%2Faccount%3Ftab%3D1')
    }
  })

  it.each([
    ['/account?next=https://app.example/x&_rsc=1', '/account?next=https://app.example/x&_rsc=1'],
    ['/account?a=1#https://app.example/x', '/account?a=1'],
  ])('leads back to all of %s', async (path, back) => {
    const { ask } = createGuarded({ onMissing: '/login' })
    const location = (await ask(path))?.headers.get('location')
    expect(returnPath(new Request(`https://example.org${location}`))).toBe(back)
  })

  it('leads back by GET and HEAD only', async () => {
    const guard = requireSession(createWorld().sessions, { onMissing: '/login' })
    for (const [method, location] of [
      ['HEAD', '/login?returnTo=%2Fcart'],
      ['GETAWAY', '/login'],
      ['FORGET', '/login'],
    ] as const) {
      // Not every runtime makes a request of any method; a server's may have one.
      const request = { url: 'https://a.example/cart', method, headers: new Headers(PAGE) }
      const response = await guard(request as Request)
      expect([method, response?.headers.get('location')]).toEqual([method, location])
    }
  })

  it('asks for a fresh sign-in where that matters', async () => {
    const { ask, signIn, clock } = createGuarded({ freshWithin: 300, onMissing: '/login?step=up' })
    await signIn()
    clock.advance(299)
    expect(await ask()).toBe(null)
    clock.advance(1)
    expect((await ask())?.headers.get('location')).toBe(
      '/login?step=up&returnTo=%2Faccount%3Ftab%3D1',
    )
    await signIn()
    expect(await ask()).toBe(null)
  })

  it('goes by the time of the machine, and takes sessions that wrap others', async () => {
    const { jar, sessions, visit } = createWorld({ now: Date.now })
    await visit((session) => session.login('ann'))
    const own = { get: (request: Request) => sessions.get(request) }
    for (const guard of [requireSession(sessions, { freshWithin: 300 }), requireSession(own)]) {
      expect(await guard(jar.request('/'))).toBe(null)
    }
  })

  it('asks the application who may go on', async () => {
    const allow = (session: Session) => session.subject === 'bob'
    const { ask, signIn, visit } = createGuarded({ allow })
    expect((await ask())?.status).toBe(401)
    await signIn()
    expect((await ask())?.status).toBe(403)
    await visit((session) => session.login('bob'))
    expect(await ask()).toBe(null)
  })

  it('takes any live session if told to', async () => {
    const { ask, visit } = createGuarded({ subject: false })
    expect((await ask())?.status).toBe(401)
    await visit((session) => session.set('cart', [1]))
    expect(await ask()).toBe(null)
  })

  it('takes what the request itself has just begun for no session', async () => {
    const { jar, sessions } = createWorld()
    const guard = requireSession(sessions, { subject: false })
    const request = jar.request('/')
    ;(await sessions.get(request)).set('cart', [1])
    expect((await guard(request))?.status).toBe(401)
  })

  it.each(['degrade', 'throw'] as const)(
    'sends nobody to sign in because of an outage, with onStoreFailure "%s"',
    async (onStoreFailure) => {
      const store = createFaultyStore(createMemoryStore())
      const more = { store, onStoreFailure, now: () => Date.now() }
      const { ask, signIn } = createGuarded({ onMissing: '/login' }, more)
      await signIn()
      store.down()
      const response = await ask()
      expect([response?.status, response?.headers.get('retry-after')]).toEqual([503, '1'])
    },
  )

  it('throws whatever else goes wrong, and what "onUnavailable" throws', async () => {
    const fault = new TypeError('a fault of the application')
    const failing = { get: () => Promise.reject(fault) }
    const request = new Request('https://example.com/')
    expect(await errorOf(() => requireSession(failing)(request))).toBe(fault)
    const error = new StoreUnavailableError('down')
    const check = createCheck({ onUnavailable: rethrow })
    expect(await errorOf(() => check(request, () => Promise.reject(error)))).toBe(error)
  })

  it('knows who is signed in where a snapshot outlives the store', async () => {
    const store = createFaultyStore(createMemoryStore())
    const snapshot = { maxAge: 1, staleIfError: 3600 }
    const world = createGuarded({ subject: false }, { store, snapshot })
    const { ask, clock, jar, sessions, signIn, visit } = world
    await visit((session) => session.set('cart', [1]))
    clock.advance(2)
    store.down()
    expect((await visit()).session.status).toBe('degraded')
    expect(await ask()).toBe(null)
    store.up()
    await signIn()
    clock.advance(300)
    store.down()
    // Who it is says the snapshot, and that the sign-in is not fresh: no failure of the store.
    const guard = requireSession(sessions, { freshWithin: 300 })
    expect((await guard(jar.request('/')))?.status).toBe(401)
  })

  it('takes a session of which an outage leaves nothing known for none', async () => {
    const store = createFaultyStore(createMemoryStore())
    const { ask, visit } = createGuarded({ subject: false }, { store, now: () => Date.now() })
    await visit((session) => session.set('cart', [1]))
    expect(await ask()).toBe(null)
    store.down()
    expect((await ask())?.status).toBe(503)
  })

  it('lets everybody see the page to sign in on, so that nobody goes in circles', async () => {
    const { ask } = createGuarded({ onMissing: '/login?from=guard' })
    expect(await ask('/login?returnTo=%2Faccount')).toBe(null)
    expect(await ask('/login', { method: 'POST', headers: PAGE })).toBe(null)
    for (const data of ['/login.data', '/login/__data.json']) expect(await ask(data, {})).toBe(null)
    expect((await ask('/login/more'))?.status).toBe(303)
  })

  it.each(['/login', '/login/', '/login?from=guard'])(
    'has its sign-in page %s open with and without a slash, its data requests too',
    async (onMissing) => {
      const { ask } = createGuarded({ onMissing })
      for (const path of ['/login', '/login/', '/login/?returnTo=%2F']) {
        expect(await ask(path)).toBe(null)
      }
      for (const path of ['/login.data', '/login/_.data', '/login/__data.json']) {
        expect(await ask(path, { headers: { accept: '*/*' } })).toBe(null)
      }
      for (const path of ['/loginx', '/login/more', '/login//', '/', '/account/']) {
        expect((await ask(path))?.status).toBe(303)
      }
    },
  )

  it('has its sign-in page open with and without the data suffix of SvelteKit for .html', async () => {
    const { ask } = createGuarded({ onMissing: '/login.html' })
    expect(await ask('/login.html__data.json', {})).toBe(null)
  })

  it('has its sign-in page open to who is not allowed elsewhere', async () => {
    const { ask, signIn } = createGuarded({ onMissing: '/login', allow: () => false })
    await signIn()
    expect((await ask())?.status).toBe(403)
    expect(await ask('/login')).toBe(null)
  })

  it('leads back from a form behind a proxy that took the TLS off', async () => {
    const guard = requireSession(createWorld().sessions, { onMissing: '/login' })
    const send = async (referer: string) => {
      const headers = { ...PAGE, referer }
      const request = new Request('http://app.example/cart', { method: 'POST', headers })
      return (await guard(request))?.headers.get('location')
    }
    expect(await send('https://app.example/cart?x=1')).toBe('/login?returnTo=%2Fcart%3Fx%3D1')
    for (const other of [
      'https://evil.example/cart',
      'https://app.example:8443/cart',
      'nonsense',
    ]) {
      expect(await send(other)).toBe('/login')
    }
  })

  it('keeps the way back of a form on the sign-in page, which does not grow', async () => {
    const { ask } = createGuarded({ onMissing: '/login' })
    const send = async (page: string) => {
      const headers = { ...PAGE, referer: `https://example.com${page}` }
      return (await ask('/authenticate', { method: 'POST', headers }))?.headers.get('location')
    }
    expect(await send('/login?returnTo=%2Fcart')).toBe('/login?returnTo=%2Fcart')
    expect(await send('/login/?returnTo=%2Fcart')).toBe('/login?returnTo=%2Fcart')
    expect(await send('/login?returnTo=%2F%2Fevil.example')).toBe('/login')
    expect(await send('/login')).toBe('/login')
  })

  it('may answer in its own way', async () => {
    const { ask } = createGuarded({ onMissing: (request) => new Response(request.method) })
    expect(await (await ask())?.text()).toBe('GET')
  })

  it('takes no address for the sign-in page that parsing makes one', async () => {
    const guard = requireSession(createWorld().sessions, {
      onMissing: '/login',
      onStepUp: '/login',
    })
    // Deno hands on the address as it came.
    const ask = async (url: string) =>
      guard({ url, method: 'GET', headers: new Headers(), signal: undefined } as never)
    for (const url of [
      'http://a/admin/../login',
      'http://a/admin/%2e%2e/login',
      'http://a/admin/..\\login',
      'http://a\\login?/admin',
      'http://u@a/login',
      'http://a/lo\tgin',
      '/login',
    ]) {
      expect([303, 401]).toContain((await ask(url))?.status)
    }
    for (const url of ['http://a/login', 'http://A:80/login?', 'https://a:81/login/?x=1#y']) {
      expect(await ask(url)).toBe(null)
    }
  })

  it('lets nobody through whose function answers with nothing', async () => {
    const nothing = () => undefined as never
    const cases: [Requirements, (world: ReturnType<typeof createGuarded>) => unknown][] = [
      [{ onMissing: nothing }, () => {}],
      [{ onMissing: async () => nothing() }, () => {}],
      [{ onStepUp: nothing, factors: { totp: 60 } }, ({ signIn }) => signIn()],
    ]
    for (const [requirements, before] of cases) {
      const world = createGuarded(requirements)
      await before(world)
      const error = await errorOf(() => world.ask())
      expect([error.name, error.message.includes('returns a Response')]).toEqual([
        'TypeError',
        true,
      ])
    }
    for (const onStoreFailure of ['degrade', 'throw'] as const) {
      const store = createFaultyStore(createMemoryStore())
      const { ask, signIn } = createGuarded({ onUnavailable: nothing }, { store, onStoreFailure })
      await signIn()
      store.down()
      expect((await errorOf(ask)).name).toBe('TypeError')
    }
  })

  it('refuses what are no sessions at once', () => {
    for (const none of [undefined, {}, { sessions: {} }]) {
      expect(() => requireSession(none as never)).toThrow('"sessions" must be createSessions(...)')
    }
  })

  it('says what is wrong with its options', async () => {
    for (const wrong of [
      { onMissing: 'login' },
      { onMissing: '//evil' },
      { onMissing: ['/login'] },
      { onUnavailable: '/later' },
      { freshWithin: -1 },
      { x: 1 },
    ]) {
      const error = await errorOf(() => createGuarded(wrong as never))
      expect(error.message).toContain(`requireSession.${Object.keys(wrong)[0]}`)
    }
  })
})

describe('returnPath()', () => {
  it.each([
    'https://evil.example',
    '//evil.example',
    '/\\evil.example',
    '\\\\evil.example',
    'javascript:alert(1)',
    'evil',
    '',
    '/a\nb',
    '/\t/evil.example',
    ' /a',
    '/ä',
    '/.//evil.example',
    '/a/..//evil.example',
    '/%2e//evil.example',
    '/%2E%2e//evil.example',
  ])('is never %j', (to) => {
    const request = new Request(`https://example.org/login?returnTo=${encodeURIComponent(to)}`)
    expect(returnPath(request, '/home')).toBe('/home')
    expect(returnPath(to, '/home')).toBe('/home')
  })

  it('is found in a request, of Node too, in a URL, and in the field of a form', () => {
    const query = '/login?returnTo=%2Fa%3Fb%3Dc'
    const form = new FormData()
    form.set('returnTo', '/a?b=c')
    const found = [
      new Request(`https://example.org${query}`),
      new URL(query, 'https://example.org'),
      `https://example.org${query}`,
      { url: query },
      form.get('returnTo'),
    ]
    expect(found.map((from) => returnPath(from))).toEqual(found.map(() => '/a?b=c'))
  })

  it.each([
    null,
    undefined,
    '',
    { url: '//[' },
    { url: 'http://[' },
    {},
    new URL('https://example.org'),
    'https://example.org/a',
    'https://example.org/?returnTo=//evil.example',
    new File([], 'a'),
  ])('is the fallback where %j says none', (from) => {
    expect(returnPath(from, '/home')).toBe('/home')
  })

  it('is a path of this site', () => {
    for (const to of ['/', '/a/b?c=d&e#f', '/a//b', '/@evil.example', '/%2F%2Fevil']) {
      const request = new Request(`https://example.org/login?returnTo=${encodeURIComponent(to)}`)
      const path = returnPath(request)
      expect(path).toBe(to)
      expect(new URL(path, 'https://example.org').host).toBe('example.org')
    }
    expect(returnPath(new Request('https://example.org/login'))).toBe('/')
  })

  it('refuses a fallback that is no path of this site, such as a Referer', () => {
    const request = new Request('https://example.org/login?returnTo=/a')
    for (const fallback of [
      '//evil.example',
      'https://evil.example/',
      '/\\evil',
      'a',
      '',
      null,
      5,
    ]) {
      const call = () => returnPath(request, fallback as never)
      expect(call).toThrow(/^Argument "fallback" must be a path such as "\/home", got /)
      expect(call).toThrow(TypeError)
    }
  })
})

describe('requireSession() with factors', () => {
  const createSteps = (requirements: Requirements = {}, more = {}) =>
    createGuarded({ factors: { passkey: 300 }, onMissing: '/login', ...requirements }, more)
  const SCRIPT = { headers: { accept: 'application/json' } }

  it('lets through who has proven them lately enough', async () => {
    const { ask, clock, signIn, visit } = createSteps()
    await signIn()
    expect((await ask())?.status).toBe(303)
    await visit((s) => s.elevate('totp'))
    expect((await ask())?.status).toBe(303)
    await visit((s) => s.elevate('passkey'))
    expect(await ask()).toBe(null)
    clock.advance(299)
    expect(await ask()).toBe(null)
    clock.advance(1)
    expect((await ask())?.status).toBe(303)
  })

  it('asks for all of them', async () => {
    const { ask, signIn, visit } = createSteps({ factors: { passkey: 300, totp: 60 } })
    await signIn()
    await visit((s) => s.elevate('passkey'))
    const response = await ask('/', SCRIPT)
    expect(response?.headers.get('www-authenticate')).toMatch(/max_age="60", factors="totp"$/)
    await visit((s) => s.elevate('totp'))
    expect(await ask()).toBe(null)
  })

  it('says to scripts what is missing, as RFC 9470 does, and only to who is signed in', async () => {
    const { ask, signIn } = createSteps({ factors: { totp: 600, passkey: 300 } })
    const visitor = await ask('/api', SCRIPT)
    expect([visitor?.status, visitor?.headers.get('www-authenticate')]).toEqual([401, null])
    await signIn()
    const response = await ask('/api', SCRIPT)
    expect([response?.status, response?.headers.get('cache-control')]).toEqual([401, 'no-store'])
    expect(response?.headers.get('www-authenticate')).toBe(
      'Session error="insufficient_user_authentication", error_description="A more recent proof is required", max_age="300", factors="totp passkey"',
    )
  })

  it('says the same of a sign-in that is not fresh, without factors', async () => {
    const { ask, clock, signIn } = createGuarded({ freshWithin: 300 })
    await signIn()
    clock.advance(300)
    const response = await ask('/api', SCRIPT)
    expect(response?.headers.get('www-authenticate')).toBe(
      'Session error="insufficient_user_authentication", error_description="A more recent proof is required", max_age="300"',
    )
  })

  it('sends browsers to the page to prove them on, and back; visitors sign in first', async () => {
    const { ask, signIn } = createSteps({ onStepUp: '/verify?with=passkey' })
    expect((await ask())?.headers.get('location')).toBe('/login?returnTo=%2Faccount%3Ftab%3D1')
    expect((await ask('/verify'))?.headers.get('location')).toBe('/login?returnTo=%2Fverify')
    await signIn()
    const response = await ask()
    const location = '/verify?with=passkey&returnTo=%2Faccount%3Ftab%3D1'
    expect([response?.status, response?.headers.get('location')]).toEqual([303, location])
    expect(returnPath(new Request(`https://example.org${location}`))).toBe('/account?tab=1')
    // Guarded like everything else, and no redirect to itself.
    expect(await ask(location)).toBe(null)
    expect(await ask('/verify/', { method: 'POST', headers: PAGE })).toBe(null)
  })

  it('lets a function answer, which gets the names that are missing', async () => {
    const asked: string[][] = []
    const onStepUp = (_: Request, missing: string[]): Response => {
      asked.push(missing)
      return new Response('Prove it', { status: 401 })
    }
    const { ask, signIn, visit } = createSteps({ factors: { passkey: 300, totp: 300 }, onStepUp })
    await ask()
    expect(asked).toEqual([])
    await signIn()
    expect(await (await ask())?.text()).toBe('Prove it')
    await visit((s) => s.elevate('passkey'))
    await ask()
    expect(asked).toEqual([['passkey', 'totp'], ['totp']])
  })

  it('asks for them before "allow", and of anonymous sessions too', async () => {
    let asked = 0
    const { ask, visit } = createSteps({
      subject: false,
      onMissing: '/login',
      onStepUp: '/verify',
      allow: () => ++asked > 0,
    })
    await visit((s) => s.set('a', 1))
    expect((await ask())?.headers.get('location')).toContain('/login?')
    await visit((s) => s.login('ann'))
    expect((await ask())?.headers.get('location')).toContain('/verify?')
    expect(asked).toBe(0)
    await visit((s) => s.elevate('passkey'))
    expect([await ask(), asked]).toEqual([null, 1])
  })

  it('knows nothing while the store is down: nobody is sent to prove anything', async () => {
    const store = createFaultyStore(createMemoryStore())
    const { ask, signIn } = createGuarded({ factors: { passkey: 300 } }, { store, now: Date.now })
    await signIn()
    store.down()
    expect((await ask())?.status).toBe(503)
  })

  it.each([
    [{ '': 300 }, TypeError],
    [{ 'pass key': 300 }, TypeError],
    [{ 'a"b': 300 }, TypeError],
    [{ passkey: 300, 'a"b': 300 }, TypeError],
    [{ passkey: 0 }, RangeError],
    [{ passkey: '300' }, TypeError],
    [{ passkey: Number.NaN }, RangeError],
    [{ passkey: undefined }, TypeError],
    ['passkey', TypeError],
    [null, TypeError],
  ])('refuses the factors %j', (factors, Kind) => {
    const { sessions } = createWorld()
    const create = () => requireSession(sessions, { factors: factors as never })
    expect(create).toThrow(Kind as never)
    expect(create).toThrow('requireSession.factors')
  })

  it('refuses a misspelt factor at once where the option "factors" names those there are', () => {
    const { sessions } = createWorld({ factors: ['passkey', 'totp'] })
    expect(() => requireSession(sessions, { factors: { totp: 60, paskey: 300 } })).toThrow(
      'Unknown option "requireSession.factors.paskey", expected one of passkey, totp',
    )
    expect(() => requireSession(sessions, { factors: { passkey: 300 } })).not.toThrow()
    // A name that every object has.
    const odd = createWorld({ factors: ['constructor', 'totp'] }).sessions
    expect(() => requireSession(odd, { factors: { totp: 60 } })).not.toThrow()
  })

  it('refuses it at the first request where the sessions come with that', async () => {
    const { jar, sessions } = createWorld({ factors: ['passkey'] })
    const check = createCheck({ factors: { paskey: 300 } })
    const request = jar.request('/')
    expect(await errorOf(() => check(request, () => sessions.get(request)))).toBeInstanceOf(
      TypeError,
    )
  })
})

describe('requireSession() with actor: false', () => {
  it('keeps out who acts for the user, and nobody else', async () => {
    const { ask, jar, signIn, visit } = createGuarded({
      actor: false,
      onMissing: '/login',
      factors: { passkey: 60 },
    })
    await visit((s) => s.login('ann', { actor: 'support-7' }))
    expect((await ask())?.status).toBe(403)
    await visit((s) => s.elevate('passkey'))
    expect((await ask())?.status).toBe(403)
    await signIn()
    expect((await ask())?.status).toBe(303)
    await visit((s) => s.elevate('passkey'))
    expect(await ask()).toBe(null)
    jar.clear()
    expect((await ask())?.status).toBe(303)
  })

  it('is not the default', async () => {
    const { ask, visit } = createGuarded({})
    await visit((s) => s.login('ann', { actor: 'support-7' }))
    expect(await ask()).toBe(null)
  })
})

describe('requireSession() with bound: true', () => {
  const SCRIPT = { headers: { accept: 'application/json' } }
  const setUp = async (requirements: Requirements) => {
    const world = createBoundWorld()
    const guard = requireSession(world.sessions, requirements)
    await world.browser.fetch(world.app, '/login')
    const thief = world.steal()
    const ask = (jar = world.browser.jar) => guard(jar.request('/account', SCRIPT))
    return { ...world, ask, thief }
  }

  it('keeps out a copy of the cookies that cannot prove the device, and nobody else', async () => {
    const { ask, clock, see, thief } = await setUp({ bound: true })
    expect([await ask(), await ask(thief)]).toEqual([null, null])
    clock.advance(3600)
    // Its browser refreshes first.
    await see()
    expect(await ask()).toBe(null)
    const refused = await ask(thief)
    expect([refused?.status, refused?.headers.get('www-authenticate')]).toEqual([401, null])
  })

  it('sends nobody to sign in for a proof that cannot be given while the store is down', async () => {
    for (const enforce of ['guard', 'writes', 'always'] as const) {
      const clock = createClock()
      const store = createFaultyStore(createMemoryStore({ now: clock }))
      const snapshot = { maxAge: 0, staleIfError: 3600 }
      const { app, browser, see, sessions } = createBoundWorld(
        { enforce },
        { snapshot, store },
        clock,
      )
      const guard = requireSession(sessions, { bound: true })
      const statusOf = async () =>
        (await guard(browser.jar.request('/account', { method: 'POST' })))?.status
      await browser.fetch(app, '/login')
      await see()
      expect([enforce, await statusOf()]).toEqual([enforce, undefined])
      store.down()
      // The browser asks to refresh, and is answered 503.
      clock.advance(700)
      await see()
      expect([enforce, await statusOf()]).toEqual([enforce, 503])
      store.up()
      await see()
      expect([enforce, await statusOf()]).toEqual([enforce, undefined])
    }
  })

  it('lets sessions through that are bound to no device', async () => {
    const { ask, visit } = createGuarded({ bound: true })
    expect((await ask())?.status).toBe(401)
    await visit((session) => session.login('ann'))
    expect(await ask()).toBe(null)
  })

  it('is not the default', async () => {
    const { ask, clock, thief } = await setUp({})
    clock.advance(3600)
    expect(await ask(thief)).toBe(null)
  })
})
