import { describe, expect, it } from 'vitest'
import { createSessions, type SessionInfo, type SessionsOptions } from '../../src/index.ts'
import { cached } from '../../src/stores/cached.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { resilient } from '../../src/stores/resilient.ts'
import { createClock, createFaultyStore } from '../../src/testing/index.ts'
import { createWorld, errorOf, OTHER_SECRET, SECRET } from '../support/sessions.ts'

function createUsers(options: Partial<SessionsOptions> = {}) {
  const clock = createClock()
  const memory = createMemoryStore({ now: clock })
  const store = createFaultyStore(memory)
  const settings = { store, ...options }
  const world = createWorld(settings, clock)
  /** Signs somebody in, in a browser of their own, and returns its cookie and id. */
  const signIn = async (subject: string, label?: string) => {
    const session = await world.sessions.open(null)
    session.login(subject, label ? { label } : {})
    const [setCookie = ''] = await world.sessions.save(session)
    return { id: session.id, header: setCookie.split(';')[0] as string }
  }
  const statusOf = async (header: string) => (await world.sessions.open(header)).status
  return { memory, store, settings, signIn, statusOf, ...world }
}

const labels = (infos: readonly SessionInfo[]): unknown[] => infos.map(({ label }) => label).sort()

describe('what finds sessions', () => {
  it.each([null, undefined, '', 5])('refuses %s as a user or an id', async (value) => {
    const { sessions } = createUsers()
    const refusals = [
      errorOf(() => sessions.list({ subject: value ?? undefined } as never)),
      errorOf(() => sessions.revoke('A'.repeat(22), { subject: {} as never })),
      errorOf(() => sessions.list(value as never)),
      errorOf(() => sessions.revoke(value as never)),
      errorOf(() => sessions.revokeAll(value as never)),
    ]
    for (const error of await Promise.all(refusals)) {
      expect(error).toBeInstanceOf(TypeError)
      expect(String(error)).not.toContain('5')
    }
  })
})

describe('sessions.list()', () => {
  it('tells everything about the sessions of one user but their cookies', async () => {
    const { sessions, signIn, clock } = createUsers()
    const { id } = await signIn('ann', 'Firefox on Linux')
    clock.advance(10)
    await signIn('ann', 'a phone')
    await signIn('bob')
    const infos = await sessions.list('ann')
    expect(labels(infos)).toEqual(['Firefox on Linux', 'a phone'])
    const info = infos.find((one) => one.id === id)
    const at = clock() - 10_000
    expect(info).toEqual({
      id,
      subject: 'ann',
      label: 'Firefox on Linux',
      createdAt: at,
      lastSeenAt: at,
      expiresAt: at + 86_400_000,
      authenticatedAt: at,
      factors: {},
      actor: null,
      tags: [],
      bound: false,
    })
    expect(await sessions.list('carol')).toEqual([])
  })

  it('tells the factors that were proven', async () => {
    const { clock, sessions, visit } = createUsers()
    await visit((session) => {
      session.login('ann')
      session.elevate('passkey')
    })
    expect((await sessions.list('ann'))[0]?.factors).toEqual({ passkey: clock() })
  })

  it('shows nothing of another user, whatever the index of the store says', async () => {
    const memory = createMemoryStore()
    let everybody: string[] = []
    const list: typeof memory.index.list = async () =>
      await Promise.all(everybody.map(async (id) => ({ id, record: (await memory.read(id))! })))
    const store = { ...memory, index: { ...memory.index, list } }
    const { sessions, signIn } = createUsers({ store, now: Date.now })
    const { id } = await signIn('ann')
    everybody = [id, (await signIn('bob')).id]
    expect((await sessions.list('ann')).map((one) => one.id)).toEqual([id])
    expect(await sessions.listBy('admin')).toEqual([])
  })

  it('never says that a session was last seen before its user signed in to it', async () => {
    const { sessions, signIn, clock } = createUsers()
    clock.advance(0.6)
    await signIn('ann')
    const [info] = await sessions.list('ann')
    expect(info).toMatchObject({ lastSeenAt: clock(), authenticatedAt: clock() })
    // Whole seconds, and none of the future.
    expect(info?.createdAt).toBe(clock() - 600)
  })

  it('leaves out what has expired, by the timeouts of today', async () => {
    const { sessions, settings, signIn, clock } = createUsers({ idleTimeout: 600 })
    await signIn('ann')
    const stricter = createWorld({ ...settings, idleTimeout: 60 }, clock).sessions
    clock.advance(60)
    expect(await sessions.list('ann')).toHaveLength(1)
    expect(await stricter.list('ann')).toEqual([])
  })

  it('finds sessions from before a secret was replaced', async () => {
    const { signIn, store, clock } = createUsers()
    await signIn('ann', 'before')
    const now = createSessions({ secret: [OTHER_SECRET, SECRET], store, now: clock })
    const session = await now.open(null)
    session.login('ann', { label: 'after' })
    await now.save(session)
    expect(labels(await now.list('ann'))).toEqual(['after', 'before'])
    expect(await now.revokeAll('ann')).toBe(2)
    expect(await now.list('ann')).toEqual([])
  })

  it('does not stop at a record that does not open', async () => {
    const { sessions, signIn, memory } = createUsers()
    const { id } = await signIn('ann', 'broken')
    await signIn('ann', 'sound')
    const record = await memory.read(id)
    if (record) await memory.write(id, { ...record, value: 'AAAA', version: 'x' }, record.version)
    expect(labels(await sessions.list('ann'))).toEqual(['sound'])
    expect(await sessions.revokeAll('ann')).toBe(2)
  })

  it('shows the store no name of a user', async () => {
    const { signIn, memory } = createUsers()
    const { id } = await signIn('ann@example.org')
    const record = await memory.read(id)
    expect(record?.keys?.every((key) => /^[\w-]{22}$/.test(key))).toBe(true)
    expect(JSON.stringify(record).includes('ann')).toBe(false)
  })

  it('is one round trip, and revokeAll one per pass, until one ends nothing', async () => {
    const { sessions, signIn, store } = createUsers()
    for (let i = 0; i < 5; i++) await signIn('ann')
    const calls = store.calls.length
    await sessions.list('ann')
    expect(store.calls.slice(calls).map(({ operation }) => operation)).toEqual(['list'])
    await sessions.revokeAll('ann')
    expect(store.calls.slice(calls).map(({ operation }) => operation)).toEqual([
      'list',
      'endAll',
      'endAll',
    ])
  })

  it('throws ERR_STORE_REQUIRED where it cannot work, and says why', async () => {
    const { memory } = createUsers()
    const { index: _, page: __, ...bare } = memory
    const inCookies = createSessions({ secret: SECRET })
    const unindexed = createSessions({ secret: SECRET, store: bare })
    const sealed = createSessions({ secret: SECRET, store: memory, seal: 'cookie' })
    const all = async (sessions: typeof sealed) => {
      for await (const _ of sessions.all()) break
    }
    const cases: [() => unknown, RegExp][] = [
      [() => inCookies.list('ann'), /need the option "store"/],
      [() => inCookies.revokeAll('ann'), /need the option "store"/],
      [() => inCookies.revoke('x'), /need the option "store"/],
      [() => all(inCookies), /need the option "store"/],
      [() => unindexed.list('ann'), /"memory" has no index/],
      [() => unindexed.revokeAll('ann'), /"memory" has no index/],
      [() => all(unindexed), /"memory" cannot go through/],
      [() => sealed.list('ann'), /only their cookies/],
      [() => all(sealed), /only their cookies/],
    ]
    for (const [run, words] of cases) {
      const error = await errorOf(run)
      expect([error.code, words.test(error.message)]).toEqual(['ERR_STORE_REQUIRED', true])
    }
  })

  it('throws StoreUnavailableError when the store is down', async () => {
    const { sessions, store } = createUsers()
    store.down()
    expect((await errorOf(() => sessions.list('ann'))).code).toBe('ERR_STORE_UNAVAILABLE')
    expect((await errorOf(() => sessions.revokeAll('ann'))).code).toBe('ERR_STORE_UNAVAILABLE')
    expect((await errorOf(() => sessions.revoke('A'.repeat(22)))).code).toBe(
      'ERR_STORE_UNAVAILABLE',
    )
  })
})

describe('sessions.revoke()', () => {
  it('ends one session', async () => {
    const { sessions, signIn, statusOf } = createUsers()
    const [one, two] = [await signIn('ann'), await signIn('ann')]
    expect(await sessions.revoke(one.id)).toBe(true)
    expect([await statusOf(one.header), await statusOf(two.header)]).toEqual(['missing', 'active'])
    expect([await sessions.revoke(one.id), await sessions.revoke('nobody')]).toEqual([false, false])
  })

  it('asks no store about what is no id, as a form may send, and revokeAll() spares nobody for it', async () => {
    const { sessions, signIn, store } = createUsers()
    const noIds = [
      'nobody',
      'A'.repeat(23),
      `${'A'.repeat(21)}B`,
      'ü',
      ' ',
      'a\0b',
      'x'.repeat(1e6),
    ]
    for (const id of noIds) {
      await signIn('ann')
      const before = store.calls.length
      expect(await sessions.revoke(id)).toBe(false)
      expect(await sessions.revoke(id, { subject: 'ann' })).toBe(false)
      expect(store.calls.length).toBe(before)
      expect(await sessions.revokeAll('ann', { except: id })).toBe(1)
    }
  })

  it('wins over a request under way', async () => {
    const { sessions, signIn, events } = createUsers()
    const { id, header } = await signIn('ann')
    const late = await sessions.open(header)
    await sessions.revoke(id)
    late.set('a', 1)
    expect([await sessions.save(late), late.status]).toEqual([[], 'missing'])
    expect(events.at(-1)).toMatchObject({ type: 'commit.dropped', changes: 1, reason: 'ended' })
  })

  it('ends only the session of a user, where one is named', async () => {
    const { sessions, signIn, statusOf } = createUsers()
    const { id, header } = await signIn('ann')
    expect(await sessions.revoke(id, { subject: 'bob' })).toBe(false)
    expect(await statusOf(header)).toBe('active')
    expect(await sessions.revoke(id, { subject: 'ann' })).toBe(true)
    expect(await statusOf(header)).toBe('missing')
    expect(await sessions.revoke(id, { subject: 'ann' })).toBe(false)
  })

  it('finds that the user has signed in elsewhere, past a cache that shows a visitor', async () => {
    const { clock, memory, sessions, settings, visit, jar } = createUsers()
    const { session } = await visit((one) => one.set('cart', 1))
    const store = cached(memory, { ttl: 60, now: clock })
    const here = createWorld({ ...settings, store }, clock).sessions
    expect((await here.open(jar.header())).subject).toBe(null)
    const other = await sessions.open(jar.header())
    other.login('ann')
    await sessions.save(other)
    expect(await here.revoke(session.id, { subject: 'ann' })).toBe(true)
  })
})

describe('sessions.revokeAll()', () => {
  it('goes through three passes at most, though each of them finds a new session', async () => {
    const memory = createMemoryStore()
    let passes = 0
    const end = async () => {
      passes++
      return 1
    }
    const store = { ...memory, index: { ...memory.index, end } }
    const { sessions } = createUsers({ store, now: Date.now })
    expect([await sessions.revokeAll('ann'), passes]).toEqual([3, 3])
  })

  it('signs a user out everywhere, but here if asked to', async () => {
    const { sessions, signIn, statusOf } = createUsers()
    const mine = [await signIn('ann'), await signIn('ann'), await signIn('ann')]
    const bob = await signIn('bob')
    expect(await sessions.revokeAll('ann', { except: mine[0]?.id as string })).toBe(2)
    const statuses = await Promise.all([...mine, bob].map(({ header }) => statusOf(header)))
    expect(statuses).toEqual(['active', 'missing', 'missing', 'active'])
    expect(await sessions.revokeAll('ann')).toBe(1)
    expect(await sessions.revokeAll('ann')).toBe(0)
  })

  it('catches a session that a request takes from an old secret to a new one meanwhile', async () => {
    const { memory, settings, signIn, clock } = createUsers({ secret: OTHER_SECRET })
    const { header } = await signIn('ann')
    let meanwhile = async (): Promise<unknown> => undefined
    const { index } = memory
    const store = {
      ...memory,
      index: {
        ...index,
        end: async (...args: Parameters<typeof index.end>) => {
          const count = await index.end(...args)
          await meanwhile()
          return count
        },
      },
    }
    const rotated = { ...settings, store, secret: [SECRET, OTHER_SECRET] as [string, string] }
    const { sessions } = createWorld(rotated, clock)
    const slow = await sessions.open(header)
    slow.set('a', 1)
    meanwhile = () => sessions.save(slow)
    await sessions.revokeAll('ann')
    expect((await sessions.open(header)).status).toBe('missing')
  })

  it('works through every wrapper, and a cache shows no session that has ended', async () => {
    const { memory, clock } = createUsers()
    const store = cached(resilient(memory), { ttl: 60, now: clock })
    const { sessions, visit } = createWorld({ store }, clock)
    await visit((s) => s.login('ann'))
    expect((await visit()).session.subject).toBe('ann')
    expect(await sessions.revokeAll('ann')).toBe(1)
    expect((await visit()).session.status).toBe('missing')
  })
})

describe('a session in place of a user', () => {
  it('finds and ends the sessions of whoever is signed in to it', async () => {
    const { sessions, signIn, statusOf } = createUsers()
    const [mine, phone, bob] = [await signIn('ann'), await signIn('ann'), await signIn('bob')]
    const session = await sessions.open(mine.header)
    expect((await sessions.list(session)).map(({ id }) => id).sort()).toEqual(
      [mine.id, phone.id].sort(),
    )
    expect(await sessions.revoke(bob.id, { subject: session })).toBe(false)
    expect(await sessions.revoke(phone.id, { subject: session })).toBe(true)
    expect(await sessions.revokeAll(session)).toBe(1)
    expect(await statusOf(bob.header)).toBe('active')
  })

  it('finds and ends nothing where nobody is signed in', async () => {
    const { sessions, signIn, statusOf, store } = createUsers()
    const { header, id } = await signIn('ann')
    const nobody = await sessions.open(null)
    const before = store.calls.length
    expect(await sessions.list(nobody)).toEqual([])
    expect(await sessions.revokeAll(nobody)).toBe(0)
    expect(await sessions.revoke(id, { subject: nobody })).toBe(false)
    expect(store.calls.length).toBe(before)
    expect(await statusOf(header)).toBe('active')
  })

  it('is refused where it cannot say who is signed in: nothing would be ended without a word', async () => {
    const { sessions, signIn, store } = createUsers()
    const { header, id } = await signIn('ann')
    const gone = await sessions.open(header)
    gone.destroy()
    store.down()
    const unread = await sessions.open(header)
    for (const [session, code] of [
      [gone, 'ERR_SESSION_NOT_FOUND'],
      [unread, 'ERR_STORE_UNAVAILABLE'],
    ] as const) {
      expect((await errorOf(() => sessions.list(session))).code).toBe(code)
      expect((await errorOf(() => sessions.revokeAll(session))).code).toBe(code)
      expect((await errorOf(() => sessions.revoke(id, { subject: session }))).code).toBe(code)
    }
  })
})

describe('a browser whose session was ended elsewhere', () => {
  for (const snapshot of [false, { maxAge: 10 }] as const) {
    it(`starts a new session with its next write, and signs in at once${snapshot ? ', with a snapshot when that is known' : ''}`, async () => {
      const { memory, clock } = createUsers()
      const { sessions, visit } = createWorld({ store: memory, snapshot }, clock)
      const { session: old } = await visit((s) => s.login('ann'))
      expect(await sessions.revoke(old.id)).toBe(true)
      const { session: begun } = await visit((s) => s.set('cart', 1))
      expect([begun.status, begun.id === old.id]).toEqual(['missing', false])
      await visit((s) => s.login('ann'))
      const next = (await visit()).session
      expect([next.status, next.subject, next.data]).toEqual(['active', 'ann', { cart: 1 }])
      expect((await sessions.list('ann')).map(({ id }) => id)).toEqual([next.id])
    })
  }

  for (const [how, cache, snapshot] of [
    ['while it signs in', false, false],
    ['which a cache does not know', true, false],
    ['which its snapshot does not know', false, { maxAge: 10 }],
  ] as const) {
    it(`starts a new session, without its data, when it was ended ${how}`, async () => {
      const { memory, clock } = createUsers()
      const store = cache ? cached(memory, { ttl: 10, now: clock }) : memory
      const { sessions, visit, types } = createWorld({ store, snapshot }, clock)
      const elsewhere = createWorld({ store: memory, snapshot }, clock)
      await visit((s) => s.login('ann'))
      await visit((s) => s.set('cart', 1))
      clock.advance(1)
      const { session, setCookie } = await visit(async (s) => {
        expect([s.status, s.subject]).toEqual(['active', 'ann'])
        await elsewhere.sessions.revokeAll('ann')
        s.login('ann')
        s.set('seen', true)
      })
      expect([session.status, setCookie.length > 0]).toEqual(['missing', true])
      expect(types().slice(-2)).toEqual(['session.created', 'session.login'])
      const next = (await visit()).session
      expect([next.id, next.status, next.data]).toEqual([session.id, 'active', { seen: true }])
      expect((await sessions.list('ann')).map(({ id }) => id)).toEqual([next.id])
    })
  }

  it('is not signed in by a regenerate', async () => {
    const { sessions, visit } = createUsers()
    await visit((s) => s.login('ann'))
    const { session, setCookie } = await visit(async (s) => {
      await sessions.revokeAll('ann')
      s.regenerate()
    })
    expect([session.status, setCookie]).toEqual(['missing', []])
    expect(await sessions.list('ann')).toEqual([])
  })

  it('goes on with the session that its overlapping sign-in has just rotated', async () => {
    const { sessions, visit, jar, memory } = createUsers()
    await visit((s) => s.set('cart', 1))
    const header = jar.header()
    const [one, two] = [await sessions.open(header), await sessions.open(header)]
    for (const session of [one, two]) session.login('ann')
    for (const session of [one, two]) await sessions.save(session)
    // Clicked once more, with the cookie from before.
    const late = await sessions.open(header)
    expect(late.status).toBe('superseded')
    late.login('ann')
    const setCookie = await sessions.save(late)
    expect([one.id, late.id, late.rotationId]).toEqual([two.id, one.id, one.rotationId])
    const next = await sessions.open(setCookie[0]!.split(';')[0]!)
    expect([next.status, next.subject, next.data]).toEqual(['active', 'ann', { cart: 1 }])
    expect(memory.stats().live).toBe(1)
  })

  it.each([
    ['as somebody else', {}],
    ['after data were written to it', { writes: true }],
    ['after half a minute', { later: true }],
  ])(
    'starts a new session for a sign-in with a replaced cookie: %s',
    async (how, { writes, later }: { writes?: boolean; later?: boolean }) => {
      const { sessions, visit, jar, clock } = createUsers()
      await visit((s) => s.set('cart', 1))
      const header = jar.header()
      const { session: first } = await visit((s) => s.login('ann'))
      if (writes) await visit((s) => s.set('private', 1))
      if (later) clock.advance(30)
      const late = await sessions.open(header)
      const subject = how === 'as somebody else' ? 'bob' : 'ann'
      late.login(subject)
      const setCookie = await sessions.save(late)
      const next = await sessions.open(setCookie[0]!.split(';')[0]!)
      expect([next.status, next.subject, next.data]).toEqual(['active', subject, {}])
      expect(next.id === first.id).toBe(false)
      // Nobody else has the credential of the one before, if it is the same user's.
      expect((await visit()).session.subject).toBe(subject === 'bob' ? 'ann' : null)
      expect(await sessions.list(subject)).toHaveLength(1)
    },
  )
})

describe('sessions.all()', () => {
  it('goes through all live sessions', async () => {
    const { sessions, signIn, visit } = createUsers()
    for (let i = 0; i < 30; i++) await signIn(`user ${i % 3}`)
    await visit((s) => s.set('a', 1))
    const { id } = await signIn('gone')
    await sessions.revoke(id)
    const subjects: Record<string, number> = {}
    for await (const { subject } of sessions.all()) {
      subjects[String(subject)] = (subjects[String(subject)] ?? 0) + 1
    }
    expect(subjects).toEqual({ 'user 0': 10, 'user 1': 10, 'user 2': 10, null: 1 })
  })

  it('goes on from page to page, also past an empty one', async () => {
    const { memory, clock, signIn } = createUsers()
    for (const subject of ['ann', 'bob', 'cid']) await signIn(subject)
    const { records } = await memory.page(null)
    const cursors: (string | null)[] = []
    const page = async (cursor: string | null) => {
      cursors.push(cursor)
      const at = Number(cursor ?? 0)
      const next = at < 3 ? String(at + 1) : null
      return { records: at === 1 ? [] : records.slice(at, at + 1), cursor: next }
    }
    const { sessions } = createWorld({ store: { ...memory, page } }, clock)
    const found: string[] = []
    for await (const { id } of sessions.all()) found.push(id)
    expect(cursors).toEqual([null, '1', '2', '3'])
    expect(found).toEqual([records[0]!.id, records[2]!.id])
  })
})
