import { describe, expect, it } from 'vitest'
import { deviceOf } from '../../src/device-bound/index.ts'
import type { Session } from '../../src/index.ts'
import { cached } from '../../src/stores/cached.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import {
  createClock,
  createCookieJar,
  createDeviceBrowser,
  createFaultyStore,
} from '../../src/testing/index.ts'
import { createWorld, errorOf } from '../support/sessions.ts'
import { BOUND, challengeIn, createBoundWorld, REFRESH, REGISTER, SESSION } from './world.ts'

const nobody = { subject: null, bound: false, status: 'unproven' }
const ada = { subject: 'ada', status: 'active' }

describe('a registration', () => {
  it('is asked for by the response to a sign-in, and by no other', async () => {
    const { app, browser } = createBoundWorld()
    const jar = createCookieJar()
    // Of a session that is not begun, bind() binds nothing.
    for (const path of ['/', '/bind', '/write', '/logout']) {
      const { headers } = await jar.fetch(app, path)
      expect([path, headers.get('secure-session-registration')]).toEqual([path, null])
    }
    const response = await jar.fetch(app, '/login')
    expect(response.headers.get('secure-session-registration')).toMatch(
      /^\(ES256 RS256\);path="\/device-bound\/register";challenge="[\w-]{100,400}"$/,
    )
    expect(response.headers.get('cache-control')).toBe('private, no-store')
    const later = await jar.fetch(app, '/')
    expect(later.headers.get('secure-session-registration')).toBe(null)
    expect(browser.asked).toEqual([])
    const out = await jar.fetch(app, '/logout')
    // There is no bound cookie to remove.
    expect(out.headers.getSetCookie().filter((one) => one.startsWith(BOUND))).toEqual([])
  })

  it('is asked for by a sign-in that changes more than that', async () => {
    const { visit } = createBoundWorld()
    const { response } = await visit((session) => {
      session.set('n', 1)
      session.login('ada')
      session.set('m', 1)
    })
    expect(challengeIn(response, 'registration')).toBeDefined()
  })

  it('is asked for by no response of a session that ended, or was rotated, meanwhile', async () => {
    const { app, jar, sessions, visit } = createBoundWorld()
    await visit((session) => session.login('ada'))
    const asks = async (use: (session: Session) => unknown) => {
      const handler = sessions.handler(async (request) => {
        const session = await sessions.get(request)
        session.bind()
        await use(session)
        return new Response()
      })
      return challengeIn(await jar.fetch(handler, '/'), 'registration')
    }
    const overtaken = await asks(async (session) => {
      session.set('n', 1)
      await app(jar.request('/regenerate'))
    })
    expect(overtaken).toBe(undefined)
    await visit((session) => session.login('ada'))
    expect(await asks((session) => session.destroy())).toBe(undefined)
  })

  it('binds the session, and tells the browser how to refresh it', async () => {
    const { app, browser, only, paths, see, sessions, types } = createBoundWorld()
    const answers: Response[] = []
    const recorder = async (request: Request): Promise<Response> => {
      const response = await app(request)
      if (request.url.includes('device-bound')) answers.push(response.clone())
      return response
    }
    await browser.fetch(recorder, '/login')
    expect(paths()).toEqual([`200 ${REGISTER}`])
    const [answer] = answers as [Response]
    const { bound, id } = await see()
    expect(bound).toBe(true)
    expect(await answer.json()).toEqual({
      session_identifier: id,
      refresh_url: REFRESH,
      scope: { include_site: false },
      credentials: [
        { type: 'cookie', name: BOUND, attributes: 'Path=/; HttpOnly; Secure; SameSite=Lax' },
      ],
      allowed_refresh_initiators: ['*'],
    })
    // The session cookie beside it tells how new the record is.
    expect(answer.headers.getSetCookie().at(-1)).toMatch(
      /^__Host-session-bound=[\w-]+; Max-Age=600; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
    )
    expect(answer.headers.get('cache-control')).toBe('private, no-store')
    expect(answer.headers.get('content-type')).toBe('application/json')
    expect(answer.headers.get('cross-origin-resource-policy')).toBe('same-origin')
    expect(answer.headers.get('secure-session-challenge')).toContain(`;id="${id}"`)
    expect(types()).toContain('device.registered')
    expect(await sessions.list('ada')).toMatchObject([{ id, bound: true }])
    expect(only().thumbprint).toMatch(/^[\w-]{43}$/)
  })

  it('takes the algorithm that the device and the server have', async () => {
    const { app, browser, see } = createBoundWorld({ algorithms: ['RS256'] })
    const response = await browser.fetch(app, '/login')
    expect(response.headers.get('secure-session-registration')).toContain('(RS256);')
    expect((await see()).bound).toBe(true)
  })

  it('is asked for by bind(), of a session from before', async () => {
    const { app, browser, see, seeWith, types } = createBoundWorld()
    await seeWith(browser.jar, '/login')
    expect((await see()).bound).toBe(null)
    const response = await browser.fetch(app, '/bind')
    expect(response.headers.get('cache-control')).toBe('private, no-store')
    expect((await see()).bound).toBe(true)
    const again = await browser.fetch(app, '/bind')
    expect(again.headers.get('secure-session-registration')).toBe(null)
    expect(types().filter((type) => type === 'device.registered')).toHaveLength(1)
  })

  it('is asked for by a sign-in around a handler that began the session', async () => {
    const { app, browser, see, sessions } = createBoundWorld()
    const outer = sessions.handler(async (request) => {
      ;(await sessions.get(request)).login('ada')
      return app(new Request(new URL('/write', request.url), { headers: request.headers }))
    })
    await browser.fetch(outer, '/')
    expect(browser.bound.size).toBe(1)
    expect(await see()).toMatchObject({ bound: true, subject: 'ada' })
  })

  it.each([
    ['bind()', true],
    ['nothing', false],
  ])('around a handler that rotated the session is asked for after %s: %s', async (_, asks) => {
    const { app, jar, sessions } = createBoundWorld()
    await jar.fetch(app, '/login')
    const outer = sessions.handler(async (request) => {
      const session = await sessions.get(request)
      if (asks) session.bind()
      return app(new Request(new URL('/regenerate', request.url), { headers: request.headers }))
    })
    const response = await jar.fetch(outer, '/')
    expect(challengeIn(response, 'registration') !== undefined).toBe(asks)
  })

  it('is asked for by bind() in a request that tells the status too', async () => {
    const { jar, sessions, visit } = createBoundWorld()
    const status = sessions.statusHandler()
    await visit((session) => session.login('ada'))
    const handler = sessions.handler(async (request) => {
      ;(await sessions.get(request)).bind()
      return status(request)
    })
    const response = await jar.fetch(handler, '/')
    expect(challengeIn(response, 'registration')).toBeDefined()
  })

  it('is asked for by no answer of 500, and an event tells of bind() in it', async () => {
    const { events, jar, sessions, visit } = createBoundWorld()
    await visit((session) => session.login('ada'))
    const handler = sessions.handler(async (request) => {
      ;(await sessions.get(request)).bind()
      return new Response('no', { status: 500 })
    })
    const response = await jar.fetch(handler, '/')
    expect(challengeIn(response, 'registration')).toBeUndefined()
    expect(events.filter(({ type }) => type === 'session.uncommitted')).toHaveLength(1)
  })

  it('is asked for by bind() only where the option is set', async () => {
    const { visit } = createWorld()
    const error = await errorOf(() => visit((session) => session.bind()))
    expect([error.name, error.message]).toEqual([
      'TypeError',
      'Option "deviceBound" must be set for bind(), got undefined',
    ])
  })

  it('is asked for once, where handlers are nested', async () => {
    const { app, browser, paths, sessions } = createBoundWorld()
    const outer = sessions.handler(async (request) => {
      await sessions.get(request)
      return app(request)
    })
    await browser.fetch(outer, '/login')
    expect(paths()).toEqual([`200 ${REGISTER}`])
  })
})

describe('a browser without device-bound sessions', () => {
  it('stays as it is, whatever is enforced', async () => {
    for (const enforce of ['guard', 'writes', 'always'] as const) {
      const { clock, refusals, seeWith, sessions } = createBoundWorld({ enforce })
      const jar = createCookieJar({ now: clock })
      await seeWith(jar, '/login')
      for (let hours = 0; hours < 3; hours++) {
        expect(await seeWith(jar, '/write', { method: 'POST' })).toMatchObject({
          ...ada,
          bound: null,
        })
        clock.advance(3600)
      }
      expect(jar.cookies().some(({ name }) => name === BOUND)).toBe(false)
      expect(await sessions.list('ada')).toMatchObject([{ bound: false }])
      expect(refusals()).toEqual([])
    }
  })
})

describe('a copy of the cookies', () => {
  it('is worth nothing once the bound cookie is over, while its owner goes on', async () => {
    const { clock, refusals, see, seeWith, steal } = createBoundWorld({ enforce: 'always' })
    await see('/login')
    await see()
    const thief = steal()
    clock.advance(600 + 29)
    expect(await seeWith(thief)).toMatchObject({ ...ada, bound: true })
    clock.advance(1)
    expect(await seeWith(thief)).toMatchObject(nobody)
    expect(refusals()).toEqual(['expired-cookie'])
    expect(await see()).toMatchObject({ ...ada, bound: true })
    clock.advance(3600)
    expect(await see()).toMatchObject({ ...ada, bound: true })
    expect(await seeWith(thief)).toMatchObject(nobody)
  })

  it('that was made before the binding is bound too', async () => {
    const { app, browser, clock, refusals, see, seeWith, steal } = createBoundWorld({
      enforce: 'always',
    })
    await browser.jar.fetch(app, '/login')
    const thief = steal()
    expect(await seeWith(thief)).toMatchObject({ ...ada, bound: null })
    await see('/bind')
    // The first bound cookie may be on its way.
    clock.advance(29)
    expect(await seeWith(thief)).toMatchObject({ ...ada, bound: true })
    clock.advance(1)
    expect(await seeWith(thief)).toMatchObject(nobody)
    expect(refusals()).toEqual(['no-cookie'])
  })

  it('is shown to the application by default, and refused nothing', async () => {
    const { clock, see, seeWith, steal } = createBoundWorld()
    await see('/login')
    const thief = steal()
    clock.advance(3600)
    expect(await seeWith(thief, '/write', { method: 'POST' })).toMatchObject({
      ...ada,
      bound: false,
    })
  })

  it('reads, and writes nothing, with enforce "writes"', async () => {
    const { clock, events, see, seeWith, sessions, steal } = createBoundWorld({ enforce: 'writes' })
    await see('/login')
    const thief = steal()
    clock.advance(3600)
    for (const method of ['GET', 'HEAD', 'OPTIONS']) {
      const response = await thief.fetch(
        sessions.handler(async (request) => {
          const { status, subject } = await sessions.get(request)
          return new Response(null, { headers: { seen: `${status} ${subject}` } })
        }),
        '/',
        { method },
      )
      expect([method, response.headers.get('seen')]).toEqual([method, 'active ada'])
    }
    for (const method of ['GETAWAY', 'FORGET']) {
      // Not every runtime makes a request of any method; a server's may have one.
      const headers = new Headers({ cookie: String(thief.header()) })
      const request = { url: 'https://example.com/', method, headers } as Request
      expect(await sessions.get(request)).toMatchObject(nobody)
    }
    const writes = ['POST', 'PUT', 'PATCH', 'DELETE']
    for (const method of writes) {
      expect(await seeWith(thief, '/write', { method })).toMatchObject(nobody)
    }
    expect(events.filter(({ type }) => type === 'commit.dropped')).toMatchObject(
      writes.map(() => ({ reason: 'unproven', changes: 1 })),
    )
    expect((await see('/')).bound).toBe(true)
  })

  it('changes no cookie of whoever has it, where it is refused', async () => {
    const { app, clock, see, steal } = createBoundWorld({ enforce: 'always' })
    await see('/login')
    const thief = steal()
    clock.advance(3600)
    const response = await thief.fetch(app, '/write', { method: 'POST' })
    expect(response.headers.getSetCookie()).toEqual([])
  })

  it('is not said to be signed out: its proof may be on its way', async () => {
    const { clock, see, sessions, steal } = createBoundWorld({ enforce: 'always' })
    await see('/login')
    const thief = steal()
    clock.advance(3600)
    expect((await thief.fetch(sessions.statusHandler(), '/status')).status).toBe(503)
  })

  it('shows nothing to an application that opens it by itself at the paths of the browser', async () => {
    const { clock, see, sessions, steal } = createBoundWorld({ enforce: 'writes' })
    await see('/login')
    const thief = steal()
    clock.advance(3600)
    const headers = { cookie: String(thief.header()) }
    for (const path of [REGISTER, REFRESH]) {
      const request = new Request(`https://example.com${path}`, { method: 'POST', headers })
      expect(await sessions.get(request)).toMatchObject({ status: 'unproven', subject: null })
    }
  })

  it('of another session, or a forged one, proves nothing', async () => {
    const one = createBoundWorld({ enforce: 'always' })
    await one.see('/login')
    const { browser, clock, refusals, see, seeWith } = one
    const bound = browser.jar.get(BOUND)!
    const session = browser.jar.get(SESSION)!
    browser.jar.clear()
    await see('/login?as=bob')
    clock.advance(60)
    const set = async (value: string) => {
      const jar = createCookieJar({ now: clock })
      const headers = new Headers()
      for (const [name, text] of [
        [SESSION, session],
        [BOUND, value],
      ])
        headers.append('set-cookie', `${name}=${text}; Path=/; Secure`)
      jar.store(new Response(null, { headers }))
      return seeWith(jar)
    }
    expect(await set(bound)).toMatchObject({ ...ada, bound: true })
    for (const value of [browser.jar.get(BOUND)!, session, 'forged', `${bound}A`]) {
      expect(await set(value)).toMatchObject(nobody)
    }
    expect(new Set(refusals())).toEqual(new Set(['other-cookie']))
  })

  it('of an anonymous session that was bound proves nothing either', async () => {
    const { app, browser, clock, see, seeWith, sessions, steal } = createBoundWorld({
      enforce: 'always',
    })
    await browser.jar.fetch(app, '/write')
    await see('/bind')
    const { bound, id } = await see()
    expect(bound).toBe(true)
    const thief = steal()
    clock.advance(3600)
    expect(await seeWith(thief)).toMatchObject(nobody)
    // Whoever signs in there ends no session of somebody else.
    expect(await seeWith(thief, '/login')).toMatchObject(nobody)
    expect(await see()).toMatchObject({ bound: true, id })
    expect(await sessions.list('ada')).toHaveLength(1)
  })

  it('is refused once in a request with several handlers', async () => {
    const { app, clock, refusals, see, sessions, steal } = createBoundWorld()
    await see('/login')
    const thief = steal()
    clock.advance(3600)
    const outer = sessions.handler(async (request) => {
      ;(await sessions.get(request)).set('n', 1)
      return app(new Request(new URL('/regenerate', request.url), { headers: request.headers }))
    })
    await thief.fetch(outer, '/')
    // One for each request: of the browser, and of the handler.
    expect(refusals()).toEqual(['expired-cookie', 'expired-cookie'])
  })

  it('is not helped by the header that says why a proof is missing', async () => {
    const { clock, events, see, seeWith, steal } = createBoundWorld({ enforce: 'always' })
    await see('/login')
    const thief = steal()
    clock.advance(3600)
    const headers = { 'secure-session-skipped': 'quota_exceeded;session_identifier="x"' }
    expect(await seeWith(thief, '/', { headers })).toMatchObject(nobody)
    expect(events.at(-1)).toMatchObject({ type: 'device.skipped', reason: 'quota_exceeded' })
    expect(
      await seeWith(thief, '/', { headers: { 'secure-session-skipped': 'whatever' } }),
    ).toMatchObject(nobody)
    expect(events.at(-1)?.type).toBe('device.refused')
  })

  it('is an error to require()', async () => {
    const { clock, see, sessions, steal } = createBoundWorld({ enforce: 'always' })
    await see('/login')
    const thief = steal()
    clock.advance(3600)
    const error = await errorOf(() => sessions.require(thief.request('/')))
    expect([error.name, error.code]).toEqual(['SessionBindingError', 'ERR_SESSION_BINDING'])
    const opened = await sessions.open(thief.header())
    expect([opened.status, opened.bound]).toEqual(['unproven', false])
  })
})

describe('an unproven request', () => {
  const setUp = async (enforce: 'always' | 'guard' = 'always') => {
    const world = createBoundWorld({ enforce })
    await world.see('/login')
    const { id } = await world.see()
    world.clock.advance(3600)
    // As where the browser has lost its key.
    return { ...world, id, jar: world.steal() }
  }

  it('can sign in, which ends the session that it could not prove, and binds anew', async () => {
    const { app, browser, id, jar, see, sessions } = await setUp()
    browser.jar.clear()
    browser.jar.store(
      new Response(null, {
        headers: { 'set-cookie': `${SESSION}=${jar.get(SESSION)}; Path=/; Secure` },
      }),
    )
    await browser.refresh(async () => new Response(null, { status: 400 }))
    await browser.fetch(app, '/login')
    const now = await see()
    expect(now).toMatchObject({ ...ada, bound: true })
    expect(await sessions.list('ada')).toMatchObject([{ id: now.id, bound: true }])
    expect(now.id).not.toBe(id)
  })

  it('can sign out, which ends that session', async () => {
    const { jar, seeWith, sessions } = await setUp()
    await seeWith(jar, '/logout')
    expect(await sessions.list('ada')).toEqual([])
  })

  it('cannot replace the credential', async () => {
    const { jar, see, seeWith } = await setUp()
    await seeWith(jar, '/regenerate')
    expect(await see()).toMatchObject({ ...ada, bound: true })
  })

  it('cannot bind the session to another key', async () => {
    for (const enforce of ['always', 'guard'] as const) {
      const { app, jar } = await setUp(enforce)
      for (const path of ['/bind', '/regenerate', '/']) {
        const { headers } = await jar.fetch(app, path)
        expect([path, headers.get('secure-session-registration')]).toEqual([path, null])
      }
    }
  })
})

describe('a rotation of a bound session', () => {
  it('brings the next challenge along, and no other write does, nor one that was overtaken', async () => {
    const { app, browser, see, sessions } = createBoundWorld()
    await see('/login')
    const { jar } = browser
    const write = await jar.fetch(app, '/write')
    expect(challengeIn(write, 'challenge')).toBe(undefined)
    const handler = sessions.handler(async (request) => {
      ;(await sessions.get(request)).regenerate()
      await app(jar.request('/regenerate'))
      return new Response()
    })
    const overtaken = await jar.fetch(handler, '/')
    expect(challengeIn(overtaken, 'challenge')).toBe(undefined)
    await see('/login')
    expect(challengeIn(await jar.fetch(app, '/regenerate'), 'challenge')).toBeDefined()
  })

  it('by regenerate() keeps the key until it is proven once more, and then binds another one', async () => {
    const { app, browser, clock, only, paths, see } = createBoundWorld({ enforce: 'always' })
    await see('/login')
    const { thumbprint } = only()
    const response = await browser.fetch(app, '/regenerate')
    expect(response.headers.get('secure-session-registration')).toBe(null)
    expect(response.headers.get('secure-session-challenge')).toContain(`id="${only().id}"`)
    expect(await see()).toMatchObject({ ...ada, bound: true })
    expect(only().thumbprint).toBe(thumbprint)
    clock.advance(601)
    expect(await see()).toMatchObject({ ...ada, bound: true })
    expect(paths()).toEqual([`200 ${REGISTER}`, `200 ${REFRESH}`, `200 ${REGISTER}`])
    expect(only().thumbprint).not.toBe(thumbprint)
    expect(await see()).toMatchObject({ ...ada, bound: true })
    expect(paths()).toHaveLength(3)
  })

  it('gives no key to whoever overhears the request for one and has the session cookie alone, and one to its browser', async () => {
    const { app, browser, clock, only, post, refusals, see, steal } = createBoundWorld()
    await see('/login')
    await see('/regenerate')
    const before = steal()
    clock.advance(601)
    await browser.refresh(app)
    const bare = steal()
    bare.store(
      new Response(null, { headers: { 'set-cookie': `${BOUND}=; Path=/; Secure; Max-Age=0` } }),
    )
    const page = await browser.jar.fetch(app, '/')
    const challenge = challengeIn(page, 'registration')!
    const stranger = createDeviceBrowser({ now: clock })
    for (const thief of [before, bare]) {
      await stranger.register(async (request) => {
        const proof = request.headers.get('secure-session-response')!
        return post(thief, REGISTER, { 'secure-session-response': proof })
      }, page)
    }
    expect([challenge !== undefined, stranger.bound.size]).toEqual([true, 0])
    expect(refusals()).toEqual(['former-key', 'former-key'])
    const { thumbprint } = only()
    await browser.register(app, page)
    expect(only().thumbprint).not.toBe(thumbprint)
    expect(await see()).toMatchObject({ ...ada, bound: true })
  })

  it('signs nobody out where a copy from before the new key answers while the store fails', async () => {
    const clock = createClock()
    const store = createFaultyStore(createMemoryStore({ now: clock }))
    const create = (enforce: 'writes' | 'always') =>
      createBoundWorld(
        { enforce },
        { store: cached(store, { ttl: 1, staleIfError: 300, now: clock }) },
        clock,
      )
    for (const enforce of ['writes', 'always'] as const) {
      const [{ browser, post, see }, elsewhere] = [create(enforce), create(enforce)]
      await see('/login')
      await see('/regenerate')
      clock.advance(601)
      await browser.refresh(elsewhere.app)
      await see()
      store.down()
      clock.advance(31)
      const headers = { cookie: String(browser.jar.header()) }
      const write = new Request('https://app.example/write', { method: 'POST', headers })
      const answer = await elsewhere.app(write)
      expect([enforce, answer.status, elsewhere.refusals()]).toEqual([enforce, 503, []])
      store.up()
      expect(await see()).toMatchObject({ ...ada, bound: true })
      expect(await post(browser.jar, '/write', {})).toMatchObject({ status: 200 })
    }
  })

  it('by whoever copied both cookies while they were fresh gives them no key', async () => {
    const { app, clock, see, seeWith, steal } = createBoundWorld({ enforce: 'always' })
    await see('/login')
    const thief = steal()
    const response = await thief.fetch(app, '/regenerate')
    expect(response.headers.get('secure-session-registration')).toBe(null)
    for (const path of ['/', '/bind', '/regenerate']) {
      const { headers } = await thief.fetch(app, path)
      expect([path, headers.get('secure-session-registration')]).toEqual([path, null])
    }
    clock.advance(630)
    expect(await seeWith(thief)).toMatchObject(nobody)
  })

  it('by a second login() before the first registration is answered leaves its browser without the key, until it signs in again', async () => {
    const { app, browser, clock, see } = createBoundWorld({ enforce: 'always' })
    await see('/write')
    const first = await browser.jar.fetch(app, '/login')
    await browser.register(async (request) => {
      const late = await app(request)
      await browser.register(app, await browser.jar.fetch(app, '/login'))
      return late
    }, first)
    clock.advance(31)
    // A former key that goes on being taken would be that of whoever was there before the sign-in.
    expect(await see()).toMatchObject(nobody)
    await see('/login')
    expect(await see()).toMatchObject({ ...ada, bound: true })
    clock.advance(3600)
    expect(await see()).toMatchObject({ ...ada, bound: true })
  })

  it('by login() binds anew at once, and the former key proves nothing any more', async () => {
    const { clock, only, paths, see, seeWith, steal } = createBoundWorld({ enforce: 'always' })
    await see('/login')
    const [{ thumbprint }, { id }] = [only(), await see()]
    const before = steal()
    await see('/login')
    expect(paths()).toEqual([`200 ${REGISTER}`, `200 ${REGISTER}`])
    expect(only().thumbprint).not.toBe(thumbprint)
    expect(await see()).toMatchObject({ ...ada, bound: true, id })
    clock.advance(31)
    // The bound cookie of before beside the session cookie of now.
    const thief = steal()
    thief.store(
      new Response(null, {
        headers: { 'set-cookie': `${BOUND}=${before.get(BOUND)}; Path=/; Secure` },
      }),
    )
    expect(await seeWith(thief)).toMatchObject(nobody)
    expect(await see()).toMatchObject({ ...ada, bound: true })
  })

  it('by the sign-in of another user ends what the first one had bound', async () => {
    const { browser, clock, paths, see } = createBoundWorld({ enforce: 'always' })
    await see('/login')
    const first = await see()
    await see('/login?as=bob')
    expect(await see()).toMatchObject({ subject: 'bob', bound: true })
    expect([...browser.bound.keys()]).toContain(first.id)
    clock.advance(3600)
    expect(await see()).toMatchObject({ subject: 'bob', bound: true })
    expect([...browser.bound.keys()]).toEqual([(await see()).id])
    expect(paths()).toContain(`200 ${REFRESH}`)
  })
})

describe('a session whose former key was just proven', () => {
  it('asks for a new one only where the request proves the device', async () => {
    const { app, browser, clock, only, see, steal } = createBoundWorld()
    await see('/login')
    await see('/regenerate')
    clock.advance(31)
    await browser.refresh(app, only().id)
    const asks = async (jar: typeof browser.jar) =>
      (await jar.fetch(app, '/')).headers.has('secure-session-registration')
    const thief = steal()
    thief.store(
      new Response(null, { headers: { 'set-cookie': `${BOUND}=; Path=/; Secure; Max-Age=0` } }),
    )
    expect(await asks(thief)).toBe(false)
    clock.advance(59.999)
    expect(await asks(browser.jar)).toBe(true)
    clock.advance(0.001)
    expect(await asks(browser.jar)).toBe(false)
  })

  it('asks no copy for a new one that was made before that proof, while its bound cookie is good', async () => {
    const { app, browser, only, see, steal } = createBoundWorld()
    await see('/login')
    await see('/regenerate')
    const thief = steal()
    await browser.refresh(app, only().id)
    for (const path of ['/', '/bind']) {
      const response = await thief.fetch(app, path)
      expect((await response.clone().json()).bound).toBe(true)
      expect(response.headers.get('secure-session-registration')).toBe(null)
    }
    expect((await browser.jar.fetch(app, '/')).headers.has('secure-session-registration')).toBe(
      true,
    )
  })
})

describe('deviceOf()', () => {
  it('tells the key of a bound session, and nothing of others', async () => {
    const { app, browser, clock, only, see, sessions } = createBoundWorld({ algorithms: ['RS256'] })
    const open = () => sessions.open(browser.jar.header())
    expect(deviceOf(await open())).toBe(null)
    await see('/login')
    const thumbprint = only().thumbprint
    expect(deviceOf(await open())).toEqual({ thumbprint, algorithm: 'RS256', provenAt: clock() })
    const provenAt = clock.advance(700)
    await browser.fetch(app, '/')
    expect(deviceOf(await open())?.provenAt).toBe(provenAt)
    const error = await errorOf(() => deviceOf({}))
    expect(error.message).toBe('Argument "session" must be an awaited session, got object')
  })
})

describe('the end of a bound session', () => {
  it('by destroy() removes the bound cookie, and tells the browser to give up its key', async () => {
    const { browser, paths, see } = createBoundWorld()
    await see('/login')
    await see('/logout')
    expect(browser.jar.get(BOUND)).toBe(undefined)
    expect(await see()).toMatchObject({ status: 'new', bound: null })
    expect(browser.bound.size).toBe(0)
    expect(paths()).toEqual([`200 ${REGISTER}`, `200 ${REFRESH}`])
  })

  it.each(['revoke', 'revokeAll'] as const)('by %s() reaches both cookies at once', async (how) => {
    const { browser, clock, paths, see, sessions } = createBoundWorld()
    await see('/login')
    const { id } = await see()
    if (how === 'revoke') await sessions.revoke(id)
    else await sessions.revokeAll('ada')
    expect(await see()).toMatchObject({ subject: null, status: 'missing' })
    clock.advance(3600)
    await see()
    expect(paths().at(-1)).toBe(`200 ${REFRESH}`)
    expect([browser.bound.size, browser.jar.get(BOUND)]).toEqual([0, undefined])
  })
})

describe('deviceBound', () => {
  const refusal = (options: object) =>
    errorOf(() => createBoundWorld(true, options).sessions).then(({ message }) => message)

  it('is refused at creation where it cannot work', async () => {
    const left = (where: string) => `Option "deviceBound" must be left out ${where}, got true`
    const header = { transport: { header: 'x-session' } }
    expect(await refusal({ store: undefined })).toBe(left('without a store'))
    expect(await refusal({ store: undefined, ...header })).toBe(left('without a store'))
    expect(await refusal(header)).toBe(left('with transport { header }'))
    expect(await refusal({ cookie: { partitioned: true } })).toBe(left('with cookie.partitioned'))
    for (const wrong of [{ maxAge: 299 }, 'yes', 1, { maxAge: 0 }]) {
      const message = await refusal({ deviceBound: wrong })
      expect(message).toContain(
        'Option "deviceBound" must be true or an object, with a maxAge from 300',
      )
    }
  })

  it.each([
    [{ enforce: 'alwys' }, 'deviceBound.enforce" must be one of guard, writes, always'],
    [{ algorithms: [] }, 'deviceBound.algorithms" must be'],
    [{ algorithms: ['none'] }, 'deviceBound.algorithms" must be'],
    [{ path: 'device' }, 'deviceBound.path" must be'],
    [{ path: '/a"b' }, 'deviceBound.path" must be'],
    [{ path: '/..' }, 'deviceBound.path" must be'],
    [{ path: '/a/./b' }, 'deviceBound.path" must be'],
    [{ path: '/a/..' }, 'deviceBound.path" must be'],
    [{ path: '/a/.' }, 'deviceBound.path" must be'],
    [{ path: '/../a' }, 'deviceBound.path" must be'],
    [{ path: 'x/device' }, 'deviceBound.path" must be'],
    [{ path: '/a/' }, 'deviceBound.path" must be'],
    [{ path: '' }, 'deviceBound.path" must be'],
    [{ algorithms: ['ES256', 'none'] }, 'deviceBound.algorithms" must be'],
    [{ algorithms: ['xES256'] }, 'deviceBound.algorithms" must be'],
    [{ algorithms: ['ES256K'] }, 'deviceBound.algorithms" must be'],
    [{ cookie: 'a b' }, 'deviceBound.cookie" must be'],
    [{ cookie: '__Host-session' }, 'deviceBound.cookie" must be another name'],
    [{ cookie: '__Host-session.1' }, 'deviceBound.cookie" must be another name'],
    [{ cookie: '__Host-session.nabcd' }, 'deviceBound.cookie" must be another name'],
    [{ maxAge: 86_401 }, 'deviceBound.maxAge" must be'],
    [{ maxage: 600 }, 'Unknown option "deviceBound.maxage"'],
  ])('is refused with %j at the first request', async (deviceBound, expected) => {
    const { sessions } = createBoundWorld(deviceBound as never)
    const error = await errorOf(() => sessions.get(new Request('https://example.com/')))
    expect(error.message).toContain(expected)
  })

  it('has a cookie and a path of its own', async () => {
    const { browser, paths, see } = createBoundWorld({
      cookie: '__Host-dev',
      path: '/app.v1/~device_b',
      maxAge: 300,
    })
    await see('/login')
    expect((await see()).bound).toBe(true)
    expect(browser.jar.get('__Host-dev')).toBeDefined()
    expect(paths()).toEqual(['200 /app.v1/~device_b/register'])
  })

  it('names the domain of the cookie to the browser', async () => {
    const { app, browser } = createBoundWorld(true, {
      cookie: { name: 'session', domain: 'example.com', sameSite: 'strict' },
    })
    let text = ''
    await browser.fetch(async (request) => {
      const response = await app(request)
      if (request.url.includes('/register')) text = await response.clone().text()
      return response
    }, '/login')
    expect(JSON.parse(text).credentials).toEqual([
      {
        type: 'cookie',
        name: 'session-bound',
        attributes: 'Domain=example.com; Path=/; HttpOnly; Secure; SameSite=Strict',
      },
    ])
  })

  it('lets other sites make the browser refresh unless their frames have the cookie', async () => {
    const { app, browser } = createBoundWorld(true, { cookie: { sameSite: 'none' } }, createClock())
    let text = ''
    await browser.fetch(async (request) => {
      const response = await app(request)
      if (request.url.includes('/register')) text = await response.clone().text()
      return response
    }, '/login')
    expect(JSON.parse(text)).toMatchObject({ allowed_refresh_initiators: [] })
    expect(text).toContain('SameSite=None')
  })
})
