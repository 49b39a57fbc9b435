import { describe, expect, it } from 'vitest'
import { identityOf, type Session } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { createClock, createFaultyStore } from '../../src/testing/index.ts'
import { createWorld } from '../support/sessions.ts'

/** A user with two changes that wait in a cookie. */
async function createWaiting(seal: 'secret' | 'cookie' = 'secret') {
  const clock = createClock()
  const memory = createMemoryStore({ now: clock })
  let meanwhile: (() => Promise<unknown>) | null = null
  const store = createFaultyStore({
    ...memory,
    async write(...call) {
      const run = meanwhile
      meanwhile = null
      await run?.()
      return memory.write(...call)
    },
  } satisfies SessionStore)
  const snapshot = { maxAge: 1, staleIfError: 3600 }
  const world = createWorld({ store, snapshot, seal }, clock)
  const { events, jar, sessions, visit } = world
  const { session } = await visit((one) => one.login('ada'))
  const before = jar.header()
  store.down()
  await visit((one) => {
    one.set('a', 1)
    one.set('b', 1)
  })
  store.up()
  /** What another request with the cookie of before does. */
  const elsewhere = async (use: (session: Session) => void): Promise<string[]> => {
    const other = await sessions.open(before)
    use(other)
    return sessions.save(other)
  }
  const inTheMeantime = (use: (session: Session) => void): void => {
    meanwhile = () => elsewhere(use)
  }
  const dropped = () => events.filter(({ type }) => type === 'commit.dropped')
  return { ...world, clock, dropped, elsewhere, id: session.id, inTheMeantime, store }
}

describe('commit.dropped of deferred writes', () => {
  it.each<[string, (world: Awaited<ReturnType<typeof createWaiting>>) => unknown]>([
    [
      'expired',
      async ({ clock, jar, sessions }) => {
        const header = jar.header()
        clock.advance(900)
        await sessions.save(await sessions.open(header))
      },
    ],
    [
      'generation',
      async ({ elsewhere, jar, visit }) => {
        const setCookie = await elsewhere((one) => one.regenerate())
        jar.store(new Response('', { headers: setCookie.map((one) => ['set-cookie', one]) }))
        await visit()
      },
    ],
    ['ended', ({ visit }) => visit((one) => one.destroy())],
    ['ended', ({ visit }) => visit((one) => one.login('bob'))],
    [
      'conflict',
      async ({ elsewhere, visit }) => {
        await elsewhere((one) => one.set('c', 1))
        await visit()
      },
    ],
  ])('says %s, and how many changes', async (reason, run) => {
    const world = await createWaiting()
    await run(world)
    const told = world.dropped()
    expect(told).toEqual([expect.objectContaining({ reason, changes: 2, deferred: true })])
    expect(identityOf(told[0]!)?.id).toBe(world.id)
  })
})

describe('commit.dropped of a request that a rotation overtook', () => {
  it('is about the session that was rotated', async () => {
    const { dropped, elsewhere, id } = await createWaiting()
    await elsewhere((one) => one.regenerate())
    await elsewhere((one) => one.set('late', 1))
    const [told] = dropped()
    expect(told).toMatchObject({ reason: 'superseded', changes: 1 })
    expect(identityOf(told!)?.id).toBe(id)
  })
})

describe('deferred writes', () => {
  it('that were dropped wait no longer, and are told of once, though the next ones have to wait', async () => {
    const { dropped, elsewhere, jar, sessions, store, visit } = await createWaiting()
    await elsewhere((one) => one.set('c', 1))
    store.down({ type: 'throw-before' }, 'write')
    await visit((one) => one.set('d', 1))
    store.up()
    await visit()
    expect((await sessions.open(jar.header())).data).toEqual({ c: 1, d: 1 })
    expect(dropped()).toEqual([expect.objectContaining({ reason: 'conflict', changes: 2 })])
  })

  it('are applied to no other session, which somebody has begun in their place', async () => {
    const { dropped, jar, sessions } = await createWaiting()
    const other = await sessions.open(null)
    other.login('bob')
    const [cookie = ''] = await sessions.save(other)
    const own = /__Host-session=[^;]*/
    const header = jar.header()!.replace(own, () => own.exec(cookie)![0])
    const session = await sessions.open(header.replace(/__Host-session\.n[^;]*;?/g, ''))
    expect([session.subject, session.data]).toEqual(['bob', {}])
    await sessions.save(session)
    expect(dropped()).toEqual([expect.objectContaining({ reason: 'ended', changes: 2 })])
  })

  it.each(['secret', 'cookie'] as const)(
    'are applied to what another request commits meanwhile, sealed by the %s',
    async (seal) => {
      const { inTheMeantime, sessions, jar, visit } = await createWaiting(seal)
      inTheMeantime((one) => one.flash('notice', 'hello'))
      await visit()
      const { data } = await sessions.open(jar.header())
      expect(data).toEqual({ a: 1, b: 1 })
    },
  )
})
