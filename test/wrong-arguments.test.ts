import { Hono } from 'hono'
import { describe, expect, it } from 'vitest'
import { sessionMiddleware } from '../src/adapters/astro.ts'
import { requireSession as honoGuard, session as honoSession } from '../src/adapters/hono.ts'
import { requireSession as nodeGuard, requireSessionHook } from '../src/adapters/node.ts'
import { createSessionMiddleware, createSessionStorage } from '../src/adapters/react-router.ts'
import { sessionHandle } from '../src/adapters/sveltekit.ts'
import { withSessions } from '../src/adapters/workers.ts'
import { fromEnv, policyFromEnv } from '../src/from-env.ts'
import { requireSession } from '../src/guard/guard.ts'
import { createSessions, type Session, type Sessions } from '../src/index.ts'
import { fromH3 } from '../src/migrate/index.ts'
import { alertOn, degradedShare } from '../src/observe/alerts.ts'
import { logEvents } from '../src/observe/log.ts'
import {
  createCircuitBreaker,
  createRetry,
  createRetryBudget,
  resilient,
  resilientFetch,
} from '../src/resilience/index.ts'
import { createSealer } from '../src/seal.ts'
import { cached } from '../src/stores/cached.ts'
import { createD1Store } from '../src/stores/d1.ts'
import { createKVStore } from '../src/stores/kv.ts'
import { createMemoryStore } from '../src/stores/memory.ts'
import type { StoredRecord } from '../src/stores/store.ts'
import { createCookieJar, createDeviceBrowser, createFaultyStore } from '../src/testing/index.ts'
import { createWorld, errorOf, SECRET } from './support/sessions.ts'

/** Values that are wrong nearly everywhere; functions and objects are added where they are. */
const JUNK: readonly unknown[] = [null, undefined, 42, '', [], {}, Symbol('junk'), true]

/** Words of engines, which name no argument of ours. */
const ENGINE =
  /is not a function|Cannot read|is not iterable|undefined \(|not an object|in operator/

/** A call, the argument that is wrong, and what is right for it and left out of the junk. */
type Case = readonly [call: (junk: never) => unknown, name: string, ...right: unknown[]]

async function refusesJunk([call, name, ...right]: Case): Promise<void> {
  for (const junk of JUNK.filter((one) => !right.includes(one))) {
    const error = await errorOf(() => call(junk as never))
    const { message } = error
    expect([error instanceof TypeError || error instanceof RangeError, message]).toEqual([
      true,
      message,
    ])
    expect(message).not.toMatch(ENGINE)
    expect(message).toMatch(new RegExp(`\\b${name}\\b`))
    expect(message).toMatch(/must be|Unknown option|expected/)
  }
}

const store = createMemoryStore()
const open = async (): Promise<Session> => createSessions({ secret: SECRET, store }).open(null)
const sessions: Sessions = createSessions({ secret: SECRET, store })
const sealer = createSealer({ secret: SECRET })
const storage = createSessionStorage(sessions)

describe('a wrong argument is refused by name, with what was expected', () => {
  const cases: Record<string, Case> = {
    'sessions.get': [(junk) => sessions.get(junk), 'request'],
    'sessions.require': [(junk) => sessions.require(junk), 'request'],
    'sessions.commit': [(junk) => sessions.commit(junk, new Response()), 'request'],
    'sessions.handler': [(junk) => sessions.handler(junk), 'fn'],
    'sessions.open': [(junk) => sessions.open(junk), 'cookieHeader', null, undefined, ''],
    'sessions.save': [(junk) => sessions.save(junk), 'session'],
    'sessions.list': [(junk) => sessions.list(junk), 'subject'],
    'sessions.revoke': [(junk) => sessions.revoke(junk), 'id'],
    'sessions.revokeAll': [(junk) => sessions.revokeAll(junk), 'subject'],
    'session.login': [async (junk) => (await open()).login(junk), 'subject'],
    'session.update': [async (junk) => (await open()).update('key', junk), 'fn'],
    'session.once, key': [async (junk) => (await open()).once(junk, async () => 1), 'key'],
    'session.once, fn': [async (junk) => (await open()).once('key', junk), 'fn'],
    'session.increment': [
      async (junk) => (await open()).increment('key', junk),
      'by',
      undefined,
      42,
    ],
    guard: [(junk) => requireSession(sessions, { onMissing: '/login' })(junk), 'request'],
    'storage.destroySession': [(junk) => storage.destroySession(junk), 'session'],
    'storage.commitSession': [(junk) => storage.commitSession(junk), 'session'],
    createRetry: [(junk) => createRetry()(junk), 'fn'],
    'jar.fetch': [(junk) => createCookieJar().fetch(junk), 'handler'],
    'jar.fetch, response': [(junk) => createCookieJar().fetch(() => junk), 'response'],
    'faulty.inject': [(junk) => createFaultyStore(store).inject(junk), 'fault', JUNK[4]],
    'faulty.inject, type': [(type) => createFaultyStore(store).inject({ type }), 'fault'],
    'faulty.inject, operation': [
      (junk) => createFaultyStore(store).inject({ type: 'pass' }, junk),
      'operation',
      undefined,
    ],
    'faulty.down': [(junk) => createFaultyStore(store).down(junk), 'fault', undefined],
    'sealer.seal': [(purpose) => sealer.seal(1, { purpose, ttl: 1 }), 'purpose'],
    'sealer.open': [(purpose) => sealer.open('token', { purpose }), 'purpose'],
  }
  it.each(Object.entries(cases))('%s', async (_name, one) => refusesJunk(one))

  it('sessions.get tells users of Hono what to pass', async () => {
    const context = { req: { raw: new Request('https://a.example'), header: () => undefined } }
    for (const wrong of [context, context.req]) {
      expect((await errorOf(() => sessions.get(wrong as never))).message).toContain('c.req.raw')
    }
  })

  it('sessions.save refuses a session of other sessions, and saves nothing', async () => {
    const [shop, admin] = [createWorld(), createWorld()]
    const session = await shop.sessions.open(null)
    session.login('ann')
    const error = await errorOf(() => admin.sessions.save(session as Session))
    expect([error.name, error.message]).toEqual([
      'TypeError',
      'Cannot save session: other sessions opened it',
    ])
    expect((await shop.sessions.save(session)).length).toBe(1)
  })
})

describe('options that are no object, or are misspelt, are refused, and nothing is done', () => {
  const calls: Record<string, (options: never) => unknown> = {
    createSessions,
    'sessions.revoke': (options) => sessions.revoke('A'.repeat(22), options),
    'sessions.revokeAll': (options) => sessions.revokeAll('ann', options),
    'sessions.revokeBy': (options) => sessions.revokeBy('tag', options),
    'sessions.health': (options) => sessions.health(options),
    'session.login': async (options) => (await open()).login('ann', options),
    'session.destroy': async (options) => (await open()).destroy(options),
    'session.once': async (options) => (await open()).once('key', async () => 1, options),
    requireSession: (options) => requireSession(sessions, options),
    createMemoryStore,
    createSealer,
    'requireSession of Hono': honoGuard,
    'requireSession of Node': nodeGuard,
    requireSessionHook,
    createCookieJar,
    createDeviceBrowser: (options) => createDeviceBrowser(options),
  }
  const wrong: unknown[] = [
    true,
    5,
    'ann',
    ['ann'],
    () => ({ subject: 'ann' }),
    Promise.resolve({ subject: 'ann' }),
    { exept: 'id' },
  ]

  it.each(Object.entries(calls))('%s', async (_, call) => {
    for (const options of wrong) {
      const error = await errorOf(() => call(options as never))
      expect(error).toBeInstanceOf(TypeError)
      expect(error.message).toMatch(
        /^Option "[\w.]+" must be a plain object, got|Unknown option "[\w.]*exept"/,
      )
    }
  })

  const notPlain = [new Map([['a', 1]]), new Date(0), new URL('https://a.example'), new Headers()]
  const more: Record<string, (options: never) => unknown> = {
    ...calls,
    'createSessions, cookie': (cookie) => createSessions({ secret: SECRET, cookie }),
    'createSessions, snapshot': (snapshot) => createSessions({ secret: SECRET, store, snapshot }),
    'sessions.get, deviceBound': (deviceBound) =>
      createSessions({ secret: SECRET, store, deviceBound }).get(new Request('https://a.example')),
    cached: (options) => cached(store, options),
    createRetry: (policy) => createRetry(policy)(async () => 1),
    'createRetry, operations': (read) =>
      createRetry({ operations: { read } })(async () => 1, { operation: 'read' }),
    resilient: (policy) => resilient(store, policy),
    'resilient, operations': (operations) => resilient(store, { operations }),
    'resilient, operations.read': (read) => resilient(store, { operations: { read } }),
    'resilient, breaker': (breaker) => resilient(store, { breaker }),
    'resilient, breaker.read': (read) => resilient(store, { breaker: { read } }),
    resilientFetch: (options) => resilientFetch(options),
    createRetryBudget,
    createCircuitBreaker,
    fromEnv: (preset) => fromEnv({ SESSION_SECRET: SECRET }, preset),
    policyFromEnv: (policy) => policyFromEnv({}, policy),
    fromH3,
    logEvents: (options) => logEvents(console, options),
    alertOn,
    degradedShare,
    createFaultyStore: (options) => createFaultyStore(store, options),
  }

  it.each(Object.entries(more))('%s, an object without properties of its own', async (_, call) => {
    for (const options of [...notPlain, new (class Options {})()]) {
      const { name, message } = await errorOf(() => call(options as never))
      expect([name, message]).toEqual([
        'TypeError',
        expect.stringMatching(/must be a plain object/),
      ])
    }
  })

  it('an object without a prototype and an instance of a class with properties of its own are options', async () => {
    const own = new (class {
      idleTimeout = 60
      secret = SECRET
    })()
    for (const options of [own, Object.assign(Object.create(null), own)]) {
      expect((await createSessions(options).open(null)).status).toBe('new')
    }
    expect(createMemoryStore(Object.create(null)).name).toBe('memory')
  })

  it('sessions.revoke and revokeAll, of sessions in a store and in cookies', async () => {
    for (const where of [{ store }, { revocations: { store } }]) {
      const own = createSessions({ secret: SECRET, ...where })
      const session = await own.open(null)
      session.login('ann')
      const [cookie = ''] = await own.save(session)
      const { id } = session
      const misspelt: (() => unknown)[] = [
        () => own.revoke(id, 'eve' as never),
        () => own.revoke(id, { user: 'eve' } as never),
        () => own.revoke(id, { subject: null } as never),
        () => own.revokeAll('ann', { exept: id } as never),
        () => own.revokeAll('ann', { except: session } as never),
        () => own.revokeAll('ann', id as never),
        () => own.revokeBy('tag', { except: 5 } as never),
        () => own.revoke(id, { reason: 5 } as never),
      ]
      for (const call of misspelt) expect((await errorOf(call)).name).toBe('TypeError')
      expect((await own.open(cookie.split(';')[0]!)).subject).toBe('ann')
    }
  })

  it('a policy that is a promise, or a function that returns one', async () => {
    const policy = async () => ({ attempts: 1 })
    const calls = [
      () => createRetry(policy() as never),
      () => createRetry(policy as never)(async () => 1),
      () => resilientFetch(policy() as never),
      () => resilient(store, policy() as never),
      () => resilient(store, policy as never),
    ]
    for (const call of calls) {
      const { name, message } = await errorOf(call)
      expect([name, message]).toEqual([
        'TypeError',
        expect.stringMatching(
          /"(policy|options)" must be a plain object, got a promise: await it$/,
        ),
      ])
    }
  })

  it('sessions.commit, which then saves nothing', async () => {
    for (const wrong of [false, { sav: false }, { save: 'no' }]) {
      const request = new Request('https://a.example/')
      const session = await sessions.get(request)
      session.set('key', 1)
      const call = () => sessions.commit(request, new Response(), wrong as never)
      expect((await errorOf(call)).name).toBe('TypeError')
    }
  })
})

describe('a promise that is not awaited', () => {
  const cases: Record<string, (promise: never) => unknown> = {
    'sessions.get': (promise) => sessions.get(promise),
    'sessions.open': (promise) => sessions.open(promise),
    'sessions.save': (promise) => sessions.save(promise),
    'sessions.commit': async (promise) => {
      const request = new Request('https://a.example')
      await sessions.get(request)
      await sessions.commit(request, promise)
    },
    'sessions.revokeAll': (promise) => sessions.revokeAll(promise),
    'session.login': async (promise) => (await open()).login(promise),
    'session.set': async (promise) => (await open()).set('key', promise),
    'an option': (promise) => createSessions({ secret: promise }),
  }
  it.each(Object.entries(cases))('is named as the cause: %s', async (_name, call) => {
    const { name, message } = await errorOf(() => call(Promise.resolve('canary') as never))
    expect(name).toMatch(/^(TypeError|SessionSerializationError)$/)
    expect(message).toMatch(/promise.*await it/i)
    expect(message).not.toContain('canary')
  })
})

describe('an adapter refuses what are no sessions', () => {
  const options = { secret: SECRET } as never
  const words = /"sessions" must be createSessions\(\.\.\.\), got/

  it('Hono: options in place of sessions, given or made by the function', async () => {
    expect(() => honoSession(options)).toThrow(words)
    const app = new Hono().use(honoSession(() => options)).get('/', (c) => c.text('ok'))
    app.onError((error, c) => c.text(error.message, 500))
    expect(await (await app.request('/')).text()).toMatch(words)
  })

  it('React Router, SvelteKit, Astro', () => {
    const makers: ((sessions: never) => unknown)[] = [
      createSessionMiddleware,
      createSessionStorage,
      sessionHandle,
      sessionMiddleware,
    ]
    for (const make of makers) expect(() => make(options)).toThrow(words)
  })

  it('Workers: sessions in place of a function of the environment', () => {
    expect(() => withSessions(sessions as never, () => new Response())).toThrow(
      /"options" must be a function of the environment, got object/,
    )
    expect(() => withSessions(() => ({ secret: SECRET }), undefined as never)).toThrow(/"handler"/)
  })
})

it('a binding that is not there: the message asks for its name', () => {
  for (const make of [createKVStore, createD1Store]) {
    expect(() => make({} as never)).toThrow(/is it called so in wrangler\.jsonc\?\), got undefined/)
  }
})

describe('lone surrogates, of which two become the same bytes, are refused', () => {
  const lone = 'ann\ud800'

  it('in subjects', async () => {
    const calls = [
      async () => (await open()).login(lone),
      () => sessions.list(lone),
      () => sessions.revokeAll(lone),
    ]
    for (const call of calls) expect((await errorOf(call)).message).toMatch(/subject.*well-formed/)
    ;(await open()).login('ann \u{1f642}')
  })

  it('in keys of once(), of which two would share a lease', async () => {
    const error = await errorOf(async () => (await open()).once(lone, async () => 1))
    expect(error.message).toMatch(/"key" must be a well-formed text/)
  })

  it('in purposes', async () => {
    const error = await errorOf(() => sealer.seal(1, { purpose: lone, ttl: 1 }))
    expect(error.message).toMatch(/"purpose" must be a well-formed string/)
    expect((await errorOf(() => sealer.open('x', { purpose: lone }))).name).toBe('TypeError')
    expect(typeof (await sealer.seal(1, { purpose: '\u{1f642}', ttl: 1 }))).toBe('string')
  })
})

describe('keys of data that visitors chose are quoted and cut in messages', () => {
  const key = `${'k'.repeat(200)}\n2026-01-01 forged line \u2028 of a log`
  const causes: [what: string, value: unknown][] = [
    ['too large', 'x'.repeat(5000)],
    ['not to be kept', new Map()],
    ['not to be kept in a list', [[{ [key]: new Map() }]]],
  ]

  it('of a value that cannot be added to', async () => {
    const session = await open()
    session.set(key, 'text')
    for (const add of [() => session.increment(key), () => session.append(key, 1 as never)]) {
      const { name, message } = await errorOf(add)
      expect(name).toBe('TypeError')
      expect(message).not.toMatch(/forged|[\n\u2028]|k{80}/)
    }
  })

  it.each(causes)('of a value that is %s', async (_what, value) => {
    const { sessions: own } = createWorld()
    const session = await own.open(null)
    const { name, message } = await errorOf(async () => {
      session.set(key, value)
      await own.save(session)
    })
    expect(name).toMatch(/^(CookieTooLarge|SessionSerialization)Error$/)
    expect(message).not.toMatch(/forged|[\n\u2028]|k{80}/)
    expect(message).toContain('"kkkk')
  })

  it('of once(), when others hold it', async () => {
    const held = {
      ...store,
      write: async (_: string, record: StoredRecord) => ({
        ok: false as const,
        current: { ...record, version: `${record.version}.other` },
      }),
    }
    const own = await createSessions({ secret: SECRET, store: held }).open(null)
    const { name, message } = await errorOf(() => own.once(key, async () => 1, { lease: 1 }))
    expect(name).toBe('StoreTimeoutError')
    expect(message).not.toMatch(/forged|[\n\u2028]|k{80}/)
    expect(message).toContain('"kkkk')
  })

  it('whatever could break or hide a line', async () => {
    const session = await open()
    const { message } = await errorOf(() => session.set('a\u2028b\u0085c\u202ed\u001b[2J', 1n))
    expect(message).toContain('"a?b?c?d\\u001b[2J"')
  })
})
