import { describe, expect, it } from 'vitest'
import { StoreUnavailableError } from '../../src/errors.ts'
import type { Session, SessionsOptions } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createClock, createFaultyStore } from '../../src/testing/index.ts'
import { cookiesOf } from '../../src/transport/error-cookies.ts'
import { createWorld, OTHER_SECRET, SECRET } from '../support/sessions.ts'

type Use = (session: Session) => unknown

/** A visitor with a session, two of whose requests are under way with one cookie. */
async function createOverlap(options: Partial<SessionsOptions> = {}) {
  const clock = createClock()
  const memory = createMemoryStore({ now: clock })
  const store = createFaultyStore(memory)
  const world = createWorld({ store, ...options }, clock)
  const { jar, sessions, types, visit } = world
  await visit((session) => session.set('cart', 1))
  const header = jar.header()
  const later = async (use: Use): Promise<Session> => {
    const session = await sessions.open(header)
    await use(session)
    await sessions.save(session)
    return session
  }
  const ended = () => types().filter((type) => type === 'session.ended').length
  const live = () => memory.stats().live
  return { ...world, clock, ended, header, later, live, memory, store }
}

const signIn = (session: Session): void => session.login('ada')

describe('a sign-in that overlaps one of the same user', () => {
  it('goes on with its session: a sign-in that is clicked twice is one', async () => {
    const { ended, later, live, sessions, jar, types } = await createOverlap()
    const first = await later(signIn)
    const second = await later((session) => {
      expect(session.status).toBe('superseded')
      session.login('ada')
      session.set('second', true)
    })
    expect([second.id, live(), ended()]).toEqual([first.id, 1, 0])
    expect(types()).not.toContain('session.reused')
    const opened = await sessions.open(jar.header())
    expect(opened.status).toBe('superseded')
  })

  it('makes one session of both requests, with the data of the visitor', async () => {
    const { header, later, live, sessions } = await createOverlap()
    const session = await sessions.open(header)
    session.login('ada')
    const [first] = [await later(signIn)]
    const [cookie = ''] = await sessions.save(session)
    const opened = await sessions.open(cookie.split(';')[0]!)
    expect([opened.id, opened.subject, opened.data, live()]).toEqual([
      first.id,
      'ada',
      { cart: 1 },
      1,
    ])
  })

  it('is refused, and can be repeated, where it meets a third one and the store fails then', async () => {
    const { header, live, sessions, store, visit } = await createOverlap()
    const first = await visit(signIn)
    const late = await sessions.open(header)
    late.login('ada')
    await visit(signIn)
    const write = store.write.bind(store)
    const answers = [write, () => Promise.reject(new StoreUnavailableError('down'))]
    store.write = (...call) => (answers.shift() ?? write)(...call)
    await expect(sessions.save(late)).rejects.toThrow(StoreUnavailableError)
    await sessions.save(late)
    expect([late.id, late.subject, live()]).toEqual([first.session.id, 'ada', 1])
  })

  it.each<[string, Use, Use, number]>([
    ['has changed data', (one) => [one.login('ada'), one.set('a', 1)], signIn, 0],
    ['has set a value before it', (one) => [one.set('a', 1), one.login('ada')], signIn, 0],
    ['has another actor', (one) => one.login('ada', { actor: 'bob' }), signIn, 0],
    ['is of another user', (one) => one.login('bob'), signIn, 30],
  ])('starts a session of its own where that one %s', async (_why, one, other) => {
    const { later } = await createOverlap()
    const first = await later(one)
    const second = await later(other)
    expect(second.id === first.id).toBe(false)
    expect([second.subject, second.data]).toEqual(['ada', {}])
  })

  it('starts a session of its own where the first one is written to before it goes on with that', async () => {
    const { header, live, memory, sessions, store, visit } = await createOverlap()
    const first = await visit(signIn)
    const late = await sessions.open(header)
    late.login('ada')
    const write = store.write.bind(store)
    store.write = async (...call) => {
      store.write = write
      await visit((session) => session.set('cart', 2))
      return write(...call)
    }
    await sessions.save(late)
    expect([late.id === first.session.id, late.subject, late.data]).toEqual([false, 'ada', {}])
    expect([live(), await memory.read(first.session.id)]).toEqual([1, null])
  })

  it('ends the session of the same user in whose place it starts one, and no other', async () => {
    for (const [user, expected] of [
      ['ada', [1, 1]],
      ['bob', [0, 2]],
    ] as const) {
      const { ended, later, live } = await createOverlap()
      await later((session) => {
        session.login(user)
        session.set('a', 1)
      })
      await later(signIn)
      expect([ended(), live()]).toEqual(expected)
    }
  })

  it('ends that session under any secret that its index key was made with', async () => {
    const { clock, header, later, live, store } = await createOverlap()
    await later((session) => [session.login('ada'), session.set('a', 1)])
    const { sessions, types } = createWorld({ store, secret: [OTHER_SECRET, SECRET] }, clock)
    const second = await sessions.open(header)
    second.login('ada')
    await sessions.save(second)
    expect([types(), live()]).toEqual([expect.arrayContaining(['session.ended']), 1])
  })

  it('starts a session of its own once the credential was replaced for 30 seconds', async () => {
    for (const seconds of [29, 30]) {
      const { clock, header, later, sessions } = await createOverlap()
      const late = await sessions.open(header)
      late.login('ada')
      const first = await later(signIn)
      clock.advance(seconds)
      await sessions.save(late)
      expect(late.id === first.id).toBe(seconds === 29)
    }
  })

  it('goes on with none that a later deployment has signed in to', async () => {
    const { clock, header, later, sessions, store } = await createOverlap()
    const newer = createWorld({ store, version: 2, migrate: (data) => data }, clock).sessions
    const theirs = await newer.open(header)
    theirs.login('ada')
    await newer.save(theirs)
    const own = await later(signIn)
    expect([own.id === theirs.id, own.subject]).toEqual([false, 'ada'])
    expect((await sessions.list('ada')).length).toBe(1)
  })

  it('starts a session of its own where that one has applied deferred writes', async () => {
    const { jar, later, sessions, store, visit } = await createOverlap({
      snapshot: { maxAge: 60, staleIfError: 600 },
    })
    store.down()
    await visit((session) => session.set('waits', 1))
    store.up()
    const first = await sessions.open(jar.header())
    first.login('ada')
    await sessions.save(first)
    const second = await later(signIn)
    expect([second.id === first.id, second.get('waits')]).toEqual([false, undefined])
    expect((await sessions.list('ada')).length).toBe(1)
  })

  it('goes on with no session whose credential was replaced by anything but a sign-in', async () => {
    const { jar, sessions, visit } = await createOverlap()
    await visit(signIn)
    const header = jar.header()
    const first = await sessions.open(header)
    first.regenerate()
    await sessions.save(first)
    const second = await sessions.open(header)
    second.login('ada')
    await sessions.save(second)
    expect(second.id === first.id).toBe(false)
  })

  it('is answered 503, without the credential of a third one that it met, when the store then fails', async () => {
    const { header, sessions, store } = await createOverlap()
    const first = await sessions.open(header)
    first.login('ada')
    const [cookie = ''] = await sessions.save(first)
    const late = await sessions.open(header)
    const third = await sessions.open(cookie.split(';')[0]!)
    for (const one of [third, late]) one.login('ada')
    await sessions.save(third)
    store.inject([{ type: 'pass' }, { type: 'throw-before' }], 'write')
    const error = await sessions.save(late).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(StoreUnavailableError)
    expect(cookiesOf(error as Error)).toEqual([])
  })

  it('drops the deferred writes of the visitor, and tells of them', async () => {
    const { events, header, jar, sessions, store, visit } = await createOverlap({
      snapshot: { maxAge: 60, staleIfError: 600 },
    })
    store.down()
    await visit((session) => session.set('waits', 1))
    store.up()
    const second = await sessions.open(jar.header())
    expect(second.get('waits')).toBe(1)
    const first = await sessions.open(header)
    first.login('ada')
    await sessions.save(first)
    second.login('ada')
    await sessions.save(second)
    expect([second.id, second.get('waits')]).toEqual([first.id, undefined])
    const told = events.filter(({ type }) => type === 'commit.dropped')
    expect(told).toEqual([expect.objectContaining({ changes: 1, deferred: true })])
  })
})

describe("with seal: 'cookie', a request that a rotation overtook", () => {
  it('drops its changes, and tells of them', async () => {
    const { events, header, later, sessions } = await createOverlap({ seal: 'cookie' })
    const late = await sessions.open(header)
    late.set('a', 1)
    await later((session) => session.regenerate())
    expect(await sessions.save(late)).toEqual([])
    const told = events.filter(({ type }) => type === 'commit.dropped')
    expect(told).toEqual([expect.objectContaining({ changes: 1, reason: 'superseded' })])
  })

  it('starts a session of its own for a sign-in, and ends that of the same user', async () => {
    const { ended, header, later, live, sessions } = await createOverlap({ seal: 'cookie' })
    const late = await sessions.open(header)
    const first = await later(signIn)
    late.login('ada')
    await sessions.save(late)
    expect([late.id === first.id, late.subject]).toEqual([false, 'ada'])
    expect([ended(), live()]).toEqual([1, 1])
  })

  it('starts one though it never opened the record, and ends it all the same', async () => {
    const { ended, later, live } = await createOverlap({ seal: 'cookie' })
    const first = await later(signIn)
    const second = await later(signIn)
    expect([second.id === first.id, second.subject]).toEqual([false, 'ada'])
    expect([ended(), live()]).toEqual([1, 1])
  })
})
