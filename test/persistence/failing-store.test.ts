import { describe, expect, it } from 'vitest'
import { CircuitOpenError, StoreError, StoreUnavailableError } from '../../src/errors.ts'
import type { Session, SessionsOptions } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { createClock } from '../../src/testing/index.ts'
import { createWorld, errorOf } from '../support/sessions.ts'

/** A browser over a store some of whose calls are replaced. */
async function createFailing(options: Partial<SessionsOptions> = {}) {
  const clock = createClock()
  const memory = createMemoryStore({ now: clock })
  const faults: Partial<SessionStore> = {}
  const calls: string[] = []
  const store: SessionStore = {
    ...memory,
    read: (...call) => {
      calls.push('read')
      return (faults.read ?? memory.read)(...call)
    },
    write: (...call) => {
      calls.push('write')
      return (faults.write ?? memory.write)(...call)
    },
  }
  const world = createWorld({ store, ...options }, clock)
  await world.visit((session) => session.set('n', 1))
  const take = (): string[] => calls.splice(0)
  take()
  return { ...world, clock, faults, memory, take }
}

const fail = (error: Error) => () => Promise.reject(error)

describe('a rotation that a store fails', () => {
  it.each([
    ['an open breaker, which has asked nobody', new CircuitOpenError('Open'), 0],
    ['a store that refuses it', new StoreError('Full'), 0],
    ['a store that may have applied it', new StoreUnavailableError('Down'), 2],
  ])(
    'sends cookies with its error only where it may have been applied: %s',
    async (_, error, count) => {
      const { faults, jar, sessions } = await createFailing()
      const session = await sessions.open(jar.header())
      session.regenerate()
      faults.write = fail(error)
      const thrown = await errorOf(() => sessions.save(session))
      const sent = thrown.getResponse?.().headers.getSetCookie() ?? []
      expect(sent).toHaveLength(count)
    },
  )

  it('sends no snapshot with its error: nobody knows what the store has', async () => {
    const { faults, jar, sessions } = await createFailing({ snapshot: { maxAge: 60 } })
    const text = crypto.randomUUID().repeat(20)
    const session = await sessions.open(jar.header())
    session.set('text', text)
    session.regenerate()
    faults.write = fail(new StoreUnavailableError('Down'))
    const error = await errorOf(() => sessions.save(session))
    const [cookie = ''] = error.getResponse().headers.getSetCookie()
    expect(cookie.length).toBeGreaterThan(0)
    expect(cookie.length).toBeLessThan(text.length)
  })
})

describe('a store that refuses to be read', () => {
  it('is unavailable, and tells a change of its refusal', async () => {
    const { events, faults, jar, sessions, visit } = await createFailing()
    faults.read = fail(new StoreError('No credentials'))
    const { session } = await visit()
    expect(session.status).toBe('degraded')
    const thrown = await errorOf(() => sessions.require(jar.request('/')))
    expect(thrown).toBeInstanceOf(StoreUnavailableError)
    expect(thrown.cause).toBeInstanceOf(StoreError)
    expect(events.at(-1)).toMatchObject({ type: 'store.degraded' })
    expect(await errorOf(() => visit((one) => one.set('n', 2)))).toBeInstanceOf(StoreError)
  })
})

describe('a store that went back, and takes no writes', () => {
  it('fails no request that only reads', async () => {
    const { clock, faults, jar, memory, sessions, visit } = await createFailing({
      snapshot: { maxAge: 1 },
    })
    const { id } = await sessions.open(jar.header())
    const before = (await memory.read(id))!
    await visit((session) => session.set('n', 2))
    clock.advance(2)
    faults.read = async () => before
    faults.write = fail(new StoreUnavailableError('Down'))
    const { response, session } = await visit()
    expect([response.status, session.get('n')]).toEqual([200, 2])
  })
})

describe('a commit that meets another one each time', () => {
  it('fails with a conflict once storeTimeout has passed, and changes nothing', async () => {
    const failing = await createFailing({ storeTimeout: 3 })
    const { clock, events, faults, jar, memory, sessions, take } = failing
    const others = createWorld({ store: memory }, clock).sessions
    const header = jar.header()
    faults.write = async (...call) => {
      clock.advance(1)
      const other: Session = await others.open(header)
      other.increment('n')
      await others.save(other)
      return memory.write(...call)
    }
    const session = await sessions.open(header)
    session.update('n', (n) => Number(n) * 100)
    take()
    const error = await errorOf(() => sessions.save(session))
    expect(error).toMatchObject({ code: 'ERR_SESSION_CONFLICT' })
    expect(take().length).toBe(3)
    expect((await others.open(header)).get('n')).toBe(4)
    // The store is well.
    expect(events.map(({ type }) => type)).not.toContain('store.unavailable')
  })
})

describe('a commit that is repeated', () => {
  it('costs one call, where the first attempt was applied and its answer lost', async () => {
    const { faults, jar, memory, sessions, take } = await createFailing()
    const session = await sessions.open(jar.header())
    session.update('n', (n) => Number(n) + 1)
    faults.write = async (...call) => {
      await memory.write(...call)
      throw new StoreUnavailableError('Answer lost')
    }
    await errorOf(() => sessions.save(session))
    delete faults.write
    take()
    await sessions.save(session)
    expect(take()).toEqual(['write'])
    expect((await sessions.open(jar.header())).get('n')).toBe(2)
  })
})

describe('a snapshot that cannot be read', () => {
  it('is none: the store is asked', async () => {
    const { clock, jar, memory } = await createFailing({ snapshot: { maxAge: 60 } })
    const header = jar.header()
    const more = { store: memory, snapshot: { maxAge: 60 }, version: 2 }
    const newer = createWorld({ ...more, migrate: (data) => data }, clock).sessions
    const session = await newer.open(header)
    session.set('n', 2)
    await newer.save(session)
    const migrate = () => {
      throw new Error('No data of version 1 are left')
    }
    const strict = createWorld({ ...more, migrate }, clock).sessions
    expect((await strict.open(header)).get('n')).toBe(2)
  })
})
