import { describe, expect, it } from 'vitest'
import type { Session, SessionsOptions } from '../../src/index.ts'
import { createKVStore } from '../../src/stores/kv.ts'
import { createClock, createFaultyStore } from '../../src/testing/index.ts'
import { KVDouble } from '../support/kv-double.ts'
import { createWorld } from '../support/sessions.ts'

/** Two isolates at two places of KV, which see each other's writes after a minute. */
function createPlaces(options: Partial<SessionsOptions> = {}) {
  const clock = createClock()
  const kv = new KVDouble({ now: clock, lagMs: 60_000 })
  const at = (place: string) =>
    createFaultyStore(createKVStore({ namespace: kv.at(place), now: clock }))
  const [one, other] = [at('one'), at('other')]
  const here = createWorld({ ...options, store: one }, clock)
  const elsewhere = createWorld({ ...options, store: other }, clock)
  return { clock, here, elsewhere, store: one }
}

/** One request with these cookies, whose handler does `use` with the session. */
async function respond(
  { sessions }: ReturnType<typeof createWorld>,
  cookie: string | null,
  use: (session: Session) => void,
): Promise<Response> {
  const handler = sessions.handler(async (request) => {
    use(await sessions.get(request))
    return new Response('ok')
  })
  return await handler(new Request('https://example.com/', { headers: { cookie: cookie ?? '' } }))
}

describe('a rotation of unknown outcome on KV', () => {
  it('makes no older state of another place the session: it only lags', async () => {
    const { clock, here, elsewhere, store } = createPlaces()
    await here.visit((session) => session.set('n', 1))
    clock.advance(61)
    await here.visit((session) => session.set('n', 2))
    store.down({ type: 'throw-before' }, 'write')
    const { response } = await here.visit((session) => session.login('ada'))
    expect(response.status).toBe(503)
    store.up()
    clock.advance(1)
    const { status } = await elsewhere.sessions.open(here.jar.header())
    expect(status).toBe('degraded')
    clock.advance(61)
    const session = await elsewhere.sessions.open(here.jar.header())
    expect([session.status, session.get('n')]).toEqual(['active', 2])
  })

  it('loses no write that was made after it, at a place that has not seen that write yet', async () => {
    const { clock, here, elsewhere, store } = createPlaces()
    await here.visit((session) => session.set('n', 1))
    clock.advance(61)
    store.down({ type: 'throw-before' }, 'write')
    await here.visit((session) => session.login('ada'))
    store.up()
    clock.advance(2)
    await here.visit((session) => session.set('n', 2))
    clock.advance(2)
    const { status } = await elsewhere.sessions.open(here.jar.header())
    expect(status).toBe('degraded')
  })

  it('signs nobody out at a place that has not seen the session yet', async () => {
    const { clock, here, elsewhere, store } = createPlaces()
    await here.visit((session) => session.set('n', 1))
    clock.advance(2)
    store.down({ type: 'throw-before' }, 'write')
    await here.visit((session) => session.regenerate())
    store.up()
    expect((await elsewhere.sessions.open(here.jar.header())).status).toBe('degraded')
    expect((await here.sessions.open(here.jar.header())).get('n')).toBe(1)
  })
})

describe('a sign-in on KV that was answered', () => {
  it('is not written over at another place, where an overlapping one was answered 503', async () => {
    const { clock, here, elsewhere, store } = createPlaces()
    await here.visit((session) => session.set('n', 1))
    clock.advance(121)
    const before = here.jar.header()
    const signedIn = await respond(elsewhere, before, (session) => session.login('ada'))
    clock.advance(1)
    store.down({ type: 'throw-before' }, 'write')
    here.jar.store(await respond(here, before, (session) => session.login('ada')))
    store.up()
    here.jar.store(signedIn)
    clock.advance(20)
    expect((await here.visit()).response.status).toBe(200)
    expect((await here.sessions.open(here.jar.header())).status).toBe('degraded')
    clock.advance(121)
    expect((await here.sessions.open(here.jar.header())).subject).toBe('ada')
    expect(await here.sessions.revokeAll('ada')).toBe(1)
  })
})

describe('a write on KV, with a snapshot', () => {
  it('goes on from what the browser has seen, where another place wrote before it could see that', async () => {
    const { clock, here, elsewhere } = createPlaces({ snapshot: { maxAge: 10 } })
    await here.visit((session) => session.set('n', 1))
    clock.advance(121)
    await here.visit()
    // Both places write, and neither sees the other: one of the two writes is lost.
    const cookie = here.jar.header()
    await respond(elsewhere, cookie, (session) => session.set('m', 1))
    here.jar.store(await respond(here, cookie, (session) => session.set('n', 2)))
    clock.advance(2)
    await here.visit((session) => session.set('n', 3))
    clock.advance(2)
    const next = await respond(elsewhere, here.jar.header(), (session) => session.set('o', 1))
    here.jar.store(next)
    clock.advance(121)
    const { data } = await here.sessions.open(here.jar.header())
    expect(data).toEqual({ n: 3, o: 1 })
    expect([...here.types(), ...elsewhere.types()]).not.toContain('store.rolled-back')
  })
})
