import { describe, expect, it } from 'vitest'
import { createSessions, type Session, type SessionsOptions } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { resilient } from '../../src/stores/resilient.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { createClock, createFaultyStore } from '../../src/testing/index.ts'
import { createWorld, errorOf, OTHER_SECRET, SECRET } from '../support/sessions.ts'

const WEEK = 604_800
const FAULT = { type: 'throw-before' } as const

type Settings = Omit<Partial<SessionsOptions>, 'revocations'> & {
  revocations?: Partial<NonNullable<SessionsOptions['revocations']>>
}

/** Sessions in cookies with a store for revocations, and a second isolate that shares that store. */
function createEndable({ revocations, ...options }: Settings = {}) {
  const clock = createClock()
  const memory = createMemoryStore({ now: clock })
  const store = createFaultyStore(memory)
  const settings = { revocations: { store, ...revocations }, ...options }
  const world = createWorld(settings, clock)
  const elsewhere = createSessions({ secret: SECRET, now: clock, ...settings })
  /** Signs somebody in, in a browser of their own, and returns its id and cookie. */
  const signIn = async (subject: string | null, sessions = world.sessions) => {
    const session = await sessions.open(null)
    session.set('n', 1)
    if (subject !== null) session.login(subject)
    const [setCookie = ''] = await sessions.save(session)
    return { id: session.id, header: setCookie.split(';')[0] as string }
  }
  const statusOf = async (header: string, sessions = world.sessions) =>
    (await sessions.open(header)).status
  /** Signs out the session of a header. */
  const signOut = async (header: string, sessions = world.sessions) => {
    const session = await sessions.open(header)
    session.destroy()
    return await sessions.save(session)
  }
  /** The calls since the last time. */
  let told = 0
  const calls = (): string[] => {
    const all = store.calls.slice(told).map(({ operation }) => operation)
    told = store.calls.length
    return all
  }
  return { ...world, memory, store, elsewhere, signIn, signOut, statusOf, calls }
}

describe('destroy() of a session in a cookie, with revocations', () => {
  it('ends copies of the cookie: at once here, and elsewhere within ttl', async () => {
    const { clock, elsewhere, signIn, signOut, statusOf } = createEndable()
    const { header } = await signIn('ann')
    expect(await statusOf(header, elsewhere)).toBe('active')
    clock.advance(1)
    await signOut(header)
    expect(await statusOf(header)).toBe('missing')
    expect(await statusOf(header, elsewhere)).toBe('active')
    clock.advance(4)
    expect(await statusOf(header, elsewhere)).toBe('missing')
  })

  it('ends copies that were renewed since, by one whose time is up before it is saved', async () => {
    const { clock, sessions, signIn, statusOf } = createEndable({ idleTimeout: 600 })
    const { header } = await signIn('ann')
    clock.advance(590)
    const [setCookie = ''] = await sessions.save(await sessions.open(header))
    const renewed = setCookie.split(';')[0]!
    clock.advance(9)
    const copy = await sessions.open(header)
    expect(copy.status).toBe('active')
    copy.destroy()
    clock.advance(2)
    await sessions.save(copy)
    expect(await statusOf(renewed)).toBe('missing')
  })

  it('ends the session of a visitor who did not sign in, and nobody else', async () => {
    const { signIn, signOut, statusOf } = createEndable()
    const [one, two] = [await signIn(null), await signIn(null)]
    await signOut(one.header)
    expect(await statusOf(one.header)).toBe('missing')
    expect(await statusOf(two.header)).toBe('active')
  })

  it('by a copy from before the sign-in ends such copies, and not what the user has since', async () => {
    const { sessions, signIn, signOut, statusOf } = createEndable()
    // Planted by somebody who knows the cookie: in a cookie the id stays the same.
    const planted = await signIn(null)
    const session = await sessions.open(planted.header)
    session.login('ann')
    const own = (await sessions.save(session))[0]!.split(';')[0]!
    await signOut(planted.header)
    expect(await statusOf(planted.header)).toBe('missing')
    expect(await statusOf(own)).toBe('active')
    await signOut(own)
    expect(await statusOf(own)).toBe('missing')
  })

  it('by somebody who planted the session, and then signs in to it, ends nothing of another user', async () => {
    const { events, sessions, signIn, signOut, statusOf } = createEndable()
    const planted = await signIn(null)
    const signInTo = async (subject: string) => {
      const session = await sessions.open(planted.header)
      session.login(subject)
      return { id: session.id, header: (await sessions.save(session))[0]!.split(';')[0]! }
    }
    const [ann, eve] = [await signInTo('ann'), await signInTo('eve')]
    expect(ann.id).toBe(eve.id)
    await signOut(eve.header)
    expect(await statusOf(eve.header)).toBe('missing')
    expect(await statusOf(planted.header)).toBe('missing')
    expect(await statusOf(ann.header)).toBe('active')
    // An operator means whoever has it.
    await sessions.revoke(ann.id)
    expect(await statusOf(ann.header)).toBe('missing')
    expect(events.at(-1)).toMatchObject({ type: 'session.missing' })
  })

  it('was an end: revoke() of the same id resolves with false', async () => {
    const { sessions, signIn, signOut } = createEndable()
    for (const subject of ['ann', null]) {
      const { header, id } = await signIn(subject)
      await signOut(header)
      expect(await sessions.revoke(id)).toBe(subject === null)
      expect(await sessions.revoke(id)).toBe(false)
    }
  })

  it('by the user ends copies from before the sign-in too', async () => {
    const { sessions, signIn, signOut, statusOf } = createEndable()
    const before = await signIn(null)
    const session = await sessions.open(before.header)
    session.login('ann')
    await signOut((await sessions.save(session))[0]!.split(';')[0]!)
    expect(await statusOf(before.header)).toBe('missing')
  })

  it('ends every session that the cookies of the request open', async () => {
    const { signIn, signOut, statusOf } = createEndable()
    const [one, two] = [await signIn('ann'), await signIn('bob')]
    await signOut(`${one.header}; ${two.header}`)
    for (const { header } of [one, two]) expect(await statusOf(header)).toBe('missing')
  })

  it('clears the cookie of a copy, which reports session.missing', async () => {
    const { events, sessions, signIn, signOut } = createEndable()
    const { header } = await signIn('ann')
    await signOut(header)
    events.splice(0)
    const copy = await sessions.open(header)
    expect(await sessions.save(copy)).toEqual([
      expect.stringMatching(/^__Host-session=;.*Max-Age=0/),
    ])
    expect(events.map(({ type }) => type)).toEqual(['session.missing'])
  })

  it('leaves another live session of the request, and puts its cookie right', async () => {
    const { sessions, signIn, signOut, clock } = createEndable()
    const own = await signIn('ann')
    clock.advance(1)
    const planted = await signIn('eve')
    await signOut(planted.header)
    const session = await sessions.open(`${planted.header}; ${own.header}`)
    expect([session.status, session.subject]).toEqual(['active', 'ann'])
    expect(await sessions.save(session)).toHaveLength(1)
  })

  it('shows a session that takes the place of an ended one to its own client only', async () => {
    const { clock, sessions, signOut } = createEndable({ binding: { userAgent: true } })
    const visit = async (agent: string, cookie: string, use = (_: Session) => {}) => {
      const headers = { 'user-agent': agent, cookie }
      const request = new Request('https://app.test/', { headers })
      const session = await sessions.get(request)
      use(session)
      const response = await sessions.commit(request, new Response())
      return { session, cookie: response.headers.getSetCookie()[0]?.split(';')[0] ?? '' }
    }
    const own = await visit('Firefox', '', (session) => session.login('ann'))
    clock.advance(1)
    const planted = await visit('curl', '', (session) => session.login('eve'))
    await signOut(planted.cookie)
    const both = `${planted.cookie}; ${own.cookie}`
    expect((await visit('Firefox', both)).session.subject).toBe('ann')
    expect((await visit('curl', both)).session).toMatchObject({ status: 'invalid', subject: null })
  })

  it('ends the session that a sign-in as another user replaces', async () => {
    const { sessions, signIn, statusOf } = createEndable()
    const { header } = await signIn('ann')
    const session = await sessions.open(header)
    session.login('bob')
    const [setCookie = ''] = await sessions.save(session)
    expect(await statusOf(header)).toBe('missing')
    expect(await statusOf(setCookie.split(';')[0]!)).toBe('active')
  })

  it('rejects where the store cannot be asked, with either onFailure, and can be repeated', async () => {
    for (const onFailure of ['open', 'closed'] as const) {
      const { sessions, signIn, signOut, statusOf, store } = createEndable({
        revocations: { onFailure },
      })
      const { header } = await signIn('ann')
      const session = await sessions.open(header)
      session.destroy()
      store.down(FAULT, 'write')
      expect((await errorOf(() => sessions.save(session))).code).toBe('ERR_STORE_UNAVAILABLE')
      store.up()
      expect(await statusOf(header)).toBe('active')
      await signOut(header)
      expect(await statusOf(header)).toBe('missing')
    }
  })
})

describe('revoke() of a session in a cookie', () => {
  it('ends it, whoever has the cookie, and tells so once', async () => {
    const { events, sessions, signIn, statusOf } = createEndable()
    const { header, id } = await signIn('ann')
    events.splice(0)
    expect(await sessions.revoke(id)).toBe(true)
    expect(await statusOf(header)).toBe('missing')
    expect(await sessions.revoke(id)).toBe(false)
    expect(events).toMatchObject([
      { type: 'session.ended', by: 'id', count: 1, session: expect.any(String) },
      { type: 'session.missing' },
      { type: 'session.ended', by: 'id', count: 0 },
    ])
  })

  it('with subject ends only that user’s session', async () => {
    const { sessions, signIn, statusOf } = createEndable()
    const { header, id } = await signIn('ann')
    await sessions.revoke(id, { subject: 'bob' })
    expect(await statusOf(header)).toBe('active')
    await sessions.revoke(id, { subject: 'ann' })
    expect(await statusOf(header)).toBe('missing')
    // What somebody else asked for before does not stand in the way.
    const other = await signIn('ann')
    await sessions.revoke(other.id, { subject: 'bob' })
    await sessions.revoke(other.id)
    expect(await statusOf(other.header)).toBe('missing')
    expect(await sessions.revoke(other.id, { subject: 'ann' })).toBe(false)
  })

  it('refuses what is no id, and leaves no mark for what no session has', async () => {
    const { calls, sessions } = createEndable()
    for (const id of ['', 5, null])
      expect(await errorOf(() => sessions.revoke(id as never))).toBeInstanceOf(TypeError)
    for (const id of ['x', 'x'.repeat(500), 'a b', '../../etc'])
      expect(await sessions.revoke(id)).toBe(false)
    expect(calls()).toEqual([])
  })
})

describe('revokeAll() of sessions in cookies', () => {
  it('ends the sessions of the user from before it, and none from after', async () => {
    const { events, clock, sessions, signIn, statusOf } = createEndable()
    const [one, two, bob] = [await signIn('ann'), await signIn('ann'), await signIn('bob')]
    clock.advance(1)
    events.splice(0)
    expect(await sessions.revokeAll('ann')).toBe(1)
    expect(events).toMatchObject([{ type: 'session.ended', by: 'subject', count: 1 }])
    // In the same millisecond, as after a new password.
    const after = await signIn('ann')
    expect(await statusOf(one.header)).toBe('missing')
    expect(await statusOf(two.header)).toBe('missing')
    expect(await statusOf(after.header)).toBe('active')
    expect(await statusOf(bob.header)).toBe('active')
  })

  it('spares the session "except", and a later one does not bring back what an earlier one ended', async () => {
    const { clock, sessions, signIn, statusOf } = createEndable()
    const [one, two] = [await signIn('ann'), await signIn('ann')]
    clock.advance(1)
    await sessions.revokeAll('ann', { except: one.id })
    expect(await statusOf(one.header)).toBe('active')
    expect(await statusOf(two.header)).toBe('missing')
    clock.advance(1)
    await sessions.revokeAll('ann', { except: two.id })
    expect(await statusOf(one.header)).toBe('missing')
    expect(await statusOf(two.header)).toBe('missing')
  })

  it('spares nobody for an "except" that is no id of a session', async () => {
    const { clock, sessions, signIn, statusOf } = createEndable()
    const { header } = await signIn('ann')
    clock.advance(1)
    await sessions.revokeAll('ann', { except: 'no, id' })
    expect(await statusOf(header)).toBe('missing')
  })

  it('ends all of them after twenty that each spared another one', async () => {
    const { clock, memory, sessions, signIn, statusOf } = createEndable()
    const all: { id: string; header: string }[] = []
    for (let i = 0; i < 20; i++) all.push(await signIn('ann'))
    for (const { id } of all) {
      clock.advance(1)
      await sessions.revokeAll('ann', { except: id })
    }
    for (const { header } of all) expect(await statusOf(header)).toBe('missing')
    expect(memory.stats().bytes).toBeLessThan(2000)
  })

  it('keeps each of eight overlapping ones', async () => {
    const { clock, elsewhere, sessions, signIn, statusOf } = createEndable()
    const all = await Promise.all(Array.from({ length: 9 }, () => signIn('ann')))
    clock.advance(1)
    const [last, ...others] = all
    await Promise.all(
      others.map(({ id }, i) => (i % 2 ? sessions : elsewhere).revokeAll('ann', { except: id })),
    )
    expect(await statusOf(last!.header, elsewhere)).toBe('missing')
    for (const { header } of others) expect(await statusOf(header, elsewhere)).toBe('missing')
  })
})

describe('the calls that revocations cost', () => {
  it('are none for a visitor without a session, for an expired one and for a forged one', async () => {
    const { calls, clock, sessions, signIn, statusOf, visit } = createEndable()
    await visit()
    await sessions.open('__Host-session=AAAA')
    const { header } = await signIn('ann')
    clock.advance(WEEK)
    expect(await statusOf(header)).toBe('expired')
    expect(calls()).toEqual([])
  })

  it('are one read per ttl for a session without a user', async () => {
    const { calls, clock, signIn, statusOf } = createEndable()
    const { header } = await signIn(null)
    for (const after of [0, 1, 3.999]) {
      clock.advance(after)
      await statusOf(header)
    }
    expect(calls()).toEqual(['read'])
    clock.advance(0.001)
    await statusOf(header)
    expect(calls()).toEqual(['read'])
  })

  it("are two at once for a signed-in one: its own, and the user's, which all of a user's sessions share", async () => {
    const { calls, signIn, statusOf } = createEndable()
    const [one, two] = [await signIn('ann'), await signIn('ann')]
    await statusOf(one.header)
    expect(calls()).toEqual(['read', 'read'])
    await statusOf(two.header)
    expect(calls()).toEqual(['read'])
    await statusOf(two.header)
    expect(calls()).toEqual([])
  })

  it('are one round trip: all reads begin before the first one is answered', async () => {
    const clock = createClock()
    const memory = createMemoryStore({ now: clock })
    const waiting: (() => void)[] = []
    let reads = 0
    const slow: SessionStore = {
      ...memory,
      read: async (id, options) => {
        reads++
        await new Promise<void>((resolve) => {
          if (waiting.push(resolve) === 2) for (const one of waiting.splice(0)) one()
        })
        return await memory.read(id, options)
      },
    }
    const { sessions } = createWorld({ revocations: { store: slow } }, clock)
    const session = await sessions.open(null)
    session.login('ann')
    const [setCookie = ''] = await sessions.save(session)
    await sessions.open(setCookie.split(';')[0]!)
    expect(reads).toBe(2)
  })

  it('are as many with every request where ttl is 0', async () => {
    const { calls, signIn, statusOf } = createEndable({ revocations: { ttl: 0 } })
    const { header } = await signIn('ann')
    await statusOf(header)
    await statusOf(header)
    expect(calls()).toEqual(['read', 'read', 'read', 'read'])
  })

  it('are one write for an end, and one write for each secret of a revokeAll', async () => {
    const { calls, sessions, signIn, signOut } = createEndable({ secret: [SECRET, OTHER_SECRET] })
    const { header } = await signIn('ann')
    await signOut(header)
    expect(calls().filter((one) => one !== 'read')).toEqual(['write'])
    await sessions.revoke((await signIn('ann')).id)
    await sessions.revokeAll('bob')
    expect(calls().filter((one) => one !== 'read')).toEqual(['write', 'write', 'write'])
  })
})

describe('a mark of a revocation', () => {
  it('outlives every session that it could end, and goes then', async () => {
    const { clock, memory, signIn, signOut } = createEndable({
      absoluteTimeout: 1000,
      idleTimeout: 100,
    })
    const { header } = await signIn('ann')
    await signOut(header)
    clock.advance(1000)
    expect(memory.stats().live).toBe(1)
    clock.advance(3600)
    expect(memory.stats().live).toBe(0)
  })

  it('needs maxLifetime where login gives a longer one', async () => {
    const { sessions } = createEndable()
    const session = await sessions.open(null)
    session.login('ann', { absoluteTimeout: 2 * WEEK })
    const error = await errorOf(() => sessions.save(session))
    expect(error).toBeInstanceOf(RangeError)
    expect(error.message).toContain('revocations.maxLifetime (604800), got 1209600')
    const longer = createEndable({ revocations: { maxLifetime: 2 * WEEK } })
    const other = await longer.sessions.open(null)
    other.login('ann', { absoluteTimeout: 2 * WEEK, idleTimeout: 2 * WEEK })
    const [setCookie = ''] = await longer.sessions.save(other)
    const header = setCookie.split(';')[0]!
    await longer.signOut(header)
    longer.clock.advance(2 * WEEK - 1)
    expect(await longer.statusOf(header)).toBe('missing')
    expect(longer.memory.stats().live).toBe(1)
  })

  it('is not outlived by a session that was sealed for longer before', async () => {
    const clock = createClock()
    const before = createSessions({ secret: SECRET, now: clock })
    const session = await before.open(null)
    session.login('ann', { absoluteTimeout: 9 * WEEK, idleTimeout: 9 * WEEK })
    const [setCookie = ''] = await before.save(session)
    const header = setCookie.split(';')[0]!
    const store = createMemoryStore({ now: clock })
    const now = createSessions({ secret: SECRET, now: clock, revocations: { store } })
    const opened = await now.open(header)
    expect(opened.expiresAt).toBe(session.createdAt + 1000 * WEEK)
    clock.advance(WEEK)
    expect((await now.open(header)).status).toBe('expired')
  })

  it('is found under any of the secrets', async () => {
    const { clock, signIn, store } = createEndable()
    const [one, two, three] = [await signIn('ann'), await signIn('ann'), await signIn('ann')]
    clock.advance(1)
    const withSecret = (...secret: [string, ...string[]]) =>
      createSessions({ secret, now: clock, revocations: { store } })
    // The three steps of replacing a secret, each finding what the one before left.
    await withSecret(SECRET).revoke(one.id, { subject: 'ann' })
    expect((await withSecret(SECRET, OTHER_SECRET).open(one.header)).status).toBe('missing')
    await withSecret(SECRET, OTHER_SECRET).revoke(two.id, { subject: 'ann' })
    expect((await withSecret(OTHER_SECRET, SECRET).open(two.header)).status).toBe('missing')
    await withSecret(OTHER_SECRET, SECRET).revokeAll('ann')
    for (const secret of [SECRET, OTHER_SECRET]) {
      const session = await withSecret(secret).open(three.header)
      expect(session.status).toBe(secret === SECRET ? 'missing' : 'invalid')
    }
    // A user who signed in before the mark, sealed anew since.
    const next = withSecret(OTHER_SECRET)
    const session = await next.open(null)
    session.login('ann')
    const [setCookie = ''] = await next.save(session)
    expect((await withSecret(OTHER_SECRET).open(setCookie.split(';')[0]!)).status).toBe('active')
    clock.advance(1)
    await withSecret(SECRET, OTHER_SECRET).revokeAll('ann')
    expect((await withSecret(OTHER_SECRET).open(setCookie.split(';')[0]!)).status).toBe('missing')
  })

  it('tells the store neither who it is about nor what opens a session', async () => {
    const { memory, sessions, signIn, signOut } = createEndable()
    const { header } = await signIn('ann@example.org')
    await signOut(header)
    await sessions.revokeAll('ann@example.org', { except: 'A'.repeat(22) })
    const { records } = await memory.page(null)
    expect(records).toHaveLength(2)
    const text = JSON.stringify(records)
    expect(text).not.toContain('ann')
    expect(text).not.toContain(header.split('=')[1])
    for (const { id, record } of records) {
      expect(id).toMatch(/^revoked-[\w-]{22}$/)
      expect(record.value).toMatch(/^(-,[\w-]{22}|\d+\.[\w-]{22})$/)
    }
  })

  it('of a user is not evicted before those of visitors who sign out again and again', async () => {
    const clock = createClock()
    const store = createMemoryStore({ now: clock, maxEntries: 3 })
    const sessions = createSessions({ secret: SECRET, now: clock, revocations: { store } })
    const session = await sessions.open(null)
    session.login('ann')
    const [setCookie = ''] = await sessions.save(session)
    await sessions.revoke(session.id)
    for (let i = 0; i < 5; i++) {
      const visitor = await sessions.open(null)
      visitor.set('n', i)
      const [cookie = ''] = await sessions.save(visitor)
      const leaving = await sessions.open(cookie.split(';')[0]!)
      leaving.destroy()
      await sessions.save(leaving)
    }
    expect(store.stats().evictions).toBe(3)
    const elsewhere = createSessions({ secret: SECRET, now: clock, revocations: { store } })
    expect((await elsewhere.open(setCookie.split(';')[0]!)).status).toBe('missing')
  })
})

describe('revocations whose store cannot be asked', () => {
  it('let the session go on as degraded with onFailure open, not renewed, and tell so', async () => {
    const { clock, events, sessions, signIn, store } = createEndable()
    const { header } = await signIn('ann')
    events.splice(0)
    clock.advance(20_000)
    store.down(FAULT, 'read')
    const session = await sessions.open(header)
    expect([session.status, session.subject, session.get('n')]).toEqual(['degraded', 'ann', 1])
    expect(events).toMatchObject([
      { type: 'store.degraded', store: 'faulty(memory)', code: 'ERR_STORE_UNAVAILABLE' },
    ])
    expect(await sessions.save(session)).toEqual([])
    const writing = await sessions.open(header)
    writing.set('n', 2)
    expect(await sessions.save(writing)).toHaveLength(1)
  })

  it.each([
    ['degrade', 'store.degraded'],
    ['throw', 'store.unavailable'],
  ] as const)(
    'close it with onFailure closed and onStoreFailure %s',
    async (onStoreFailure, type) => {
      const { events, sessions, signIn, store } = createEndable({
        onStoreFailure,
        revocations: { onFailure: 'closed' },
      })
      const { header } = await signIn('ann')
      events.splice(0)
      store.down(FAULT, 'read')
      const opening = sessions.open(header)
      if (onStoreFailure === 'throw') {
        expect((await errorOf(() => opening)).code).toBe('ERR_STORE_UNAVAILABLE')
      } else {
        const session = await opening
        expect([session.status, session.subject]).toEqual(['degraded', null])
        expect((await errorOf(() => session.set('n', 2))).code).toBe('ERR_STORE_UNAVAILABLE')
      }
      expect(events.map((event) => event.type)).toEqual([type])
      expect((await sessions.open(null)).status).toBe('new')
    },
  )

  it('answer from memory within ttl, and an end that is known stays one', async () => {
    const { clock, sessions, signIn, signOut, statusOf, store } = createEndable()
    const [ended, all, live] = [await signIn('ann'), await signIn('bob'), await signIn('eve')]
    clock.advance(1)
    await signOut(ended.header)
    await sessions.revokeAll('bob')
    expect(await statusOf(live.header)).toBe('active')
    store.down(FAULT, 'read')
    expect(await statusOf(live.header)).toBe('active')
    clock.advance(100)
    expect(await statusOf(live.header)).toBe('degraded')
    expect(await statusOf(ended.header)).toBe('missing')
    expect(await statusOf(all.header)).toBe('missing')
  })

  it('take what is no mark for a failure', async () => {
    const { clock, memory, sessions, signIn, statusOf } = createEndable()
    const { header, id } = await signIn('ann')
    const garbage = { value: 'x', version: 'v', epoch: 'e', expiresAt: clock() + 100_000 }
    await memory.write(`revoked-${id}`, garbage, null)
    expect(await statusOf(header)).toBe('degraded')
    expect((await errorOf(() => sessions.revoke(id))).code).toBe('ERR_STORE_UNAVAILABLE')
  })

  it('show in health(), and close() closes their store', async () => {
    let isClosed = false
    const memory = createMemoryStore()
    const store = createFaultyStore({
      ...memory,
      close: async () => {
        isClosed = true
      },
    })
    const sessions = createSessions({ secret: SECRET, revocations: { store: resilient(store) } })
    expect(await sessions.health()).toMatchObject({ ok: true, store: { ok: true } })
    store.down(FAULT)
    expect(await sessions.health()).toMatchObject({ ok: false, ready: false })
    await sessions.close()
    expect(isClosed).toBe(true)
  })
})

describe('the option revocations', () => {
  const store = createMemoryStore()
  const create = (options: object) => () => createSessions({ secret: SECRET, ...options })

  it.each([
    [{ revocations: { store }, store }, TypeError, 'left out with a store'],
    [{ revocations: {} }, TypeError, '"revocations.store" must be a SessionStore'],
    [{ revocations: true }, TypeError, 'must be an object'],
    [{ revocations: { store: {} } }, TypeError, '"revocations.store"'],
    [{ revocations: { store, ttl: -1 } }, RangeError, '"revocations.ttl" must be a number from 0'],
    [{ revocations: { store, onFailure: 'maybe' } }, TypeError, 'one of open, closed'],
    [{ revocations: { store, maxLifetime: 0 } }, RangeError, '"revocations.maxLifetime"'],
    [{ revocations: { store, until: 5 } }, TypeError, 'Unknown option "revocations.until"'],
  ])('%# is refused at creation', (options, kind, message) => {
    expect(create(options)).toThrow(kind)
    expect(create(options)).toThrow(message)
  })

  it('makes no call, and loads nothing of it, before there is a session', async () => {
    const { calls, sessions } = createEndable()
    await sessions.open(null)
    expect(calls()).toEqual([])
  })

  it('works with transport { header }', async () => {
    const { sessions, signIn } = createEndable({ transport: { header: 'authorization' } })
    const session = await sessions.open(null)
    session.login('ann')
    const [token = ''] = await sessions.save(session)
    await sessions.revoke(session.id)
    expect((await sessions.open(token)).status).toBe('missing')
    expect((await sessions.open((await signIn('ann')).header)).status).not.toBe('missing')
  })
})

describe('revokeAll(), and an old cookie that importFrom takes over', () => {
  const setUp = (createdAt: ((now: number) => number) | undefined, settings: Settings = {}) => {
    const world = createEndable({
      ...settings,
      importFrom: [
        {
          name: 'old',
          async read(cookies) {
            if (!cookies.has('old')) return null
            return {
              data: { n: 1 },
              subject: 'ann',
              remove: ['old'],
              ...(since && { createdAt: since }),
            }
          },
        },
      ],
    })
    const since = createdAt?.(world.clock())
    return world
  }

  it.each([
    ['that began before it', (now: number) => now - 5000],
    ['of unknown age', undefined],
  ])('ends a session %s, also in the request that brings it', async (_, createdAt) => {
    const { clock, elsewhere, events, sessions } = setUp(createdAt)
    expect((await sessions.open('old=1')).subject).toBe('ann')
    clock.advance(1)
    await sessions.revokeAll('ann')
    for (const all of [sessions, elsewhere]) {
      const session = await all.open('old=1')
      expect([session.status, session.subject, session.get('n')]).toEqual([
        'missing',
        null,
        undefined,
      ])
    }
    expect(events.map(({ type }) => type)).not.toContain('session.created')
  })

  it('lets go on one that began after it, and that of another user', async () => {
    const { sessions } = setUp((now) => now)
    await sessions.revokeAll('bob')
    expect((await sessions.open('old=1')).subject).toBe('ann')
    const later = setUp((now) => now - 1000)
    later.clock.advance(-5)
    await later.sessions.revokeAll('ann')
    later.clock.advance(5)
    expect((await later.sessions.open('old=1')).subject).toBe('ann')
  })

  it('is asked for as onFailure says while the store is down', async () => {
    for (const [onFailure, subject] of [
      ['open', 'ann'],
      ['closed', null],
    ] as const) {
      const { sessions, store } = setUp((now) => now, { revocations: { onFailure } })
      store.down()
      const session = await sessions.open('old=1')
      expect(session.subject).toBe(subject)
      // An empty one is not saved, so that the old cookie stays.
      if (subject === null) expect(await sessions.save(session)).toEqual([])
    }
  })
})
