import { describe, expect, it } from 'vitest'
import { sealChallenge } from '../../src/device-bound/tokens.ts'
import type { Session } from '../../src/index.ts'
import { draftOf } from '../../src/session/instances.ts'
import { createCookieJar } from '../../src/testing/index.ts'
import { BOUND, challengeIn, createBoundWorld, REGISTER } from './world.ts'

/** An application whose sign-in has no headers of ours in its response, as an action of Next. */
function createOffering() {
  const world = createBoundWorld({ enforce: 'always' })
  const { app, browser, clock, sessions } = world
  /** Saves what `use` does in one request, and returns the `Set-Cookie` values that a framework sends. */
  const act = async (use: (session: Session) => void, jar = browser.jar) => {
    const request = jar.request('/')
    const session = await sessions.get(request)
    use(session)
    const { headers } = await sessions.commit(request, new Response())
    const [draft] = draftOf(session)!
    return draft.device!.finish(new Response(), headers.getSetCookie(), true)
  }
  /** Puts `Set-Cookie` values in a jar. */
  const store = (values: readonly string[], jar = browser.jar) => {
    const headers = new Headers()
    for (const value of values) headers.append('set-cookie', value)
    jar.store(new Response(null, { headers }))
  }
  const signIn = async (subject = 'ada', jar = createCookieJar({ now: clock })) => {
    const [response, values] = await act((session) => session.login(subject), jar)
    store(values, jar)
    return { jar, response, values, offer: jar.get(BOUND) }
  }
  /** The challenge that a page of a jar asks with, and what its response does with the bound cookie. */
  const ask = async (jar = browser.jar, path = '/') => {
    const response = await jar.fetch(app, path)
    const removed = response.headers.getSetCookie().filter((one) => one.startsWith(`${BOUND}=;`))
    return { challenge: challengeIn(response, 'registration'), removed, response }
  }
  return { ...world, act, ask, signIn, store }
}

describe('a sign-in whose response has no headers of ours', () => {
  it('leaves its challenge in the bound cookie, and the next page asks for the key with it', async () => {
    const { act, app, browser, clock, see, signIn, store } = createOffering()
    const { jar, offer, response, values } = await signIn()
    expect(challengeIn(response, 'registration')).toBe(undefined)
    const own = values.filter((one) => one.startsWith(BOUND))
    expect(own).toEqual([`${BOUND}=${offer}; Max-Age=60; Path=/; HttpOnly; Secure; SameSite=Lax`])
    const page = await jar.fetch(app, '/')
    expect(challengeIn(page, 'registration')).toBe(offer)
    expect(page.headers.get('cache-control')).toBe('private, no-store')
    expect(jar.get(BOUND)).toBe(undefined)
    // A whole browser registers its key then.
    store((await act((session) => session.login('ada')))[1])
    await browser.fetch(app, '/')
    expect(browser.asked).toMatchObject([{ path: REGISTER, status: 200 }])
    clock.advance(3600)
    expect(await see()).toMatchObject({ subject: 'ada', bound: true })
  })

  it('leaves none where nobody signs in, and no page that has no headers asks', async () => {
    const { act, ask, signIn, store } = createOffering()
    const [response, values] = await act((session) => session.set('n', 1), createCookieJar())
    expect(values.filter((one) => one.startsWith(BOUND))).toEqual([])
    expect([...response.headers]).toEqual([])
    const { jar, offer } = await signIn()
    const [next, cookies] = await act(() => {}, jar)
    expect([...next.headers]).toEqual([])
    // It goes on waiting for one that has.
    store(cookies, jar)
    expect((await ask(jar)).challenge).toBe(offer)
  })

  it('asks once: a second page has no challenge any more', async () => {
    const { ask, signIn } = createOffering()
    const { jar } = await signIn()
    const first = await ask(jar)
    expect([first.challenge !== undefined, first.removed.length]).toEqual([true, 1])
    const second = await ask(jar)
    expect([second.challenge, second.removed.length]).toEqual([undefined, 0])
  })

  it('asks for no key of another session, or of a credential that was replaced', async () => {
    const { ask, seeWith, signIn, store } = createOffering()
    const [ada, bob] = [await signIn('ada'), await signIn('bob')]
    store([`${BOUND}=${bob.offer}; Path=/; Secure`], ada.jar)
    expect((await ask(ada.jar)).challenge).toBe(undefined)
    const own = await signIn('ada')
    await seeWith(own.jar, '/regenerate')
    store([`${BOUND}=${own.offer}; Path=/; Secure`], own.jar)
    expect((await ask(own.jar)).challenge).toBe(undefined)
  })

  it('asks with no challenge of a refresh, and with none of ours', async () => {
    const { ask, clock, sessions, signIn, store } = createOffering()
    const { jar, offer } = await signIn()
    const [draft, instance] = draftOf(await sessions.get(jar.request('/')))!
    const claim = { k: 'a.b', t: 'c', g: 1, r: 1, n: 0, p: clock() }
    const ofRefresh = await sealChallenge(instance, draft.current, claim, 600)
    for (const value of [ofRefresh, `${offer}A`, 'x']) {
      store([`${BOUND}=${value}; Path=/; Secure`], jar)
      const { challenge, removed } = await ask(jar)
      expect([value, challenge, removed]).toEqual([value, undefined, []])
    }
    store([`${BOUND}=${offer}; Path=/; Secure`], jar)
    expect((await ask(jar)).challenge).toBe(offer)
  })

  it('asks for none where the page signs out, or the session is bound already', async () => {
    const { act, ask, browser, see, signIn, store } = createOffering()
    const { jar } = await signIn()
    expect((await ask(jar, '/logout')).challenge).toBe(undefined)
    const [, values] = await act((session) => session.login('ada'))
    store(values)
    await see()
    const offer = values.find((one) => one.startsWith(BOUND))!
    store([offer])
    expect((await ask(browser.jar)).challenge).toBe(undefined)
  })

  it('and one that has them ask with one challenge, however often its response is committed', async () => {
    const { browser, sessions } = createOffering()
    const request = browser.jar.request('/')
    const session = await sessions.get(request)
    session.login('ada')
    const [one, two] = [
      await sessions.commit(request, new Response()),
      await sessions.commit(request, new Response()),
    ].map((response) => challengeIn(response, 'registration'))
    expect(one).toMatch(/^[\w-]{100,}$/)
    expect(two).toBe(one)
  })
})
