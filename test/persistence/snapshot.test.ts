import { describe, expect, it } from 'vitest'
import type { Session, SessionsOptions } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { createClock, createFaultyStore } from '../../src/testing/index.ts'
import { createWorld, errorOf, SECRET } from '../support/sessions.ts'

const answer = (setCookie: readonly string[]): Response =>
  new Response('', { headers: setCookie.map((one) => ['set-cookie', one] as [string, string]) })

function createSnapshots(options: Partial<SessionsOptions> = {}) {
  const clock = createClock()
  const memory = createMemoryStore({ now: clock })
  const store = createFaultyStore(memory)
  const settings = { store, snapshot: { maxAge: 60, staleIfError: 600 }, ...options }
  const world = createWorld(settings, clock)
  /** The calls since the last time. */
  const calls = (): string =>
    (store.calls as unknown[])
      .splice(0)
      .map((call) => (call as { operation: string }).operation)
      .join(' ')
  const elsewhere = () => createWorld(settings, clock).sessions
  return { memory, store, calls, elsewhere, settings, ...world }
}

describe('a snapshot in the cookie', () => {
  it('answers reads without the store until it is too old', async () => {
    const { visit, calls, clock } = createSnapshots()
    await visit((s) => s.set('a', 1))
    expect(calls()).toBe('write')
    clock.advance(59)
    const { session, setCookie } = await visit()
    expect([session.get('a'), session.status, setCookie, calls()]).toEqual([1, 'active', [], ''])
    clock.advance(1)
    const later = await visit()
    expect([later.session.get('a'), later.setCookie.length, calls()]).toEqual([1, 1, 'read'])
    clock.advance(59)
    await visit()
    expect(calls()).toBe('')
    clock.advanceMs(999)
    await visit()
    expect(calls()).toBe('')
    clock.advanceMs(1)
    await visit()
    expect(calls()).toBe('read')
  })

  it('with maxAge 0 is for outages alone: each read asks the store, and replaces the snapshot only when it has to', async () => {
    const { visit, calls, clock, store } = createSnapshots({
      snapshot: { maxAge: 0, staleIfError: 600 },
    })
    await visit((s) => s.set('a', 1))
    calls()
    for (let i = 0; i < 4; i++) {
      const { session, setCookie } = await visit()
      expect([session.get('a'), session.status, setCookie, calls()]).toEqual([
        1,
        'active',
        [],
        'read',
      ])
      clock.advance(60)
    }
    clock.advance(60)
    expect((await visit()).setCookie.length).toBe(1)
    store.down()
    clock.advance(599)
    const { session } = await visit()
    expect([session.get('a'), session.status]).toEqual([1, 'degraded'])
    clock.advance(1)
    expect((await visit()).session.get('a')).toBe(undefined)
  })

  it('with maxAge 0 shows what others wrote meanwhile, and copies it', async () => {
    const { visit, sessions, jar, elsewhere } = createSnapshots({
      snapshot: { maxAge: 0, staleIfError: 600 },
    })
    await visit((s) => s.set('a', 1))
    const other = elsewhere()
    const session = await other.open(jar.header())
    session.set('a', 2)
    await other.save(session)
    expect((await sessions.open(jar.header())).get('a')).toBe(2)
    const next = await visit()
    expect([next.session.get('a'), next.setCookie.length]).toEqual([2, 1])
    expect((await visit()).setCookie).toEqual([])
  })

  it('is not made of a session that lived in its cookie before there was a store', async () => {
    const { sessions, clock } = createSnapshots()
    const before = createWorld({}, clock)
    await before.visit((s) => {
      s.login('ann')
      s.set('a', 1)
    })
    const session = await sessions.open(before.jar.header())
    expect([session.status, session.subject, session.data]).toEqual(['missing', null, {}])
  })

  it('makes a read-modify-write one round trip', async () => {
    const { visit, calls } = createSnapshots()
    await visit((s) => s.set('n', 1))
    calls()
    await visit((s) => s.update('n', (n) => n + 1))
    expect(calls()).toBe('write')
    expect((await visit()).session.get('n')).toBe(2)
    expect(calls()).toBe('')
  })

  it('lets a revocation take effect within its age, and at once in this isolate', async () => {
    const { visit, sessions, elsewhere, jar, clock } = createSnapshots()
    const { session } = await visit((s) => s.login('ann'))
    const other = elsewhere()
    expect((await other.open(jar.header())).status).toBe('active')
    expect(await sessions.revoke(session.id)).toBe(true)
    expect((await sessions.open(jar.header())).status).toBe('missing')
    expect((await other.open(jar.header())).status).toBe('active')
    clock.advance(60)
    expect((await other.open(jar.header())).status).toBe('missing')
  })

  it('is not fresh where a clock that is ahead has made it: nobody knows its age', async () => {
    const { calls, clock, jar, sessions, settings } = createSnapshots()
    const ahead = createWorld({ ...settings, now: () => clock() + 30_000 }, clock)
    await ahead.visit((session) => session.set('a', 1))
    calls()
    expect((await sessions.open(ahead.jar.header())).get('a')).toBe(1)
    expect([calls(), jar.header()]).toEqual(['read', null])
  })

  it('is the newer one of two where the store gives an old copy, and else that copy', async () => {
    const { clock, memory, visit, jar } = createSnapshots({
      snapshot: { maxAge: 0, staleIfError: 600 },
    })
    const { session } = await visit((one) => one.set('a', 1))
    const first = jar.header()
    let old = await memory.read(session.id)
    const stale: SessionStore = { ...memory, read: async () => old && { ...old, stale: true } }
    const opened = async (options: Partial<SessionsOptions>, header = jar.header()) => {
      const { sessions } = createWorld({ store: stale, ...options }, clock)
      const { status, data } = await sessions.open(header)
      return [status, data]
    }
    const snapshot = { maxAge: 0, staleIfError: 600 }
    expect(await opened({ snapshot })).toEqual(['degraded', { a: 1 }])
    await visit((one) => one.set('a', 2))
    expect(await opened({ snapshot })).toEqual(['degraded', { a: 2 }])
    expect(await opened({})).toEqual(['degraded', { a: 1 }])
    old = await memory.read(session.id)
    expect(await opened({ snapshot }, first)).toEqual(['degraded', { a: 2 }])
  })

  it('never outranks a newer record', async () => {
    const { visit, elsewhere, jar, clock } = createSnapshots()
    await visit((s) => s.set('a', 1))
    const old = jar.header()
    await visit((s) => s.set('a', 2))
    // An older cookie of the same browser, in the isolate that knows and in one that does not.
    clock.advance(60)
    expect((await elsewhere().open(old)).get('a')).toBe(2)
  })

  it('is not used when this isolate has written something newer', async () => {
    const { visit, sessions, jar } = createSnapshots()
    await visit((s) => s.set('a', 1))
    const old = jar.header()
    await visit((s) => s.set('a', 2))
    expect((await sessions.open(old)).get('a')).toBe(2)
  })

  it('commits on the record of the store, not on the snapshot', async () => {
    const { visit, elsewhere, jar } = createSnapshots()
    await visit((s) => s.set('n', 1))
    const old = jar.header()
    await visit((s) => s.update('n', (n) => n + 1))
    const other = elsewhere()
    const late = await other.open(old)
    expect(late.get('n')).toBe(1)
    late.update('n', (n) => n + 1)
    await other.save(late)
    expect(late.get('n')).toBe(3)
  })

  it('bridges an outage, for staleIfError and no longer', async () => {
    const { visit, store, clock, types, jar } = createSnapshots()
    await visit((s) => s.login('ann'))
    await visit((s) => s.set('a', 1))
    store.down()
    clock.advance(659)
    const header = jar.header()
    const { session, setCookie } = await visit()
    expect([session.status, session.subject, session.get('a')]).toEqual(['degraded', 'ann', 1])
    expect([setCookie, jar.header()]).toEqual([[], header])
    expect(types()).toContain('store.degraded')
    clock.advance(1)
    const late = (await visit()).session
    expect([late.status, late.subject]).toEqual(['degraded', null])
    store.up()
    expect((await visit()).session.get('a')).toBe(1)
  })

  it('is renewed by writes while no read succeeds, and not by reads', async () => {
    const { visit, store, clock, types } = createSnapshots({ idleTimeout: 500 })
    await visit((s) => s.login('ann'))
    store.down({ type: 'throw-before' }, 'read')
    for (let i = 0; i < 10; i++) {
      clock.advance(200)
      expect((await visit((s) => s.increment('n'))).session.status).toBe('degraded')
    }
    expect(types().filter((type) => type === 'session.renewed')).toHaveLength(10)
    clock.advance(300)
    expect((await visit()).setCookie).toEqual([])
    store.up()
    const { session } = await visit()
    expect([session.status, session.subject, session.get('n')]).toEqual(['active', 'ann', 10])
    clock.advance(500)
    expect((await visit()).session.status).toBe('expired')
  })

  it('of a credential that was replaced, or of a session that has ended, is renewed by no write', async () => {
    for (const change of ['regenerate', 'destroy'] as const) {
      const { visit, store, clock, settings, jar, memory } = createSnapshots({ idleTimeout: 500 })
      const { session } = await visit((s) => s.login('ann'))
      const stolen = jar.header()
      await visit((s) => s[change]())
      const before = await memory.read(session.id)
      store.down({ type: 'throw-before' }, 'read')
      clock.advance(200)
      // Another isolate, which has not heard of it.
      const { sessions, types } = createWorld(settings, clock)
      const copy = await sessions.open(stolen)
      expect([copy.status, copy.subject]).toEqual(['degraded', 'ann'])
      copy.set('a', 1)
      expect(await sessions.save(copy)).toEqual([])
      expect(types()).toContain('commit.dropped')
      expect(await memory.read(session.id)).toEqual(before)
    }
  })

  it("is used in an outage with onStoreFailure 'throw' too", async () => {
    const { visit, store, clock, sessions, jar } = createSnapshots({ onStoreFailure: 'throw' })
    await visit((s) => s.set('a', 1))
    store.down()
    clock.advance(100)
    expect((await visit()).session.get('a')).toBe(1)
    clock.advance(1000)
    expect((await errorOf(() => sessions.open(jar.header()))).code).toBe('ERR_STORE_UNAVAILABLE')
  })

  it("is no answer once it has expired: onStoreFailure 'throw' throws", async () => {
    const options = { onStoreFailure: 'throw', idleTimeout: 90 } as const
    const { visit, store, clock, sessions, jar } = createSnapshots(options)
    await visit((s) => s.set('a', 1))
    store.down()
    clock.advance(91)
    expect((await errorOf(() => sessions.open(jar.header()))).code).toBe('ERR_STORE_UNAVAILABLE')
  })

  it('is left out where it does not fit', async () => {
    const { visit, calls, jar } = createSnapshots()
    await visit((s) => s.set('a', 'x'.repeat(4000)))
    expect((jar.header() as string).length < 200).toBe(true)
    calls()
    const { session, setCookie } = await visit()
    expect([session.get('a').length, setCookie, calls()]).toEqual([4000, [], 'read'])
  })

  it('fits or is left out, at every size', async () => {
    const { visit, jar } = createSnapshots()
    let largest = 0
    for (let length = 2850; length < 3050; length++) {
      await visit((s) => s.set('a', 'x'.repeat(length)))
      largest = Math.max(largest, jar.header()?.length ?? 0)
      expect((await visit()).session.get('a').length).toBe(length)
    }
    // With "=" between name and value.
    expect(largest).toBeGreaterThan(4090)
    expect(largest).toBeLessThan(4098)
  })

  it('does not outlive the timeouts of its session', async () => {
    const { visit, store, clock } = createSnapshots({ idleTimeout: 100, renewAfter: 99 })
    await visit((s) => s.set('a', 1))
    store.down()
    clock.advance(100)
    expect((await visit()).session.get('a')).toBe(undefined)
  })

  it('answers from itself when the store lags behind the browser', async () => {
    const { visit, store, memory, clock } = createSnapshots()
    const { session } = await visit((s) => s.set('a', 1))
    const before = await memory.read(session.id)
    await visit((s) => s.set('a', 2))
    clock.advance(60)
    const read = store.read
    Object.assign(store, { read: async () => before })
    const { session: lagging } = await visit()
    expect([lagging.get('a'), lagging.status]).toEqual([2, 'active'])
    Object.assign(store, { read })
    expect((await visit()).session.get('a')).toBe(2)
  })

  it('is no newer than the answer of a store that lags', async () => {
    const lagging = { snapshot: { maxAge: 5, staleIfError: 100 } }
    const { visit, store, memory, clock } = createSnapshots(lagging)
    Object.assign(store, { atomic: false })
    const { session } = await visit((s) => s.set('a', 1))
    const before = await memory.read(session.id)
    await visit((s) => s.set('a', 2))
    Object.assign(store, { read: async () => before })
    for (let i = 0; i < 10; i++) {
      clock.advance(10)
      const { session: read, setCookie } = await visit()
      expect([read.status, read.get('a'), setCookie]).toEqual(['degraded', 2, []])
    }
    clock.advance(10)
    expect((await visit()).session.data).toEqual({})
  })

  it('is the session, and is written back, when an atomic store lost its last writes', async () => {
    const { visit, memory, clock, events } = createSnapshots({ snapshot: { maxAge: 5 } })
    const { session } = await visit((s) => {
      s.login('ann')
      s.set('a', 1)
    })
    const before = await memory.read(session.id)
    for (const value of [2, 3]) await visit((s) => s.set('a', value))
    // A failover, or a backup that was put back.
    await memory.end(session.id, { markFor: 0 })
    await memory.write(session.id, before!, null)
    clock.advance(10)
    const { session: found } = await visit()
    expect([found.status, found.subject, found.get('a')]).toEqual(['active', 'ann', 3])
    const told = events.filter(({ type }) => type === 'store.rolled-back')
    expect(told).toEqual([expect.objectContaining({ lost: 2 })])
    clock.advance(10)
    expect((await visit()).session.get('a')).toBe(3)
    expect(events.filter(({ type }) => type === 'store.rolled-back')).toHaveLength(1)
  })

  it('goes on in a commit too, where only an entry was appended to what the store has left', async () => {
    const { visit, memory, clock, events } = createSnapshots({ snapshot: { maxAge: 5 } })
    const { session } = await visit((s) => s.login('ann'))
    await visit((s) => s.append('list', 1))
    const before = await memory.read(session.id)
    for (const item of [2, 3]) await visit((s) => s.append('list', item))
    await memory.end(session.id, { markFor: 0 })
    await memory.write(session.id, before!, null)
    await visit((s) => s.append('list', 4))
    clock.advance(10)
    expect((await visit()).session.get('list')).toEqual([1, 2, 3, 4])
    const told = events.filter(({ type }) => type === 'store.rolled-back')
    expect(told).toEqual([expect.objectContaining({ lost: 2 })])
  })

  it.each([false, true])(
    'goes on in a commit that writes the whole record, unless another request has written: %j',
    async (isWritten) => {
      const { visit, memory, clock, elsewhere, events, jar } = createSnapshots({
        snapshot: { maxAge: 5 },
      })
      const add = (session: Session): void => session.update('n', (n) => Number(n ?? 0) + 1)
      const { session } = await visit(add)
      const before = await memory.read(session.id)
      const header = jar.header()
      for (let i = 0; i < 3; i++) await visit(add)
      await memory.end(session.id, { markFor: 0 })
      await memory.write(session.id, before!, null)
      if (isWritten) {
        const other = elsewhere()
        const late = await other.open(header)
        late.set('other', 1)
        await other.save(late)
      }
      // It begins with the snapshot, and meets what the store has left.
      await visit(add)
      clock.advance(10)
      expect((await visit()).session.data).toEqual(isWritten ? { n: 2, other: 1 } : { n: 5 })
      const told = events.filter(({ type }) => type === 'store.rolled-back')
      expect(told).toEqual([expect.objectContaining({ lost: isWritten ? 2 : 3 })])
    },
  )

  it('does not put a sign-in back that the store lost, which revokeAll could not have found', async () => {
    const { visit, memory, clock } = createSnapshots({ snapshot: { maxAge: 5 } })
    const { session } = await visit((s) => s.set('cart', 1))
    const before = await memory.read(session.id)
    await visit((s) => s.login('ann'))
    await memory.end(session.id, { markFor: 0 })
    await memory.write(session.id, before!, null)
    clock.advance(10)
    const { session: found } = await visit()
    expect([found.status, found.subject, found.get('cart')]).toEqual(['active', null, 1])
    expect((await visit()).session.get('cart')).toBe(1)
  })

  it('is as old as the answer of the store, however slow the request is', async () => {
    const { sessions, visit, elsewhere, jar, clock } = createSnapshots()
    await visit((s) => s.login('ann'))
    clock.advance(61)
    const other = elsewhere()
    const slow = await other.open(jar.header())
    await sessions.revokeAll('ann')
    clock.advance(50)
    jar.store(answer(await other.save(slow)))
    clock.advance(10)
    expect((await elsewhere().open(jar.header())).subject).toBe(null)
  })

  it('does not replace that of a request that committed first in this isolate', async () => {
    const { visit, sessions, elsewhere, jar, clock } = createSnapshots()
    await visit((s) => s.set('a', 1))
    clock.advance(61)
    const slow = await sessions.open(jar.header())
    await visit((s) => s.set('a', 2))
    expect(await sessions.save(slow)).toEqual([])
    expect((await elsewhere().open(jar.header())).get('a')).toBe(2)
  })

  it('bridges an outage after a response was lost, in the isolate that sent it too', async () => {
    const { visit, store, sessions, jar } = createSnapshots()
    await visit((s) => s.login('ann'))
    const lost = await sessions.open(jar.header())
    lost.set('a', 1)
    await sessions.save(lost)
    store.down()
    expect((await visit()).session.subject).toBe('ann')
    store.up()
    expect((await visit()).session.get('a')).toBe(1)
  })

  it('bridges an outage after a sign-out failed', async () => {
    const { visit, store } = createSnapshots()
    await visit((s) => s.login('ann'))
    store.down()
    expect((await visit((s) => s.destroy())).response.status).toBe(503)
    expect((await visit()).session.subject).toBe('ann')
  })

  it('bridges an outage after many wrote at once, and gives way before', async () => {
    const { visit, store, sessions, jar, memory } = createSnapshots()
    const { session } = await visit((s) => s.login('ann'))
    const header = jar.header()
    const open = await Promise.all(Array.from({ length: 9 }, () => sessions.open(header)))
    for (const [i, one] of open.entries()) one.set(`key ${i}`, i)
    const cookies = await Promise.all(open.map((one) => sessions.save(one)))
    expect((await memory.read(session.id))?.entries?.length).toBeGreaterThan(0)
    for (const setCookie of cookies) {
      jar.store(answer(setCookie))
      store.up()
      expect(Object.keys((await visit()).session.data).length).toBe(9)
      jar.store(answer(setCookie))
      store.down()
      expect((await visit()).session.subject).toBe('ann')
    }
  })

  it('shows a flash value to one request', async () => {
    const { visit } = createSnapshots()
    const seen: unknown[] = []
    await visit((s) => s.flash('notice', 'saved'))
    for (let i = 0; i < 3; i++) await visit((s) => seen.push(s.flash('notice')))
    expect(seen).toEqual(['saved', undefined, undefined])
  })

  it('is replaced by a record with the appended entries of many writers', async () => {
    const { visit, sessions, elsewhere, jar, memory, clock } = createSnapshots()
    const { session } = await visit((s) => s.login('ann'))
    const header = jar.header()
    const open = await Promise.all(Array.from({ length: 9 }, () => sessions.open(header)))
    for (const [i, one] of open.entries()) one.set(`key ${i}`, 'old')
    await Promise.all(open.map((one) => sessions.save(one)))
    expect((await memory.read(session.id))?.entries?.length).toBeGreaterThan(0)
    clock.advance(61)
    const use = async (run: (session: Session) => void): Promise<Session> => {
      const isolate = elsewhere()
      const one = await isolate.open(jar.header())
      run(one)
      jar.store(answer(await isolate.save(one)))
      return one
    }
    // The copy has all of them, and nothing is read before it is written over.
    await use(() => {})
    await use((one) => {
      for (let i = 0; i < 8; i++) one.set(`key ${i}`, 'new')
      one.unset('key 8')
    })
    clock.advance(61)
    const { data } = await use(() => {})
    expect(Object.values(data)).toEqual(Array(8).fill('new'))
  })

  it('signs nobody out when a slow response brings the cookie from before the sign-in back', async () => {
    for (const seal of ['secret', 'cookie'] as const) {
      const { visit, sessions, elsewhere, jar, clock } = createSnapshots({ seal })
      await visit((s) => s.set('a', 1))
      const isolate = elsewhere()
      const late = await isolate.open(jar.header())
      late.set('b', 2)
      const response = answer(await isolate.save(late))
      const { session } = await visit((s) => s.login('ann'))
      const old = response.headers.getSetCookie()[0]?.split(';')[0] ?? ''
      jar.store(response)
      for (const where of [sessions, elsewhere()]) {
        const found = await where.open(jar.header())
        expect([found.id, found.subject, found.get('b')]).toEqual([session.id, 'ann', 2])
      }
      // Whoever has the old cookie only gets nothing.
      expect((await elsewhere().open(old)).subject).toBe(null)
      // The browser has the right one from then on.
      await visit()
      clock.advance(250)
      await visit((s) => s.destroy())
      expect(jar.cookies().map(({ name }) => name)).toEqual([expect.stringMatching(/\.n/)])
    }
  })

  it('that shows the value already does not keep it from being written over a newer one', async () => {
    const { visit, elsewhere, jar } = createSnapshots()
    await visit((s) => s.set('n', 1))
    const header = jar.header()
    const other = elsewhere()
    const session = await other.open(header)
    session.set('n', 2)
    await other.save(session)
    const { session: again } = await visit((s) => s.set('n', 1))
    expect(again.get('n')).toBe(1)
    expect((await elsewhere().open(jar.header())).get('n')).toBe(1)
    expect((await visit((s) => s.set('m', 1))).session.data).toEqual({ n: 1, m: 1 })
  })

  it('is not sent once another request of this isolate has read something newer', async () => {
    const { visit, sessions, elsewhere, jar, clock } = createSnapshots()
    await visit((s) => s.set('n', 1))
    const header = jar.header()
    clock.advance(60)
    const isolate = elsewhere()
    const slow = await isolate.open(header)
    const other = await sessions.open(header)
    other.set('n', 2)
    await sessions.save(other)
    expect((await isolate.open(header)).get('n')).toBe(2)
    expect(await isolate.save(slow)).toEqual([])
  })

  it('gives way to a newer cookie of its session beside it, which holds none', async () => {
    const { visit, elsewhere, jar } = createSnapshots()
    await visit((s) => s.set('a', 1))
    const older = jar.header()
    await visit((s) => s.set('a', 'x'.repeat(5000)))
    const newer = jar.header()
    for (const header of [`${older}; ${newer}`, `${newer}; ${older}`]) {
      expect((await elsewhere().open(header)).get('a')).toHaveLength(5000)
    }
  })

  it('refuses settings that make no sense', async () => {
    const store = createMemoryStore()
    for (const snapshot of [
      { maxAge: 0 },
      { maxAge: -1 },
      {},
      true,
      { maxAge: 1, staleIfError: -1 },
    ]) {
      const error = await errorOf(() => createWorld({ secret: SECRET, store, snapshot } as never))
      expect(error.message).toContain('"snapshot')
    }
  })
})
