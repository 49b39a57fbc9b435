/** Stores of an application's own that break the contract. */
import { describe, expect, it } from 'vitest'
import { SessionError, StoreError } from '../../src/errors.ts'
import { createSessions, type SessionStore, type Sessions } from '../../src/index.ts'
import { cached } from '../../src/stores/cached.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { resilient } from '../../src/stores/resilient.ts'
import { SECRET } from '../support/sessions.ts'

type Behaviour = () => unknown
type Wrap = (store: SessionStore) => SessionStore

const WRAPS: Record<string, Wrap> = {
  plain: (store) => store,
  resilient: (store) => resilient(store, { attempts: 1 }),
  cached: (store) => cached(store, { ttl: 5 }),
}

/** Sessions in a store that behaves until one method of it is `broken`, and the cookie of one that is signed in. */
async function createBroken(method: string, behaviour: Behaviour, wrap: Wrap = WRAPS.plain!) {
  const memory = createMemoryStore()
  let isBroken = false
  const maybe = <T>(name: string, well: T): T =>
    ((...call: unknown[]) =>
      isBroken && name === method
        ? behaviour()
        : (well as (...call: unknown[]) => unknown)(...call)) as T
  const store: SessionStore = {
    name: 'own',
    atomic: true,
    read: maybe('read', memory.read),
    write: maybe('write', memory.write),
    end: maybe('end', memory.end),
    index: {
      list: maybe('index.list', memory.index.list),
      end: maybe('index.end', memory.index.end),
    },
    page: maybe('page', memory.page),
  }
  const open = (): Sessions =>
    createSessions({ secret: SECRET, store: wrap(store), storeTimeout: 0.2 })
  const sessions = open()
  const session = await sessions.open(null)
  session.login('ann')
  const [setCookie = ''] = await sessions.save(session)
  const header = setCookie.split(';')[0] as string
  const [info] = await sessions.list('ann')
  isBroken = true
  // An instance that has seen nothing yet: with `cached` it has to ask.
  return { sessions: open(), header, id: info!.id }
}

type Broken = Awaited<ReturnType<typeof createBroken>>

const change = async ({ sessions, header }: Broken, run: (session: never) => void) => {
  const session = await sessions.open(header)
  run(session as never)
  await sessions.save(session)
}

/** Calls of an application that reach each method. */
const CALLS: Record<string, ((broken: Broken) => Promise<unknown>)[]> = {
  read: [
    ({ sessions, header }) =>
      sessions.require(new Request('https://a.test/', { headers: { cookie: header } })),
    (broken) =>
      change(broken, (session: { set(key: string, value: number): void }) => session.set('a', 1)),
  ],
  write: [
    (broken) =>
      change(broken, (session: { set(key: string, value: number): void }) => session.set('a', 1)),
    (broken) => change(broken, (session: { login(subject: string): void }) => session.login('bob')),
    (broken) =>
      change({ ...broken, header: '' }, (session: { login(subject: string): void }) =>
        session.login('bob'),
      ),
    (broken) =>
      change(broken, (session: { update(key: string, fn: () => number): void }) =>
        session.update('a', () => 1),
      ),
  ],
  end: [
    (broken) => change(broken, (session: { destroy(): void }) => session.destroy()),
    ({ sessions, id }) => sessions.revoke(id),
    ({ sessions, id }) => sessions.revoke(id, { subject: 'ann' }),
  ],
  'index.list': [({ sessions }) => sessions.list('ann')],
  'index.end': [({ sessions }) => sessions.revokeAll('ann')],
  page: [
    async ({ sessions }) => {
      for await (const _ of sessions.all()) break
    },
  ],
}

const errorOfCall = async (call: () => Promise<unknown>): Promise<unknown> => {
  try {
    await call()
  } catch (error) {
    return error
  }
}

const record = { value: 'v', version: '1', epoch: '1', expiresAt: Date.now() + 1e6 }
/** What each method must not resolve with. */
const WRONG: Record<string, unknown[]> = {
  read: [
    true,
    5,
    'canary',
    {},
    [],
    { ...record, value: new Uint8Array(50) },
    { ...record, value: undefined },
    { ...record, epoch: 5 },
    { ...record, keys: 'canary' },
    { ...record, entries: 'canary' },
    { ...record, entries: [new Uint8Array(9)] },
    { ...record, expiresAt: '5' },
    () => record,
  ],
  write: [
    undefined,
    null,
    true,
    5,
    'canary',
    {},
    [],
    { ok: 'yes' },
    { ok: false },
    { ok: false, current: {} },
    { ok: true, current: 'canary' },
    record,
  ],
  end: [undefined, null, 1, 'canary', {}],
  'index.list': [
    undefined,
    null,
    true,
    'canary',
    {},
    [null],
    [record],
    [{ id: 5, record }],
    [{ id: 'canary', record: {} }],
  ],
  'index.end': [undefined, null, true, 'canary', {}, Number.NaN, 1.5],
  page: [
    undefined,
    null,
    'canary',
    {},
    { records: null, cursor: null },
    { records: [null], cursor: null },
    { records: [], cursor: 5 },
    { records: [{ id: 'canary' }], cursor: null },
  ],
}

describe.each(Object.entries(WRAPS))(
  "a store of one's own, %s, that breaks the contract",
  (_, wrap) => {
    it.each(Object.keys(WRONG))(
      'is named with its method where %s resolves with something else',
      async (method) => {
        for (const wrong of WRONG[method]!) {
          for (const call of CALLS[method]!) {
            const broken = await createBroken(method, async () => wrong, wrap)
            const error = (await errorOfCall(() => call(broken))) as Error
            const refused = (error instanceof StoreError ? error : error.cause) as Error
            expect(refused).toBeInstanceOf(StoreError)
            expect(refused.message).toContain(
              `The store "own" breaks its contract: ${method}() must`,
            )
            expect(refused.message).toContain('testStore')
            expect(refused.message).not.toContain('canary')
          }
        }
      },
    )

    const canary = new Proxy(
      {},
      {
        get: () => {
          throw new Error('canary')
        },
      },
    )
    const FAILURES: [string, Behaviour][] = [
      [
        'throws at once',
        () => {
          throw new TypeError('canary')
        },
      ],
      [
        'rejects with a text',
        async () => {
          throw 'canary'
        },
      ],
      ['rejects with nothing', () => Promise.reject()],
      ['rejects with null', () => Promise.reject(null)],
      ['rejects with what throws itself', () => Promise.reject(canary)],
      ['never answers', () => new Promise(() => {})],
    ]
    it.each(FAILURES)('is an outage where it %s', async (_, behaviour) => {
      for (const [method, calls] of Object.entries(CALLS)) {
        for (const call of calls) {
          const broken = await createBroken(method, behaviour, wrap)
          const error = (await errorOfCall(() => call(broken))) as SessionError
          expect(error).toBeInstanceOf(SessionError)
          expect(error.code).toMatch(/^ERR_STORE_(UNAVAILABLE|TIMEOUT)$/)
          expect(`${error.stack} ${String(error.cause)}`).not.toContain('canary')
        }
      }
    })
  },
)

describe("a store of one's own", () => {
  it('may answer at once, with a promise of another kind, and with undefined for nothing', async () => {
    // biome-ignore lint/suspicious/noThenProperty: a promise of somebody else
    const thenable = { then: (resolve: (value: null) => void) => resolve(null) }
    for (const answer of [undefined, null, thenable, Promise.resolve(undefined)]) {
      const { sessions, header } = await createBroken('read', () => answer)
      expect((await sessions.open(header)).status).toBe('missing')
    }
  })
})
