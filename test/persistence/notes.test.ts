import { describe, expect, it } from 'vitest'
import type { Session } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createClock, createFaultyStore } from '../../src/testing/index.ts'
import { createWorld } from '../support/sessions.ts'

type Use = (session: Session) => void

/** Two isolates over one store, the other's clock two seconds ahead, and responses that arrive late. */
function createLateWorld() {
  const clock = createClock()
  const options = { store: createMemoryStore({ now: clock }), snapshot: { maxAge: 10 } }
  const here = createWorld(options, clock)
  const elsewhere = createWorld({ ...options, now: () => clock() + 2000 }, clock)
  const respond = async ({ sessions }: typeof here, use: Use): Promise<Response> => {
    const handler = sessions.handler(async (request) => {
      use(await sessions.get(request))
      return new Response('ok')
    })
    return await handler(here.jar.request('/'))
  }
  const arrive = (response: Response): void => here.jar.store(response)
  const look = async ({ sessions }: typeof here) => await sessions.open(here.jar.header())
  return { here, elsewhere, clock, respond, arrive, look }
}

describe('a late response', () => {
  it('does not bring back the session of the user who was signed in before', async () => {
    const { here, elsewhere, respond, arrive, look, clock } = createLateWorld()
    await here.visit((session) => session.login('ada'))
    clock.advance(11)
    const late = await respond(elsewhere, () => {})
    await here.visit((session) => session.login('bob'))
    arrive(late)
    const { status, subject } = await look(elsewhere)
    expect([status, subject]).toEqual(['active', 'bob'])
  })

  it('that brings the cookie from before a rotation back is put right by the next read, for good', async () => {
    const clock = createClock()
    const store = createMemoryStore({ now: clock })
    const { jar, sessions, visit } = createWorld({ store, renewAfter: 60 }, clock)
    await visit((session) => session.login('ada'))
    clock.advance(60)
    const read = sessions.handler(async (request) => {
      await sessions.get(request)
      return new Response('ok')
    })
    const late = await read(jar.request('/'))
    expect(late.headers.getSetCookie()).toHaveLength(1)
    await visit((session) => session.elevate('passkey'))
    jar.store(late)
    await visit()
    // The note is over.
    clock.advance(3601)
    expect((await sessions.open(jar.header())).subject).toBe('ada')
  })

  it('does not bring back a session that ended, after somebody signed in again', async () => {
    const { here, elsewhere, respond, arrive, look, clock } = createLateWorld()
    await here.visit((session) => session.set('cart', 1))
    clock.advance(11)
    const late = await respond(elsewhere, () => {})
    await here.visit((session) => session.destroy())
    await here.visit((session) => session.login('ada'))
    arrive(late)
    const { status, subject } = await look(elsewhere)
    expect([status, subject]).toEqual(['active', 'ada'])
  })

  it('does not remove the cookie of a session that was begun meanwhile', async () => {
    const { here, respond, arrive, look } = createLateWorld()
    await here.visit((session) => session.set('cart', 1))
    const before = await respond(here, (session) => session.set('cart', 2))
    await here.visit((session) => session.destroy())
    arrive(before)
    const late = await respond(here, () => {})
    await here.visit((session) => session.set('cart', 3))
    arrive(late)
    const session = await look(here)
    expect([session.status, session.get('cart')]).toEqual(['active', 3])
  })

  it('does not take an older session where the newer one was just rotated', async () => {
    const { here, clock, respond, arrive, look } = createLateWorld()
    const first = await respond(here, (session) => session.login('ada'))
    clock.advance(1)
    const second = await respond(here, (session) => session.login('ada'))
    arrive(first)
    arrive(second)
    clock.advance(11)
    const rotation = await respond(here, (session) => session.regenerate())
    const overlapping = await respond(here, () => {})
    arrive(rotation)
    arrive(overlapping)
    await here.visit((session) => session.set('cart', 1))
    expect(overlapping.headers.getSetCookie()).toEqual([])
    expect((await look(here)).get('cart')).toBe(1)
  })

  it('does not hide a sign-in behind a session that an overlapping first request began', async () => {
    const { here, elsewhere, clock, respond, arrive, look } = createLateWorld()
    const signIn = await respond(here, (session) => session.login('ada'))
    clock.advance(1)
    const cart = await respond(elsewhere, (session) => session.set('cart', 1))
    arrive(signIn)
    arrive(cart)
    for (const world of [elsewhere, here, elsewhere]) {
      expect((await look(world)).subject).toBe('ada')
      clock.advance(11)
      await world.visit()
    }
  })

  it('is put right though the store takes no renewal, before the note is over', async () => {
    const clock = createClock()
    const faulty = createFaultyStore(createMemoryStore({ now: clock }))
    const { jar, sessions } = createWorld({ store: faulty, renewAfter: 60 }, clock)
    const answer = async (use: Use): Promise<Response> =>
      await sessions.handler(async (request) => {
        use(await sessions.get(request))
        return new Response('ok')
      })(jar.request('/'))
    const signIn = await answer((session) => session.login('ada'))
    const cart = await answer((session) => session.set('cart', 1))
    jar.store(signIn)
    jar.store(cart)
    clock.advance(100)
    faulty.down({ type: 'throw-before' }, 'write')
    jar.store(await answer(() => {}))
    faulty.up()
    clock.advance(3500)
    expect((await sessions.open(jar.header())).subject).toBe('ada')
  })

  it('does not bring a replaced credential back, though nobody comes for most of an hour', async () => {
    const { here, elsewhere, respond, arrive, look, clock } = createLateWorld()
    await here.visit((session) => session.set('cart', 1))
    clock.advance(11)
    const late = await respond(elsewhere, (session) => session.set('cart', 2))
    await here.visit((session) => session.login('ada'))
    arrive(late)
    clock.advance(3500)
    const { status, subject } = await look(elsewhere)
    expect([status, subject]).toEqual(['active', 'ada'])
  })

  it('does not put an older session in the place of a sign-in, by renewing it', async () => {
    const { here, clock, respond, arrive, look } = createLateWorld()
    const signIn = here.jar.request('/')
    await here.visit((session) => session.set('cart', 1))
    clock.advance(11)
    const handler = here.sessions.handler(async (request) => {
      const session = await here.sessions.get(request)
      session.login('ada')
      return new Response('ok')
    })
    const signedIn = await handler(signIn)
    clock.advance(1)
    const late = await respond(here, () => {})
    arrive(signedIn)
    await here.visit()
    arrive(late)
    clock.advance(11)
    expect((await look(here)).subject).toBe('ada')
  })
})

describe('the note of a sign-in', () => {
  const maxAgesOf = (response: Response): (string | undefined)[] =>
    response.headers.getSetCookie().map((one) => /; Max-Age=(\d+)/.exec(one)?.[1])
  const signIn = async (options: Parameters<typeof createWorld>[0], persistent: boolean) => {
    const clock = createClock()
    const world = createWorld({ store: createMemoryStore({ now: clock }), ...options }, clock)
    const handler = world.sessions.handler(async (request) => {
      const session = await world.sessions.get(request)
      session.login('ada', { persistent })
      return new Response('ok')
    })
    return maxAgesOf(await handler(world.jar.request('/')))
  }

  it('ends with the browser where the session cookie does', async () => {
    expect(await signIn({}, false)).toEqual([undefined, undefined])
  })

  it('lives for an hour beside a persistent session cookie', async () => {
    expect(await signIn({}, true)).toEqual(['86400', '3600'])
  })

  it('lives no longer than cookie.maxAge', async () => {
    expect(await signIn({ cookie: { maxAge: 60 } }, false)).toEqual(['60', '60'])
    expect(await signIn({ cookie: { maxAge: 7200 } }, false)).toEqual(['7200', '3600'])
  })

  it('opens nothing after an hour, and the next renewal removes it', async () => {
    const clock = createClock()
    const store = createMemoryStore({ now: clock })
    const { jar, sessions, visit } = createWorld({ store, renewAfter: 4000 }, clock)
    await visit((session) => session.login('ada'))
    const note = jar
      .header()!
      .split('; ')
      .find((one) => one.includes('.n'))!
    clock.advance(3599)
    expect((await sessions.open(note)).subject).toBe('ada')
    clock.advance(1)
    expect((await sessions.open(note)).status).toBe('new')
    clock.advance(400)
    expect((await visit()).session.subject).toBe('ada')
    expect(jar.header()).not.toContain('.n')
  })
})

describe('the note of a sign-out', () => {
  it('names the 16 sessions that ended last, and no more', async () => {
    const { visit, jar } = createWorld()
    const lengths: number[] = []
    for (let i = 0; i < 20; i++) {
      await visit((session) => session.login('ada'))
      await visit((session) => session.destroy())
      lengths.push(jar.header()!.length)
    }
    expect(lengths[15]! > lengths[14]!).toBe(true)
    expect(new Set(lengths.slice(15)).size).toBe(1)
  })

  /** The `Max-Age` of the notes of a response, seconds. */
  const agesOf = (setCookie: readonly string[]): number[] =>
    setCookie
      .filter((one) => one.includes('.n') && !one.includes('Max-Age=0'))
      .map((one) => Number(/Max-Age=(\d+)/.exec(one)?.[1]))
  const DAY = 86_400

  it('lives for as long as a snapshot may be shown, and an hour at least', async () => {
    const ageWith = async (maxAge: number): Promise<number[]> => {
      const clock = createClock()
      const store = createMemoryStore({ now: clock })
      const snapshot = { maxAge, staleIfError: 3000 }
      const { visit } = createWorld({ store, snapshot }, clock)
      await visit((session) => session.set('cart', 1))
      return agesOf((await visit((session) => session.destroy())).setCookie)
    }
    expect([await ageWith(60), await ageWith(2000)]).toEqual([[3600], [5000]])
  })

  it('lives as long as the one that it replaces', async () => {
    const { visit, clock } = createWorld()
    await visit((session) => session.login('ada', { idleTimeout: 5 * DAY }))
    expect(agesOf((await visit((session) => session.destroy())).setCookie)).toEqual([5 * DAY])
    clock.advance(DAY)
    await visit((session) => session.login('bob'))
    expect(agesOf((await visit((session) => session.destroy())).setCookie)).toEqual([4 * DAY])
  })

  it('lives as long as the longest of the sessions that it names', async () => {
    const { sessions, jar, visit } = createWorld()
    const signIn = async (subject: string, idleTimeout: number): Promise<string> => {
      jar.clear()
      await visit((session) => session.login(subject, { idleTimeout }))
      return jar.header()!
    }
    const cookies = [await signIn('ada', 5 * DAY), await signIn('bob', DAY)]
    for (const header of [cookies, cookies.toReversed()]) {
      const session = await sessions.open(header.join('; '))
      session.destroy()
      expect(agesOf(await sessions.save(session))).toEqual([5 * DAY])
    }
  })

  it('removes a cookie of the session that a late response brings back, sessions in cookies', async () => {
    const { sessions, jar, visit } = createWorld()
    await visit((session) => session.login('ada'))
    const ended = jar.header()!
    await visit((session) => session.destroy())
    const gone = await sessions.open(`${ended}; ${jar.header()}`)
    expect(gone.status).toBe('missing')
    const removal = (await sessions.save(gone)).map((one) => one.split(';')[0])
    expect(removal).toEqual(['__Host-session='])
    await visit((session) => session.set('cart', 1))
    const live = await sessions.open(`${ended}; ${jar.header()}`)
    expect(live.get('cart')).toBe(1)
    // The browser has one of the two: which one, this response decides.
    const written = await sessions.save(live)
    expect(written.length).toBe(1)
    expect((await sessions.open(written[0]!.split(';')[0]!)).get('cart')).toBe(1)
  })

  it('is sent of whoever was signed in before, sessions in cookies', async () => {
    const { sessions, jar, visit, clock } = createWorld({ renewAfter: 60 })
    await visit((session) => session.login('ada'))
    const before = jar.header()!
    await visit((session) => session.login('bob'))
    clock.advance(60)
    // A request that was under way renews the former cookie, and its response comes last.
    const late = (await sessions.save(await sessions.open(before)))[0]!.split(';')[0]!
    expect((await sessions.open(late)).subject).toBe('ada')
    expect((await sessions.open(`${late}; ${jar.header()}`)).subject).toBe('bob')
  })
})
