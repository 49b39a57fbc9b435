import { describe, expect, it } from 'vitest'
import { StoreUnavailableError } from '../../src/errors.ts'
import type { Session, SessionsOptions } from '../../src/index.ts'
import { fromIronSession } from '../../src/migrate/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { createClock } from '../../src/testing/index.ts'
import { createWorld } from '../support/sessions.ts'
import frozen from '../vectors/migrate.json' with { type: 'json' }

const old = frozen.cookies.iron
const importer = fromIronSession({
  password: frozen.secret,
  cookieName: 'app',
  toSession: (data) => ({ data, subject: 'from before' }),
})

/** A session of ours, beside an old cookie that no browser would remove. */
async function setUp() {
  const clock = createClock()
  const memory = createMemoryStore({ now: clock })
  const outage = { on: false }
  const store: SessionStore = {
    ...memory,
    read: (...call) => (outage.on ? Promise.reject(new Error('down')) : memory.read(...call)),
  }
  const options = { store, importFrom: [importer], idleTimeout: 60, cache: false as const }
  const world = createWorld(options, clock)
  const session = await world.sessions.open(null)
  session.login('from today')
  const [setCookie] = await world.sessions.save(session)
  const ours = setCookie!.split(';')[0]!
  const open = async () => {
    const { status, subject } = await world.sessions.open(`${ours}; ${old}`)
    return [status, subject]
  }
  return { ...world, outage, ours, open }
}

describe('importFrom, beside a cookie of ours', () => {
  it('asks no old cookie while our session lives', async () => {
    expect(await (await setUp()).open()).toEqual(['active', 'from today'])
  })

  it('asks no old cookie while our store is down', async () => {
    const { open, outage } = await setUp()
    outage.on = true
    expect(await open()).toEqual(['degraded', null])
  })

  it('does not sign in again whoever signed out', async () => {
    const { open, sessions, ours } = await setUp()
    const session = await sessions.open(ours)
    session.destroy()
    await sessions.save(session)
    expect(await open()).toEqual(['superseded', null])
  })

  it('does not bring back what has expired', async () => {
    const { open, clock } = await setUp()
    clock.advanceMs(61_000)
    expect((await open())[1]).toBe(null)
  })

  it('goes by the old cookie when ours does not open', async () => {
    const { sessions } = await setUp()
    const session = await sessions.open(`__Host-session=forged; ${old}`)
    expect([session.status, session.subject]).toEqual(['active', 'from before'])
  })
})

describe('importFrom, on overlapping first visits', () => {
  async function arriveTwice(options: Partial<SessionsOptions> = {}) {
    const clock = createClock()
    const store = createMemoryStore({ now: clock })
    const world = createWorld({ store, importFrom: [importer], ...options }, clock)
    const [one, two] = await Promise.all([world.sessions.open(old), world.sessions.open(old)])
    return { ...world, one, two }
  }

  it('goes on with one session, and loses no write', async () => {
    const { sessions, one, two, types } = await arriveTwice()
    one.set('one', 1)
    two.set('two', 2)
    const [[first], [second]] = await Promise.all([sessions.save(one), sessions.save(two)])
    for (const setCookie of [first, second]) {
      const session = await sessions.open(setCookie!.split(';')[0]!)
      expect(session.subject).toBe('from before')
      expect(session.data).toEqual({ ...one.data, one: 1, two: 2 })
    }
    expect(types().filter((type) => type === 'session.imported')).toHaveLength(1)
  })

  it('removes the old cookie with each response that brings the new one, changed or not', async () => {
    const { sessions, one, two } = await arriveTwice()
    for (const session of [one, two]) {
      const [ours, removal] = await sessions.save(session)
      expect(ours).toMatch(/^__Host-session=[\w-]/)
      expect(removal).toMatch(/^app=; Max-Age=0/)
    }
  })

  for (const [what, act] of [
    ['signed out', (session: Session) => session.destroy()],
    ['signed in', (session: Session) => session.login('somebody')],
  ] as const) {
    it(`stays quiet when another one ${what} meanwhile`, async () => {
      const { sessions, one, two } = await arriveTwice()
      act(one)
      await sessions.save(one)
      two.set('late', true)
      expect((await sessions.save(two)).join()).not.toContain('__Host-session')
      expect(two.status).toBe('superseded')
      expect((await sessions.open(old)).status).toBe('superseded')
    })
  }

  it('starts anew for who signs in when it was ended elsewhere, and removes the old cookie', async () => {
    const { sessions, one } = await arriveTwice()
    await sessions.save(one)
    await sessions.revokeAll('from before')
    const late = await sessions.open(old)
    expect([late.status, late.subject]).toEqual(['superseded', null])
    late.login('from today')
    const [ours, removal] = await sessions.save(late)
    expect((await sessions.open(ours!.split(';')[0]!)).subject).toBe('from today')
    expect(removal).toMatch(/^app=; Max-Age=0/)
  })

  it('is imported again, with a cookie, where its removal never arrived', async () => {
    const { sessions, one, clock } = await arriveTwice()
    one.login('from today')
    await sessions.save(one)
    clock.advance(31)
    const again = await sessions.open(old)
    expect(again.status).toBe('active')
    const [ours] = await sessions.save(again)
    expect(ours).toMatch(/^__Host-session=[\w-]/)
  })

  it('asks notBefore once', async () => {
    let asked = 0
    const notBefore = () => {
      asked++
      return null
    }
    for (const more of [{}, { seal: 'cookie' as const }]) {
      const store = createMemoryStore({ now: createClock() })
      const { sessions } = createWorld({ store, importFrom: [importer], notBefore, ...more })
      asked = 0
      expect((await sessions.open(old)).subject).toBe('from before')
      expect(asked).toBe(1)
    }
  })

  it('leaves the old cookie alone while the store is down', async () => {
    const store: SessionStore = {
      ...createMemoryStore(),
      write: () => Promise.reject(new Error('down')),
    }
    const { sessions, one, events } = await arriveTwice({ store })
    expect(one.status).toBe('degraded')
    expect(() => one.set('one', 1)).toThrow(StoreUnavailableError)
    expect(await sessions.save(one)).toEqual([])
    expect(events[0]).toMatchObject({ type: 'store.degraded', store: 'memory' })
  })

  it('leaves it alone when the store goes down before the response', async () => {
    const memory = createMemoryStore({ now: createClock() })
    const outage = { on: false }
    const write: SessionStore['write'] = (...call) =>
      outage.on ? Promise.reject(new Error('down')) : memory.write(...call)
    const { sessions, one } = await arriveTwice({ store: { ...memory, write } })
    outage.on = true
    one.set('one', 1)
    await expect(sessions.save(one)).rejects.toThrow(StoreUnavailableError)
  })

  it('takes over one each where the key is only in the cookie', async () => {
    const { sessions, one, two } = await arriveTwice({ seal: 'cookie' })
    expect(one.id).not.toBe(two.id)
    const [ours] = await sessions.save(one)
    expect((await sessions.open(ours!.split(';')[0]!)).subject).toBe('from before')
  })
})
