import { describe, expect, it } from 'vitest'
import { withSessions } from '../../src/adapters/workers.ts'
import { StoreUnavailableError } from '../../src/errors.ts'
import type { SessionEvent } from '../../src/events.ts'
import type { CookieImporter } from '../../src/migrate/index.ts'
import type { Controls } from '../../src/options.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createClock, createCookieJar } from '../../src/testing/index.ts'
import { createWorld, errorOf, SECRET } from '../support/sessions.ts'

const never = (): Promise<never> => new Promise(() => {})
const CANARY = 'canary-5f2c'

/** Sessions whose controls answer what they are told to. */
function setUp(mode: 'in a cookie' | 'in a store', first: unknown = {}) {
  const clock = createClock()
  const memory = createMemoryStore({ now: clock })
  let answer: unknown = first
  let asked = 0
  const controls = (): Controls | Promise<Controls> => {
    asked++
    if (answer instanceof Error) throw answer
    return typeof answer === 'function' ? answer() : (answer as Controls)
  }
  const store = mode === 'in a store' ? { store: memory } : {}
  const world = createWorld({ ...store, controls, storeTimeout: 0.05 }, clock)
  const change = async (next: unknown): Promise<void> => {
    answer = next
    clock.advance(5)
    // Asks, and does not wait for the answer.
    await world.sessions.open(null)
  }
  const refused = (): string[] =>
    world.events.flatMap((event) => (event.type === 'policy.invalid' ? [event.message] : []))
  return { ...world, change, count: () => asked, memory, refused }
}

describe.each(['in a cookie', 'in a store'] as const)('controls of sessions %s', (mode) => {
  it('are asked for once in five seconds, and nobody waits for a later answer', async () => {
    const { change, clock, count, visit } = setUp(mode)
    for (let i = 0; i < 10; i++) await visit((session) => session.set('n', i))
    expect(count()).toBe(1)
    await change(never())
    for (let i = 0; i < 10; i++) await visit((session) => session.set('n', i))
    expect(count()).toBe(2)
    clock.advance(4)
    await visit()
    expect(count()).toBe(2)
    clock.advance(1)
    expect((await visit()).session.get('n')).toBe(9)
    expect(count()).toBe(3)
  })

  it('are in force with the first request, which waits for them', async () => {
    const { visit } = setUp(mode, Promise.resolve({ readOnly: true }))
    expect((await visit((session) => session.set('n', 1))).response.status).toBe(503)
  })

  it('are waited for no longer than storeTimeout, and then none are in force', async () => {
    const { count, refused, visit } = setUp(mode, never())
    expect((await visit((session) => session.set('n', 1))).response.status).toBe(200)
    expect(refused()).toEqual(['The option "controls" failed (StoreTimeoutError)'])
    await visit()
    expect(count()).toBe(1)
  })

  it('sign everybody out who signed in, or came, before notBefore', async () => {
    const { change, clock, events, jar, sessions, visit } = setUp(mode)
    const anonymous = createCookieJar({ now: clock })
    const fill = sessions.handler(async (request) => {
      const session = await sessions.get(request)
      session.set('cart', ['book'])
      return new Response('')
    })
    await anonymous.fetch(fill, '/')
    await visit((session) => session.login('ada'))
    clock.advance(60)
    await change({ notBefore: clock() })
    const { session } = await visit()
    expect([session.status, session.subject]).toEqual(['expired', null])
    expect((await sessions.open(anonymous.header())).status).toBe('expired')
    expect(events.filter(({ type }) => type === 'session.expired')).toMatchObject([
      { reason: 'not-before', age: 65 },
      { reason: 'not-before', age: 65 },
    ])
    const error = await errorOf(() => sessions.require(jar.request('/')))
    expect([error.code, error.reason]).toEqual(['ERR_SESSION_EXPIRED', 'not-before'])
    await visit((session) => session.login('ada'))
    clock.advance(60)
    const { session: later } = await visit()
    expect([later.status, later.subject]).toEqual(['active', 'ada'])
  })

  it('allow no changes with readOnly, but for signing out', async () => {
    const { change, clock, jar, sessions, visit } = setUp(mode)
    await visit((session) => {
      session.login('ada')
      session.set('n', 1)
      session.flash('notice', 'saved')
    })
    await change({ readOnly: true })
    // A renewal would be due.
    clock.advance(20_000)
    const read = await visit((session) => {
      expect([session.status, session.subject, session.get('n')]).toEqual(['active', 'ada', 1])
      expect(session.flash('notice')).toBe('saved')
    })
    expect([read.response.status, read.setCookie]).toEqual([200, []])
    for (const use of [
      (session: typeof read.session) => session.set('n', 2),
      (session: typeof read.session) => session.increment('n' as never),
      (session: typeof read.session) => session.flash('notice', 'again'),
      (session: typeof read.session) => session.login('ada'),
      (session: typeof read.session) => session.login('bob'),
      (session: typeof read.session) => session.regenerate(),
      (session: typeof read.session) => session.once('work', async () => 1),
    ]) {
      const { response, setCookie } = await visit(use)
      expect([response.status, response.headers.get('retry-after'), setCookie]).toEqual([
        503,
        '30',
        [],
      ])
    }
    const error = await errorOf(async () => (await sessions.open(jar.header())).set('n', 2))
    expect(error).toBeInstanceOf(StoreUnavailableError)
    expect(error.reason).toBe('read-only')
    // The flash value was not consumed.
    await change({})
    expect((await visit((session) => session.flash('notice'))).response.status).toBe(200)
    await change({ readOnly: true })
    const copy = jar.header()
    const { response } = await visit((session) => session.destroy())
    expect([response.status, jar.header()?.includes('__Host-session=')]).toEqual([200, false])
    if (mode === 'in a store') expect((await sessions.open(copy)).status).toBe('missing')
  })

  it('stay as they were when an answer is wrong: no session fails', async () => {
    const { change, clock, refused, sessions, visit } = setUp(mode)
    await visit((session) => session.login('ada'))
    await change({ readOnly: true })
    for (const [wrong, words] of [
      [
        { readonly: true },
        /Unknown option "controls.readonly", expected one of notBefore, readOnly/,
      ],
      [{ readOnly: CANARY }, /"controls.readOnly" must be true, false or null, got string/],
      [{ notBefore: 1_790_000_000 }, /"controls.notBefore" must be epoch milliseconds of the past/],
      [
        { notBefore: String(clock()) },
        /"controls.notBefore" must be epoch milliseconds of the past/,
      ],
      [{ notBefore: clock() + 1e9 }, /"controls.notBefore" must be epoch milliseconds of the past/],
      [CANARY, /"controls" must be a function that returns an object, got string/],
      [null, /got null/],
      [new RangeError(CANARY), /^The option "controls" failed \(RangeError\)$/],
      [() => Promise.reject(new SyntaxError(CANARY)), /failed \(SyntaxError\)$/],
    ] as const) {
      const before = refused().length
      await change(wrong)
      await change(wrong)
      const { response } = await visit((session) => session.set('n', 1))
      expect(response.status).toBe(503)
      expect(refused().slice(before)).toEqual([expect.stringMatching(words)])
      const { controls } = await sessions.health()
      expect(controls).toEqual({ readOnly: true, problem: refused().at(-1) })
    }
    expect(refused().join().includes(CANARY)).toBe(false)
    await change({})
    expect((await visit((session) => session.set('n', 1))).response.status).toBe(200)
    expect((await sessions.health()).controls).toEqual({})
  })

  it('end no session that begins, or signed in, at the very moment of notBefore', async () => {
    const { change, clock, refused, sessions, visit } = setUp(mode)
    clock.advance(0.7)
    const { session } = await visit((one) => one.login('ada'))
    await change({ notBefore: session.authenticatedAt })
    await change({ notBefore: session.authenticatedAt })
    expect((await visit()).session.status).toBe('active')
    // Sessions count full seconds: a visitor of this second has none that could be over.
    expect((await sessions.open(null)).status).toBe('new')
    expect(refused()).toEqual([])
  })

  it('may name this very moment', async () => {
    const { change, clock, refused, visit } = setUp(mode)
    await visit((session) => session.login('ada'))
    await change(() => ({ notBefore: clock() }))
    expect((await visit()).session.status).toBe('expired')
    expect(refused()).toEqual([])
  })

  it('may say nothing, by null', async () => {
    const { change, refused, sessions, visit } = setUp(mode)
    await change({ notBefore: null, readOnly: null })
    await change({ notBefore: null, readOnly: null })
    expect((await visit((session) => session.set('n', 1))).response.status).toBe(200)
    expect([(await sessions.health()).controls, refused()]).toEqual([{}, []])
  })

  it('take effect once a notBefore of the future is past', async () => {
    const { change, clock, refused, visit } = setUp(mode)
    await visit((session) => session.login('ada'))
    await change({ notBefore: clock() + 15_000 })
    await change({ notBefore: clock() + 10_000 })
    await visit()
    clock.advance(10)
    await visit()
    expect((await visit()).session.status).toBe('expired')
    expect(refused().length).toBe(1)
  })
})

describe('controls', () => {
  it('are asked for by each request until they are known, since no promise is shared', async () => {
    const { count, sessions } = setUp('in a cookie', Promise.resolve({ readOnly: true }))
    const all = await Promise.all(Array.from({ length: 3 }, () => sessions.open(null)))
    expect(count()).toBe(3)
    for (const session of all) expect(() => session.set('n', 1)).toThrow(StoreUnavailableError)
    await sessions.open(null)
    expect(count()).toBe(3)
  })

  it('that come late put no newer ones out of force', async () => {
    const clock = createClock()
    const answers: ((controls: Controls) => void)[] = []
    let isFirst = true
    const { visit } = createWorld(
      {
        controls: () => {
          if (!isFirst) return new Promise((resolve) => answers.push(resolve))
          isFirst = false
          return {}
        },
      },
      clock,
    )
    await visit()
    for (let i = 0; i < 2; i++) {
      clock.advance(5)
      await visit()
    }
    answers[1]?.({ readOnly: true })
    await visit()
    answers[0]?.({})
    await visit()
    expect((await visit((session) => session.set('n', 1))).response.status).toBe(503)
  })

  it('are asked for as often as controlsTtl says', async () => {
    const clock = createClock()
    let asked = 0
    const controls = (): Controls => {
      asked++
      return {}
    }
    const { visit } = createWorld({ controls, controlsTtl: 60 }, clock)
    for (let i = 0; i < 60; i++) {
      await visit()
      clock.advance(1)
    }
    expect(asked).toBe(1)
    await visit()
    expect(asked).toBe(2)
  })

  it('leave revoke and revokeAll alone with readOnly', async () => {
    const { change, sessions, visit } = setUp('in a store')
    await visit((session) => session.login('ada'))
    await change({ readOnly: true })
    expect((await sessions.list('ada')).length).toBe(1)
    expect(await sessions.revokeAll('ada')).toBe(1)
    expect((await visit()).session.status).toBe('missing')
  })

  it('write nothing of an old library with readOnly, and leave its cookie until a sign-out', async () => {
    const clock = createClock()
    const memory = createMemoryStore({ now: clock })
    const events: SessionEvent[] = []
    let controls: Controls = { readOnly: true }
    const importer: CookieImporter = {
      name: 'old',
      read: async () => ({
        id: 'one',
        subject: 'ada',
        data: { n: 1 },
        createdAt: clock(),
        remove: ['old'],
      }),
    }
    const { sessions } = createWorld(
      {
        store: memory,
        controls: () => controls,
        importFrom: [importer],
        onEvent: (event) => void events.push(event),
      },
      clock,
    )
    const handler = sessions.handler(async (request) => {
      const { subject } = await sessions.get(request)
      return new Response(subject)
    })
    const request = () => new Request('https://a.example/', { headers: { cookie: 'old=1' } })
    const response = await handler(request())
    expect([await response.text(), response.headers.getSetCookie()]).toEqual(['ada', []])
    expect(memory.stats().live).toBe(0)
    const signOut = sessions.handler(async (request) => {
      ;(await sessions.get(request)).destroy()
      return new Response('bye')
    })
    const removals = (await signOut(request())).headers.getSetCookie()
    expect(removals).toContainEqual(expect.stringMatching(/^old=;.*Max-Age=0/))
    controls = {}
    clock.advance(5)
    await handler(request())
    const later = await handler(request())
    expect(later.headers.getSetCookie().length > 1).toBe(true)
    expect(memory.stats().live).toBe(1)
  })

  it('are asked for in time that a Worker is given after its response', async () => {
    const clock = createClock()
    const pending: Promise<unknown>[] = []
    const ctx = {
      waitUntil: (promise: Promise<unknown>) => void pending.push(promise),
      passThroughOnException: () => {},
    }
    const worker = withSessions(
      () => ({ secret: SECRET, now: clock, controls: async () => ({}) }),
      async (request, _env, _ctx, sessions) => new Response((await sessions.get(request)).status),
    )
    const request = () => new Request('https://a.example/')
    await worker.fetch(request(), {}, ctx)
    expect(pending.length).toBe(0)
    clock.advance(5)
    await worker.fetch(request(), {}, ctx)
    expect(pending.length).toBe(1)
    await pending[0]
  })

  it.each([{ controls: {} }, { controls: () => ({}), controlsTtl: -1 }])(
    'are refused when they are none: %j',
    (options) => {
      expect(() => createWorld(options as object)).toThrow(/Option "controls(Ttl)?" must be/)
    },
  )
})
