import { describe, expect, it } from 'vitest'
import { createSessions, type Sessions, type SessionsOptions } from '../../src/index.ts'
import { cached } from '../../src/stores/cached.ts'
import { createKVStore } from '../../src/stores/kv.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { createClock, createFaultyStore } from '../../src/testing/index.ts'
import { KVDouble } from '../support/kv-double.ts'
import { createWorld, errorOf, OTHER_SECRET, SECRET } from '../support/sessions.ts'

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
/** Waits for as long as a busy machine takes. */
const until = async (isSo: () => unknown) => {
  while (!isSo()) await pause(5)
}

/** Work that ends when it is told to. */
function createWork<T>(result: T) {
  let finish: (() => void) | undefined
  const work = () =>
    new Promise<T>((resolve) => {
      finish = () => resolve(result)
    })
  return { work, begun: () => until(() => finish), finish: () => finish?.() }
}

async function createIsolates(
  count: number,
  options: Partial<SessionsOptions> = {},
  now: () => number = Date.now,
) {
  const memory = createMemoryStore({ now })
  const store = createFaultyStore(memory)
  // Isolates share what is in the store, and no object.
  const isolates = Array.from({ length: count }, () =>
    createSessions({ secret: SECRET, store: createFaultyStore(store), ...options }),
  )
  const first = await isolates[0]!.open(null)
  first.login('ann')
  const [setCookie = ''] = await isolates[0]!.save(first)
  const header = setCookie.split(';')[0] as string
  const open = (i: number) => isolates[i % count]!.open(header)
  return { memory, store, isolates, open, header }
}

describe('session.once()', () => {
  it('runs the work in one of 150 overlapping requests in three isolates', async () => {
    const { open, isolates } = await createIsolates(3)
    let calls = 0
    const tokens = await Promise.all(
      Array.from({ length: 150 }, async (_, i) => {
        const session = await open(i)
        const token = await session.once('refresh', async () => {
          calls++
          await pause(50)
          return { access: `token ${calls}` }
        })
        session.set('token', token)
        await isolates[i % 3]!.save(session)
        return token.access
      }),
    )
    expect([calls, new Set(tokens).size]).toEqual([1, 1])
    const last = await open(0)
    expect([last.status, last.subject, last.get('token')]).toEqual([
      'active',
      'ann',
      { access: 'token 1' },
    ])
  })

  it('runs the work again when the result is too old, and for another key at once', async () => {
    let now = Date.now()
    const memory = createMemoryStore({ now: () => now })
    const sessions = createSessions({ secret: SECRET, store: memory, now: () => now })
    const session = await sessions.open(null)
    let calls = 0
    const work = async () => ++calls
    expect(await session.once('a', work, { ttl: 5 })).toBe(1)
    expect(await session.once('a', work, { ttl: 5 })).toBe(1)
    expect(await session.once('b', work)).toBe(2)
    now += 5000
    expect(await session.once('a', work, { ttl: 5 })).toBe(3)
  })

  it('shares no lease between sessions', async () => {
    const { isolates } = await createIsolates(1)
    const [one, two] = [await isolates[0]!.open(null), await isolates[0]!.open(null)]
    expect(await one.once('a', async () => 1)).toBe(1)
    expect(await two.once('a', async () => 2)).toBe(2)
  })

  it.each([{}, { seal: 'cookie' as const }])(
    'shares no result across a sign-in, whoever planted the session, with %j',
    async (options) => {
      const store = createMemoryStore()
      const [here, elsewhere] = [0, 1].map(() =>
        createSessions({ secret: SECRET, store: createFaultyStore(store), ...options }),
      ) as [Sessions, Sessions]
      const cookieOf = (setCookies: string[]) => String(setCookies[0]?.split(';')[0])
      const first = await here.open(null)
      first.set('n' as never, 1 as never)
      const planted = cookieOf(await here.save(first))
      // Opened before the sign-in, and slow.
      const slow = await Promise.all(
        [here, elsewhere, here, elsewhere].map((one) => one.open(planted)),
      )
      slow[2]?.login('eve')
      slow[3]?.login('ann', { actor: 'eve' })
      const session = await here.open(planted)
      expect(await session.once('a', async () => 'nobody')).toBe('nobody')
      session.login('ann')
      expect(session.id).toBe(first.id)
      expect(await session.once('a', async () => 'ann')).toBe('ann')
      const header = cookieOf(await here.save(session))
      const seen = []
      for (const one of slow) seen.push(await one.once('a', async () => 'slow'))
      expect(seen).not.toContain('ann')
      expect(seen.slice(2)).toEqual(['slow', 'slow'])
      const later = await here.open(header)
      expect(await later.once('a', async () => 'later')).toMatch(/^(ann|later)$/)
    },
  )

  it('delays the others by no more than the lease of a request that dies', async () => {
    const clock = createClock()
    const { open, store } = await createIsolates(2, { now: clock }, clock)
    const [dead, living] = [await open(0), await open(1)]
    const { work, begun } = createWork('never')
    void dead.once('a', work, { lease: 2 })
    await begun()
    clock.advance(1)
    let result = 'none'
    const before = store.calls.length
    const waiting = living
      .once('a', async () => 'done', { lease: 2 })
      .then((value) => {
        result = value
      })
    // It polls, and the lease is not over.
    await until(() => store.calls.length > before + 2)
    expect(result).toBe('none')
    clock.advance(1)
    const polls = store.calls.length
    await waiting
    // A poll may have been under way; the next one acquires the lease, and then there is the result.
    expect([result, store.calls.length - polls < 4]).toEqual(['done', true])
  })

  it('throws the error of the work to the request that ran it, and lets the next one try', async () => {
    const { open } = await createIsolates(2)
    const [one, two] = [await open(0), await open(1)]
    const failure = new Error('refused')
    expect(await errorOf(() => one.once('a', () => Promise.reject(failure)))).toBe(failure)
    expect(await two.once('a', async () => 'done')).toBe('done')
  })

  it('returns the same result to every request, undefined too', async () => {
    const { open } = await createIsolates(2)
    const [one, two] = [await open(0), await open(1)]
    for (const [i, value] of [undefined, null, 0, '', [1], { a: {} }].entries()) {
      const made = await one.once(`key ${i}`, async () => value)
      expect(made).toEqual(value)
      expect(Object.isFrozen(made)).toBe(true)
      expect(await two.once(`key ${i}`, async () => 'again')).toEqual(value)
    }
  })

  it('refuses a result that would not survive, and lets the next one try', async () => {
    const { open } = await createIsolates(2)
    const [one, two] = [await open(0), await open(1)]
    for (const value of [new Response(''), new Date(), 1n, () => 1]) {
      const error = await errorOf(() => one.once('a', async () => value))
      expect(error.code).toBe('ERR_SESSION_SERIALIZATION')
    }
    expect(await two.once('a', async () => 'done')).toBe('done')
  })

  it('leaves the lease of its successor alone when it fails too late', async () => {
    const clock = createClock()
    const store = createMemoryStore({ now: clock })
    const session = await createSessions({ secret: SECRET, store, now: clock }).open(null)
    let fail: (() => void) | undefined
    let finish: (() => void) | undefined
    const failing = () =>
      new Promise<string>((_, reject) => {
        fail = () => reject(new Error('late'))
      })
    const late = errorOf(() => session.once('a', failing, { lease: 1 }))
    await until(() => fail)
    clock.advance(1)
    const working = () =>
      new Promise<string>((resolve) => {
        finish = () => resolve('second')
      })
    const second = session.once('a', working)
    await until(() => finish)
    fail?.()
    expect((await late).message).toBe('late')
    const third = session.once('a', async () => 'third')
    await pause(300)
    finish?.()
    expect([await second, await third]).toEqual(['second', 'second'])
  })

  it('gives up after three leases of others', async () => {
    const clock = createClock()
    const memory = createMemoryStore({ now: clock })
    let looks = 0
    const store: SessionStore = {
      ...memory,
      async write(_, record) {
        looks++
        clock.advance(1)
        return { ok: false, current: { ...record, version: `${looks}.other` } }
      },
    }
    const session = await createSessions({ secret: SECRET, store, now: clock }).open(null)
    const error = await errorOf(() => session.once('a', async () => 1, { lease: 2 }))
    expect([error.code, looks]).toEqual(['ERR_STORE_TIMEOUT', 6])
  })

  it('runs the work where the lease of another request ended while it was asked for', async () => {
    const memory = createMemoryStore()
    let isRefused = false
    const store: SessionStore = {
      ...memory,
      async write(...call) {
        if (isRefused) return memory.write(...call)
        isRefused = true
        return { ok: false, current: null }
      },
    }
    const session = await createSessions({ secret: SECRET, store }).open(null)
    expect(await session.once('a', async () => 'done')).toBe('done')
  })

  it('polls the lease once for all requests of an isolate', async () => {
    const { open, store } = await createIsolates(1)
    const session = await open(0)
    const before = store.calls.length
    const { work, finish } = createWork('done')
    const all = Promise.all(Array.from({ length: 50 }, () => session.once('a', work)))
    const polls = () => store.calls.length - before
    await until(() => polls() > 5)
    finish()
    await all
    expect(polls()).toBeLessThan(30)
  })

  it('returns the result when it cannot be stored for the others', async () => {
    const { open, store } = await createIsolates(1)
    const session = await open(0)
    const value = await session.once('a', async () => {
      store.down()
      return 'done'
    })
    expect(value).toBe('done')
  })

  it('looks for the result of others first where the store is not atomic', async () => {
    const kv = new KVDouble({ now: Date.now })
    const [one, other] = [1, 2].map(() =>
      createSessions({ secret: SECRET, store: createKVStore({ namespace: kv.at('one') }) }),
    ) as [Sessions, Sessions]
    const first = await one.open(null)
    first.login('ann')
    const [setCookie = ''] = await one.save(first)
    let calls = 0
    const work = async () => ++calls
    for (const sessions of [one, other, one]) {
      const session = await sessions.open(setCookie.split(';')[0]!)
      expect(await session.once('a', work)).toBe(1)
    }
  })

  it('polls soon at first, while another isolate runs the work', async () => {
    const { open, store } = await createIsolates(2)
    const [one, two] = [await open(0), await open(1)]
    const { work, begun, finish } = createWork(undefined)
    const first = one.once('a', work)
    await begun()
    const { setTimeout: start } = globalThis
    const before = store.calls.length
    const pauses: number[] = []
    try {
      const note = (run: () => void, ms = 0) => {
        // Time limits are longer, and the waiting of this test is shorter.
        if (ms > 5 && ms < 1000) pauses.push(ms)
        return start(run, ms)
      }
      globalThis.setTimeout = note as typeof setTimeout
      const second = two.once('a', async () => {})
      await until(() => store.calls.length > before + 3)
      finish()
      await Promise.all([first, second])
    } finally {
      globalThis.setTimeout = start
    }
    const most = pauses.map((_, i) => Math.min(250, 25 * 2 ** i))
    expect(pauses.length).toBeGreaterThan(1)
    expect(pauses.filter((ms, i) => ms > most[i]!)).toEqual([])
  })

  it('sees the result behind a cache that has the lease, in a store that is not atomic', async () => {
    const kv = new KVDouble({ now: Date.now })
    const [one, two] = [1, 2].map(() =>
      createSessions({
        secret: SECRET,
        store: cached(createKVStore({ namespace: kv.at('one') }), { ttl: 60 }),
      }),
    ) as [Sessions, Sessions]
    const first = await one.open(null)
    first.login('ann')
    const [setCookie = ''] = await one.save(first)
    const header = setCookie.split(';')[0]!
    const { work, begun, finish } = createWork('done')
    const running = (await one.open(header)).once('a', work)
    await begun()
    const waiting = (await two.open(header)).once('a', async () => 'again')
    await pause(100)
    finish()
    expect([await running, await waiting]).toEqual(['done', 'done'])
  })

  it('uses a result no longer than its ttl where the clock of whoever made it is ahead', async () => {
    const clock = createClock()
    const memory = createMemoryStore({ now: clock })
    const [ahead, behind] = [60, 0].map((seconds) =>
      createSessions({
        secret: SECRET,
        store: createFaultyStore(memory),
        now: () => clock() + 1000 * seconds,
      }),
    ) as [Sessions, Sessions]
    const first = await ahead.open(null)
    first.login('ann')
    const [setCookie = ''] = await ahead.save(first)
    const [one, two] = [await ahead.open(setCookie), await behind.open(setCookie.split(';')[0]!)]
    await one.once('a', async () => 'one', { ttl: 5 })
    expect(await two.once('a', async () => 'two', { ttl: 5 })).toBe('one')
    const { records } = await memory.page(null)
    const [result] = records.filter(({ record }) => record.epoch === 'once')
    await memory.end(result!.id, { markFor: 0 })
    clock.advance(6)
    expect(await two.once('a', async () => 'two', { ttl: 5 })).toBe('two')
  })

  describe("with seal 'cookie', across a rotation in another isolate", () => {
    const rotated = async () => {
      const world = await createIsolates(2, { seal: 'cookie' })
      const before = await world.open(0)
      const rotate = async () => {
        const session = await world.open(1)
        session.regenerate()
        const [setCookie = ''] = await world.isolates[1]!.save(session)
        return world.isolates[1]!.open(setCookie.split(';')[0]!)
      }
      return { before, rotate }
    }

    it('runs the work again at once: the result of the former credential does not open', async () => {
      const { before, rotate } = await rotated()
      expect(await before.once('a', async () => 'one')).toBe('one')
      expect(await (await rotate()).once('a', async () => 'two', { lease: 1 })).toBe('two')
    })

    it('waits for the work of the former credential, whose lease it sees', async () => {
      const { before, rotate } = await rotated()
      const order: string[] = []
      const { work, begun, finish } = createWork(undefined)
      const first = before.once('a', () => work().then(() => order.push('one')))
      await begun()
      const after = await rotate()
      const second = after.once('a', async () => order.push('two'))
      await pause(100)
      finish()
      await Promise.all([first, second])
      expect(order).toEqual(['one', 'two'])
    })
  })

  describe('with a secret that another deployment does not have', () => {
    const deployments = async () => {
      const { header, isolates, store } = await createIsolates(1)
      const secret: [string, string] = [OTHER_SECRET, SECRET]
      const next = createSessions({ secret, store: createFaultyStore(store) })
      return { after: await next.open(header), before: await isolates[0]!.open(header) }
    }

    it('runs the work again at once: the result does not open there', async () => {
      const { after, before } = await deployments()
      expect(await after.once('a', async () => 'one')).toBe('one')
      expect(await before.once('a', async () => 'two', { lease: 1 })).toBe('two')
      expect(await after.once('b', async () => undefined)).toBe(undefined)
      expect(await before.once('b', async () => 'two', { lease: 1 })).toBe('two')
    })

    it('waits for the work of the other one, whose lease it tells by its length', async () => {
      const { after, before } = await deployments()
      const order: string[] = []
      const { work, begun, finish } = createWork(undefined)
      const first = after.once('a', () => work().then(() => order.push('one')))
      await begun()
      const second = before.once('a', async () => order.push('two'))
      await pause(100)
      finish()
      await Promise.all([first, second])
      expect(order).toEqual(['one', 'two'])
    })
  })

  it('seals the lease and its result', async () => {
    const { open, memory } = await createIsolates(1)
    await (await open(0)).once('a', async () => 'canary')
    const { records } = await memory.page(null)
    expect([records.length, JSON.stringify(records).includes('canary')]).toEqual([2, false])
  })

  it('does no work where nothing is known of the session, which others may do for it', async () => {
    const clock = createClock()
    const store = createFaultyStore(createMemoryStore({ now: clock }))
    const { jar, sessions, visit } = createWorld({ store }, clock)
    await visit((session) => session.login('ada'))
    store.inject({ type: 'throw-before' }, 'read')
    const session = await sessions.open(jar.header())
    let runs = 0
    const refresh = session.once('token', async () => runs++)
    await expect(refresh).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
    expect(runs).toBe(0)
  })

  it('throws without a store, for a wrong argument, and when the store is down', async () => {
    const session = await createSessions({ secret: SECRET }).open(null)
    expect((await errorOf(() => session.once('a', async () => 1))).code).toBe('ERR_STORE_REQUIRED')
    const { open, store } = await createIsolates(1)
    const other = await open(0)
    const wrong = await errorOf(() => other.once('a', async () => 1, { lease: 0 }))
    expect(wrong.message).toContain('once.lease')
    store.down()
    const error = await errorOf(() => other.once('a', async () => 1))
    expect(error.code).toBe('ERR_STORE_UNAVAILABLE')
  })
})
