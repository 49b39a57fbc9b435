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
import { createClock, createFaultyStore } from '../../src/testing/index.ts'
import { errorOf, SECRET } from '../support/sessions.ts'

/** Next's request, as far as the adapter asks: its headers, its cookies, and where it is. */
const next = vi.hoisted(() => ({
  headers: new Headers(),
  jar: new Map<string, string>(),
  place: 'action' as 'action' | 'component' | 'route',
  refreshed: 0,
}))

vi.mock('next/headers.js', () => ({
  headers: async () => next.headers,
  cookies: async () => ({
    getAll: () => [...next.jar].map(([name, value]) => ({ name, value })),
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
})
