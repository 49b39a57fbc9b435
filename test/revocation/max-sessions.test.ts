import { describe, expect, it } from 'vitest'
import { createSessions, identityOf, type Session, type SessionsOptions } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { resilient } from '../../src/stores/resilient.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { createClock, createFaultyStore } from '../../src/testing/index.ts'
import { createWorld, errorOf, SECRET } from '../support/sessions.ts'

function createCapped(maxSessions: number, options: Partial<SessionsOptions> = {}) {
  const clock = createClock()
  const store = createFaultyStore(createMemoryStore({ now: clock }))
  const world = createWorld({ store, maxSessions, ...options }, clock)
  const change = async (header: string | null, use: (session: Session) => void) => {
    const session = await world.sessions.open(header)
    use(session)
    const [setCookie] = await world.sessions.save(session)
    return { id: session.id, header: setCookie?.split(';')[0] ?? header ?? '' }
  }
  const signIn = async (subject: string, at = 1) => {
    clock.advance(at)
    return await change(null, (session) => session.login(subject))
  }
  const statusOf = async (header: string) => (await world.sessions.open(header)).status
  return { store, change, signIn, statusOf, ...world }
}

describe('maxSessions', () => {
  it('ends the oldest session of the user beyond it, by the time of the sign-in', async () => {
    const { change, clock, events, signIn, statusOf } = createCapped(2)
    const [one, two, bob] = [await signIn('ann'), await signIn('ann'), await signIn('bob')]
    // Signed in to again: now it is the newest, though it began first.
    clock.advance(1)
    const again = await change(one.header, (session) => session.login('ann'))
    expect(await statusOf(two.header)).toBe('active')
    events.splice(0)
    const three = await signIn('ann')
    expect(await statusOf(two.header)).toBe('missing')
    for (const { header } of [again, three, bob]) expect(await statusOf(header)).toBe('active')
    expect(events.find(({ type }) => type === 'session.ended')).toMatchObject({
      by: 'cap',
      count: 1,
    })
  })

  it('counts the sessions of each actor apart: neither signs the other out', async () => {
    const { change, clock, signIn, statusOf } = createCapped(1)
    const actAs = (actor: string) => {
      clock.advance(1)
      return change(null, (session) => session.login('ann', { actor }))
    }
    const [own, first, other] = [await signIn('ann'), await actAs('one'), await actAs('two')]
    for (const { header } of [own, first, other]) expect(await statusOf(header)).toBe('active')
    const second = await actAs('one')
    expect(await statusOf(first.header)).toBe('missing')
    const again = await signIn('ann')
    expect(await statusOf(own.header)).toBe('missing')
    for (const { header } of [second, other, again]) expect(await statusOf(header)).toBe('active')
  })

  it('tells whose session it ended, its label and who acted', async () => {
    const { change, clock, events } = createCapped(1)
    await change(null, (session) => session.login('ann', { label: 'a phone', actor: 'support-7' }))
    clock.advance(1)
    await change(null, (session) => session.login('ann', { actor: 'support-7' }))
    const ended = events.find(({ type }) => type === 'session.ended')
    expect(ended).toMatchObject({ by: 'cap', actor: expect.any(String) })
    expect(identityOf(ended!)).toMatchObject({
      subject: 'ann',
      label: 'a phone',
      actor: 'support-7',
    })
  })

  it('spares the same ones, whoever signed in last, where all did at one moment', async () => {
    const { sessions, signIn } = createCapped(2)
    const ids: string[] = []
    for (let i = 0; i < 8; i++) ids.push((await signIn('ann', 0)).id)
    const left = (await sessions.list('ann')).map(({ id }) => id)
    const spared = ids.sort((a, b) => (a < b ? 1 : -1)).slice(0, 2)
    expect(new Set(left)).toEqual(new Set(spared))
  })

  it('ends as many as there are too many, after it was lowered', async () => {
    const { clock, sessions, signIn, store } = createCapped(10)
    for (let i = 0; i < 6; i++) await signIn('ann')
    const lower = createSessions({ secret: SECRET, store, now: clock, maxSessions: 2 })
    clock.advance(1)
    const session = await lower.open(null)
    session.login('ann')
    await lower.save(session)
    const left = await sessions.list('ann')
    expect(left).toHaveLength(2)
    expect(left.some(({ id }) => id === session.id)).toBe(true)
  })

  it.each([1, 3])('%i holds once twenty overlapping sign-ins have answered', async (most) => {
    for (let round = 0; round < 10; round++) {
      const { sessions, signIn, statusOf } = createCapped(most)
      const all = await Promise.all(
        Array.from({ length: 20 }, (_, i) => signIn('ann', i % 3 ? 0 : 0.001)),
      )
      expect(await sessions.list('ann')).toHaveLength(most)
      const statuses = await Promise.all(all.map(({ header }) => statusOf(header)))
      expect(statuses.filter((status) => status === 'active')).toHaveLength(most)
    }
  })

  it('costs a sign-in one list, and no other request a call', async () => {
    const { change, clock, signIn, store } = createCapped(2)
    const calls = () => store.calls.map(({ operation }) => operation)
    const { header } = await signIn('ann')
    expect(calls()).toEqual(['write', 'list'])
    clock.advance(20_000)
    await change(header, (session) => session.set('n', 1))
    await change(header, () => {})
    expect(calls().slice(2)).toEqual(['read', 'write', 'read'])
    await signIn('ann')
    await signIn('ann')
    expect(calls().slice(5)).toEqual(['write', 'list', 'write', 'list', 'end'])
  })

  it('answers a sign-in whose session another one ended before its write was answered', async () => {
    const clock = createClock()
    const memory = createMemoryStore({ now: clock })
    // As on MySQL: a creation is written by one statement, and read by the next one.
    const store: SessionStore = {
      ...memory,
      write: async (id, record, expected, call) => {
        await memory.write(id, record, expected, call)
        await memory.end(id)
        return { ok: false, current: null }
      },
    }
    for (const maxSessions of [1, undefined]) {
      const { visit, sessions } = createWorld({ store, ...(maxSessions && { maxSessions }) }, clock)
      const { response } = await visit((session) => session.login('ann'))
      expect(response.status).toBe(maxSessions ? 200 : 503)
      expect(response.headers.getSetCookie()).toEqual([])
      expect(await sessions.list('ann')).toEqual([])
    }
  })

  it('undoes no sign-in where the store cannot be asked, and the next one makes up for it', async () => {
    const { events, sessions, signIn, statusOf, store } = createCapped(1)
    await signIn('ann')
    store.down({ type: 'throw-before' }, 'list')
    events.splice(0)
    const second = await signIn('ann')
    expect(events.map(({ type }) => type)).toContain('store.degraded')
    store.up()
    expect(await statusOf(second.header)).toBe('active')
    expect(await sessions.list('ann')).toHaveLength(2)
    const third = await signIn('ann')
    expect((await sessions.list('ann')).map(({ id }) => id)).toEqual([third.id])
  })

  it.each([
    [0, RangeError],
    [-1, RangeError],
    [1.5, RangeError],
    ['5', TypeError],
  ])('%s is refused', (maxSessions, kind) => {
    const create = () =>
      createSessions({
        secret: SECRET,
        store: createMemoryStore(),
        maxSessions: maxSessions as never,
      })
    expect(create).toThrow(kind)
    expect(create).toThrow('"maxSessions" must be a whole number from 1')
  })

  it('is refused without a store', () => {
    for (const options of [{}, { revocations: { store: createMemoryStore() } }]) {
      const create = () => createSessions({ secret: SECRET, maxSessions: 5, ...options })
      expect(create).toThrow(TypeError)
      expect(create).toThrow('"maxSessions" must be left out without a store, got 5')
    }
  })

  it('is refused by the first request where sessions cannot be listed', async () => {
    const store = createMemoryStore()
    const { index: _, ...bare } = store
    for (const options of [{ store: bare }, { store, seal: 'cookie' as const }]) {
      const sessions = createSessions({ secret: SECRET, maxSessions: 5, ...options })
      const error = await errorOf(() => sessions.open(null))
      expect(error).toBeInstanceOf(TypeError)
      expect(error.message).toContain('"maxSessions" must be left out with')
    }
    const sessions = createSessions({ secret: SECRET, maxSessions: 5, store: resilient(store) })
    expect((await sessions.open(null)).status).toBe('new')
  })
})
