import { describe, expect, it } from 'vitest'
import { createSessions, type SessionEvent, type SessionsOptions } from '../../src/index.ts'
import { cached } from '../../src/stores/cached.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { resilient } from '../../src/stores/resilient.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { createClock, createFaultyStore, type Fault } from '../../src/testing/index.ts'
import { createWorld, errorOf, SECRET } from '../support/sessions.ts'

const WAIT = { sleep: async () => {} }
const DOWN: Fault = { type: 'throw-before' }

/** An event without what differs between two runs. */
const plain = ({ at: _, ...event }: SessionEvent): object => {
  const { durationMs: __, bytes, tries, ...rest } = event as Partial<Record<string, unknown>>
  return { ...rest, ...(bytes ? { bytes: true } : {}), ...(tries ? { tries: codes(tries) } : {}) }
}
const codes = (tries: unknown): unknown[] =>
  (tries as { code?: string }[]).map(({ code }) => code ?? 'ok')

/** A world over a store that fails when told to, and the events of every request since the last look. */
function setUp(options: Partial<SessionsOptions> = {}, wrap = (store: SessionStore) => store) {
  const clock = createClock()
  const store = createFaultyStore(createMemoryStore({ now: clock }))
  const world = createWorld({ store: wrap(store), ...options }, clock)
  const take = (): object[] => world.frequent.splice(0).map(plain)
  return { ...world, store, take }
}

describe('the events of a request', () => {
  it('are three for a session in a cookie, the first without a cookie to look up', async () => {
    const { visit, frequent } = createWorld()
    const take = (): object[] => frequent.splice(0).map(plain)
    await visit()
    expect(take()).toEqual([
      { type: 'session.opened', status: 'new' },
      { type: 'session.saved', outcome: 'unchanged' },
    ])
    const { setCookie } = await visit((s) => s.set('cart', 1))
    const saved = frequent.at(-1) as { bytes?: number }
    expect(saved.bytes).toBe(setCookie.join('').length)
    take()
    await visit((s) => s.get('cart'))
    expect(take()).toEqual([
      { type: 'cache.read', layer: 'cookie', hit: true },
      { type: 'session.opened', status: 'active' },
      { type: 'session.saved', outcome: 'unchanged' },
    ])
  })

  it('are four for a session in a store that is read, and five for one that is written', async () => {
    const { visit, take } = setUp()
    await visit((s) => s.login('ann'))
    take()
    const read = [
      { type: 'cache.read', layer: 'cookie', hit: true },
      {
        type: 'store.call',
        store: 'faulty(memory)',
        operation: 'read',
        outcome: 'ok',
        attempts: 1,
      },
      { type: 'session.opened', status: 'active' },
    ]
    await visit((s) => s.get('cart'))
    expect(take()).toEqual([...read, { type: 'session.saved', outcome: 'unchanged' }])
    await visit((s) => s.set('cart', 1))
    expect(take()).toEqual([
      ...read,
      {
        type: 'store.call',
        store: 'faulty(memory)',
        operation: 'write',
        outcome: 'ok',
        attempts: 1,
      },
      { type: 'session.saved', outcome: 'written' },
    ])
  })

  it('are none, and store calls carry no notes, where nobody listens', async () => {
    const clock = createClock()
    const memory = createMemoryStore({ now: clock })
    const given: object[] = []
    const heard: SessionEvent[] = []
    const store: SessionStore = {
      ...memory,
      read: (id, options) => {
        given.push(options ?? {})
        return memory.read(id, options)
      },
      subscribe: () => heard.push(),
    }
    for (const onEvent of [undefined, [], () => {}]) {
      const { jar, visit } = createWorld({ store, onEvent: onEvent as never }, clock)
      await visit((s) => s.set('n', 1))
      expect(jar.header()).toContain('session')
      await visit((s) => s.get('n'))
    }
    const keys = given.map((options) => Object.keys(options).includes('notes'))
    expect(keys).toEqual([false, false, true])
  })
})

describe('session.saved', () => {
  const STALE = { snapshot: { maxAge: 5, staleIfError: 300 } }
  const outcomeOf = (taken: object[]): unknown[] =>
    taken.flatMap((event) => ('outcome' in event && !('store' in event) ? [event.outcome] : []))

  it('says written also where no cookie is set', async () => {
    const { visit, take } = setUp()
    await visit((s) => s.set('n', 1))
    take()
    expect((await visit((s) => s.set('n', 2))).setCookie).toEqual([])
    expect(outcomeOf(take())).toEqual(['written'])
  })

  it('says written for a sign-out, unchanged where nobody was signed in', async () => {
    const { visit, take } = setUp()
    await visit((s) => s.destroy())
    expect(outcomeOf(take())).toEqual(['unchanged'])
    await visit((s) => s.login('ann'))
    await visit((s) => s.destroy())
    expect(outcomeOf(take())).toEqual(['written', 'written'])
  })

  it('says deferred for a write that waits in a cookie', async () => {
    const { visit, take, store } = setUp(STALE)
    await visit((s) => s.set('n', 1))
    store.down()
    take()
    await visit((s) => s.set('n', 2))
    expect(outcomeOf(take())).toEqual(['deferred'])
  })

  it('says failed for a write that is answered 503, and for a renewal that is not made', async () => {
    const { clock, visit, take, store } = setUp()
    await visit((s) => s.set('n', 1))
    store.down(DOWN, 'write')
    take()
    expect((await visit((s) => s.set('n', 2))).response.status).toBe(503)
    expect(outcomeOf(take())).toEqual(['failed'])
    clock.advance(43_200)
    expect((await visit((s) => s.get('n'))).response.status).toBe(200)
    expect(outcomeOf(take())).toEqual(['failed'])
  })

  it('says failed for a cookie that is too large', async () => {
    const { visit, frequent } = createWorld()
    expect(await errorOf(() => visit((s) => s.set('n', 'x'.repeat(50_000))))).toMatchObject({
      code: 'ERR_COOKIE_TOO_LARGE',
    })
    expect(outcomeOf(frequent.map(plain))).toEqual(['failed'])
  })

  it('says dropped where the session ended meanwhile, unchanged where nothing was to be written', async () => {
    const { sessions, visit, take } = setUp()
    await visit((s) => s.login('ann'))
    take()
    await visit(async (s) => {
      s.set('n', 1)
      await sessions.revokeAll('ann')
    })
    expect(outcomeOf(take())).toEqual(['dropped'])
    await visit((s) => s.get('n'))
    expect(outcomeOf(take())).toEqual(['unchanged'])
  })
})

describe('store.call', () => {
  const callsOf = (taken: object[]): object[] =>
    taken.flatMap((event) => {
      const { type, store: _, ...rest } = event as { type: string; store: string }
      return type === 'store.call' ? [rest] : []
    })
  const UNAVAILABLE = 'ERR_STORE_UNAVAILABLE'

  it('counts the attempts of one call, and says how each ended', async () => {
    const { visit, take, store } = setUp({}, (one) => resilient(one, { ...WAIT, attempts: 3 }))
    await visit((s) => s.set('n', 1))
    take()
    store.inject([DOWN, DOWN], 'read')
    await visit((s) => s.get('n'))
    const tries = [UNAVAILABLE, UNAVAILABLE, 'ok']
    expect(callsOf(take())).toEqual([{ operation: 'read', outcome: 'ok', attempts: 3, tries }])
    store.down()
    await visit((s) => s.get('n'))
    expect(callsOf(take())).toEqual([
      {
        operation: 'read',
        outcome: 'failed',
        attempts: 3,
        code: UNAVAILABLE,
        reason: 'unknown',
        tries: Array(3).fill(UNAVAILABLE),
      },
    ])
  })

  it('has no attempt where the breaker is open', async () => {
    const breaker = { minimumCalls: 1, failureRate: 0.01 }
    const policy = { ...WAIT, attempts: 1, breaker }
    const { visit, take, store } = setUp({}, (one) => resilient(one, policy))
    await visit((s) => s.set('n', 1))
    store.down()
    for (let i = 0; i < 10; i++) await visit((s) => s.get('n'))
    const last = callsOf(take()).at(-1)
    expect(last).toEqual({
      operation: 'read',
      outcome: 'failed',
      attempts: 0,
      code: 'ERR_CIRCUIT_OPEN',
      reason: 'unknown',
      tries: [],
    })
  })

  it('is failed when the time for the request is over, with the attempt that was under way', async () => {
    const wrap = (one: SessionStore) => resilient(one, WAIT)
    const { visit, take, store } = setUp({ storeTimeout: 0.03 }, wrap)
    await visit((s) => s.set('n', 1))
    take()
    store.down({ type: 'hang' })
    await visit((s) => s.get('n'))
    expect(callsOf(take())).toEqual([
      {
        operation: 'read',
        outcome: 'failed',
        attempts: 1,
        code: 'ERR_STORE_TIMEOUT',
        reason: 'timeout',
        tries: ['ERR_STORE_TIMEOUT'],
      },
    ])
  })

  it('says of an attempt that never ended that its time was over', async () => {
    let isDeaf = false
    const deaf = (one: SessionStore): SessionStore => ({
      ...one,
      read(id, options) {
        if (!isDeaf) return one.read(id, options)
        isDeaf = false
        return new Promise(() => {})
      },
      write: (...args) => one.write(...args),
    })
    const wrap = (one: SessionStore) => resilient(deaf(one), { ...WAIT, attemptTimeoutMs: 20 })
    const { visit, take } = setUp({}, wrap)
    await visit((s) => s.set('n', 1))
    take()
    isDeaf = true
    await visit((s) => s.get('n'))
    const tries = ['ERR_STORE_TIMEOUT', 'ok']
    expect(callsOf(take())).toEqual([{ operation: 'read', outcome: 'ok', attempts: 2, tries }])
  })

  it('is refused for a write that another request was before, which is no failure', async () => {
    const { visit, take } = setUp()
    await visit((s) => s.set('n', 1))
    take()
    await visit(async (s) => {
      s.update('n', (n) => Number(n) + 1)
      await visit((other) => other.update('n', (n) => Number(n) + 1))
    })
    const outcomes = callsOf(take()).map((call) => Object.values(call).slice(0, 2).join(' '))
    expect(outcomes).toEqual(['read ok', 'read ok', 'write ok', 'write refused', 'write ok'])
  })

  it('is aborted when the client has gone', async () => {
    const { jar, sessions, visit, take, store } = setUp()
    await visit((s) => s.set('n', 1))
    take()
    store.down({ type: 'hang' })
    const gone = new AbortController()
    const request = jar.request('/', { signal: gone.signal })
    const before = store.calls.length
    const opening = errorOf(() => sessions.get(request))
    while (store.calls.length === before) await new Promise((resolve) => setTimeout(resolve, 1))
    gone.abort(new Error('gone'))
    expect((await opening).message).toBe('gone')
    expect(callsOf(take())).toEqual([{ operation: 'read', outcome: 'aborted', attempts: 1 }])
  })

  it('is told of every operation', async () => {
    const { sessions, take, visit } = setUp()
    const { session } = await visit((s) => s.login('ann'))
    take()
    await sessions.list('ann')
    for await (const _ of sessions.all());
    await sessions.revoke(session.id ?? '', { subject: 'ann' })
    await sessions.revokeAll('ann')
    const operations = callsOf(take()).map((call) => (call as { operation: string }).operation)
    expect(operations).toEqual(['list', 'page', 'read', 'end', 'endAll'])
  })

  it('is not told of what memory answers, and is failed where memory hides a failure', async () => {
    const clock = createClock()
    const wrap = (one: SessionStore) =>
      cached(resilient(one, { ...WAIT, attempts: 2 }), { ttl: 5, staleIfError: 60, now: clock })
    const { visit, take, store } = setUp({ now: clock }, wrap)
    await visit((s) => s.set('n', 1))
    take()
    await visit((s) => s.get('n'))
    expect(callsOf(take())).toEqual([])
    clock.advance(6)
    store.down()
    expect((await visit((s) => s.get('n'))).session.get('n')).toBe(1)
    expect(callsOf(take())).toEqual([
      {
        operation: 'read',
        outcome: 'failed',
        attempts: 2,
        code: UNAVAILABLE,
        reason: 'unknown',
        tries: [UNAVAILABLE, UNAVAILABLE],
      },
    ])
  })
})

describe('cache.read', () => {
  const layersOf = (taken: object[]): unknown[] =>
    taken.flatMap((event) =>
      'layer' in event && 'hit' in event ? [`${event.layer} ${event.hit ? 'hit' : 'miss'}`] : [],
    )

  it('tells of opened cookies, and not where they are not remembered', async () => {
    const { jar, visit, take, store } = setUp()
    await visit((s) => s.set('n', 1))
    take()
    await visit((s) => s.get('n'))
    expect(layersOf(take())).toEqual(['cookie hit'])
    for (const cache of [undefined, false] as const) {
      const heard: SessionEvent[] = []
      const onEvent = (event: SessionEvent): void => void heard.push(event)
      const now = createClock()
      const other = createSessions({
        secret: SECRET,
        store,
        now,
        onEvent,
        ...(cache === false && { cache }),
      })
      await other.open(jar.header())
      expect(layersOf(heard)).toEqual(cache === false ? [] : ['cookie miss'])
    }
  })

  it('tells of snapshots that may answer, and not of those for outages alone', async () => {
    const { clock, visit, take } = setUp({ snapshot: { maxAge: 5 } })
    await visit((s) => s.set('n', 1))
    take()
    await visit((s) => s.get('n'))
    clock.advance(6)
    await visit((s) => s.get('n'))
    expect(layersOf(take())).toEqual(['cookie hit', 'snapshot hit', 'cookie hit', 'snapshot miss'])
    const outages = setUp({ snapshot: { maxAge: 0, staleIfError: 60 } })
    await outages.visit((s) => s.set('n', 1))
    outages.take()
    await outages.visit((s) => s.get('n'))
    expect(layersOf(outages.take())).toEqual(['cookie hit'])
  })

  it('tells of records in memory', async () => {
    const clock = createClock()
    const wrap = (one: SessionStore) => cached(one, { ttl: 5, now: clock })
    const { visit, take } = setUp({ now: clock }, wrap)
    await visit((s) => s.set('n', 1))
    take()
    await visit((s) => s.get('n'))
    clock.advance(6)
    await visit((s) => s.get('n'))
    const expected = ['cookie hit', 'memory hit', 'cookie hit', 'memory miss']
    expect(layersOf(take())).toEqual(expected)
  })
})

describe('onEvent', () => {
  it('takes a list; a listener that throws or rejects harms no other one, and no request', async () => {
    const heard: string[] = []
    const broken = [
      () => {
        throw new Error('broken')
      },
      () => Promise.reject(new Error('late')),
    ]
    const onEvent = [...broken, (event: SessionEvent): void => void heard.push(event.type)]
    const { visit } = createWorld({ onEvent })
    expect((await visit((s) => s.set('n', 1))).response.status).toBe(200)
    expect(heard).toEqual(['session.opened', 'session.created', 'session.saved'])
  })

  it('tells a listener of the store when sessions are created', () => {
    const names: string[] = []
    const listener = Object.assign(() => {}, {
      attach: (store: { name: string }) => names.push(store.name),
    })
    const broken = Object.assign(() => {}, {
      attach() {
        throw new Error('broken')
      },
    })
    const secret = SECRET
    createSessions({ secret, store: createMemoryStore(), onEvent: [broken, listener] })
    createSessions({ secret, onEvent: listener })
    expect(names).toEqual(['memory'])
  })

  it('refuses a list with something else in it', () => {
    expect(() => createSessions({ secret: SECRET, onEvent: [() => {}, 'log'] as never })).toThrow(
      /onEvent.*a function or a list of functions/,
    )
  })
})
