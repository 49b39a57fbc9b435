import { describe, expect, it } from 'vitest'
import { identityOf, type Session } from '../../src/index.ts'
import { createClock, createCookieJar } from '../../src/testing/index.ts'
import { createCountingStore, createWorld } from '../support/sessions.ts'

/** A request with the cookies of several sessions. */
function createSeveral() {
  const clock = createClock()
  const { memory, store, take } = createCountingStore(clock)
  const { events, sessions } = createWorld({ store }, clock)
  /** The session cookie of a browser of its own. */
  const begin = async (use: (session: Session) => void, cookie: string | null = null) => {
    clock.advance(1)
    const session = await sessions.open(cookie)
    use(session)
    return (await sessions.save(session))[0]!.split(';')[0]!
  }
  const signOut = async (...cookies: string[]) => {
    const session = await sessions.open(cookies.join('; '))
    events.length = 0
    take()
    session.destroy()
    const setCookie = await sessions.save(session)
    const ended = events.filter(({ type }) => type === 'session.ended')
    return { calls: take().filter((one) => one === 'end').length, ended, setCookie }
  }
  return { begin, clock, memory, sessions, signOut }
}

describe('destroy() in a request with the cookies of several sessions', () => {
  it('ends those that are live, and names whose they were', async () => {
    const { begin, memory, signOut } = createSeveral()
    const cookies: string[] = []
    for (const name of ['ada', 'bob', 'cid']) cookies.push(await begin((one) => one.login(name)))
    const { calls, ended } = await signOut(...cookies)
    expect([calls, memory.stats().live]).toEqual([3, 0])
    const whose = new Set(ended.map((one) => identityOf(one)?.subject))
    expect(whose).toEqual(new Set(['ada', 'bob', 'cid']))
  })

  it('neither ends nor tells of those that have ended before', async () => {
    const { begin, sessions, signOut } = createSeveral()
    const over = await begin((one) => one.login('ada'))
    const live = await begin((one) => one.login('bob'))
    await sessions.revoke((await sessions.open(over)).id)
    const { calls, ended } = await signOut(over, live)
    expect([calls, ended.length]).toEqual([1, 1])
  })

  it('ends one whose new credential may be on its way, and tells of it', async () => {
    const { begin, memory, signOut } = createSeveral()
    const former = await begin((one) => one.login('ada'))
    await begin((one) => one.regenerate(), former)
    const own = await begin((one) => one.login('bob'))
    const { calls, ended } = await signOut(former, own)
    expect([calls, ended.length, memory.stats().live]).toEqual([2, 2, 0])
  })

  it('leaves one whose credential was replaced long ago to whoever has the new one', async () => {
    const { begin, clock, memory, signOut } = createSeveral()
    const former = await begin((one) => one.login('ada'))
    await begin((one) => one.regenerate(), former)
    const own = await begin((one) => one.login('bob'))
    clock.advance(60)
    const { calls } = await signOut(former, own)
    expect([calls, memory.stats().live]).toEqual([1, 1])
  })
})

describe('a sign-in as somebody else', () => {
  it('hides the session before it from late responses, whichever id comes first', async () => {
    const clock = createClock()
    for (let i = 0; i < 8; i++) {
      const { store } = createCountingStore(clock)
      const options = { store, snapshot: { maxAge: 60 } }
      const [here, elsewhere] = [createWorld(options, clock), createWorld(options, clock)]
      const jar = createCookieJar({ now: clock })
      const visit = async (use: (session: Session) => void) => {
        const session = await here.sessions.open(jar.header())
        use(session)
        const setCookie = await here.sessions.save(session)
        const response = new Response('', { headers: setCookie.map((one) => ['set-cookie', one]) })
        jar.store(response)
        return response
      }
      await visit((session) => session.login('ada'))
      const late = await visit((session) => session.set('a', 1))
      await visit((session) => session.login('bob'))
      jar.store(late)
      expect((await elsewhere.sessions.open(jar.header())).subject).toBe('bob')
    }
  })
})
