import { describe, expect, it } from 'vitest'
import { createSessions, type Session, type SessionsOptions } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createClock, createFaultyStore } from '../../src/testing/index.ts'
import { createWorld, errorOf, OTHER_SECRET, SECRET } from '../support/sessions.ts'

function createTagged(options: Partial<SessionsOptions> = {}) {
  const clock = createClock()
  const memory = createMemoryStore({ now: clock })
  const store = createFaultyStore(memory)
  const world = createWorld({ store, ...options }, clock)
  /** Opens the session of a header, changes and saves it, and returns the cookie it has then. */
  const change = async (header: string | null, use: (session: Session) => void) => {
    const session = await world.sessions.open(header)
    use(session)
    const [setCookie] = await world.sessions.save(session)
    return { id: session.id, header: setCookie?.split(';')[0] ?? header ?? '' }
  }
  const signIn = (subject: string, ...tags: string[]) =>
    change(null, (session) => session.login(subject, { tags }))
  const statusOf = async (header: string) => (await world.sessions.open(header)).status
  const tagsOf = async (header: string) => (await world.sessions.open(header)).tags
  return { memory, store, change, signIn, statusOf, tagsOf, ...world }
}

/** With a store, and in cookies whose revocations have one. */
const places = {
  'in a store': () => createTagged(),
  'in cookies, with revocations': () => {
    const clock = createClock()
    const store = createFaultyStore(createMemoryStore({ now: clock }))
    const revocations = { store, ttl: 0 }
    const { store: _, ...world } = createTagged({
      store: undefined,
      now: clock,
      revocations,
    } as never)
    return { ...world, store, clock }
  },
} as const

describe.each(Object.entries(places))('tags of sessions %s', (_, create) => {
  it('that can be none are refused by untag too: they would stay', async () => {
    const { sessions } = createWorld()
    const session = await sessions.open(null)
    session.login('ann', { tags: ['a'] })
    for (const wrong of [['a'], 5, '', null, undefined, 'x'.repeat(201)]) {
      expect(() => session.untag(wrong as never)).toThrow(TypeError)
      expect(() => session.tag(wrong as never)).toThrow(TypeError)
    }
    expect(session.tags).toEqual(['a'])
  })

  it('are those given to login, and change with tag and untag', async () => {
    const { change, clock, signIn, tagsOf } = create()
    let { header } = await signIn('ann', 'tenant:7', 'sid:1')
    expect(await tagsOf(header)).toEqual(['tenant:7', 'sid:1'])
    clock.advance(1)
    ;({ header } = await change(header, (session) => session.tag('device:a', 'sid:1')))
    expect(await tagsOf(header)).toEqual(['tenant:7', 'device:a', 'sid:1'])
    clock.advance(1)
    ;({ header } = await change(header, (session) => session.untag('tenant:7', 'nothing')))
    expect(await tagsOf(header)).toEqual(['device:a', 'sid:1'])
    ;({ header } = await change(header, (session) => session.untag('device:a', 'sid:1')))
    expect(await tagsOf(header)).toEqual([])
  })

  it('go with a login that gives none, as the same user and as another one', async () => {
    const { change, signIn, tagsOf } = create()
    for (const next of ['ann', 'bob']) {
      const { header } = await signIn('ann', 'tenant:7')
      const after = await change(header, (session) => session.login(next))
      expect(await tagsOf(after.header)).toEqual([])
    }
  })

  it('are of a visitor too, whose session they begin', async () => {
    const { change, clock, sessions, statusOf, tagsOf } = create()
    const { header } = await change(null, (session) => session.tag('campaign'))
    expect(await tagsOf(header)).toEqual(['campaign'])
    clock.advance(1)
    await sessions.revokeBy('campaign')
    expect(await statusOf(header)).toBe('missing')
  })

  it('are frozen, and refused where there are too many, too long, empty or malformed', async () => {
    const { sessions } = create()
    const session = await sessions.open(null)
    session.login('ann', { tags: Array.from({ length: 8 }, (_, i) => `${i}`.padEnd(200, 'x')) })
    expect(Object.isFrozen(session.tags)).toBe(true)
    expect(() => session.tag('a ninth')).toThrow(TypeError)
    expect(session.tags).toHaveLength(8)
    session.untag(...session.tags)
    for (const tag of ['', 'x'.repeat(201), '\ud800', 5, null, ['a']]) {
      expect(() => session.tag(tag as never)).toThrow('at most 8 strings of at most 200')
      expect(() => session.login('ann', { tags: [tag as never] })).toThrow('"login.tags" must be')
      expect(await errorOf(() => sessions.revokeBy(tag as never))).toBeInstanceOf(TypeError)
      const error = await errorOf(() => sessions.listBy(tag as never))
      expect(String(error.message)).not.toContain('xx')
    }
    expect(() => session.login('ann', { tags: 'tenant:7' as never })).toThrow(TypeError)
    expect(session.tags).toEqual([])
  })

  it('end by revokeBy, whoever the users are, and nothing else does', async () => {
    const { clock, events, sessions, signIn, statusOf } = create()
    const [ann, bob] = [await signIn('ann', 'tenant:7', 'sid:1'), await signIn('bob', 'tenant:7')]
    const others = [await signIn('ann', 'tenant:77'), await signIn('tenant:7'), await signIn('eve')]
    clock.advance(1)
    events.splice(0)
    const count = await sessions.revokeBy('tenant:7')
    expect(events).toMatchObject([{ type: 'session.ended', by: 'tag', count }])
    for (const { header } of [ann, bob]) expect(await statusOf(header)).toBe('missing')
    for (const { header } of others) expect(await statusOf(header)).toBe('active')
    const after = await signIn('ann', 'tenant:7')
    expect(await statusOf(after.header)).toBe('active')
  })

  it('end by revokeBy but for one that is spared, and not those that lost the tag before', async () => {
    const { change, clock, sessions, signIn, statusOf } = create()
    const [spared, ended, left] = [
      await signIn('ann', 'a'),
      await signIn('bob', 'a'),
      await signIn('eve', 'a', 'b'),
    ]
    const { header } = await change(left.header, (session) => session.untag('a'))
    clock.advance(1)
    await sessions.revokeBy('a', { except: spared.id })
    expect(await statusOf(spared.header)).toBe('active')
    expect(await statusOf(ended.header)).toBe('missing')
    expect(await statusOf(header)).toBe('active')
  })

  it('are found under any of the secrets', async () => {
    const { clock, signIn, sessions, store } = create()
    const own = (sessions as unknown as { list(s: string): Promise<unknown> }).list
    const isStored = await own('nobody').then(
      () => true,
      () => false,
    )
    const withSecret = (...secret: [string, ...string[]]) =>
      createSessions({
        secret,
        now: clock,
        ...(isStored ? { store } : { revocations: { store, ttl: 0 } }),
      })
    const { header } = await signIn('ann', 'tenant:7')
    clock.advance(1)
    await withSecret(OTHER_SECRET, SECRET).revokeBy('tenant:7')
    expect((await withSecret(SECRET, OTHER_SECRET).open(header)).status).toBe('missing')
  })
})

describe('listBy()', () => {
  it('finds the sessions of all users that have a tag, and tells their tags', async () => {
    const { sessions, signIn } = createTagged()
    await signIn('ann', 'tenant:7')
    await signIn('bob', 'x', 'tenant:7')
    await signIn('eve', 'tenant:8')
    const infos = await sessions.listBy('tenant:7')
    expect(infos.map(({ subject, tags }) => [subject, tags]).sort()).toEqual([
      ['ann', ['tenant:7']],
      ['bob', ['x', 'tenant:7']],
    ])
    expect((await sessions.list('bob'))[0]?.tags).toEqual(['x', 'tenant:7'])
    // A user is no tag, whatever the name.
    expect(await sessions.listBy('ann')).toEqual([])
  })

  it('needs a store that can', async () => {
    const sessions = createSessions({ secret: SECRET })
    expect((await errorOf(() => sessions.listBy('a'))).code).toBe('ERR_STORE_REQUIRED')
    expect((await errorOf(() => sessions.revokeBy('a'))).code).toBe('ERR_STORE_REQUIRED')
  })
})

describe('tags in a store', () => {
  it('are keyed hashes there, after that of the user', async () => {
    const { memory, signIn } = createTagged()
    const { id } = await signIn('ann', 'tenant:7', 'tenant:8')
    const record = await memory.read(id)
    expect(record?.keys).toHaveLength(3)
    expect(JSON.stringify(record)).not.toMatch(/tenant|ann/)
    expect(new Set(record?.keys).size).toBe(3)
  })

  it('of two overlapping requests are both there', async () => {
    const { sessions, signIn, tagsOf } = createTagged()
    const { header } = await signIn('ann', 'a')
    const [one, two] = [await sessions.open(header), await sessions.open(header)]
    one.tag('b')
    two.untag('a')
    two.tag('c')
    await sessions.save(one)
    await sessions.save(two)
    expect(await tagsOf(header)).toEqual(['b', 'c'])
    expect(await sessions.listBy('a')).toEqual([])
    expect(await sessions.listBy('c')).toHaveLength(1)
  })

  it('stay with what a request beside them appends, and with a renewal', async () => {
    const { clock, change, sessions, signIn, tagsOf } = createTagged()
    const { header } = await signIn('ann', 'a')
    const [one, two] = [await sessions.open(header), await sessions.open(header)]
    one.set('n', 1)
    two.increment('m')
    await sessions.save(one)
    await sessions.save(two)
    clock.advance(10_000)
    const renewed = await change(header, () => {})
    expect(await tagsOf(renewed.header)).toEqual(['a'])
    expect(await sessions.listBy('a')).toHaveLength(1)
  })

  it('do not wait in a cookie while the store is down: the commit rejects', async () => {
    const { sessions, signIn, store } = createTagged({ snapshot: { maxAge: 10, staleIfError: 60 } })
    const { header } = await signIn('ann')
    store.down({ type: 'throw-before' })
    const session = await sessions.open(header)
    session.tag('a')
    expect((await errorOf(() => sessions.save(session))).code).toBe('ERR_STORE_UNAVAILABLE')
  })

  it('that a rotation overtakes are dropped with commit.dropped', async () => {
    const { events, sessions, signIn } = createTagged()
    const { header } = await signIn('ann')
    const [one, two] = [await sessions.open(header), await sessions.open(header)]
    one.regenerate()
    await sessions.save(one)
    two.tag('a')
    await sessions.save(two)
    expect(events.filter(({ type }) => type === 'commit.dropped')).toMatchObject([
      { reason: 'superseded', changes: 1 },
    ])
  })

  it('cost a request that uses none of them no call and no WebCrypto call', async () => {
    const { sessions, signIn, store } = createTagged()
    const { header } = await signIn('ann')
    const before = store.calls.length
    const session = await sessions.open(header)
    session.set('n', 1)
    await sessions.save(session)
    expect(store.calls.slice(before).map(({ operation }) => operation)).toEqual(['read', 'write'])
  })
})

describe('the calls that tags cost a session in a cookie', () => {
  it('are one read for each, at once with its own, shared by all sessions in this isolate', async () => {
    const clock = createClock()
    const store = createFaultyStore(createMemoryStore({ now: clock }))
    const { sessions } = createWorld({ revocations: { store } }, clock)
    const signIn = async (subject: string, ...tags: string[]) => {
      const session = await sessions.open(null)
      session.login(subject, { tags })
      return (await sessions.save(session))[0]!.split(';')[0]!
    }
    const [one, two] = [await signIn('ann', 'a', 'b'), await signIn('bob', 'b')]
    await sessions.open(one)
    expect(store.calls).toHaveLength(4)
    await sessions.open(two)
    expect(store.calls).toHaveLength(6)
  })
})

describe('revokeBy() against writers and rotations', () => {
  it('leaves none alive of what it found, whoever writes meanwhile', async () => {
    for (let round = 0; round < 20; round++) {
      const { change, sessions, signIn } = createTagged()
      const { header } = await signIn('ann', 'tenant:7')
      const headers = [header]
      const writers = Array.from({ length: 8 }, (_, i) =>
        change(header, (session) => {
          if (i % 4 === 0) session.regenerate()
          else if (i % 4 === 1) session.tag(`w${i}`)
          else session.increment('n')
        }).then(
          (after) => headers.push(after.header),
          () => {},
        ),
      )
      const ending = Promise.resolve().then(async () => {
        for (let i = 0; i < round; i++) await Promise.resolve()
        await sessions.revokeBy('tenant:7')
      })
      await Promise.all([...writers, ending])
      // Whoever opens it after its end begins a session of nobody.
      for (const one of headers) {
        const { subject, tags } = await sessions.open(one)
        expect([subject, tags.includes('tenant:7')]).toEqual([null, false])
      }
      expect(await sessions.list('ann')).toEqual([])
    }
  })
})
