import { describe, expect, it } from 'vitest'
import type { SessionsOptions } from '../../src/index.ts'
import { cached } from '../../src/stores/cached.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { createClock, createFaultyStore } from '../../src/testing/index.ts'
import { asRemote, createWorld } from '../support/sessions.ts'

/** A user in one isolate; another isolate sees the same store through something else. */
async function createTwo(
  more: Partial<SessionsOptions>,
  wrap: (store: SessionStore, now: () => number) => SessionStore,
) {
  const clock = createClock()
  const memory = createMemoryStore({ now: clock })
  const store = createFaultyStore(memory)
  const here = createWorld({ ...more, store: asRemote(memory) }, clock)
  const elsewhere = createWorld({ ...more, store: wrap(store, clock) }, clock)
  await here.visit((session) => session.login('ada'))
  const rotate = () => here.visit((session) => session.regenerate())
  const look = (header = here.jar.header()) => elsewhere.sessions.open(header)
  return { clock, elsewhere, here, look, rotate, store }
}

describe('a credential that a rotation replaced', () => {
  it('shows nothing, also where the session cannot be ended at once', async () => {
    const more = { snapshot: { maxAge: 5, staleIfError: 3600 }, onReuse: 'revoke' } as const
    const { clock, elsewhere, here, look, rotate, store } = await createTwo(more, (one) => one)
    const copied = here.jar.header()
    await rotate()
    clock.advance(40)
    store.inject({ type: 'throw-before' }, 'end')
    const { status, subject } = await look(copied)
    expect([status, subject]).toEqual(['missing', null])
    expect(elsewhere.types()).toEqual(['store.degraded', 'session.reused'])
  })
})

describe("a credential that a rotation replaced long ago, with onReuse: 'revoke'", () => {
  it.each(['secret', 'cookie'] as const)('ends the session, sealed by the %s', async (seal) => {
    const more = { seal, onReuse: 'revoke' } as const
    const { clock, elsewhere, here, look, rotate } = await createTwo(more, (one) => one)
    const copied = here.jar.header()
    await rotate()
    clock.advance(29)
    expect([(await look(copied)).status, (await look()).status]).toEqual(['superseded', 'active'])
    clock.advance(1)
    expect([(await look(copied)).status, (await look()).status]).toEqual(['missing', 'missing'])
    const ended = elsewhere.events.filter(({ type }) => type === 'session.ended')
    expect(ended).toEqual([expect.objectContaining({ by: 'reuse', count: 1 })])
  })

  it('names who acted in the session that it ends', async () => {
    const { clock, elsewhere, here, look, rotate } = await createTwo(
      { onReuse: 'revoke' },
      (one) => one,
    )
    await here.visit((session) => session.login('ada', { actor: 'bob' }))
    const copied = here.jar.header()
    await rotate()
    clock.advance(30)
    await look(copied)
    const ended = elsewhere.events.filter(({ type }) => type === 'session.ended')
    expect(ended).toEqual([expect.objectContaining({ actor: expect.any(String) })])
  })
})

describe('a credential that is more rotations ahead than it names', () => {
  it('is not taken for a replaced one by an old copy in memory', async () => {
    const wrap = (store: SessionStore, now: () => number) =>
      cached(store, { ttl: 1, staleIfError: 600, now })
    const { clock, elsewhere, look, here, rotate, store } = await createTwo(
      { onReuse: 'revoke' },
      wrap,
    )
    await look()
    for (let i = 0; i < 3; i++) await rotate()
    clock.advance(40)
    store.inject({ type: 'throw-before' }, 'read')
    expect((await look()).status).toBe('degraded')
    expect(elsewhere.types()).toEqual(['store.stale', 'store.degraded'])
    expect((await here.visit()).session.subject).toBe('ada')
  })

  it('is not taken for a replaced one by a store that lags', async () => {
    let lagging: Awaited<ReturnType<SessionStore['read']>>
    const wrap = (store: SessionStore): SessionStore => ({
      name: 'lagging',
      atomic: false,
      read: async (id) => {
        lagging ??= await store.read(id)
        return lagging
      },
      write: (...call) => store.write(...call),
      end: (...call) => store.end(...call),
    })
    const { clock, elsewhere, look, here, rotate } = await createTwo({ onReuse: 'revoke' }, wrap)
    await look()
    for (let i = 0; i < 3; i++) await rotate()
    clock.advance(40)
    expect((await look()).status).toBe('degraded')
    expect(elsewhere.types()).toEqual(['store.degraded'])
    expect((await here.visit()).session.subject).toBe('ada')
  })
})
