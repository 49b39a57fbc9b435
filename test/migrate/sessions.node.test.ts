import { createRequire } from 'node:module'
import { sealData } from 'iron-session'
import { describe, expect, it, vi } from 'vitest'
import { fromExpressSession, fromIronSession } from '../../src/migrate/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createClock } from '../../src/testing/index.ts'
import { createWorld, errorOf } from '../support/sessions.ts'

const { sign } = createRequire(import.meta.url)('cookie-signature') as {
  sign(text: string, secret: string): string
}
const password = 'the password that iron-session was told'
const cookieName = 'my-app'

const importer = fromIronSession<{ cart: string[] }>({
  password,
  cookieName,
  toSession: ({ userId, cart }) => ({
    data: { cart: cart as string[] },
    subject: userId === undefined ? null : String(userId),
  }),
})

async function createMoving(more = {}) {
  const world = createWorld({ importFrom: [importer], now: () => Date.now(), ...more })
  const seal = await sealData({ userId: 7, cart: ['tea'] }, { password })
  const arrive = (value: string) =>
    world.jar.store(
      new Response('', { headers: { 'set-cookie': `${cookieName}=${value}; Path=/` } }),
    )
  arrive(seal)
  return { ...world, seal, arrive, names: () => world.jar.cookies().map(({ name }) => name) }
}

for (const [where, more] of [
  ['in the cookie', () => ({})],
  ['in a store', () => ({ store: createMemoryStore() })],
] as const) {
  describe(`importFrom, with sessions ${where}`, () => {
    it('signs nobody out, and replaces the old cookie on the first visit', async () => {
      const { visit, names, types } = await createMoving(more())
      const { session } = await visit()
      expect([session.status, session.subject, session.get('cart')]).toEqual([
        'active',
        '7',
        ['tea'],
      ])
      expect(names().filter((name) => !name.includes('.n'))).toEqual(['__Host-session'])
      expect(types()).toEqual(['session.imported', 'session.created'])
      const next = (await visit((s) => s.update('cart', (cart) => [...cart, 'milk']))).session
      expect([next.subject, next.get('cart')]).toEqual(['7', ['tea', 'milk']])
      expect(next.id).toBe(session.id)
    })

    it('goes by the new cookie once there is one', async () => {
      const { visit, arrive, seal } = await createMoving(more())
      await visit((s) => s.set('cart', []))
      arrive(seal)
      expect((await visit()).session.get('cart')).toEqual([])
    })

    it('lets sign in and out like any other', async () => {
      const { visit, names } = await createMoving(more())
      await visit((s) => s.destroy())
      expect(names().filter((name) => !name.includes('.n'))).toEqual([])
      expect((await visit()).session.status).toBe('new')
      const other = await createMoving(more())
      await other.visit((s) => s.login('8'))
      expect((await other.visit()).session.subject).toBe('8')
      expect(other.names().filter((name) => !name.includes('.n'))).toEqual(['__Host-session'])
    })

    it('takes nothing over that does not check out, and leaves it alone', async () => {
      const { visit, arrive, seal, names } = await createMoving(more())
      arrive(seal.replace(/^(.{80})./, '$1*'))
      expect((await visit()).session.status).toBe('new')
      expect(names()).toEqual([cookieName])
    })
  })
}

describe('importFrom', () => {
  it('keeps the old cookie while the new store is down', async () => {
    const store = createMemoryStore()
    const write = () => Promise.reject(new Error('down'))
    const { visit, names } = await createMoving({ store: { ...store, write } })
    expect((await visit()).session.status).toBe('degraded')
    expect((await visit((session) => session.set('cart', []))).response.status).toBe(503)
    expect(names()).toEqual([cookieName])
  })

  it('checks old data like any other', async () => {
    const schema = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: () => ({ issues: [{ message: 'no' }] }),
      },
    } as const
    const { visit, names, types } = await createMoving({ schema })
    expect((await visit()).session.status).toBe('new')
    expect([names(), types()]).toEqual([[cookieName], ['session.corrupt']])
  })

  it('says nothing about a session whose old store is down', async () => {
    const express = fromExpressSession({
      secret: 'keyboard cat',
      load: () => Promise.reject(new Error('SELECT')),
    })
    const { sessions, types } = createWorld({ importFrom: [express] })
    const header = `connect.sid=${encodeURIComponent(`s:${sign('id', 'keyboard cat')}`)}`
    const session = await sessions.open(header)
    expect([session.status, types()]).toEqual(['degraded', ['store.degraded']])
    expect((await errorOf(() => session.set('a', 1))).code).toBe('ERR_STORE_UNAVAILABLE')
  })

  it('locks nobody out whose record in the old store does not parse, with a session of ours and without', async () => {
    const express = fromExpressSession({
      secret: 'keyboard cat',
      load: () => JSON.parse('{"userId":'),
    })
    const { sessions, types } = createWorld({ importFrom: [express] })
    const header = `connect.sid=${encodeURIComponent(`s:${sign('id', 'keyboard cat')}`)}`
    const session = await sessions.open(header)
    expect([session.status, types()]).toEqual(['new', ['session.corrupt']])
    session.login('ann')
    const [ours] = await sessions.save(session)
    const next = await sessions.open(`${ours!.split(';')[0]}; ${header}`)
    expect([next.status, next.subject]).toEqual(['active', 'ann'])
  })

  it('gives nobody the session of who was signed in before under the same id of the old library', async () => {
    let record: Record<string, unknown> = { userId: 'ann', note: 'of ann' }
    const express = fromExpressSession({
      secret: 'keyboard cat',
      load: () => record,
      toSession: ({ userId, ...data }) => ({ data, subject: (userId as string) ?? null }),
    })
    const clock = createClock()
    const store = createMemoryStore({ now: clock })
    const { sessions } = createWorld({ importFrom: [express], store }, clock)
    const header = `connect.sid=${encodeURIComponent(`s:${sign('id', 'keyboard cat')}`)}`
    const first = await sessions.open(header)
    const [ours = ''] = await sessions.save(first)
    expect(first.subject).toBe('ann')
    clock.advance(10)
    const expires = new Date(clock() + 60_000).toISOString()
    record = { userId: 'bob', cookie: { expires, originalMaxAge: 60_000 } }
    for (const cookies of [header, `${ours.split(';')[0]}; ${header}`]) {
      const { data, status, subject } = await sessions.open(cookies)
      expect([status, subject, data]).toEqual(['active', 'bob', {}])
    }
    record = { cart: ['book'] }
    const signedOut = await sessions.open(header)
    expect([signedOut.subject, signedOut.data]).toEqual([null, { cart: ['book'] }])
  })

  it.each(['load', 'toSession'])('does not wait for ever for %s', async (slow) => {
    const forever = () => new Promise<never>(() => {})
    const express = fromExpressSession({
      secret: 'keyboard cat',
      load: slow === 'load' ? forever : () => ({ userId: 'ann' }),
      toSession: forever,
    })
    const { sessions, events } = createWorld({ importFrom: [express] })
    const header = `connect.sid=${encodeURIComponent(`s:${sign('id', 'keyboard cat')}`)}`
    vi.useFakeTimers()
    try {
      const opening = sessions.open(header)
      await vi.waitFor(() => expect(vi.getTimerCount()).toBe(1), { timeout: 60_000 })
      await vi.advanceTimersByTimeAsync(5000)
      expect((await opening).status).toBe('degraded')
      expect(events).toMatchObject([{ type: 'store.degraded', code: 'ERR_STORE_TIMEOUT' }])
    } finally {
      vi.useRealTimers()
    }
  })

  it('costs nothing without an old cookie', async () => {
    const { sessions } = await createMoving()
    expect((await sessions.open('theme=dark')).status).toBe('new')
    expect((await errorOf(() => createWorld({ importFrom: {} } as never))).message).toContain(
      '"importFrom"',
    )
  })
})
