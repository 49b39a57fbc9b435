import { describe, expect, it } from 'vitest'
import type { Session, SessionsOptions } from '../../src/index.ts'
import { createSessions } from '../../src/index.ts'
import type { CookieImporter } from '../../src/migrate/index.ts'
import { createWorld, errorOf, SECRET } from '../support/sessions.ts'

/** Text that `compress` could not shorten. */
const randomText = (length: number): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(length)), (byte) =>
    (byte % 36).toString(36),
  ).join('')

/** A browser whose session was written with four chunks, and an application that allows one. */
async function setUp(use: (session: Session) => void, more: Partial<SessionsOptions> = {}) {
  const { renewAfter = 60 } = more
  const narrow = createWorld({ renewAfter, ...more })
  const wide = createSessions({ secret: SECRET, now: narrow.clock, cookie: { maxChunks: 4 } })
  const fill = wide.handler(async (request) => {
    const session = await wide.get(request)
    session.login('ann')
    session.set('text', randomText(6000))
    use(session)
    return new Response()
  })
  await narrow.jar.fetch(fill, '/')
  return narrow
}

describe('a session that does not fit into its cookie any more', () => {
  it('goes without its renewal on a page that only reads, and says so', async () => {
    const { visit, clock, types } = await setUp(() => {})
    expect((await visit()).setCookie).toEqual([])
    expect(types()).toEqual([])
    clock.advance(61)
    const { response, session, setCookie } = await visit()
    expect([response.status, session.subject, setCookie]).toEqual([200, 'ann', []])
    expect(types()).toEqual(['cookie.too-large'])
    expect((await visit()).session.subject).toBe('ann')
  })

  it('goes without the end of its flash values', async () => {
    const { visit, types } = await setUp((session) => session.flash('notice', 'hello'))
    const { response, session } = await visit()
    expect([response.status, session.flash('notice')]).toEqual([200, 'hello'])
    expect(types()).toEqual(['cookie.too-large'])
  })

  it('throws where the application changes it', async () => {
    for (const change of [
      (session: Session) => session.set('more', 1),
      (session: Session) => session.flash('notice', 'hello'),
      (session: Session) => session.regenerate(),
      (session: Session) => session.login('ann'),
    ]) {
      const { visit } = await setUp(() => {})
      expect((await errorOf(() => visit(change))).code).toBe('ERR_COOKIE_TOO_LARGE')
    }
  })

  it('can be made to fit, and destroyed', async () => {
    const smaller = await setUp(() => {})
    await smaller.visit((session) => session.unset('text'))
    expect((await smaller.visit()).session.data).toEqual({})
    const gone = await setUp(() => {})
    await gone.visit((session) => session.destroy())
    expect(gone.jar.cookies().map(({ name }) => name)).not.toContain('__Host-session')
  })

  it('is not imported, and its old cookie stays', async () => {
    const text = randomText(6000)
    const old: CookieImporter = {
      name: 'old',
      read: async (cookies) =>
        cookies.has('old') ? { data: { text }, subject: 'ann', remove: ['old'] } : null,
    }
    const { visit, jar, types } = createWorld({ importFrom: [old] })
    jar.store(new Response('', { headers: { 'set-cookie': 'old=1; Path=/' } }))
    for (let visits = 0; visits < 2; visits++) {
      const { response, session, setCookie } = await visit()
      expect([response.status, session.subject, setCookie]).toEqual([200, 'ann', []])
    }
    expect(types().filter((type) => type === 'cookie.too-large')).toHaveLength(2)
    expect(jar.cookies().map(({ name }) => name)).toEqual(['old'])
    const error = await errorOf(() => visit((session) => session.set('more', 1)))
    expect(error.code).toBe('ERR_COOKIE_TOO_LARGE')
  })
})
