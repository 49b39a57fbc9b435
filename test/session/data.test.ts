import * as devalue from 'devalue'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { SessionsOptions } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createClock, createFaultyStore } from '../../src/testing/index.ts'
import { asRemote, createWorld, errorOf } from '../support/sessions.ts'

const schema = z.object({ visits: z.number().default(0), name: z.string().optional() })

/** A later deployment: same browser, same clock, other options. */
const deploy = (world: ReturnType<typeof createWorld>, options: Partial<SessionsOptions>) => {
  const next = createWorld(options, world.clock)
  const open = () => next.sessions.open(world.jar.header())
  return { ...next, open }
}

describe('schema', () => {
  it('leaves the default objects of an application as they were, nested ones too', async () => {
    const defaults = { theme: { dark: true }, cart: [{ name: 'book' }], since: new Map([['a', 1]]) }
    const before = structuredClone(defaults)
    const filling = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value: unknown) => ({ value: { ...defaults, ...(value as object) } }),
      },
    } as const
    const { visit } = createWorld({ schema: filling })
    await visit((session) => session.set('seen', true))
    const { session } = await visit()
    expect(() => Object.assign(session.data.cart[0], { name: 'pen' })).toThrow(TypeError)
    for (const one of [defaults, defaults.theme, defaults.cart, defaults.cart[0]]) {
      expect(Object.isFrozen(one)).toBe(false)
    }
    expect(Object.isFrozen(defaults.since)).toBe(false)
    expect(defaults).toEqual(before)
  })

  it('gives its defaults to a new session', async () => {
    const { visit } = createWorld({ schema })
    expect((await visit()).session.data).toEqual({ visits: 0 })
  })

  it('refuses to commit data that do not satisfy it, with its issues', async () => {
    const { visit, jar } = createWorld({ schema })
    const error = await errorOf(() => visit((s) => s.set('visits', 'many')))
    expect(error.code).toBe('ERR_SESSION_VALIDATION')
    expect(error.issues[0].path).toEqual(['visits'])
    expect(jar.cookies('/')).toEqual([])
  })

  it('resets data that do not satisfy it when read, and leaves the cookie alone', async () => {
    const world = createWorld()
    await world.visit((s) => s.set('visits', 'many'))
    const next = deploy(world, { schema })
    const session = await next.open()
    expect([session.status, session.data]).toEqual(['invalid', { visits: 0 }])
    expect(await next.sessions.save(session)).toEqual([])
    expect(next.events.map((e) => ('code' in e ? e.code : ''))).toEqual(['ERR_SESSION_VALIDATION'])
  })

  it('is the reason for which there is no session, when one is required', async () => {
    const world = createWorld()
    await world.visit((s) => s.set('visits', 'many'))
    const next = deploy(world, { schema })
    const error = await errorOf(() => next.sessions.require(world.jar.request('/')))
    expect(error.code).toBe('ERR_SESSION_VALIDATION')
  })

  it("throws for data that do not satisfy it with onCorruption 'throw'", async () => {
    const world = createWorld()
    await world.visit((s) => s.set('visits', 'many'))
    const next = deploy(world, { schema, onCorruption: 'throw' })
    const error = await errorOf(() => next.open())
    expect([error.name, error.issues.length]).toEqual(['SessionValidationError', 1])
  })

  it('makes the same of the data in the isolate that wrote them as in others', async () => {
    const trimming = {
      '~standard': {
        version: 1 as const,
        vendor: 'test',
        validate: (value: unknown) => ({ value: { name: String(Object(value).name).trim() } }),
      },
    }
    const { sessions, visit, jar } = createWorld({ schema: trimming })
    await visit((s) => s.set('name', ' ada '))
    expect((await sessions.open(jar.header())).get('name')).toBe('ada')
  })

  it('may be asynchronous', async () => {
    const slow = schema.refine(async (data) => data.name !== 'root', { path: ['name'] })
    const { visit } = createWorld({ schema: slow })
    await visit((s) => s.set('name', 'ada'))
    expect((await visit()).session.get('name')).toBe('ada')
    const error = await errorOf(() => visit((s) => s.set('name', 'root')))
    expect(error.code).toBe('ERR_SESSION_VALIDATION')
  })
})

for (const mode of ['cookie', 'store'] as const) {
  describe(`version and migrate (${mode})`, () => {
    const createV1 = () => {
      const world = createWorld()
      const store = mode === 'store' ? { store: createMemoryStore({ now: world.clock }) } : {}
      return { world: createWorld(store, world.clock), store }
    }
    const v2 = {
      version: 2,
      migrate: (data: unknown, from: number) => ({
        from,
        items: (data as { cart: string }).cart.split(','),
      }),
    }

    it('migrates older data, once they are written for good', async () => {
      const { world, store } = createV1()
      await world.visit((s) => s.set('cart', 'a,b'))
      const next = deploy(world, { ...store, ...v2 })
      const session = await next.open()
      expect(session.data).toEqual({ from: 1, items: ['a', 'b'] })
      session.set('seen', true)
      for (const cookie of await next.sessions.save(session)) {
        world.jar.store(new Response(null, { headers: { 'set-cookie': cookie } }))
      }
      const again = deploy(world, { ...store, version: 2 })
      expect((await again.open()).data).toEqual({ from: 1, items: ['a', 'b'], seen: true })
    })

    it('does no harm when it is rolled back', async () => {
      const { world, store } = createV1()
      const later = createWorld({ ...store, ...v2 }, world.clock)
      await later.visit((s) => {
        s.login('ada')
        s.set('items', ['a'])
      })
      const old = createWorld(store, world.clock)
      const session = await old.sessions.open(later.jar.header())
      expect([session.status, session.subject, session.data]).toEqual(['degraded', 'ada', {}])
      expect((await errorOf(() => session.set('cart', 'x'))).code).toBe('ERR_SESSION_READ_ONLY')
      expect(await old.sessions.save(session)).toEqual([])
      expect((await later.visit()).session.get('items')).toEqual(['a'])
    })

    it('waits for a migration, and takes nothing for data that is none', async () => {
      const { world, store } = createV1()
      await world.visit((s) => s.set('cart', 'a'))
      const slow = deploy(world, { ...store, version: 2, migrate: async (data) => data })
      expect((await slow.open()).data).toEqual({ cart: 'a' })
      const wrong = deploy(world, { ...store, version: 2, migrate: () => null })
      expect((await wrong.open()).status).toBe('invalid')
    })

    it('lets users sign out when it is rolled back', async () => {
      const { world, store } = createV1()
      const later = createWorld({ ...store, ...v2 }, world.clock)
      await later.visit((s) => s.login('ada'))
      const old = createWorld(store, world.clock)
      const session = await old.sessions.open(later.jar.header())
      session.destroy()
      expect(session.status).toBe('destroyed')
      const [setCookie] = await old.sessions.save(session)
      expect(setCookie).toContain('Max-Age=0')
      if (mode === 'store') expect((await later.visit()).session.status).toBe('missing')
    })

    it('lets visitors sign in when it is rolled back', async () => {
      const { world, store } = createV1()
      const later = createWorld({ ...store, ...v2 }, world.clock)
      await later.visit((s) => s.set('items', ['a']))
      const old = createWorld(store, world.clock)
      const session = await old.sessions.open(later.jar.header())
      session.login('ada')
      session.set('cart', 'b')
      const [setCookie = ''] = await old.sessions.save(session)
      const next = await old.sessions.open(setCookie.split(';')[0] as string)
      expect([next.status, next.subject, next.data]).toEqual(['active', 'ada', { cart: 'b' }])
      if (mode === 'store') expect((await later.visit()).session.status).toBe('missing')
      const mine = createWorld({ ...store, version: 2 }, world.clock)
      await mine.visit((s) => s.login('bob'))
      const again = await old.sessions.open(mine.jar.header())
      expect((await errorOf(() => again.login('bob'))).code).toBe('ERR_SESSION_READ_ONLY')
    })

    it('may take its time to migrate', async () => {
      const { world, store } = createV1()
      await world.visit((s) => s.set('cart', 'a,b'))
      const migrate = async (data: unknown) => ({ items: (data as { cart: string }).cart })
      const next = deploy(world, { ...store, version: 2, migrate })
      expect((await next.open()).data).toEqual({ items: 'a,b' })
    })

    it('treats a migration that fails as corruption', async () => {
      const { world, store } = createV1()
      await world.visit((s) => s.set('cart', 5))
      const next = deploy(world, { ...store, ...v2 })
      expect((await next.open()).status).toBe('invalid')
      const strict = deploy(world, { ...store, ...v2, onCorruption: 'throw' })
      expect((await errorOf(() => strict.open())).code).toBe('ERR_SESSION_CORRUPT')
    })
  })
}

describe('codec', () => {
  it('preserves what it can: dates, maps, big numbers with devalue', async () => {
    const { visit } = createWorld({ codec: devalue })
    const values = {
      at: new Date(5),
      map: new Map([['a', 1n]]),
      big: 2n ** 70n,
      nested: [new Set([1])],
    }
    await visit((s) => {
      for (const [key, value] of Object.entries(values)) s.set(key, value)
      s.flash('when', new Date(7))
    })
    const { session } = await visit((s) => expect(s.flash('when')).toEqual(new Date(7)))
    expect(session.data).toEqual(values)
  })

  it('gives values that refuse a change in place, which would be lost', async () => {
    const { sessions, visit, jar } = createWorld({ codec: devalue })
    await visit((s) => {
      s.set('map', new Map([['a', { n: 1 }]]))
      s.set('list', [new Set([1]), new Date(5)])
      expect(() => s.get('map').set('b', 2)).toThrow(TypeError)
    })
    const session = await sessions.open(jar.header())
    const map = session.get('map')
    const [set, date] = session.get('list')
    const changes = [
      () => map.set('b', 2),
      () => map.delete('a'),
      () => map.clear(),
      () => {
        map.get('a').n = 2
      },
      () => set.add(2),
      () => set.clear(),
      () => date.setTime(6),
      () => date.setFullYear(2030),
    ]
    for (const change of changes) expect(change).toThrow(TypeError)
    expect(new Map(map).set('b', 2).size).toBe(2)
    expect(session.data).toEqual({
      map: new Map([['a', { n: 1 }]]),
      list: [new Set([1]), new Date(5)],
    })
  })

  describe('of a deployment that does not read what another one wrote', () => {
    const older = {
      stringify: JSON.stringify,
      parse(text: string) {
        if (text.includes('canary')) throw new SyntaxError(`Unknown: ${text}`)
        return JSON.parse(text)
      },
    }
    /** One session of two deployments, and the cookie of a request that wrote, with what it left beside the record. */
    const setUp = async () => {
      const clock = createClock()
      const faulty = createFaultyStore(asRemote(createMemoryStore({ now: clock })))
      const options = { store: faulty, snapshot: { maxAge: 0, staleIfError: 3600 } }
      const next = createWorld({ ...options, codec: JSON }, clock)
      const last = createWorld({ ...options, codec: older }, clock)
      await next.visit((session) => session.login('ada'))
      return { faulty, next, last }
    }

    it('an entry beside the record, like the record: no session, and no word of the codec', async () => {
      for (const overlapping of [true, false]) {
        const { last, next } = await setUp()
        const header = next.jar.header()
        const first = await next.sessions.open(header)
        const second = await next.sessions.open(header)
        first.set('a', 1)
        second.set('b', 'canary')
        if (overlapping) await next.sessions.save(first)
        await next.sessions.save(second)
        const session = await last.sessions.open(header)
        expect([session.status, last.types()]).toEqual(['invalid', ['session.corrupt']])
        const request = next.jar.request()
        const error = await errorOf(() => last.sessions.require(request))
        expect([error.code, error.message.includes('canary')]).toEqual([
          'ERR_SESSION_CORRUPT',
          false,
        ])
      }
    })

    it('a deferred write: it is dropped, and the session goes on', async () => {
      const { faulty, last, next } = await setUp()
      faulty.down()
      await next.visit((session) => session.append('a', 'canary'))
      faulty.up()
      const session = await last.sessions.open(next.jar.header())
      expect([session.status, session.subject, session.data]).toEqual(['active', 'ada', {}])
      await last.sessions.save(session)
      expect(last.events).toEqual([
        expect.objectContaining({ type: 'commit.dropped', changes: 1, reason: 'generation' }),
      ])
    })

    it('the result of once(): an error of ours', async () => {
      const { last, next } = await setUp()
      await (await next.sessions.open(next.jar.header())).once('a', async () => 'canary')
      const session = await last.sessions.open(next.jar.header())
      const error = await errorOf(() => session.once('a', async () => 'own'))
      expect([error.code, error.message.includes('canary')]).toEqual(['ERR_SESSION_CORRUPT', false])
    })
  })

  it('is not asked to keep a promise, of which many make an empty object', async () => {
    const { visit } = createWorld({ codec: JSON })
    const error = await errorOf(() => visit((session) => session.update('n', async () => 1)))
    expect(error.code).toBe('ERR_SESSION_SERIALIZATION')
  })

  it('is asked when a value is set, and refuses by its path', async () => {
    const { visit } = createWorld({ codec: devalue })
    const error = await errorOf(() => visit((s) => s.set('fn', () => 1)))
    expect([error.code, error.path]).toEqual(['ERR_SESSION_SERIALIZATION', 'fn'])
  })
})

describe('values that JSON preserves', () => {
  it('are refused when they have a cycle, or are nested over 1000 levels deep', async () => {
    const session = await createWorld().sessions.open(null)
    const self: Record<string, unknown> = { wide: Array.from({ length: 100 }, () => []) }
    self.again = { self }
    const nested = (depth: number): unknown => JSON.parse('['.repeat(depth) + ']'.repeat(depth))
    for (const value of [[1, self], nested(1001)]) {
      expect(await errorOf(() => session.set('a', value))).toMatchObject({
        code: 'ERR_SESSION_SERIALIZATION',
        message: expect.stringContaining('a cycle, or over 1000 levels'),
      })
    }
    session.set('a', nested(1000))
    // What is there twice is no cycle.
    session.set('twice', [self.wide, self.wide])
    expect(session.get('twice')).toEqual([self.wide, self.wide])
    expect(Object.isFrozen((session.get('twice') as unknown[][][])[0]?.[0])).toBe(true)
  })

  it('are copied in one pass, however deep: every property is read once', async () => {
    const session = await createWorld().sessions.open(null)
    let reads = 0
    const item = () => ({
      get a() {
        reads++
        return 1
      },
    })
    for (const depth of [1, 990]) {
      const wide = Array.from({ length: 1000 }, item)
      let value: unknown = wide
      for (let i = 1; i < depth; i++) {
        const inner = value
        value = Object.defineProperty([null], 0, {
          enumerable: true,
          get: () => {
            reads++
            return inner
          },
        })
      }
      reads = 0
      session.set('draft', value)
      expect(reads).toBe(wide.length + depth - 1)
    }
  })
})
