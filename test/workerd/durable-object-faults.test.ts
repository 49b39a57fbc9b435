import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { afterEach, describe, expect, it } from 'vitest'
import { StoreUnavailableError } from '../../src/errors.ts'
import {
  createDurableObjectStore,
  SessionObject,
  type SessionObjectNamespace,
} from '../../src/stores/durable-object.ts'
import { resilient } from '../../src/stores/resilient.ts'
import type { StoredRecord } from '../../src/stores/store.ts'
import { createClock } from '../../src/testing/index.ts'
import { createRandom } from '../support/schedule.ts'
import { errorOf } from '../support/sessions.ts'

const namespace = env.SESSIONS as SessionObjectNamespace
const store = createDurableObjectStore({ namespace })
const stubOf = (name: string): never => namespace.getByName(name) as never

let count = 0
const fresh = (kind: string): string => `${kind} ${++count}`
const record = (more: Partial<StoredRecord> = {}): StoredRecord => ({
  value: 'v',
  version: `1.${++count}`,
  epoch: '1',
  expiresAt: Date.now() + 60_000,
  ...more,
})

type Method = (this: { ctx: Context; env: object }, ...args: unknown[]) => Promise<unknown>
interface Context {
  id: { name: string }
  abort(reason: string): void
  storage: {
    kv: { list(): Iterable<[string, unknown]> }
    getAlarm(): Promise<number | null>
    deleteAll(): Promise<void>
  }
}
const methods = SessionObject.prototype as unknown as Record<string, Method>
const originals = { ...Object.getOwnPropertyDescriptors(SessionObject.prototype) }
afterEach(() => void Object.defineProperties(SessionObject.prototype, originals))

/** Puts something before a method of all objects of the class. */
function before(name: string, run: (context: Context) => Promise<void> | void): void {
  const original = methods[name] as Method
  methods[name] = async function (...args) {
    await run(this.ctx)
    return await original.apply(this, args)
  }
}

/** Puts something after a method of all objects of the class. */
function after(name: string, run: (context: Context) => Promise<void> | void): void {
  const original = methods[name] as Method
  methods[name] = async function (...args) {
    const result = await original.apply(this, args)
    await run(this.ctx)
    return result
  }
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** A door that objects wait at; they run in contexts of their own, so it is looked at, not awaited. */
function createDoor() {
  let [open, arrived] = [false, 0]
  return {
    pass: async (): Promise<void> => {
      arrived++
      while (!open) await wait(2)
    },
    reached: async (): Promise<void> => {
      while (!arrived) await wait(2)
    },
    open: (): void => {
      open = true
    },
  }
}

const inside = <T>(name: string, run: (context: Context) => T | Promise<T>): Promise<T> =>
  runInDurableObject(stubOf(name), (_: unknown, context: never) => run(context))
const keysIn = (name: string): Promise<string[]> =>
  inside(name, ({ storage }) => [...storage.kv.list()].map(([key]) => key))

describe('ending by index key in Durable Objects', () => {
  it('is not escaped by a write that is under way', async () => {
    const [key, id] = [fresh('user'), fresh('id')]
    const first = record({ keys: [key] })
    await store.write(id, first, null)
    const door = createDoor()
    before('look', () => door.pass())
    const ending = store.index.end(key)
    await door.reached()
    // The write takes the session to a key of its own, for which it has to join another object.
    const second = record({ keys: [key, fresh('tag')] })
    const written = await store.write(id, second, first.version)
    door.open()
    expect([await ending, written.ok, await store.read(id)]).toEqual([1, true, null])
  })

  it('is not escaped by a creation that has been listed and not yet written', async () => {
    const [key, old, next] = [fresh('user'), fresh('old'), fresh('next')]
    await store.write(old, record({ keys: [key] }), null)
    const [listed, slow] = [createDoor(), createDoor()]
    let joins = 0
    after('join', () => (joins++ ? undefined : listed.pass()))
    before('look', ({ id }) => (id.name === `s:${old}` ? slow.pass() : undefined))
    const created = store.write(next, record({ keys: [key] }), null)
    await listed.reached()
    const ending = store.index.end(key)
    await slow.reached()
    await wait(20)
    listed.open()
    await wait(60)
    slow.open()
    // Either it was there and has ended, or it came afterwards and is listed.
    expect([await ending, (await created).ok]).toEqual([1, true])
    expect((await store.index.list(key)).map(({ id }) => id)).toEqual([next])
  })

  it('that fails for one session lets later creations go on', async () => {
    const [key, broken, next] = [fresh('user'), fresh('broken'), fresh('next')]
    await store.write(broken, record({ keys: [key] }), null)
    before('look', ({ id }) => {
      if (id.name === `s:${broken}`) throw new Error('canary')
    })
    const error = await errorOf(() => store.index.end(key))
    expect([error.code, String(error.stack).includes('canary')]).toEqual(['ERR_STORE', false])
    expect(await store.write(next, record({ keys: [key] }), null)).toEqual({ ok: true })
  })

  it('that is evicted half-way ends the rest when it is repeated, and lets in nothing that it misses', async () => {
    const [key, next] = [fresh('user'), fresh('next')]
    const ids = [fresh('id'), fresh('id'), fresh('id')]
    for (const id of ids) await store.write(id, record({ keys: [key] }), null)
    const door = createDoor()
    before('look', ({ id }) => (id.name === `s:${ids[0]}` ? undefined : door.pass()))
    const ending = errorOf(() => store.index.end(key))
    await door.reached()
    // It joins the index, and so waits for the end.
    let isJoining = false
    before('join', () => {
      isJoining = true
    })
    const creating = errorOf(() => store.write(next, record({ keys: [key] }), null))
    while (!isJoining) await wait(2)
    await inside(`u:${key}`, (context) => context.abort('canary')).catch(() => {})
    const errors = [await ending, await creating]
    door.open()
    for (const { code, stack } of errors) {
      expect([code, String(stack).includes('canary')]).toEqual(['ERR_STORE_UNAVAILABLE', false])
    }
    Object.defineProperties(SessionObject.prototype, originals)
    expect(await store.read(next)).toBe(null)
    await store.index.end(key)
    for (const id of ids) expect(await store.read(id)).toBe(null)
    expect(await store.index.list(key)).toEqual([])
  })

  it('ends under a tag too, and tells the object of the user', async () => {
    const [user, tag, id] = [fresh('user'), fresh('tag'), fresh('id')]
    await store.write(id, record({ keys: [user, tag] }), null)
    expect(await store.index.end(tag)).toBe(1)
    expect([await keysIn(`u:${user}`), await keysIn(`u:${tag}`)]).toEqual([[], []])
  })
})

describe('ending by index key in Durable Objects, in a storm', () => {
  const ROUNDS = 60

  it(`ends all older sessions, loses none and lists none for ever, in ${ROUNDS} rounds`, async () => {
    const random = createRandom(4)
    const nap = (): Promise<void> => wait(Math.floor(random() * 4))
    for (const method of ['look', 'join']) {
      before(method, nap)
      after(method, nap)
    }
    let ended = 0
    for (let round = 0; round < ROUNDS; round++) {
      const keys = [fresh('user')]
      const key = keys[0] as string
      const ids = [fresh('id'), fresh('id'), fresh('id')]
      const create = async (id: string): Promise<StoredRecord> => {
        const made = record({ keys })
        await store.write(id, made, null)
        return made
      }
      const made = await Promise.all(ids.map(create))
      const live = async (id: string, { version }: StoredRecord): Promise<void> => {
        let expected = version
        for (let step = 0; step < 3; step++) {
          await nap()
          const next = record({ keys: random() < 0.5 ? keys : [key, fresh('tag')] })
          if (!(await store.write(id, next, expected)).ok) return
          expected = next.version
        }
      }
      const logins = [fresh('id'), fresh('id')]
      const endAll = async (): Promise<void> => {
        await wait(Math.floor(random() * 60))
        ended += await store.index.end(key)
      }
      await Promise.all([
        endAll(),
        ...ids.map((id, i) => live(id, made[i] as StoredRecord)),
        ...logins.map(async (id) => {
          await nap()
          await create(id)
        }),
        (async () => {
          await nap()
          await store.index.list(key)
        })(),
      ])
      const listed = new Set((await store.index.list(key)).map(({ id }) => id))
      for (const id of ids) {
        if (await store.read(id)) throw new Error(`round ${round}: ${id} is alive`)
        if (listed.has(id)) throw new Error(`round ${round}: ${id} is listed`)
      }
      for (const id of logins) {
        const isLive = (await store.read(id)) !== null
        if (isLive !== listed.has(id)) throw new Error(`round ${round}: ${id} alive is ${isLive}`)
      }
      if ((await keysIn(`u:${key}`)).length !== listed.size) {
        throw new Error(`round ${round}: listed for ever`)
      }
    }
    expect(ended > ROUNDS).toBe(true)
  })
})

describe('the list of a user in Durable Objects', () => {
  it('forgets sessions that are over when it is asked for', async () => {
    const subject = fresh('user')
    const [kept, ended, left] = [fresh('id'), fresh('id'), fresh('id')]
    for (const id of [kept, ended]) await store.write(id, record({ keys: [subject] }), null)
    const mine = record({ keys: [subject] })
    await store.write(left, mine, null)
    await store.end(ended)
    await store.write(left, record({ keys: [fresh('user')] }), mine.version)
    expect((await store.index.list(subject)).map(({ id }) => id)).toEqual([kept])
    expect((await keysIn(`u:${subject}`)).length).toBe(1)
    expect(await store.index.end(subject)).toBe(1)
    expect(await keysIn(`u:${subject}`)).toEqual([])
  })

  it('keeps one that is created while it is asked for', async () => {
    for (const slow of ['before', 'after'] as const) {
      const [subject, id] = [fresh('user'), fresh('id')]
      await store.write(id, record({ keys: [subject] }), null)
      await store.end(id, { markFor: 0 })
      const door = createDoor()
      const delay = slow === 'before' ? before : after
      delay('look', () => door.pass())
      const list = store.index.list(subject)
      await door.reached()
      await store.write(id, record({ keys: [subject] }), null)
      door.open()
      await list
      Object.defineProperties(SessionObject.prototype, originals)
      expect((await store.index.list(subject)).map((entry) => entry.id)).toEqual([id])
    }
  })

  it('keeps one that was listed and not yet written while it is asked for', async () => {
    const [subject, id] = [fresh('user'), fresh('id')]
    const door = createDoor()
    let joins = 0
    after('join', () => (joins++ ? undefined : door.pass()))
    const created = store.write(id, record({ keys: [subject] }), null)
    await door.reached()
    expect(await store.index.list(subject)).toEqual([])
    door.open()
    expect(await created).toEqual({ ok: true })
    expect((await store.index.list(subject)).map((entry) => entry.id)).toEqual([id])
  })
})

describe('a session in a Durable Object', () => {
  it('of five overlapping writes takes exactly one', async () => {
    const id = fresh('id')
    const first = record()
    await store.write(id, first, null)
    const rivals = Array.from({ length: 5 }, () => store.write(id, record(), first.version))
    expect((await Promise.all(rivals)).filter(({ ok }) => ok).length).toBe(1)
  })

  it('keeps all of 500 entries that 20 writers append', async () => {
    const id = fresh('id')
    await store.write(id, record(), null)
    const merged: string[] = []
    const put = async (entry: string): Promise<void> => {
      for (;;) {
        const result = await store.write(id, record(), 'older', { entry })
        if (result.ok) return
        // Full: whoever finds it so merges them.
        const { version = '', entries = [] } = result.current ?? {}
        if ((await store.write(id, record(), version)).ok) merged.push(...entries)
      }
    }
    await Promise.all(
      Array.from({ length: 20 }, async (_, writer) => {
        for (let i = 0; i < 25; i++) await put(`${writer}.${i}`)
      }),
    )
    const all = [...merged, ...((await store.read(id))?.entries ?? [])]
    expect([all.length, new Set(all).size]).toEqual([500, 500])
  })

  it('carries a record of a megabyte', async () => {
    const [id, subject] = [fresh('id'), fresh('user')]
    const value = 'ab'.repeat(500_000)
    await store.write(id, record({ value, keys: [subject] }), null)
    expect((await store.read(id))?.value === value).toBe(true)
    expect((await store.index.list(subject))[0]?.record.value === value).toBe(true)
  })

  it('is never left without an alarm, whatever fails', async () => {
    const id = fresh('id')
    await inside(`s:${id}`, ({ storage }) => {
      Object.defineProperty(storage, 'getAlarm', {
        value: () => Promise.reject(new Error('canary')),
        configurable: true,
      })
    })
    expect((await errorOf(() => store.write(id, record(), null))).code).toBe('ERR_STORE')
    expect(await keysIn(`s:${id}`)).toEqual([])
  })

  it('gets an alarm though one goes off while it is written', async () => {
    const id = fresh('id')
    await store.write(id, record(), null)
    await store.end(id, { markFor: 0 })
    let calls = 0
    await inside(`s:${id}`, ({ storage }) => {
      const { getAlarm } = Object.getPrototypeOf(storage)
      Object.defineProperty(storage, 'getAlarm', {
        configurable: true,
        value: async () => {
          const at = await getAlarm.call(storage)
          if (!calls++) await wait(60)
          return at
        },
      })
    })
    const written = store.write(id, record({ expiresAt: Date.now() + 90_000 }), null)
    while (!calls) await wait(2)
    expect(await runDurableObjectAlarm(stubOf(`s:${id}`))).toBe(true)
    expect(await written).toEqual({ ok: true })
    expect((await inside(`s:${id}`, ({ storage }) => storage.getAlarm())) === null).toBe(false)
  })

  it('goes by its own clock when it removes what has expired', async () => {
    const clock = createClock(Date.UTC(2020, 0))
    const past = createDurableObjectStore({ namespace, now: clock })
    const [id, subject] = [fresh('id'), fresh('user')]
    const mine = record({ keys: [subject], expiresAt: clock() + 60_000 })
    await past.write(id, mine, null)
    await wait(20)
    await runDurableObjectAlarm(stubOf(`s:${id}`))
    await runDurableObjectAlarm(stubOf(`u:${subject}`))
    expect((await past.read(id))?.version).toBe(mine.version)
    expect((await past.index.list(subject)).length).toBe(1)
    clock.advance(60)
    expect(await past.read(id)).toBe(null)
  })

  it('starts again after everything was deleted while it lives', async () => {
    const [id, subject] = [fresh('id'), fresh('user')]
    await store.write(id, record({ keys: [subject] }), null)
    for (const name of [`s:${id}`, `u:${subject}`]) {
      await inside(name, ({ storage }) => storage.deleteAll())
    }
    expect(await store.read(id)).toBe(null)
    expect(await store.index.list(subject)).toEqual([])
    expect(await store.write(id, record({ keys: [subject] }), null)).toEqual({ ok: true })
    expect((await store.index.list(subject)).length).toBe(1)
    expect((await inside(`s:${id}`, ({ storage }) => storage.getAlarm())) === null).toBe(false)
  })
})

describe('what fails in Durable Objects', () => {
  it('may pass when an object was reset, also behind another one', async () => {
    let broken = true
    for (const method of ['join', 'read']) {
      before(method, (context) => {
        if (broken) context.abort('canary')
        return broken ? wait(50) : undefined
      })
    }
    const [id, subject] = [fresh('id'), fresh('user')]
    for (const call of [
      () => store.read(id),
      () => store.write(id, record({ keys: [subject] }), null),
    ]) {
      const error = await errorOf(call)
      expect([error.code, String(error.stack).includes('canary')]).toEqual([
        'ERR_STORE_UNAVAILABLE',
        false,
      ])
    }
    broken = false
    expect(await store.read(id)).toBe(null)
    expect(await store.write(id, record({ keys: [subject] }), null)).toEqual({ ok: true })
  })

  /** A store whose objects fail as the platform's do; `calls` are the objects that were asked. */
  function createFailing(text: string, flags: object) {
    const calls: string[] = []
    const clock = createClock()
    const fail = async () => {
      throw Object.assign(new Error(text), flags)
    }
    const getByName = (name: string) => {
      calls.push(name)
      return new Proxy({}, { get: () => fail })
    }
    const failing = createDurableObjectStore({ namespace: { getByName }, now: clock })
    const store = resilient(failing, { attempts: 2, baseMs: 0, now: clock })
    return { calls, clock, store }
  }

  it.each([
    ['internal error; reference = abc', { remote: true }],
    ['Network connection lost.', { remote: true }],
    ['Durable Object reset because its code was updated.', { remote: true }],
    ['Durable Object exceeded its CPU time limit and was reset.', { remote: true }],
    ['Something passes.', { remote: true, retryable: true }],
  ])('is an outage and tried again: %s', async (text, flags) => {
    const { calls, store } = createFailing(text, flags)
    expect((await errorOf(() => store.read('id'))).code).toBe('ERR_STORE_UNAVAILABLE')
    expect(calls).toHaveLength(2)
  })

  it('an overload of an object behind the one that was asked, which only its text tells of, is an outage', async () => {
    const { calls, store } = createFailing('Durable Object is overloaded.', { remote: true })
    expect((await errorOf(() => store.read('id'))).code).toBe('ERR_STORE_UNAVAILABLE')
    expect(calls).toHaveLength(1)
  })

  it('is an outage for the breaker when many objects are overloaded, and asked once each', async () => {
    const { calls, store } = createFailing(
      'Durable Object is overloaded. Requests queued for too long.',
      {
        overloaded: true,
        remote: true,
      },
    )
    for (let i = 0; i < 50; i++) {
      expect(await errorOf(() => store.read(`id ${i}`))).toBeInstanceOf(StoreUnavailableError)
    }
    expect(calls.length).toBeLessThan(10)
    expect(new Set(calls).size).toBe(calls.length)
    expect(store.details?.().readBreaker).toBe('open')
  })

  it('leaves one overloaded object alone for five seconds, and lets nobody else suffer', async () => {
    const { calls, clock, store } = createFailing('Durable Object is overloaded.', {
      overloaded: true,
    })
    for (let i = 0; i < 50; i++) await errorOf(() => store.read('id'))
    expect([calls.length, store.details?.().readBreaker]).toEqual([1, 'closed'])
    expect(await errorOf(() => store.read('id'))).toMatchObject({
      perKey: true,
      reason: 'rate',
      retryAfter: 5,
    })
    clock.advanceMs(5000)
    await errorOf(() => store.read('id'))
    expect(calls.length).toBe(2)
  })

  it('leaves all objects alone when the account is told to back off', async () => {
    const text =
      'Your account is generating too much load on Durable Objects. Please back off and try again later.'
    const { calls, store } = createFailing(text, { overloaded: true })
    for (let i = 0; i < 50; i++) {
      const error = await errorOf(() => store.read(`id ${i}`))
      expect(error).toBeInstanceOf(StoreUnavailableError)
      if (i === 0) expect(error).toMatchObject({ reason: 'rate' })
    }
    expect(calls).toHaveLength(1)
  })

  it.each([
    'Exceeded allowed duration in Durable Objects free tier.',
    'Too many subrequests by single Worker invocation.',
  ])('is a refusal when a share is used up: %s', async (text) => {
    const { calls, store } = createFailing(text, {})
    const refusal = { code: 'ERR_STORE', reason: 'quota' }
    expect(await errorOf(() => store.read('id'))).toMatchObject(refusal)
    expect(calls).toHaveLength(1)
  })

  it('says so when the class has no binding to itself', async () => {
    const [id, subject] = [fresh('id'), fresh('user')]
    await runInDurableObject(stubOf(`s:${id}`), (instance: unknown) => {
      Object.defineProperty(instance, 'env', { value: {}, configurable: true })
    })
    const error = await errorOf(() => store.write(id, record({ keys: [subject] }), null))
    expect([error.code, error.message.includes('binding')]).toEqual(['ERR_STORE', true])
    expect(error.message.includes(id)).toBe(false)
  })

  it('does not keep a caller who has gone', async () => {
    const door = createDoor()
    before('read', () => door.pass())
    const reason = new Error('gone')
    const controller = new AbortController()
    const read = store.read(fresh('id'), { signal: controller.signal })
    await door.reached()
    controller.abort(reason)
    expect(await read.catch((error: unknown) => error)).toBe(reason)
    door.open()
  })
})
