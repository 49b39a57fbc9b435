import { describe, expect, it } from 'vitest'
import { requireSession } from '../../src/guard/guard.ts'
import { createSessions, generateSecret, type Session } from '../../src/index.ts'
import { createWorld, errorOf } from '../support/sessions.ts'

const secret = generateSecret()

/** Calls as JavaScript makes them, whose types nobody checks. */
type Loose = Record<keyof Session, (...given: unknown[]) => unknown>

async function openLoose(): Promise<Loose> {
  const session = await createSessions({ secret }).open(null)
  return session as unknown as Loose
}

describe('a misused session', () => {
  it.each<[string, (session: Loose) => unknown]>([
    ['set({ a: 1 })', (session) => session.set({ a: 1 })],
    ['set(null, 1)', (session) => session.set(null, 1)],
    ['unset()', (session) => session.unset()],
    ['update({ a: 1 }, fn)', (session) => session.update({ a: 1 }, () => 1)],
    ['increment(["a"])', (session) => session.increment(['a'])],
    ['append({}, 1)', (session) => session.append({}, 1)],
    ['flash({ a: 1 }, 1)', (session) => session.flash({ a: 1 }, 1)],
  ])('refuses %s: no object becomes a key', async (_, call) => {
    const session = await openLoose()
    const error = await errorOf(() => call(session))
    expect(error).toBeInstanceOf(TypeError)
    expect(error.message).toMatch(/^Argument "key" must be a string, got /)
    expect(session.data).toEqual({})
  })

  it('takes a number for a key', async () => {
    const session = await openLoose()
    session.set(7, 'a')
    expect(session.get('7')).toBe('a')
  })

  it.each<[string, (session: Loose) => unknown, string]>([
    ['login(7)', (session) => session.login(7), 'must be a string of 1 to 1024'],
    ['elevate("a b")', (session) => session.elevate('a b'), 'must be a name without spaces'],
    ['set of a promise', (session) => session.set('a', Promise.resolve(1)), 'await it first'],
    ['set of a date', (session) => session.set('a', new Date()), 'store a string or number'],
  ])('says of %s what to do', async (_, call, words) => {
    const session = await openLoose()
    expect((await errorOf(() => call(session))).message).toContain(words)
  })
})

describe('misused sessions', () => {
  it.each([
    [{ secure: false }, '"cookie.secure" must be true'],
    [{ domain: 'example.com' }, '"cookie.domain" must be left out'],
  ])('refuse the cookie %j under a prefix, and name one without', (cookie, words) => {
    const create = () => createSessions({ secret, cookie })
    expect(create).toThrow(words)
    expect(create).toThrow('not with a name such as "session"')
    expect(() => createSessions({ secret, cookie: { ...cookie, name: 'session' } })).not.toThrow()
  })

  it('refuse a request of Node, and name what has its session', async () => {
    const { sessions } = createWorld()
    const message = { method: 'GET', url: '/', headers: { cookie: 'a=b' } }
    const error = await errorOf(() => sessions.get(message as unknown as Request))
    expect(error.message).toContain('req.session() of sojourn/node')
  })

  it('refuse a handler that returns no response to save a session with', async () => {
    const { sessions, jar } = createWorld()
    const forgetful = async (request: Request): Promise<void> => {
      const session = await sessions.get(request)
      session.set('a', 1)
    }
    const handler = sessions.handler(forgetful as unknown as (request: Request) => Response)
    const error = await errorOf(() => jar.fetch(handler))
    expect(error).toBeInstanceOf(TypeError)
    expect(error.message).toContain('does the handler return one?')
  })

  it('refuse to list sessions in cookies, and name the options that help', async () => {
    const { sessions } = createWorld()
    for (const call of [() => sessions.list('ann'), () => sessions.revokeAll('ann')]) {
      const { message } = await errorOf(call)
      expect(['"store"', '"revocations"'].filter((one) => !message.includes(one))).toEqual([])
    }
  })

  it('are asked for by a guard that gets requirements alone', () => {
    const requirements = { onMissing: '/login' } as unknown as Parameters<typeof requireSession>[0]
    expect(() => requireSession(requirements)).toThrow(
      '"sessions" must be createSessions(...), got object',
    )
  })
})

describe('an option that is undefined', () => {
  const maybe: { text?: string; seconds?: number } = {}

  it('is as good as left out, in types (exactOptionalPropertyTypes) too', async () => {
    const { text, seconds } = maybe
    const cookie = { domain: text, maxAge: seconds }
    const sessions = createSessions({ secret, cookie, idleTimeout: seconds, store: undefined })
    const guard = requireSession(sessions, { onMissing: text, freshWithin: seconds })
    const session = await sessions.open(null)
    session.login('ann', { label: text, idleTimeout: seconds, tags: undefined })
    const [setCookie = ''] = await sessions.save(session)
    const headers = { cookie: setCookie.split(';', 1)[0]! }
    expect(await guard(new Request('https://example.org/', { headers }))).toBe(null)
  })
})
