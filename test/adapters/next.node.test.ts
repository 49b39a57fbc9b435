import { beforeEach, describe, expect, it, vi } from 'vitest'
import { getSession, withSession } from '../../src/adapters/next.ts'
import { createSessions, type SessionEvent } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
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
