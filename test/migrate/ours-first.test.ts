import { describe, expect, it } from 'vitest'
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
