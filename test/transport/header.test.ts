import { describe, expect, it } from 'vitest'
import { createSessions, type Session } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createSessionHeader } from '../../src/transport/header.ts'
import { errorOf, SECRET } from '../support/sessions.ts'

const create = (more = {}) =>
  createSessions({ secret: SECRET, transport: { header: 'X-Session' }, ...more })

async function call(
  sessions: ReturnType<typeof create>,
  headers: Record<string, string>,
  use: (session: Session) => void = () => {},
) {
  let session: Session | undefined
  const handler = sessions.handler(async (request) => {
    session = await sessions.get(request)
    use(session)
    return new Response('ok')
  })
  const response = await handler(new Request('https://example.org/', { headers }))
  return { response, session: session as Session, token: response.headers.get('x-session') }
}

for (const [where, more] of [
  ['in the token', {}],
  ['in a store', { store: createMemoryStore() }],
] as const) {
  describe(`transport: { header }, ${where}`, () => {
    it('is one header, however its name is spelled', async () => {
      const { token } = await call(create(more), {}, (s) => s.login('ann'))
      const lower = create({ ...more, transport: { header: 'x-session' } })
      const { session } = await call(lower, { 'X-SESSION': token! })
      expect(session.subject).toBe('ann')
    })

    it('carries the token in a header both ways, and sets no cookie', async () => {
      const sessions = create(more)
      const first = await call(sessions, {}, (s) => s.login('ann'))
      expect(first.response.headers.getSetCookie()).toEqual([])
      expect([
        first.response.headers.get('vary'),
        first.response.headers.get('cache-control'),
      ]).toEqual(['X-Session', 'private, no-store'])
      const token = first.token as string
      for (const value of [token, `Bearer ${token}`, `bearer   ${token}`]) {
        const { session, token: again } = await call(sessions, { 'x-session': value })
        expect([session.subject, again]).toEqual(['ann', null])
      }
      const out = await call(sessions, { 'x-session': token }, (s) => s.destroy())
      expect(out.token).toBe('')
    })

    it('does not look at cookies, nor takes their tokens', async () => {
      const sessions = create(more)
      const { token } = await call(sessions, {}, (s) => s.login('ann'))
      const cookie = `__Host-session=${token}`
      expect((await call(sessions, { cookie })).session.status).toBe('new')
      const inCookies = createSessions({ secret: SECRET, ...more })
      expect((await inCookies.open(cookie)).status).toBe('invalid')
    })

    it('is invalid for whatever else comes', async () => {
      const sessions = create(more)
      const { token } = await call(sessions, {}, (s) => s.login('ann'))
      const others = [`x Bearer ${token}`, `xBearer ${token}`, `Basic ${token}`]
      for (const value of ['x', 'Bearer', 'Bearer x', 'a'.repeat(20_000), ...others]) {
        expect((await call(sessions, { 'x-session': value })).session.status).toBe('invalid')
      }
    })
  })
}

describe('transport', () => {
  it('takes a token of 8000 characters, half of what Node allows for all headers', () => {
    const { fits, limit } = createSessionHeader('x-session')
    expect([limit, fits('a'.repeat(8000)), fits('a'.repeat(8001))]).toEqual([8000, true, false])
  })

  it('says what is too large, and what is no header', async () => {
    const sessions = create()
    const session = await sessions.open(null)
    session.set('a', 'x'.repeat(9000))
    expect((await errorOf(() => sessions.save(session))).code).toBe('ERR_COOKIE_TOO_LARGE')
    for (const transport of ['header', { header: '' }, { header: 'a b' }, {}]) {
      expect((await errorOf(() => create({ transport }))).message).toContain('"transport')
    }
  })
})
