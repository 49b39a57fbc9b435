import { describe, expect, it } from 'vitest'
import type { SessionsOptions } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createClock, createFaultyStore } from '../../src/testing/index.ts'
import {
  countCrypto,
  createCountingStore,
  createWorld,
  errorOf,
  OTHER_SECRET,
  SECRET,
} from '../support/sessions.ts'

/** Sessions, a browser, and what their status endpoint answers. */
function createStatus(options: Partial<SessionsOptions> = {}, clock = createClock()) {
  const world = createWorld({ idleTimeout: 1000, ...options }, clock)
  const status = world.sessions.statusHandler()
  const ask = async (method = 'GET') => {
    const response = await world.jar.fetch(status, '/status', { method })
    const body = response.status === 200 && method !== 'HEAD' ? await response.json() : null
    return { response, body, setCookie: response.headers.getSetCookie() }
  }
  return { ...world, ask, status }
}

describe('statusHandler()', () => {
  it('tells a stranger, and an anonymous visitor, that nobody is signed in', async () => {
    const { ask, visit } = createStatus()
    const nobody = { signedIn: false, secondsLeft: null, who: null, factors: {} }
    expect((await ask()).body).toEqual(nobody)
    await visit((session) => session.set('cart', 1))
    expect((await ask()).body).toEqual(nobody)
  })

  it('tells that somebody is signed in, and for how many seconds', async () => {
    const { ask, clock, visit } = createStatus()
    await visit((session) => session.login('ann'))
    expect((await ask()).body).toMatchObject({ signedIn: true, secondsLeft: 1000 })
    clock.advanceMs(400_500)
    expect((await ask()).body).toMatchObject({ signedIn: true, secondsLeft: 600 })
    clock.advance(600)
    expect((await ask()).body).toMatchObject({ signedIn: false, secondsLeft: null })
  })

  it('counts the seconds to the earliest end: that of the cookie, or the absolute timeout', async () => {
    const cookie = createStatus({ cookie: { maxAge: 300 } })
    await cookie.visit((session) => session.login('ann'))
    expect((await cookie.ask()).body.secondsLeft).toBe(300)
    const absolute = createStatus()
    await absolute.visit((session) =>
      session.login('ann', { absoluteTimeout: 50, idleTimeout: 50 }),
    )
    expect((await absolute.ask()).body.secondsLeft).toBe(50)
  })

  it('tells the factors that the user has proven, as session.factors does', async () => {
    const { ask, clock, visit } = createStatus()
    await visit((session) => session.login('ann'))
    expect((await ask()).body.factors).toEqual({})
    clock.advance(5)
    const { session } = await visit((session) => session.elevate('passkey'))
    expect((await ask()).body.factors).toEqual(session.factors)
    expect(session.factors).toEqual({ passkey: clock() })
  })

  it('is stored by nobody, varies by the cookie, and is no resource for pages of other sites', async () => {
    const { ask, visit } = createStatus()
    await visit((session) => session.login('ann'))
    for (const method of ['GET', 'HEAD', 'POST']) {
      const { headers } = (await ask(method)).response
      expect(headers.get('cache-control')).toContain('no-store')
      expect(headers.get('vary')).toBe('Cookie')
      expect(headers.get('cross-origin-resource-policy')).toBe('same-origin')
    }
  })

  it('GET renews nothing and consumes no flash value; POST renews, and leaves flash values too', async () => {
    for (const options of [{}, { store: createMemoryStore({ now: createClock() }) }]) {
      const { ask, clock, visit } = createStatus(options)
      await visit((session) => {
        session.login('ann')
        session.flash('notice', 'hello')
      })
      clock.advance(500)
      const asked = await ask()
      expect([asked.setCookie, asked.body.secondsLeft]).toEqual([[], 500])
      const kept = await ask('POST')
      expect([kept.setCookie.length, kept.body.secondsLeft]).toEqual([1, 1000])
      expect((await ask('POST')).setCookie).toEqual([])
      clock.advance(600)
      const { session } = await visit()
      expect([session.status, session.flash('notice')]).toEqual(['active', 'hello'])
    }
  })

  it('starts no session for a stranger, whatever the method', async () => {
    const { ask, frequent, types } = createStatus()
    for (const method of ['GET', 'HEAD', 'POST']) expect((await ask(method)).setCookie).toEqual([])
    expect([types(), frequent.map(({ type }) => type)]).toEqual([[], ['session.saved']])
  })

  it('refuses other methods, and what is no request', async () => {
    const { ask, status } = createStatus()
    const { response } = await ask('DELETE')
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD, POST'])
    expect((await errorOf(() => status({} as never))).message).toMatch(/"request" must be/)
  })

  it('asks a store within the age of a snapshot never, and without one once', async () => {
    const clock = createClock()
    for (const [snapshot, calls] of [
      [{ maxAge: 60 }, []],
      [false, ['read']],
    ] as const) {
      const { store, take } = createCountingStore(clock)
      const { ask, visit } = createStatus({ store, snapshot }, clock)
      await visit((session) => session.login('ann'))
      take()
      expect((await ask()).body.signedIn).toBe(true)
      expect(take()).toEqual(calls)
    }
  })

  it('makes no WebCrypto call for a cookie and a user that it has just seen', async () => {
    const { ask, visit } = createStatus()
    await visit((session) => session.login('ann'))
    await ask()
    expect(await countCrypto(ask)).toBe(0)
  })
})

describe('the mark of the user', () => {
  it('is the same in every session of a user, another for others, and does not show the subject', async () => {
    const clock = createClock()
    const markOf = async (subject: string): Promise<string> => {
      const { ask, visit } = createStatus({}, clock)
      await visit((session) => session.login(subject))
      const { body } = await ask()
      expect(JSON.stringify(body)).not.toContain(subject)
      return body.who
    }
    const [ann, again, bob] = [await markOf('ann@ex'), await markOf('ann@ex'), await markOf('bob')]
    expect(ann).toMatch(/^[\w-]{22}$/)
    expect(again).toBe(ann)
    expect(bob).not.toBe(ann)
  })

  it('is another one for somebody who acts for the user', async () => {
    const { ask, visit } = createStatus()
    const marks = []
    for (const actor of [undefined, 'support:sam', undefined]) {
      await visit((session) => session.login('ann', { actor }))
      marks.push((await ask()).body.who)
    }
    expect(marks[2]).toBe(marks[0])
    expect(marks[1]).not.toBe(marks[0])
  })

  it('shares a part with that of every step of a rotation of secrets', async () => {
    const markOf = async (secret: SessionsOptions['secret']): Promise<string[]> => {
      const { ask, visit } = createStatus({ secret })
      await visit((session) => session.login('ann'))
      return (await ask()).body.who.split('.')
    }
    const [old, both, next] = [
      await markOf(SECRET),
      await markOf([OTHER_SECRET, SECRET]),
      await markOf(OTHER_SECRET),
    ]
    expect(both).toEqual([...next, ...old])
    expect(old).not.toEqual(next)
  })
})

describe('statusHandler() while nobody knows', () => {
  it.each(['degrade', 'throw'] as const)(
    'answers 503 for a store that is down (%s), and 200 from a snapshot',
    async (onStoreFailure) => {
      for (const [snapshot, expected] of [
        [false, 503],
        [{ maxAge: 0, staleIfError: 600 }, 200],
      ] as const) {
        const store = createFaultyStore(createMemoryStore())
        const options = { store, snapshot, onStoreFailure, now: Date.now }
        const { ask, visit } = createStatus(options)
        await visit((session) => session.login('ann'))
        store.down()
        for (const method of ['GET', 'POST']) {
          const { body, response, setCookie } = await ask(method)
          expect([response.status, setCookie]).toEqual([expected, []])
          if (expected === 200) expect(body.signedIn).toBe(true)
          else expect(response.headers.get('retry-after')).toBe('1')
        }
      }
    },
  )

  it('answers 503 to a cookie that a rotation has just replaced', async () => {
    const clock = createClock()
    const { jar, status, visit } = createStatus({ store: createMemoryStore({ now: clock }) }, clock)
    await visit((session) => session.login('ann'))
    const late = jar.request('/status')
    await visit((session) => session.regenerate())
    expect((await status(late)).status).toBe(503)
  })
})

it('statusHandler() lets through what is no failure of a store', async () => {
  const ip = () => {
    throw new Error('boom')
  }
  const { ask } = createStatus({ binding: { ip } })
  expect((await errorOf(() => ask())).message).toBe('boom')
})

describe('statusHandler() inside of a handler', () => {
  it('renews nothing where something else of the request has read the session', async () => {
    const { clock, jar, sessions, status, visit } = createStatus()
    await visit((session) => session.login('ann'))
    clock.advance(500)
    const handler = sessions.handler(async (request) => {
      expect((await sessions.get(request)).subject).toBe('ann')
      return status(request)
    })
    const response = await jar.fetch(handler, '/')
    expect(response.headers.getSetCookie()).toEqual([])
    expect(await response.json()).toMatchObject({ secondsLeft: 500 })
  })

  it('saves what something else of the request has changed', async () => {
    const { jar, sessions, status, visit } = createStatus()
    const handler = sessions.handler(async (request) => {
      ;(await sessions.get(request)).set('seen', 1)
      return status(request)
    })
    await jar.fetch(handler, '/')
    expect((await visit()).session.get('seen')).toBe(1)
  })

  it('ends the session that something else of the request has destroyed', async () => {
    const { ask, jar, sessions, status, visit } = createStatus()
    await visit((session) => session.login('ann'))
    const handler = sessions.handler(async (request) => {
      ;(await sessions.get(request)).destroy()
      return status(request)
    })
    const response = await jar.fetch(handler, '/')
    expect(response.headers.getSetCookie()[0]).toContain('Max-Age=0')
    expect((await ask()).body.signedIn).toBe(false)
  })

  it('answers with the renewed cookie once', async () => {
    const { clock, jar, sessions, status, visit } = createStatus()
    await visit((session) => session.login('ann'))
    clock.advance(500)
    const response = await jar.fetch(sessions.handler(status), '/', { method: 'POST' })
    expect(response.headers.getSetCookie()).toHaveLength(1)
    expect(await response.json()).toMatchObject({ secondsLeft: 1000 })
  })
})
