import { describe, expect, it } from 'vitest'
import { createSessions, type Session, StoreUnavailableError } from '../../src/index.ts'
import { createCircuitBreaker } from '../../src/resilience/circuit-breaker.ts'
import { pause } from '../../src/resilience/deadline.ts'
import { cached } from '../../src/stores/cached.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { resilient } from '../../src/stores/resilient.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { createClock, createFaultyStore } from '../../src/testing/index.ts'
import { createCountingStore, createWorld, errorOf, SECRET } from '../support/sessions.ts'

/** Sessions in a memory store that can be made to fail and looked into. */
const createStored = (options = {}) => {
  const clock = createClock()
  const memory = createMemoryStore({ now: clock })
  const store = createFaultyStore(memory)
  return { memory, store, ...createWorld({ store, ...options }, clock) }
}

/** Sessions in `memory`; each `step` is what happens before and after the next write. */
const createStepping = (memory: SessionStore, options = {}) => {
  type Step = Partial<Record<'before' | 'after', () => Promise<unknown>>>
  const steps: Step[] = []
  const store: SessionStore = {
    ...memory,
    async write(...args) {
      const { before, after } = steps.shift() ?? {}
      await before?.()
      const result = await memory.write(...args)
      await after?.()
      return result
    },
  }
  const { sessions } = createWorld({ store, ...options })
  return { sessions, step: (one: Step) => steps.push(one) }
}

describe('sessions in a store', () => {
  it('are created by the first write, under an id that the cookie only seals', async () => {
    const { visit, jar, memory } = createStored()
    await visit()
    expect(memory.stats().entries).toBe(0)
    const { session } = await visit((s) => s.set('a', 1))
    const record = await memory.read(session.id)
    expect(/^[\w-]{80,}$/.test(record?.value ?? '')).toBe(true)
    expect(record?.expiresAt).toBe(session.expiresAt)
    expect((jar.header() as string).length < 112).toBe(true)
    expect((await visit()).session.get('a')).toBe(1)
  })

  it('change without a new cookie', async () => {
    const { visit } = createStored()
    await visit((s) => s.set('a', 1))
    expect((await visit((s) => s.set('a', 2))).setCookie).toEqual([])
    expect((await visit()).session.get('a')).toBe(2)
  })

  it('merge the writes of overlapping requests', async () => {
    const { sessions, visit, jar, types } = createStored()
    await visit((s) => s.set('n', 0))
    const open = () => sessions.open(jar.header())
    const [a, b] = [await open(), await open()]
    a.set('x', 1)
    a.update('n', (n = 0) => n + 1)
    b.set('y', 1)
    b.update('n', (n = 0) => n + 1)
    await sessions.save(a)
    await sessions.save(b)
    expect((await open()).data).toEqual({ n: 2, x: 1, y: 1 })
    expect(types().filter((type) => type === 'commit.conflict').length).toBe(1)
    expect(b.get('n')).toBe(2)
  })

  it('deliver a flash value that another request left meanwhile', async () => {
    const { sessions, visit, jar } = createStored()
    await visit((s) => s.flash('first', 1))
    const open = () => sessions.open(jar.header())
    const [a, b] = [await open(), await open()]
    a.flash('second', 2)
    await sessions.save(a)
    await sessions.save(b)
    const next = await open()
    expect([next.flash('first'), next.flash('second')]).toEqual([undefined, 2])
  })

  it('stay one record when the credential is replaced, and leave none when they end', async () => {
    const { visit, memory, sessions, jar, events } = createStored()
    const { session: first } = await visit((s) => s.set('a', 1))
    const old = jar.header()
    const { session: second } = await visit((s) => s.regenerate())
    expect([second.id, memory.stats().live]).toEqual([first.id, 1])
    const late = await sessions.open(old)
    expect([late.status, late.data]).toEqual(['superseded', {}])
    late.set('a', 2)
    expect(await sessions.save(late)).toEqual([])
    expect(events.at(-1)).toMatchObject({
      type: 'commit.dropped',
      changes: 1,
      reason: 'superseded',
    })
    await visit((s) => s.destroy())
    expect([await memory.read(first.id), memory.stats().live]).toEqual([null, 0])
  })

  it('are expired by the timeouts of the deployment that opens them, though the store has them', async () => {
    const { clock, jar, memory, store, visit } = createStored({ idleTimeout: 3600 })
    await visit((s) => s.set('a', 1))
    clock.advance(601)
    const { sessions } = createWorld({ store, idleTimeout: 600 }, clock)
    const session = await sessions.open(jar.header())
    expect([session.status, session.data, memory.stats().live]).toEqual(['expired', {}, 1])
  })

  it('do not come back when a slow request ends after the sign-out', async () => {
    const { sessions, visit, jar, events } = createStored()
    await visit((s) => s.set('a', 1))
    const slow = await sessions.open(jar.header())
    const header = jar.header()
    await visit((s) => s.destroy())
    slow.set('a', 2)
    expect(await sessions.save(slow)).toEqual([])
    expect(slow.status).toBe('missing')
    expect(events.at(-1)).toMatchObject({ type: 'commit.dropped', changes: 1, reason: 'ended' })
    expect((await sessions.open(header)).status).toBe('missing')
  })

  it('end when two requests end them, and both clear the cookie', async () => {
    const { visit, sessions, jar, memory } = createStored()
    await visit((s) => s.login('ann'))
    const both = await Promise.all([1, 2].map(() => sessions.open(jar.header())))
    for (const session of both) session.destroy()
    for (const session of both) {
      const [removal] = await sessions.save(session)
      expect([removal!.slice(0, 26), session.status]).toEqual([
        '__Host-session=; Max-Age=0',
        'destroyed',
      ])
    }
    expect(memory.stats().live).toBe(0)
  })

  it('end by the first call though others write all the time: destroy, login as somebody else and revoke', async () => {
    for (const end of ['destroy', 'login', 'revoke'] as const) {
      const { sessions, visit, jar, memory } = createStored()
      const { session } = await visit((s) => s.login('ann'))
      const stolen = jar.header()
      const thief = async () => {
        const one = await sessions.open(stolen)
        one.set('loot', Math.random())
        await sessions.save(one)
      }
      // Before each call of the owner four writes of the thief are applied.
      let calls = 0
      const raced =
        <T>(call: () => Promise<T>) =>
        async (): Promise<T> => {
          calls++
          for (let i = 0; i < 4; i++) await thief()
          return call()
        }
      const store: SessionStore = {
        ...memory,
        write: (...args) => raced(() => memory.write(...args))(),
        end: (...args) => raced(() => memory.end(...args))(),
      }
      const owner = createWorld({ store }).sessions
      if (end === 'revoke') await owner.revoke(session.id)
      else {
        const mine = await owner.open(stolen)
        if (end === 'login') mine.login('bob')
        else mine.destroy()
        await owner.save(mine)
      }
      expect(calls).toBe(end === 'login' ? 2 : 1)
      const after = await sessions.open(stolen)
      expect([after.subject, after.data]).toEqual([null, {}])
    }
  })

  for (const before of ['ann', null] as const) {
    it(`end by a sign-in that others outrun: it takes what is there to a session of its own (${before})`, async () => {
      const { sessions, visit, jar, memory } = createStored()
      const { session } = await visit((s) => {
        s.set('cart', ['tea'])
        if (before) s.login(before)
      })
      const stolen = jar.header()
      let refused = 0
      const store: SessionStore = {
        ...memory,
        async write(...call) {
          // Before each call of the owner another one is applied.
          const one = await sessions.open(stolen)
          one.append('cart', 'loot')
          await sessions.save(one)
          const result = await memory.write(...call)
          if (!result.ok) refused++
          return result
        },
      }
      const owner = createWorld({ store }).sessions
      const mine = await owner.open(stolen)
      mine.set('own', 1)
      mine.login('ann')
      const cookies = await owner.save(mine)
      expect([refused, mine.id === session.id]).toEqual([16, false])
      jar.store(new Response(null, { headers: cookies.map((one) => ['set-cookie', one] as const) }))
      const after = await sessions.open(jar.header())
      // Every write that a refusal showed is there.
      const cart = ['tea', ...Array.from({ length: 16 }, () => 'loot')]
      expect([after.id, after.subject, after.data]).toEqual([mine.id, 'ann', { cart, own: 1 }])
      expect((await sessions.open(stolen)).status).toBe('missing')
      expect((await sessions.list('ann')).map(({ id }) => id)).toEqual([mine.id])
    })
  }

  it('are opened within one deadline, however many a request names', async () => {
    const clock = createClock()
    const memory = createMemoryStore({ now: clock })
    const { sessions } = createWorld({ store: memory }, clock)
    const pairs: string[] = []
    for (const user of ['ann', 'bob']) {
      const session = await sessions.open(null)
      session.login(user)
      const [setCookie = ''] = await sessions.save(session)
      pairs.push(setCookie.split(';')[0]!)
      await sessions.revoke(session.id)
    }
    let reads = 0
    const store: SessionStore = {
      ...memory,
      async read(...call) {
        if (++reads > 1) return new Promise<null>(() => {})
        clock.advance(6000)
        return memory.read(...call)
      },
    }
    const slow = createWorld({ store }, clock).sessions
    // The first read took all of it: the second one ends at once, and not after five seconds more.
    const opened = await Promise.race([slow.open(pairs.join('; ')), pause(2000)])
    expect([reads, opened?.status]).toEqual([2, 'degraded'])
  })

  it('are one session when two requests sign in as two users: the late one starts its own', async () => {
    const { sessions, visit, jar } = createStored()
    await visit((s) => s.set('a', 1))
    const [a, b] = [await sessions.open(jar.header()), await sessions.open(jar.header())]
    a.login('ada')
    b.login('bob')
    await sessions.save(a)
    await sessions.save(b)
    expect([b.id === a.id, b.subject, b.data]).toEqual([false, 'bob', {}])
    expect((await sessions.list('ada')).map(({ id }) => id)).toEqual([a.id])
    expect((await sessions.list('bob')).map(({ id }) => id)).toEqual([b.id])
  })

  for (const end of ['login', 'destroy'] as const) {
    it(`send no cookie when a ${end} came between the write and its answer`, async () => {
      for (const options of [{}, { snapshot: { maxAge: 10 } }]) {
        const { visit, jar, memory, clock } = createStored()
        await visit((s) => s.set('a', 1))
        const { sessions, step } = createStepping(memory, { now: clock, ...options })
        // Time to renew, which sets a cookie.
        clock.advance(10_000)
        const [late, last] = [await sessions.open(jar.header()), await sessions.open(jar.header())]
        late.set('b', 2)
        if (end === 'login') last.login('ada')
        else last.destroy()
        let setCookie: string[] = []
        step({
          after: async () => {
            setCookie = await sessions.save(last)
          },
        })
        expect(await sessions.save(late)).toEqual([])
        expect(setCookie.some((one) => one.startsWith('__Host-session='))).toBe(true)
      }
    })
  }

  it('start under a new id when the store no longer has them', async () => {
    const { visit, memory } = createStored()
    const { session: lost } = await visit((s) => s.set('a', 1))
    await memory.end(lost.id)
    const { session } = await visit((s) => s.set('b', 2))
    expect(session.status).toBe('missing')
    expect(session.id === lost.id).toBe(false)
    expect((await visit()).session.data).toEqual({ b: 2 })
  })

  it('expire by the sealed times, not by those of the store', async () => {
    const { visit, memory, clock } = createStored({ idleTimeout: 600 })
    const { session } = await visit((s) => s.set('a', 1))
    const record = await memory.read(session.id)
    if (!record) throw new Error('not stored')
    await memory.write(session.id, { ...record, expiresAt: clock() + 9e6 }, record.version)
    clock.advance(600)
    expect((await visit()).session.status).toBe('expired')
  })

  it('are missing, and not corrupt, where there is no store any more', async () => {
    const { visit, jar, clock } = createStored()
    await visit((s) => s.login('ann'))
    const { sessions, types } = createWorld({ onCorruption: 'throw' }, clock)
    expect((await sessions.open(jar.header())).status).toBe('missing')
    expect(types()).toEqual(['session.missing'])
  })

  it('are renewed in the store and in the browser', async () => {
    const { visit, memory, clock } = createStored({ idleTimeout: 600, renewAfter: 60 })
    const { session } = await visit((s) => s.set('a', 1))
    clock.advance(60)
    expect((await visit()).setCookie.length).toBe(1)
    expect((await memory.read(session.id))?.expiresAt).toBe(clock() + 600_000)
  })
})

describe('several session cookies of one request', () => {
  const setUp = (options = {}) => {
    const world = createStored(options)
    const { clock, jar, sessions, visit } = world
    /** Begins a session as a browser without cookies would, and returns its cookie. */
    const begin = async (use: (session: Session) => void, seconds = 1): Promise<string> => {
      jar.clear()
      clock.advance(seconds)
      const { setCookie } = await visit(use)
      return setCookie[0]!.split(';')[0]!
    }
    /** Opens them in both orders. */
    const open = (...cookies: string[]) =>
      Promise.all([cookies, cookies.toReversed()].map((all) => sessions.open(all.join('; '))))
    return { ...world, begin, open }
  }

  it('open that of a user, though another one began later', async () => {
    const { begin, open } = setUp()
    const user = await begin((session) => session.login('ada'))
    const visitor = await begin((session) => session.set('cart', 1))
    const opened = await open(user, visitor)
    expect(opened.map(({ subject }) => subject)).toEqual(['ada', 'ada'])
  })

  it('open that of a user, though it has a snapshot and another one began later', async () => {
    const { begin, open } = setUp({ snapshot: { maxAge: 60 } })
    const user = await begin((session) => session.login('ada'))
    const visitor = await begin((session) => session.set('cart', 1))
    const opened = await open(user, visitor)
    expect(opened.map(({ subject }) => subject)).toEqual(['ada', 'ada'])
  })

  it('are each as good as the last credential of its own session, however many another one had', async () => {
    const { begin, open, sessions } = setUp()
    const visitor = await begin((session) => session.set('cart', 1))
    const user = await begin((session) => session.login('ada'))
    const session = await sessions.open(user)
    session.regenerate()
    const rotated = (await sessions.save(session))[0]!.split(';')[0]!
    await sessions.revoke(session.id)
    for (const one of await open(visitor, rotated)) expect(one.get('cart')).toBe(1)
  })

  it('open that which began last, whichever was renewed last', async () => {
    const { begin, clock, open, sessions } = setUp()
    const older = await begin((session) => session.set('n', 1))
    const newer = await begin((session) => session.set('n', 2))
    clock.advance(20_000)
    const renewed = (await sessions.save(await sessions.open(older)))[0]!.split(';')[0]!
    for (const one of await open(renewed, newer)) expect(one.get('n')).toBe(2)
  })

  it('open the same one in any order, where all began in one second', async () => {
    const { begin, open, sessions } = setUp()
    for (let i = 0; i < 8; i++) {
      const cookies = [
        await begin((session) => session.set('n', 1), 0),
        await begin((session) => session.set('n', 2), 0),
      ] as const
      const ids = await Promise.all(cookies.map(async (one) => (await sessions.open(one)).id))
      const [first, second] = await open(...cookies)
      expect([first?.id, second?.id]).toEqual([ids.toSorted()[0], ids.toSorted()[0]])
    }
  })

  it('open the one that is live, of up to three', async () => {
    const { begin, open, sessions } = setUp()
    const cookies: string[] = []
    for (let n = 1; n <= 4; n++) cookies.push(await begin((session) => session.set('n', n)))
    const end = async (cookie: string): Promise<void> => {
      const session = await sessions.open(cookie)
      await sessions.revoke(session.id)
    }
    for (const expected of [4, 3, 2]) {
      for (const one of await open(...cookies)) expect(one.get('n')).toBe(expected)
      await end(cookies[expected - 1]!)
    }
    for (const one of await open(...cookies)) expect(one.status).toBe('missing')
  })

  it('are the live one from the response to a read on, where others have ended', async () => {
    const { begin, jar, sessions } = setUp()
    const live = await begin((session) => session.set('n', 1))
    const ended = await begin((session) => session.set('n', 2))
    await sessions.revoke((await sessions.open(ended)).id)
    const setCookie = await sessions.save(await sessions.open(`${ended}; ${live}`))
    jar.clear()
    jar.store(new Response('', { headers: setCookie.map((one) => ['set-cookie', one]) }))
    expect((await sessions.open(jar.header())).get('n')).toBe(1)
  })

  it('of one session are the last credential, whatever the clocks say: one read', async () => {
    const clock = createClock()
    const { store, take } = createCountingStore(clock)
    const here = createWorld({ store }, clock)
    const ahead = createWorld({ store, now: () => clock() + 2000 }, clock)
    await ahead.visit((session) => session.set('a', 1))
    const first = ahead.jar.header()!
    const session = await here.sessions.open(first)
    session.regenerate()
    const second = (await here.sessions.save(session))[0]!.split(';')[0]!
    take()
    for (const header of [`${first}; ${second}`, `${second}; ${first}`]) {
      expect([(await here.sessions.open(header)).get('a'), take()]).toEqual([1, ['read']])
    }
  })

  it('open the credential that the store has, of five sign-ins at once whose answers were lost', async () => {
    const { begin, sessions, store } = setUp()
    const visitor = await begin((session) => session.set('cart', 1))
    const opened = await Promise.all(Array.from({ length: 5 }, () => sessions.open(visitor)))
    const cookies: string[] = []
    for (const [n, session] of opened.entries()) {
      session.login('ada')
      store.inject({ type: n === 0 ? 'throw-after' : 'throw-before' }, 'write')
      const error = (await errorOf(() => sessions.save(session))) as StoreUnavailableError
      for (const one of error.getResponse().headers.getSetCookie()) cookies.push(one.split(';')[0]!)
    }
    const reads = () => store.calls.filter(({ operation }) => operation === 'read').length
    const answered: string[] = []
    for (const all of [cookies, cookies.toReversed()]) {
      const before = reads()
      const session = await sessions.open(all.join('; '))
      expect([session.subject, session.get('cart')]).toEqual(['ada', 1])
      expect(reads() - before).toBeLessThan(3)
      // Where the browser might have sent another one first, the response to a read says which it is.
      for (const one of await sessions.save(session)) answered.push(one.split(';')[0]!)
    }
    expect(answered).toHaveLength(1)
    expect((await sessions.open(answered[0]!)).subject).toBe('ada')
  })

  it('open the sign-in that was answered, beside later ones that were not, and nothing was reused', async () => {
    const { begin, clock, open, sessions, store, types } = setUp({ onReuse: 'revoke' })
    const openAndSignIn = async (cookie: string): Promise<Session> => {
      const session = await sessions.open(cookie)
      session.login('ada')
      return session
    }
    /** Returns the cookies of the answer 503. */
    const fail = async (cookie: string): Promise<string> => {
      const session = await openAndSignIn(cookie)
      store.inject({ type: 'throw-before' }, 'write')
      const error = (await errorOf(() => sessions.save(session))) as StoreUnavailableError
      const all = error.getResponse().headers.getSetCookie()
      return all.map((one) => one.split(';')[0]).join('; ')
    }
    const visitor = await begin((session) => session.set('cart', 1))
    const slow = await openAndSignIn(visitor)
    const later = await fail(await fail(visitor))
    const answered = (await sessions.save(slow)).map((one) => one.split(';')[0]!)
    clock.advance(60)
    for (const session of await open(later, ...answered)) {
      expect([session.subject, session.get('cart')]).toEqual(['ada', 1])
    }
    expect(types()).not.toContain('session.reused')
  })

  it('open none but the first while the store cannot say whether that is live', async () => {
    const { begin, sessions, store } = setUp()
    const user = await begin((session) => session.login('ada'))
    const visitor = await begin((session) => session.set('cart', 1))
    store.inject({ type: 'throw-before' }, 'read')
    const session = await sessions.open(`${visitor}; ${user}`)
    expect([session.status, session.data]).toEqual(['degraded', {}])
  })

  it('are removed where all of them have ended, and their notes say so', async () => {
    const { begin, jar, sessions, visit } = setUp()
    const cookie = await begin((session) => session.login('ada'))
    await visit((session) => session.destroy())
    const session = await sessions.open(`${cookie}; ${jar.header()}`)
    expect(session.status).toBe('missing')
    const removed = await sessions.save(session)
    expect(removed.map((one) => one.split(';')[0])).toEqual(['__Host-session='])
  })

  it('open the same one in any order, where all began in one second, whichever was renewed last', async () => {
    const { begin, clock, open, sessions } = setUp()
    for (let i = 0; i < 8; i++) {
      const older = await begin((session) => session.set('n', 1), 0)
      const other = await begin((session) => session.set('n', 2), 0)
      const ids = await Promise.all(
        [older, other].map(async (one) => (await sessions.open(one)).id),
      )
      clock.advance(20_000)
      const renewed = (await sessions.save(await sessions.open(older)))[0]!.split(';')[0]!
      const opened = await open(renewed, other)
      expect(opened.map(({ id }) => id)).toEqual([ids.toSorted()[0], ids.toSorted()[0]])
    }
  })

  it('of one session are the one with a snapshot, while the store is down', async () => {
    const options = { snapshot: { maxAge: 60, staleIfError: 60 } }
    const { begin, clock, open, sessions, store } = setUp(options)
    const { sessions: plain } = createWorld({ store }, clock)
    const rotate = async (isolate: typeof sessions, cookie: string): Promise<string> => {
      const session = await isolate.open(cookie)
      session.regenerate()
      return (await isolate.save(session))[0]!.split(';')[0]!
    }
    const first = await begin((session) => session.set('n', 1))
    const bare = await rotate(plain, first)
    // The same state in another cookie: that of a request which wrote nothing.
    const withSnapshot = (await sessions.save(await sessions.open(bare)))[0]!.split(';')[0]!
    store.down()
    for (const one of await open(bare, withSnapshot)) expect(one.get('n')).toBe(1)
    for (const one of await open(first, bare)) expect(one.status).toBe('degraded')
  })

  it('of one session are the newer snapshot, while the store is down', async () => {
    const { begin, open, store, visit } = setUp({ snapshot: { maxAge: 60, staleIfError: 60 } })
    const first = await begin((session) => session.set('n', 1))
    const { setCookie } = await visit((session) => session.set('n', 2))
    store.down()
    for (const one of await open(first, setCookie[0]!.split(';')[0]!)) expect(one.get('n')).toBe(2)
  })
})

describe('a session that lived in its cookie before there was a store', () => {
  it('is missing after one read', async () => {
    const clock = createClock()
    const { store, take } = createCountingStore(clock)
    const before = createWorld({}, clock)
    await before.visit((session) => session.set('n', 1))
    const session = await createWorld({ store }, clock).sessions.open(before.jar.header())
    expect([session.status, take()]).toEqual(['missing', ['read']])
  })
})

describe('a record that is not there', () => {
  /** What a request finds some seconds after the record was lost, and the calls that it took. */
  const find = async (seconds: number, answer: null | undefined, options = {}, atomic = false) => {
    const clock = createClock()
    const { store, memory, take } = createCountingStore(clock)
    const lossy: SessionStore = {
      ...store,
      atomic,
      read: async (id, call) => ((await store.read(id, call)) ?? answer) as never,
    }
    const world = createWorld({ store: lossy, ...options }, clock)
    const { session } = await world.visit((one) => one.set('a', 1))
    await memory.end(session.id)
    clock.advance(seconds)
    // Another isolate, which knows nothing of the session.
    const { sessions } = createWorld({ store: lossy, ...options }, clock)
    take()
    const { status } = await sessions.open(world.jar.header())
    return [status, ...take()]
  }

  it('is asked for once more, past caches, for as long as it may only be late: two minutes', async () => {
    expect(await find(119, null, {}, true)).toEqual(['missing', 'read', 'read'])
    expect(await find(120, null, {}, true)).toEqual(['missing', 'read'])
    expect(await find(61, null, { idleTimeout: 60 }, true)).toEqual(['expired', 'read'])
  })

  it('is late for two minutes where the store lags, and then it is missing', async () => {
    expect(await find(119, undefined)).toEqual(['degraded', 'read', 'read'])
    expect(await find(120, undefined)).toEqual(['missing', 'read'])
    // It has ended, which the store knows.
    expect(await find(1, null)).toEqual(['missing', 'read'])
  })
})

describe('a renewal', () => {
  it('is due after a while, and not with each write', async () => {
    const { visit, memory, clock } = createStored({ renewAfter: 600 })
    const { session } = await visit((one) => one.set('n', 0))
    const expiryAfter = async (seconds: number): Promise<number> => {
      clock.advance(seconds)
      await visit((one) => one.set('n', seconds))
      return ((await memory.read(session.id))?.expiresAt ?? 0) - session.expiresAt
    }
    expect([await expiryAfter(599), await expiryAfter(1)]).toEqual([0, 600_000])
  })

  it('is left to no appended entry, which renews nothing, past half of the idle timeout', async () => {
    const clock = createClock()
    const memory = createMemoryStore({ now: clock })
    const hasEntry: boolean[] = []
    const store: SessionStore = {
      ...memory,
      write: (id, record, expected, options) => {
        hasEntry.push(options?.entry !== undefined)
        return memory.write(id, record, expected, options)
      },
    }
    const { visit } = createWorld({ store, idleTimeout: 100, renewAfter: 10 }, clock)
    for (const seconds of [0, 5, 45, 50, 51]) {
      clock.advance(seconds)
      await visit((one) => one.set('n', seconds))
    }
    // The first one creates it; the second one has nothing to renew.
    expect(hasEntry).toEqual([false, true, true, true, false])
  })

  it('reaches the browser of a request that comes after it, without another write', async () => {
    const clock = createClock()
    const { store, take } = createCountingStore(clock)
    const { visit, sessions, jar } = createWorld({ store, renewAfter: 600 }, clock)
    await visit((one) => one.login('ada', { persistent: true }))
    clock.advance(600)
    // Its response is lost.
    await sessions.save(await sessions.open(jar.header()))
    take()
    const { setCookie } = await visit()
    expect([take(), setCookie.length]).toEqual([['read'], 1])
    expect((await visit()).setCookie).toEqual([])
  })
})

describe('a record in a store', () => {
  it('opens under its own id only', async () => {
    const { visit, memory, sessions, jar, types } = createStored()
    const victim = createWorld({ store: memory }, createClock())
    const { session: theirs } = await victim.visit((s) => s.set('secret', 'theirs'))
    const { session: mine } = await visit((s) => s.set('a', 1))
    const [from, to] = [await memory.read(theirs.id), await memory.read(mine.id)]
    if (!from || !to) throw new Error('not stored')
    await memory.write(mine.id, { ...from, version: 'x' }, to.version)
    const session = await sessions.open(jar.header())
    expect([session.status, session.data]).toEqual(['invalid', {}])
    expect(types().at(-1)).toBe('session.corrupt')
  })

  it('is refused with the reason when that is asked for', async () => {
    const { visit, memory, sessions, jar } = createStored({ onCorruption: 'throw' })
    const { session } = await visit((s) => s.set('a', 1))
    const record = await memory.read(session.id)
    await memory.write(
      session.id,
      { ...record!, value: 'rubbish', version: 'x' },
      record?.version ?? '',
    )
    expect((await errorOf(() => sessions.open(jar.header()))).code).toBe('ERR_SESSION_ENCRYPTION')
  })

  it('shows nothing of the session or the cookie in the clear', async () => {
    const { visit, memory, jar } = createStored()
    // Long enough never to be in sealed text by chance.
    const { session } = await visit((s) => s.set('the pin', 'hunter2 hunter2'))
    const dump = JSON.stringify(await memory.read(session.id))
    for (const text of [
      'hunter2 hunter2',
      'the pin',
      SECRET,
      jar.get('__Host-session') as string,
    ]) {
      expect(dump.includes(text)).toBe(false)
    }
  })
})

describe('a store that fails', () => {
  it('is never taken for a store without the session', async () => {
    const { visit, store, jar, events } = createStored()
    await visit((s) => s.set('a', 1))
    store.down({ type: 'throw-before' })
    const cookies = jar.header()
    const { session, setCookie } = await visit()
    expect([session.status, session.data, setCookie]).toEqual(['degraded', {}, []])
    expect(jar.header()).toBe(cookies)
    expect(events.at(-1)?.type).toBe('store.degraded')
    store.up()
    expect((await visit()).session.get('a')).toBe(1)
  })

  it('is not reported when the browser goes away while its session is read', async () => {
    for (const onStoreFailure of ['degrade', 'throw'] as const) {
      for (const snapshot of [false, { maxAge: 5, staleIfError: 3600 }] as const) {
        const { sessions, visit, store, jar, clock, types } = createStored({
          onStoreFailure,
          snapshot,
        })
        await visit((s) => s.login('ann'))
        await sessions.revokeAll('ann')
        const cookie = jar.header() as string
        clock.advance(1800)
        const before = types().length
        store.down({ type: 'hang' }, 'read')
        const client = new AbortController()
        const request = new Request('https://app.example/', {
          headers: { cookie },
          signal: client.signal,
        })
        const opened = errorOf(() => sessions.get(request))
        await new Promise((resolve) => setTimeout(resolve))
        client.abort()
        // No snapshot brings the session back that has ended, and no event tells of an outage.
        expect((await opened).name).toBe('AbortError')
        expect(types().slice(before)).toEqual([])
      }
    }
  })

  it('is the reason for which there is no session, when one is required', async () => {
    const { visit, store, jar, sessions } = createStored()
    await visit((s) => s.login('ada'))
    store.down()
    const error = await errorOf(() => sessions.require(jar.request('/')))
    expect(error.code).toBe('ERR_STORE_UNAVAILABLE')
  })

  it('lets nothing overwrite a session that could not be read', async () => {
    const { store, visit } = createStored()
    await visit((s) => s.set('a', 1))
    store.down({ type: 'throw-before' }, 'read')
    const { response } = await visit((s) => s.set('a', 2))
    expect(response.status).toBe(503)
    store.up()
    expect((await visit()).session.get('a')).toBe(1)
  })

  it("is answered with 503 and Retry-After with onStoreFailure 'throw'", async () => {
    const { visit, sessions, jar, store } = createStored({ onStoreFailure: 'throw' })
    await visit((s) => s.set('a', 1))
    store.down({
      type: 'throw-before',
      error: new StoreUnavailableError('down', { retryAfter: 7 }),
    })
    const request = jar.request('/')
    const response = await sessions.handler(async (r) => {
      await sessions.get(r)
      return new Response('never')
    })(request)
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '7'])
    expect(response.headers.getSetCookie()).toEqual([])
    expect((await errorOf(() => sessions.require(request))).code).toBe('ERR_STORE_UNAVAILABLE')
  })

  it('never loses a write in silence', async () => {
    const { visit, store, events, jar } = createStored({ onStoreFailure: 'throw' })
    await visit((s) => s.set('a', 1))
    const before = jar.header()
    store.down({ type: 'throw-before' }, 'write')
    const { response } = await visit((s) => s.set('a', 2))
    expect(response.status).toBe(503)
    expect(jar.header()).toBe(before)
    expect(events.at(-1)?.type).toBe('store.unavailable')
  })

  it('does not pretend that somebody has signed out', async () => {
    const { visit, store } = createStored()
    await visit((s) => s.set('a', 1))
    store.down({ type: 'throw-before' }, 'end')
    const { response, setCookie } = await visit((s) => s.destroy())
    expect([response.status, setCookie]).toEqual([503, []])
    store.up()
    expect((await visit()).session.status).toBe('active')
  })

  it('are neither corrupt nor over when the breaker is open', async () => {
    const clock = createClock()
    const breaker = createCircuitBreaker({ now: clock })
    const store = resilient(createMemoryStore({ now: clock }), { breaker, now: clock })
    const { visit, jar, types } = createWorld({ store, onStoreFailure: 'throw' }, clock)
    await visit((s) => s.login('ada'))
    const before = [jar.header(), types().length]
    breaker.open(2)
    const handled = await visit((s) => s.set('a', 1)).catch((error) => error)
    expect([handled.response.status, jar.header()]).toEqual([503, before[0]])
    expect(types().slice(Number(before[1]))).toEqual(['store.failed', 'store.unavailable'])
    clock.advance(2)
    expect((await visit()).session.subject).toBe('ada')
  })

  it('may miss a renewal, which the next request makes up for', async () => {
    const { visit, store, clock } = createStored({ idleTimeout: 600, renewAfter: 60 })
    await visit((s) => s.set('a', 1))
    clock.advance(60)
    store.down({ type: 'throw-before' }, 'write')
    const { response, session, setCookie } = await visit()
    expect([response.status, session.get('a'), setCookie]).toEqual([200, 1, []])
    store.up()
    expect((await visit()).setCookie.length).toBe(1)
  })

  it('lets nobody wait for a renewal that is throttled, but for a change', async () => {
    const clock = createClock()
    const faulty = createFaultyStore(createMemoryStore({ now: clock }))
    const store = resilient(faulty, { now: clock, sleep: async (ms) => void clock.advanceMs(ms) })
    const { visit } = createWorld({ store, idleTimeout: 600, renewAfter: 60 }, clock)
    await visit((s) => s.set('a', 1))
    clock.advance(60)
    const busy = new StoreUnavailableError('busy', { retryAfter: 1 })
    const error = Object.assign(busy, { perKey: true })
    faulty.down({ type: 'throw-before', error }, 'write')
    const writes = () => faulty.calls.filter(({ operation }) => operation === 'write').length
    const before = writes()
    await visit()
    expect(writes() - before).toBe(1)
    await visit((s) => s.set('a', 2))
    expect(writes() - before).toBe(3)
  })

  it('recognises its own write when only the answer was lost', async () => {
    const { sessions, visit, jar, memory, store } = createStored()
    await visit((s) => s.set('n', 1))
    // Applies the write, then answers as it would to a repetition of it.
    const echo: SessionStore['write'] = async (id, record, expected) => {
      await memory.write(id, record, expected)
      return memory.write(id, record, expected)
    }
    const twice = createWorld({ store: { ...store, ...memory, write: echo } }, createClock())
    const session = await twice.sessions.open(jar.header())
    session.update('n', (n = 0) => n + 1)
    await twice.sessions.save(session)
    expect((await sessions.open(jar.header())).get('n')).toBe(2)
    expect(twice.types()).toEqual([])
  })

  it('has its own words in no error and no event', async () => {
    const canary = 'command was: SET sess:abc'
    const { visit, sessions, store, events, jar } = createStored({ onStoreFailure: 'throw' })
    await visit((s) => s.set('a', 1))
    store.down({ type: 'throw-before', error: new Error(canary) })
    const error = await errorOf(() => sessions.open(jar.header()))
    expect(`${error.stack}${error.cause}${JSON.stringify(events)}`.includes('sess:abc')).toBe(false)
    expect(error.code).toBe('ERR_STORE_UNAVAILABLE')
  })
})

describe('a store that may lag behind', () => {
  const createLagging = () => {
    const world = createStored()
    const reads: string[] = []
    let behind: SessionStore['read'] | null = null
    const store: SessionStore = {
      name: 'lagging',
      atomic: false,
      read: (id) => {
        reads.push(id)
        return behind ? behind(id) : world.memory.read(id)
      },
      write: (...args) => world.memory.write(...args),
      end: (id) => world.memory.end(id),
    }
    const lag = (read: typeof behind) => {
      behind = read
    }
    return { ...createWorld({ store }, world.clock), memory: world.memory, lag, reads }
  }

  it('is recognised by the cookie when it shows an older state', async () => {
    const { visit, memory, lag } = createLagging()
    const { session } = await visit((s) => s.set('n', 1))
    const old = await memory.read(session.id)
    expect((await visit((s) => s.set('n', 2))).setCookie.length).toBe(1)
    lag(async () => old)
    const { session: read, response } = await visit()
    expect([read.status, read.data, response.status]).toEqual(['degraded', {}, 200])
    lag(null)
    expect((await visit()).session.get('n')).toBe(2)
  })

  it('is read once more with fresh before the session is missing', async () => {
    const { visit, memory, lag, reads } = createLagging()
    const { session } = await visit((s) => s.set('n', 1))
    reads.length = 0
    lag(async (id) => (reads.length === 1 ? undefined : memory.read(id)))
    expect((await visit()).session.get('n')).toBe(1)
    expect(reads).toEqual([session.id, session.id])
  })
})

describe('a cache in front of a store', () => {
  it('is passed with fresh when the cookie is of a newer state', async () => {
    const { memory, visit, clock, jar } = createStored({ renewAfter: 60 })
    const elsewhere = createWorld({ store: cached(memory, { ttl: 600, now: clock }) }, clock)
    await visit((s) => s.set('a', 1))
    expect((await elsewhere.sessions.open(jar.header())).get('a')).toBe(1)
    clock.advance(60)
    await visit((s) => s.set('a', 2))
    const session = await elsewhere.sessions.open(jar.header())
    expect([session.status, session.get('a')]).toEqual(['active', 2])
  })
})

describe('a schema with a store', () => {
  it('refuses to commit data that do not satisfy it', async () => {
    const validate = (value: unknown) =>
      Object(value).a === 'wrong' ? { issues: [{ message: 'no' }] } : { value: Object(value) }
    const schema = { '~standard': { version: 1 as const, vendor: 'test', validate } }
    const { visit } = createStored({ schema })
    await visit((s) => s.set('a', 'right'))
    const error = await errorOf(() => visit((s) => s.set('a', 'wrong')))
    expect(error.code).toBe('ERR_SESSION_VALIDATION')
    expect((await visit()).session.get('a')).toBe('right')
  })
})

describe('health()', () => {
  it('has nothing to worry about without a store', async () => {
    expect(await createWorld().sessions.health()).toEqual({ ok: true, ready: true, store: null })
  })

  it('tells whether the store answers', async () => {
    const { sessions, store } = createStored()
    expect((await sessions.health()).ok).toBe(true)
    store.down({ type: 'throw-before' }, 'health')
    const report = await sessions.health()
    expect([report.ok, report.store?.error]).toEqual([false, 'ERR_STORE_UNAVAILABLE'])
  })

  it('does not wait for a store that hangs', async () => {
    const { sessions, store } = createStored()
    store.down({ type: 'hang' }, 'health')
    expect((await sessions.health()).store?.error).toBe('ERR_STORE_TIMEOUT')
    const broken = {
      ...createMemoryStore(),
      health: () => {
        throw new Error('secret')
      },
    }
    const { ok, store: about } = await createWorld({ store: broken }).sessions.health()
    expect([ok, about?.error]).toEqual([false, 'ERR_STORE_UNAVAILABLE'])
  })

  it('does not throw for a store that throws before it returns a promise', async () => {
    const health = (): never => {
      throw new Error('canary')
    }
    const sessions = createSessions({ secret: SECRET, store: { ...createMemoryStore(), health } })
    expect((await sessions.health()).store?.error).toBe('ERR_STORE_UNAVAILABLE')
    const silent = { ...createMemoryStore(), details: health }
    expect((await createWorld({ store: silent }).sessions.health()).ok).toBe(true)
  })
})
