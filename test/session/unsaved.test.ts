import { describe, expect, it } from 'vitest'
import type { Session } from '../../src/index.ts'
import { createWorld, errorOf } from '../support/sessions.ts'

const ask = (init?: RequestInit) => new Request('https://example.com/', init)

describe('session.uncommitted', () => {
  it('is reported when a handler throws after a change, and when it answers with an error', async () => {
    const { sessions, types } = createWorld()
    const throwing = sessions.handler(async (request) => {
      ;(await sessions.get(request)).set('tries', 1)
      throw new Error('boom')
    })
    expect((await errorOf(() => throwing(ask()))).message).toBe('boom')
    expect(types()).toEqual(['session.uncommitted'])
    const failing = sessions.handler(async (request) => {
      ;(await sessions.get(request)).login('ann')
      return new Response('sorry', { status: 500 })
    })
    expect((await failing(ask())).headers.getSetCookie()).toEqual([])
    expect(types()).toEqual(['session.uncommitted', 'session.uncommitted'])
  })

  it('does not come with an error before the session was opened, whose page may open and save one', async () => {
    const { sessions, types } = createWorld()
    const request = ask()
    const throwing = sessions.handler(async () => {
      throw new Error('boom')
    })
    await errorOf(() => throwing(request))
    const page = sessions.handler(async (again) => {
      ;(await sessions.get(again)).set('tries', 1)
      return new Response('sorry')
    })
    expect((await page(request)).headers.getSetCookie()).toHaveLength(1)
    expect(types()).toEqual(['session.created'])
  })

  it('is not reported where nothing was changed, nor where an error has said it', async () => {
    const { sessions, types, visit, jar } = createWorld()
    await visit((session) => session.flash('notice', 'hello'))
    const before = types().length
    const reading = sessions.handler(async (request) => {
      ;(await sessions.get(request)).get('a')
      return new Response('sorry', { status: 500 })
    })
    await reading(jar.request('/'))
    await errorOf(() => visit((session) => session.set('a', 'x'.repeat(9000))))
    expect(types().slice(before)).toEqual(['cookie.too-large'])
  })

  it.each([
    ['a clone of the request', (request: Request) => request.clone()],
    ['a request made from it', (request: Request) => new Request(request)],
  ])('is reported when the session of %s was changed', async (_, copy) => {
    const { sessions, types, clock } = createWorld()
    const handler = sessions.handler(async (request) => {
      ;(await sessions.get(copy(request))).set('a', 1)
      return new Response('ok')
    })
    expect((await handler(ask())).headers.getSetCookie()).toEqual([])
    clock.advance(59)
    await sessions.get(ask())
    expect(types()).toEqual([])
    clock.advance(1)
    await sessions.get(ask())
    expect(types()).toEqual(['session.uncommitted'])
    await sessions.get(ask())
    expect(types()).toHaveLength(1)
  })

  it('is reported without a middleware, and for a session that was opened and never saved', async () => {
    const { sessions, types, clock } = createWorld()
    ;(await sessions.get(ask())).set('a', 1)
    ;(await sessions.open(null)).login('ann')
    const saved = await sessions.open(null)
    saved.set('a', 1)
    await sessions.save(saved)
    clock.advance(60)
    await sessions.open(null)
    expect(types()).toEqual(['session.created', 'session.uncommitted', 'session.uncommitted'])
  })

  it('is reported for a session that was destroyed and never saved', async () => {
    const { sessions, types, clock, jar, visit } = createWorld()
    await visit((session) => session.login('ann'))
    const before = types().length
    ;(await sessions.open(jar.header())).destroy()
    clock.advance(60)
    await sessions.open(null)
    expect(types().slice(before)).toEqual(['session.uncommitted'])
  })

  it('is reported once by nested handlers', async () => {
    const { sessions, types } = createWorld()
    const nested = sessions.handler(
      sessions.handler(async (request) => {
        ;(await sessions.get(request)).set('tries', 1)
        throw new Error('boom')
      }),
    )
    await errorOf(() => nested(ask()))
    expect(types()).toEqual(['session.uncommitted'])
  })

  it('is reported a minute after the change, and not with an earlier one', async () => {
    const { sessions, types, clock } = createWorld()
    ;(await sessions.open(null)).set('a', 1)
    clock.advance(59)
    ;(await sessions.open(null)).set('a', 1)
    clock.advance(1)
    await sessions.open(null)
    expect(types()).toHaveLength(1)
    clock.advance(59)
    await sessions.open(null)
    expect(types()).toHaveLength(2)
  })

  it('is reported though hundreds of others were reported before', async () => {
    const { sessions, types, clock } = createWorld()
    for (let i = 0; i < 250; i++) {
      ;(await sessions.open(null)).set('a', i)
      clock.advance(60)
    }
    await sessions.open(null)
    expect(types()).toHaveLength(250)
  })

  it('is reported though hundreds of others were saved before', async () => {
    const { sessions, types, clock, visit } = createWorld()
    for (let i = 0; i < 150; i++) await visit((session) => session.set('a', i))
    ;(await sessions.open(null)).set('a', 1)
    clock.advance(60)
    await sessions.open(null)
    expect(types().at(-1)).toBe('session.uncommitted')
  })

  it('watches a hundred changed sessions and no more', async () => {
    const { sessions, types, clock } = createWorld()
    for (let i = 0; i < 150; i++) (await sessions.open(null)).set('a', i)
    clock.advance(60)
    await sessions.open(null)
    expect(types()).toHaveLength(100)
  })
})

describe('a session that is asked for too late', () => {
  it('throws ERR_SESSION_COMMITTED when the response was returned without it', async () => {
    const { sessions } = createWorld()
    const request = ask()
    await sessions.handler(() => new Response('ok'))(request)
    const error = await errorOf(() => sessions.get(request))
    expect(error).toMatchObject({ code: 'ERR_SESSION_COMMITTED' })
    expect(error.message).toContain('before the response is returned')
    expect((await errorOf(() => sessions.require(request))).code).toBe('ERR_SESSION_COMMITTED')
  })
})

describe('a property that is assigned to a session', () => {
  it('throws a TypeError: it would not be saved', async () => {
    const { sessions } = createWorld()
    const session = (await sessions.get(ask())) as Session & { cart?: string[] }
    const assign = () => {
      session.cart = []
    }
    const replace = () => {
      ;(session as { subject: string | null }).subject = 'ann'
    }
    expect(await errorOf(assign)).toBeInstanceOf(TypeError)
    expect(await errorOf(replace)).toBeInstanceOf(TypeError)
    session.set('cart', [])
    expect(session.get('cart')).toEqual([])
  })
})

describe('flash values', () => {
  const read = async (headers: Record<string, string>, method = 'GET') => {
    const { sessions, jar, visit } = createWorld()
    await visit((session) => session.flash('notice', 'hello'))
    const seen: unknown[] = []
    const handler = sessions.handler(async (request) => {
      seen.push((await sessions.get(request)).flash('notice'))
      return new Response('ok')
    })
    jar.store(await handler(jar.request('/', { method, headers })))
    jar.store(await handler(jar.request('/')))
    jar.store(await handler(jar.request('/')))
    return seen
  }

  it('wait for the page that is shown when another one is fetched ahead', async () => {
    for (const headers of [
      { 'sec-purpose': 'prefetch' },
      { 'sec-purpose': 'prefetch;prerender' },
      { purpose: 'prefetch' },
    ]) {
      expect(await read(headers as never)).toEqual([undefined, 'hello', undefined])
    }
    expect(await read({}, 'HEAD')).toEqual([undefined, 'hello', undefined])
    expect(await read({ 'sec-purpose': 'navigate' })).toEqual(['hello', undefined, undefined])
  })
})

describe('a response that brings the session of an inner request along', () => {
  it.each([
    ['in cookies', {}],
    ['in a store', { store: true }],
  ])('keeps what both have changed, sessions %s', async (_, { store }: { store?: boolean }) => {
    const { createMemoryStore } = await import('../../src/stores/memory.ts')
    for (const isKnown of [false, true]) {
      const { sessions, jar, visit } = createWorld({
        now: Date.now,
        ...(store && { store: createMemoryStore() }),
      })
      if (isKnown) await visit((session) => session.set('cart', ['tent']))
      const inner = sessions.handler(async (request) => {
        const session = await sessions.get(request)
        session.login('ann')
        session.flash('notice', 'Welcome')
        return new Response('signed in')
      })
      const outer = sessions.handler(async (request) => {
        const session = await sessions.get(request)
        const { headers } = request
        const signedIn = await inner(new Request('https://example.com/sign-in', { headers }))
        session.set('seen', true)
        const copied = new Headers({ 'set-cookie': 'lang=en' })
        for (const one of signedIn.headers.getSetCookie()) copied.append('set-cookie', one)
        return new Response('page', { headers: copied })
      })
      const response = await jar.fetch(outer, '/')
      const names = response.headers.getSetCookie().map((one) => one.split('=')[0])
      // Beside them is the note of the sign-in.
      expect(names.filter((name) => !name?.includes('.n'))).toEqual(['lang', '__Host-session'])
      const { session } = await visit()
      expect(session.subject).toBe('ann')
      expect(session.get('seen')).toBe(true)
      expect(session.get('cart')).toEqual(isKnown ? ['tent'] : undefined)
      expect(session.flash('notice')).toBe('Welcome')
    }
  })

  it('saves its own where that cookie is of another application', async () => {
    const { sessions, jar, visit } = createWorld()
    await visit((session) => session.set('a', 1))
    const proxied = sessions.handler(async (request) => {
      ;(await sessions.get(request)).set('b', 2)
      return new Response('', {
        headers: { 'set-cookie': '__Host-session=foreign; Path=/; Secure' },
      })
    })
    await jar.fetch(proxied, '/')
    expect((await visit()).session.data).toEqual({ a: 1, b: 2 })
  })

  it('signs out where the outer handler does, whatever the inner one has done', async () => {
    const { sessions, jar, visit } = createWorld()
    await visit((session) => session.set('cart', 1))
    const inner = sessions.handler(async (request) => {
      ;(await sessions.get(request)).login('ann')
      return new Response('signed in')
    })
    let late: unknown
    const outer = sessions.handler(async (request) => {
      const session = await sessions.get(request)
      const { headers } = request
      const response = await inner(new Request('https://example.com/sign-in', { headers }))
      session.destroy()
      late = session
      return response
    })
    await jar.fetch(outer, '/')
    expect((await visit()).session.subject).toBe(null)
    const error = await errorOf(() => (late as Session).set('a', 1))
    expect(error.code).toBe('ERR_SESSION_COMMITTED')
  })

  it('stays signed out where the inner request has signed out', async () => {
    const { sessions, jar, visit } = createWorld()
    await visit((session) => session.login('ann'))
    const outer = sessions.handler(async (request) => {
      ;(await sessions.get(request)).set('seen', true)
      const removal = '__Host-session=; Max-Age=0; Path=/; Secure'
      return new Response('', { headers: { 'set-cookie': removal } })
    })
    await jar.fetch(outer, '/')
    const { session } = await visit()
    expect([session.subject, session.get('seen')]).toEqual([null, true])
  })

  it.each(['; Domain=example.com; Path=/', '; Path=/old', '; Path=/; Secure; Partitioned'])(
    'keeps the session where a former cookie of its name is removed, with it%s',
    async (place) => {
      const { sessions, jar, visit } = createWorld({ cookie: { name: 'session' } })
      await visit((session) => session.login('ann'))
      const removal = `session=; Max-Age=0${place}`
      const cleaning = sessions.handler(async (request) => {
        ;(await sessions.get(request)).set('seen', true)
        return new Response('', { headers: { 'set-cookie': removal } })
      })
      const response = await jar.fetch(cleaning, '/')
      expect(response.headers.getSetCookie()).toContain(removal)
      const { session } = await visit()
      expect([session.subject, session.get('seen')]).toEqual(['ann', true])
    },
  )

  it('keeps the session where a cookie of a domain is removed that begins like its own', async () => {
    const { sessions, jar, visit } = createWorld({
      cookie: { name: 'session', domain: 'example.com' },
    })
    await visit((session) => session.login('ann'))
    const removal = 'session=; Max-Age=0; Domain=example.org; Path=/'
    const cleaning = sessions.handler(async (request) => {
      ;(await sessions.get(request)).set('seen', true)
      return new Response('', { headers: { 'set-cookie': removal } })
    })
    await jar.fetch(cleaning, '/')
    expect((await visit()).session.subject).toBe('ann')
  })

  it.each([
    [{}, ';Path=/;Secure'],
    [{}, '; Path=; Secure'],
    [{ domain: 'example.com' }, ';domain=.Example.com;path=/'],
    [{ domain: 'example.com', path: '/app' }, '; PATH=/app ; Domain=EXAMPLE.com'],
    [{ path: '/app' }, ';Path=/app'],
    [{ partitioned: true }, ';Path=/;Secure;Partitioned'],
    [{ partitioned: true }, '; Path=/; Partitioned ; Secure'],
  ])(
    'stays signed out where that very cookie is removed, with %j as it%s',
    async (where, place) => {
      const { sessions, jar, visit } = createWorld({ cookie: { name: 'session', ...where } })
      await visit((session) => session.login('ann'))
      const outer = sessions.handler(async (request) => {
        ;(await sessions.get(request)).set('seen', true)
        return new Response('', { headers: { 'set-cookie': `session=; Max-Age=0${place}` } })
      })
      const response = await outer(jar.request('/'))
      const [cookie, ...more] = response.headers.getSetCookie()
      expect(more).toEqual([])
      const session = await sessions.open(cookie!.split(';')[0]!)
      expect([session.subject, session.get('seen')]).toEqual([null, true])
    },
  )
})
