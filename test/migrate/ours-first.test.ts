import { describe, expect, it } from 'vitest'
import { SessionNotFoundError, StoreUnavailableError } from '../../src/errors.ts'
import type { Session, SessionsOptions } from '../../src/index.ts'
import { type CookieImporter, fromIronSession } from '../../src/migrate/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { createClock } from '../../src/testing/index.ts'
import { createWorld, OTHER_SECRET, SECRET } from '../support/sessions.ts'
import frozen from '../vectors/migrate.json' with { type: 'json' }

const old = frozen.cookies.iron
const importer = fromIronSession({
  password: frozen.secret,
  cookieName: 'app',
  toSession: (data) => ({ data, subject: 'from before' }),
})

/** What the old cookie says; `writtenAt` where it says when it was written. */
interface Old {
  subject: string | null
  writtenAt?: number
}

const places: Record<string, () => Partial<SessionsOptions>> = {
  'in a cookie': () => ({}),
  'in a store': () => ({ store: createMemoryStore() }),
  'in a store, with snapshots': () => ({ store: createMemoryStore(), snapshot: { maxAge: 60 } }),
  'in a store, sealed by the cookie': () => ({ store: createMemoryStore(), seal: 'cookie' }),
}

/** A browser with a session of ours, and an old cookie that came beside it afterwards. */
async function setUp(place: string, user: string | null, old: (now: number) => Old) {
  const clock = createClock()
  const outage = { on: false }
  const options = places[place]!()
  if (options.store) {
    const memory = createMemoryStore({ now: clock })
    options.store = {
      ...memory,
      read: (...call) => (outage.on ? Promise.reject(new Error('down')) : memory.read(...call)),
    }
  }
  let said: Old = { subject: null }
  let reads = 0
  const oldOnes: CookieImporter = {
    name: 'old',
    async read(cookies) {
      reads++
      return cookies.has('old') ? { data: { from: 'before' }, ...said, remove: ['old'] } : null
    },
  }
  const world = createWorld({ importFrom: [oldOnes], idleTimeout: 60, ...options }, clock)
  await world.visit((session) => {
    session.set('from', 'today')
    if (user !== null) session.login(user)
  })
  clock.advance(10)
  said = old(clock())
  world.jar.store(new Response('', { headers: { 'set-cookie': 'old=1; Path=/' } }))
  const names = () => world.jar.cookies().map(({ name }) => name)
  const whoIs = async () => {
    const { status, subject } = (await world.visit()).session
    return [status, subject]
  }
  const winners = () =>
    world.events.flatMap((event) =>
      event.type === 'session.import-conflict' ? [event.winner] : [],
    )
  return { ...world, outage, names, whoIs, winners, reads: () => reads }
}

const LATER = (subject: string | null) => (now: number) => ({ subject, writtenAt: now - 5000 })
const EARLIER = (subject: string | null) => (now: number) => ({ subject, writtenAt: now - 15_000 })
const UNKNOWN = (subject: string | null) => () => ({ subject })

for (const place of Object.keys(places)) {
  describe(`importFrom, beside a session of ours ${place}: whoever signed in last wins`, () => {
    it('goes by the old cookie of another user who signed in later, after a rollback', async () => {
      const { visit, whoIs, names, types, winners } = await setUp(place, 'ann', LATER('bob'))
      const { session } = await visit()
      expect([session.status, session.subject, session.data]).toEqual([
        'active',
        'bob',
        { from: 'before' },
      ])
      expect(names()).not.toContain('old')
      expect(await whoIs()).toEqual(['active', 'bob'])
      expect(types()).toContain('session.imported')
      expect(winners()).toEqual(['old'])
    })

    it('goes by ours where the old cookie is older, and removes that', async () => {
      const { whoIs, names, visit, winners } = await setUp(place, 'ann', EARLIER('bob'))
      expect(await whoIs()).toEqual(['active', 'ann'])
      expect(winners()).toEqual(['ours'])
      expect(names()).not.toContain('old')
      await visit((session) => session.destroy())
      expect(await whoIs()).toEqual(['new', null])
    })

    it('goes by ours for the same user, and a sign-out in the same request removes both', async () => {
      const { visit, whoIs, names } = await setUp(place, 'ann', LATER('ann'))
      await visit((session) => {
        expect(session.get('from')).toBe('today')
        session.destroy()
      })
      expect(names()).not.toContain('old')
      expect(await whoIs()).toEqual(['new', null])
    })

    it('goes by ours where nobody is signed in with the old cookie', async () => {
      const { whoIs, winners } = await setUp(place, 'ann', LATER(null))
      expect(await whoIs()).toEqual(['active', 'ann'])
      expect(winners()).toEqual(['ours'])
    })

    it('shows neither user where nothing tells who came last, until somebody signs in', async () => {
      const { jar, sessions, whoIs, visit, names, winners } = await setUp(
        place,
        'ann',
        UNKNOWN('bob'),
      )
      for (let visits = 0; visits < 2; visits++) {
        const { session } = await visit()
        expect([session.status, session.subject, session.data]).toEqual(['invalid', null, {}])
      }
      const required = await sessions.require(jar.request('/')).catch((error) => error)
      expect(required).toBeInstanceOf(SessionNotFoundError)
      expect(winners()).toEqual(['neither', 'neither', 'neither'])
      expect(names()).toContain('old')
      await visit((session) => session.login('bob'))
      expect(names()).not.toContain('old')
      expect(await whoIs()).toEqual(['active', 'bob'])
    })

    it('shows neither user where both signed in within the same second', async () => {
      const { whoIs } = await setUp(place, 'ann', (now) => ({
        subject: 'bob',
        writtenAt: now - 10_000 + 400,
      }))
      expect(await whoIs()).toEqual(['invalid', null])
    })

    it('signs in by an old cookie of unknown age where nobody is signed in with ours', async () => {
      const { whoIs } = await setUp(place, null, UNKNOWN('bob'))
      expect(await whoIs()).toEqual(['active', 'bob'])
    })

    it('does not bring back what has expired, unless it was written since', async () => {
      for (const [old, subject] of [
        [LATER('bob'), 'bob'],
        [EARLIER('bob'), null],
        [UNKNOWN('bob'), null],
      ] as const) {
        const { whoIs, clock, visit, names } = await setUp(place, 'ann', old)
        clock.advance(61)
        expect((await whoIs())[1]).toBe(subject)
        await visit((session) => session.login('ann'))
        expect(names()).not.toContain('old')
        expect(await whoIs()).toEqual(['active', 'ann'])
      }
    })

    it('asks nothing of an importer while there is no old cookie', async () => {
      const { jar, visit, reads } = await setUp(place, 'ann', UNKNOWN('bob'))
      jar.store(new Response('', { headers: { 'set-cookie': 'old=; Max-Age=0; Path=/' } }))
      jar.store(new Response('', { headers: { 'set-cookie': 'new-old=1; Path=/' } }))
      await visit()
      expect(reads()).toBe(0)
    })
  })
}

describe('importFrom, beside a cookie of ours', () => {
  it('asks no old cookie while our store is down', async () => {
    const { whoIs, outage } = await setUp('in a store', 'ann', LATER('bob'))
    outage.on = true
    expect(await whoIs()).toEqual(['degraded', null])
  })

  it('does not sign in again whoever signed out, unless with the old library since', async () => {
    for (const [old, expected] of [
      [LATER('bob'), ['active', 'bob']],
      [UNKNOWN('bob'), ['missing', null]],
      // Ours knows whole seconds.
      [(now: number) => ({ subject: 'bob', writtenAt: now - 10_000 + 999 }), ['missing', null]],
      [(now: number) => ({ subject: 'bob', writtenAt: now - 10_000 + 1000 }), ['active', 'bob']],
    ] as const) {
      const { sessions, jar, whoIs } = await setUp('in a store', 'ann', old)
      const cookie = jar.header()!.replace(/; old=1/, '')
      const session = await sessions.open(cookie)
      session.destroy()
      await sessions.save(session)
      expect(await whoIs()).toEqual(expected)
    }
  })

  it('asks no old cookie while the response with our new cookie is on its way', async () => {
    const { jar, sessions, types } = await setUp('in a store', 'ann', LATER('bob'))
    const header = jar.header()!
    const session = await sessions.open(header.replace(/; old=1/, ''))
    session.regenerate()
    await sessions.save(session)
    const late = await sessions.open(header)
    expect([late.status, late.subject]).toEqual(['superseded', null])
    expect(types()).not.toContain('session.imported')
  })

  it('asks each importer, though the request has the cookie of one of them', async () => {
    const none: CookieImporter = { name: 'none', read: async () => null }
    for (const importFrom of [
      [importer, none],
      [none, importer],
    ]) {
      const { sessions } = createWorld({ importFrom })
      expect((await sessions.open(old)).subject).toBe('from before')
    }
  })

  it('goes by the old cookie when ours does not open', async () => {
    const { sessions } = createWorld({ importFrom: [importer] })
    const session = await sessions.open(`__Host-session=forged; ${old}`)
    expect([session.status, session.subject]).toEqual(['active', 'from before'])
  })

  it('keeps ours where what the old cookie holds is of no use', async () => {
    const odd = fromIronSession({
      password: frozen.secret,
      cookieName: 'app',
      toSession: () => {
        throw new RangeError('odd')
      },
    })
    const { sessions, types } = createWorld({ importFrom: [odd], onCorruption: 'throw' })
    const session = await sessions.open(null)
    session.login('ann')
    const [ours] = await sessions.save(session)
    expect((await sessions.open(`${ours!.split(';')[0]}; ${old}`)).subject).toBe('ann')
    expect(types()).toContain('session.corrupt')
  })

  it('shows nobody where the user of the old cookie has signed out everywhere', async () => {
    const clock = createClock()
    const notBefore = (subject: string) => (subject === 'from before' ? clock() : null)
    const made = fromIronSession({
      password: frozen.secret,
      cookieName: 'app',
      toSession: (data) => ({ data, subject: 'from before' }),
    })
    const later: CookieImporter = {
      ...made,
      async read(cookies, now) {
        const session = await made.read(cookies, now)
        return session && { ...session, writtenAt: now }
      },
    }
    const { sessions } = createWorld({ importFrom: [later], notBefore }, clock)
    const session = await sessions.open(null)
    session.login('ann')
    const [ours] = await sessions.save(session)
    clock.advance(5)
    const both = await sessions.open(`${ours!.split(';')[0]}; ${old}`)
    expect([both.status, both.subject]).toEqual(['expired', null])
    both.login('ann')
    expect((await sessions.save(both)).at(-1)).toMatch(/^app=; Max-Age=0/)
  })

  it('shows nobody where the old cookie came last and its data cannot be written', async () => {
    const clock = createClock()
    const broken: CookieImporter = {
      name: 'old',
      read: async (_, now) => ({
        data: { a: 1n },
        subject: 'bob',
        writtenAt: now,
        remove: ['old'],
      }),
    }
    const { sessions, types } = createWorld({ importFrom: [broken] }, clock)
    const session = await sessions.open(null)
    session.login('ann')
    const [ours] = await sessions.save(session)
    clock.advance(5)
    const both = await sessions.open(`${ours!.split(';')[0]}; old=1`)
    expect([both.status, both.subject]).toEqual(['new', null])
    expect(types()).toContain('session.corrupt')
  })

  it('passes on what an importer was not made to throw, and the abort of a request', async () => {
    const mistake: CookieImporter = {
      name: 'old',
      read: () => Promise.reject(new TypeError('a mistake in it')),
    }
    const { sessions, types } = createWorld({ importFrom: [mistake] })
    await expect(sessions.open('old=1')).rejects.toThrow('a mistake in it')
    const gone = new AbortController()
    const slow: CookieImporter = {
      name: 'old',
      read: () => {
        gone.abort(new Error('gone'))
        return Promise.reject(new StoreUnavailableError('late'))
      },
    }
    const world = createWorld({ importFrom: [slow] })
    const request = new Request('https://a.example/', {
      headers: { cookie: 'old=1' },
      signal: gone.signal,
    })
    await expect(world.sessions.get(request)).rejects.toThrow('gone')
    expect([types(), world.types()]).toEqual([[], []])
  })

  it('asks no importer of its own name beside a session of ours', async () => {
    let reads = 0
    const own: CookieImporter = {
      name: '__Host-session',
      read: async () => {
        reads++
        return null
      },
    }
    const { visit } = createWorld({ importFrom: [own] })
    await visit((session) => session.login('ann'))
    await visit()
    expect(reads).toBe(0)
  })
})

describe('importFrom, on overlapping first visits', () => {
  async function arriveTwice(options: Partial<SessionsOptions> = {}) {
    const clock = createClock()
    const store = createMemoryStore({ now: clock })
    const world = createWorld({ store, importFrom: [importer], ...options }, clock)
    const [one, two] = await Promise.all([world.sessions.open(old), world.sessions.open(old)])
    return { ...world, one, two }
  }

  it('goes on with one session, and loses no write', async () => {
    const { sessions, one, two, types } = await arriveTwice()
    one.set('one', 1)
    two.set('two', 2)
    const [[first], [second]] = await Promise.all([sessions.save(one), sessions.save(two)])
    for (const setCookie of [first, second]) {
      const session = await sessions.open(setCookie!.split(';')[0]!)
      expect(session.subject).toBe('from before')
      expect(session.data).toEqual({ ...one.data, one: 1, two: 2 })
    }
    expect(types().filter((type) => type === 'session.imported')).toHaveLength(1)
  })

  it('removes the old cookie with each response that brings the new one, changed or not', async () => {
    const { sessions, one, two } = await arriveTwice()
    for (const session of [one, two]) {
      const [ours, removal] = await sessions.save(session)
      expect(ours).toMatch(/^__Host-session=[\w-]/)
      expect(removal).toMatch(/^app=; Max-Age=0/)
    }
  })

  for (const [what, act] of [
    ['signed out', (session: Session) => session.destroy()],
    ['signed in', (session: Session) => session.login('somebody')],
  ] as const) {
    it(`stays quiet when another one ${what} meanwhile`, async () => {
      const { sessions, one, two } = await arriveTwice()
      act(one)
      await sessions.save(one)
      two.set('late', true)
      expect((await sessions.save(two)).join()).not.toContain('__Host-session')
      expect(two.status).toBe('missing')
      expect((await sessions.open(old)).status).toBe('missing')
    })
  }

  it('opens nothing once its user has signed in by the session, as any credential from before', async () => {
    const { sessions, one, clock, types } = await arriveTwice()
    one.login('from before')
    const [ours] = await sessions.save(one)
    const soon = await sessions.open(old)
    expect([soon.status, soon.subject]).toEqual(['superseded', null])
    clock.advance(31)
    const late = await sessions.open(old)
    expect([late.status, late.subject]).toEqual(['missing', null])
    expect(types()).toContain('session.reused')
    expect((await sessions.open(ours!.split(';')[0]!)).subject).toBe('from before')
  })

  it('starts anew for who signs in when it was ended elsewhere, and removes the old cookie', async () => {
    const { sessions, one } = await arriveTwice()
    await sessions.save(one)
    await sessions.revokeAll('from before')
    const late = await sessions.open(old)
    expect([late.status, late.subject]).toEqual(['missing', null])
    late.login('from today')
    const setCookie = await sessions.save(late)
    expect((await sessions.open(setCookie[0]!.split(';')[0]!)).subject).toBe('from today')
    expect(setCookie.at(-1)).toMatch(/^app=; Max-Age=0/)
  })

  it.each(['destroy', 'revokeAll', 'a sign-in of somebody else'])(
    'stays ended after %s for as long as the old cookie is good, also under other secrets',
    async (how) => {
      const { sessions, one, clock } = await arriveTwice({ secret: [SECRET, OTHER_SECRET] })
      if (how === 'destroy') one.destroy()
      if (how === 'a sign-in of somebody else') one.login('from today')
      await sessions.save(one)
      if (how === 'revokeAll') await sessions.revokeAll('from before')
      for (const seconds of [0, 31, 3600, 86_400, 6 * 86_400]) {
        clock.advance(seconds)
        expect((await sessions.open(old)).subject).toBe(null)
      }
    },
  )

  it.each([
    ['that does not say when it began', {}, 400 * 86_400],
    ['that began an hour ago', { createdAt: -3600 }, 6 * 86_400 + 82_800],
    ['that ends in an hour', { endsAt: 3600 }, 3600],
    ['that began an hour ago and ends in another', { createdAt: -3600, endsAt: 3600 }, 3600],
  ])('keeps the mark of an end for as long as an old cookie may be good: one %s', async (...of) => {
    const [, times, seconds] = of
    const clock = createClock()
    const memory = createMemoryStore({ now: clock })
    const asked: (number | undefined)[] = []
    const store: SessionStore = {
      ...memory,
      write: (id, record, ...rest) => {
        asked.push(record.markFor)
        return memory.write(id, record, ...rest)
      },
    }
    const given = Object.entries(times).map(([name, at]) => [name, clock() + at * 1000])
    const named: CookieImporter = {
      name: 'old',
      read: async () => ({ data: { a: 1 }, id: 'x', remove: [], ...Object.fromEntries(given) }),
    }
    const { sessions } = createWorld({ store, importFrom: [named] }, clock)
    await sessions.open('old=1')
    expect(asked).toEqual([seconds])
  })

  it('stays ended, however the old cookie is spelled or doubled', async () => {
    const { sessions, one } = await arriveTwice()
    one.destroy()
    await sessions.save(one)
    const [name, value] = old.split('=') as [string, string]
    for (const spelled of [
      `${old}~9`,
      `${name}="${value}"`,
      `${name}=${value.replace('F', '%46')}`,
      `${old}; ${name}=x`,
      `${name}=x; ${old}`,
    ]) {
      const again = await sessions.open(spelled)
      expect([again.status, again.subject]).toEqual(['missing', null])
    }
  })

  it('asks notBefore once', async () => {
    let asked = 0
    const notBefore = () => {
      asked++
      return null
    }
    for (const more of [{}, { seal: 'cookie' as const }]) {
      const store = createMemoryStore({ now: createClock() })
      const { sessions } = createWorld({ store, importFrom: [importer], notBefore, ...more })
      asked = 0
      expect((await sessions.open(old)).subject).toBe('from before')
      expect(asked).toBe(1)
    }
  })

  it('leaves the old cookie alone while the store is down', async () => {
    const store: SessionStore = {
      ...createMemoryStore(),
      write: () => Promise.reject(new Error('down')),
    }
    const { sessions, one, events } = await arriveTwice({ store })
    expect(one.status).toBe('degraded')
    const request = new Request('https://example.com/', { headers: { cookie: old } })
    await expect(sessions.require(request)).rejects.toThrow(StoreUnavailableError)
    const strict = createWorld({ store, importFrom: [importer], onStoreFailure: 'throw' })
    await expect(strict.sessions.open(old)).rejects.toThrow(StoreUnavailableError)
    expect(strict.types()).toEqual(['store.unavailable'])
    expect(() => one.set('one', 1)).toThrow(StoreUnavailableError)
    expect(await sessions.save(one)).toEqual([])
    expect(events[0]).toMatchObject({ type: 'store.degraded', store: 'memory', reason: 'unknown' })
  })

  it('leaves it alone when the store goes down before the response', async () => {
    const memory = createMemoryStore({ now: createClock() })
    const outage = { on: false }
    const write: SessionStore['write'] = (...call) =>
      outage.on ? Promise.reject(new Error('down')) : memory.write(...call)
    const { sessions, one } = await arriveTwice({ store: { ...memory, write } })
    outage.on = true
    one.set('one', 1)
    await expect(sessions.save(one)).rejects.toThrow(StoreUnavailableError)
  })

  it('takes over one each where the key is only in the cookie', async () => {
    const { sessions, one, two } = await arriveTwice({ seal: 'cookie' })
    expect(one.id).not.toBe(two.id)
    const [ours] = await sessions.save(one)
    expect((await sessions.open(ours!.split(';')[0]!)).subject).toBe('from before')
  })
})
