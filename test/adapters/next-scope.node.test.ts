import '../support/next-scope.ts'
import { describe, expect, it } from 'vitest'
import { getSession, withSession } from '../../src/adapters/next.ts'
import type { CookieOptions, Session } from '../../src/index.ts'
import { createSessions, type SessionEvent } from '../../src/index.ts'
import { createClock, createCookieJar } from '../../src/testing/index.ts'
import { runInNext } from '../support/next-scope.ts'
import { SECRET } from '../support/sessions.ts'

const URL = 'https://example.com/'
const attributesOf = (line: string): string[] =>
  line
    .split('; ')
    .slice(1)
    .map((one) => one.toLowerCase())
    .filter((one) => !one.startsWith('expires='))
    .sort()

describe('withSession() in the scope of Next', () => {
  it.each<[CookieOptions, boolean]>([
    [{}, false],
    [{}, true],
    [{ name: 'a', path: '/b', domain: 'example.com', sameSite: 'strict', priority: 'high' }, true],
    [{ sameSite: 'none', partitioned: true, maxAge: 3600 }, false],
    [{ name: 'a', httpOnly: false, secure: false, priority: 'low' }, false],
  ])(
    'sets and removes cookies with the attributes of %j, persistent %j',
    async (cookie, persistent) => {
      const sessions = createSessions({ secret: SECRET, cookie, now: createClock(Date.now()) })
      const request = (header = '') => new Request(URL, { headers: { cookie: header } })
      const compare = async (header: string, use: (session: Session) => void) => {
        const own = request(header)
        use(await sessions.get(own))
        const expected = (await sessions.commit(own, new Response())).headers.getSetCookie()
        const { headers } = await runInNext(request(header), async () => {
          await withSession(sessions)(use)
          return new Response()
        })
        const got = headers.getSetCookie()
        // The labels of notes are random.
        const nameOf = (line: string) => line.split('=')[0]?.replace(/\.n[\w-]{4}$/, '.n')
        expect(got.map(nameOf)).toEqual(expected.map(nameOf))
        expect(got.map(attributesOf)).toEqual(expected.map(attributesOf))
        return got[0]?.split(';')[0] ?? ''
      }
      const signedIn = await compare('', (session) => session.login('ann', { persistent }))
      expect((await sessions.open(signedIn)).subject).toBe('ann')
      expect(await compare(signedIn, (session) => session.destroy())).toMatch(/=$/)
    },
  )

  it('shows what it has set to everything later in the request', async () => {
    const sessions = createSessions({ secret: SECRET, cookie: { maxChunks: 4 } })
    const jar = createCookieJar()
    const subjects: unknown[] = []
    await jar.fetch((request) =>
      runInNext(request, async () => {
        await withSession(sessions)((session) => {
          session.login('ann')
          session.set('large', crypto.getRandomValues(new Uint8Array(1500)).join())
        })
        subjects.push((await getSession(sessions)).subject)
        await withSession(sessions)((session) => session.unset('large'))
        subjects.push((await getSession(sessions)).has('large'))
        return new Response()
      }),
    )
    expect(subjects).toEqual(['ann', false])
    expect(jar.cookies().map(({ name }) => name)).toEqual(['__Host-session'])
  })
})

it('sessions.get() in a route handler of Next that nothing wraps tells of what it did not save', async () => {
  const now = createClock()
  const events: SessionEvent[] = []
  const onEvent = (event: SessionEvent) => void events.push(event)
  const sessions = createSessions({ secret: SECRET, now, onEvent })
  await runInNext(new Request(URL), async (request) => {
    ;(await sessions.get(request)).login('ann')
    return new Response()
  })
  now.advance(61)
  await sessions.get(new Request(URL))
  expect(events.map(({ type }) => type)).toContain('session.uncommitted')
})
