import { NextRequest, NextResponse } from 'next/server.js'
import { describe, expect, it, vi } from 'vitest'
import { getSession, sessionProxy, withSession } from '../../src/adapters/next.ts'
import { requireSession } from '../../src/guard.ts'
import { createSessions } from '../../src/index.ts'
import { createCookieJar } from '../../src/testing/index.ts'
import { SECRET } from '../support/sessions.ts'

/** The request that Next would say it is in. */
let current = new Headers()
const jar = createCookieJar()

vi.mock('next/headers.js', () => ({
  headers: async () => current,
  cookies: async () => ({
    getAll: () => jar.cookies(),
    set: ({ name, value }: { name: string; value: string }) =>
      jar.store(
        new Response('', { headers: { 'set-cookie': `${name}=${value}; Path=/; Secure` } }),
      ),
  }),
}))

const sessions = createSessions({ secret: SECRET, binding: { userAgent: true } })
const from = (agent: string, more = {}): NextRequest => {
  const sent = { 'user-agent': agent, cookie: jar.header() ?? '', ...more }
  current = new Headers(sent)
  return new NextRequest('https://example.com/page', { headers: sent })
}

describe('sojourn/next', () => {
  it('ties sessions to their client in components and actions too', async () => {
    from('Firefox')
    await withSession(sessions)((session) => session.login('ann'))
    expect((await getSession(sessions)).subject).toBe('ann')
    from('curl')
    expect((await getSession(sessions)).subject).toBe(null)
    expect(await withSession(sessions)(({ status }) => status)).toBe('invalid')
    from('Firefox')
    expect((await getSession(sessions)).subject).toBe('ann')
  })

  it('lets no cache give what a proxy decided by the session to somebody else', async () => {
    const answers = {
      page: () => new Response('hello'),
      redirect: () => NextResponse.redirect('https://example.com/login'),
      goesOn: () => undefined,
    }
    for (const answer of Object.values(answers)) {
      const proxy = sessionProxy(sessions, async (request) => {
        await sessions.get(request)
        return answer()
      })
      expect((await proxy(from('Firefox'))).headers.get('vary')).toBe('Cookie')
    }
    const guarded = sessionProxy(
      sessions,
      async (request) => (await requireSession(sessions)(request)) ?? undefined,
    )
    const refused = await guarded(new NextRequest('https://example.com/page'))
    expect([refused.status, refused.headers.get('vary')]).toEqual([401, 'Cookie'])
    const unused = await sessionProxy(sessions)(new NextRequest('https://example.com/page'))
    expect(unused.headers.get('vary')).toBe(null)
  })

  it('passes on no flash that a client made up', async () => {
    const response = await sessionProxy(sessions)(from('Firefox', { 'x-sojourn-flash': 'forged' }))
    const passed = response.headers.get('x-middleware-override-headers') ?? ''
    expect(passed.split(',')).toContain('user-agent')
    expect(passed.split(',')).not.toContain('x-sojourn-flash')
    expect((await getSession(sessions)).flash('notice')).toBe(undefined)
  })
})
