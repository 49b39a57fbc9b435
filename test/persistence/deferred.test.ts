import { describe, expect, it } from 'vitest'
import { CircuitOpenError, StoreError, StoreUnavailableError } from '../../src/errors.ts'
import type { Session, SessionsOptions } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createClock, createFaultyStore } from '../../src/testing/index.ts'
import { createWorld, errorOf } from '../support/sessions.ts'

function createDeferring(options: Partial<SessionsOptions> = {}) {
  const clock = createClock()
  const memory = createMemoryStore({ now: clock })
  const store = createFaultyStore(memory)
  const world = createWorld(
    { store, snapshot: { maxAge: 60, staleIfError: 3600 }, ...options },
    clock,
  )
  return { memory, store, ...world }
}

/** No read is answered from a copy once two seconds have passed. */
const BRIEF = { maxAge: 1, staleIfError: 3600 }
const BRIEF_RENEWAL = { snapshot: BRIEF, renewAfter: 60 }

const answer = (setCookie: readonly string[]): Response =>
  new Response('', { headers: setCookie.map((one) => ['set-cookie', one] as [string, string]) })

describe('a deferred write', () => {
  it('is dropped as one when it adds to what another request has set to something else', async () => {
    const { visit, store, jar, sessions, events } = createDeferring()
    await visit((s) => s.set('a', 1))
    const before = jar.header()
    store.down()
    await visit((s) => {
      s.increment('n')
      s.append('list', 'x')
    })
    store.up()
    const other = await sessions.open(before)
    other.set('n', 'none')
    await sessions.save(other)
    expect((await visit()).session.data).toEqual({ a: 1, n: 'none' })
    const told = events.filter(({ type }) => type === 'commit.dropped')
    expect(told).toEqual([expect.objectContaining({ changes: 2, reason: 'conflict' })])
  })

  it('is applied though another request has left a flash value: that changes no data', async () => {
    const { visit, store, jar, sessions, types } = createDeferring()
    await visit((s) => s.set('a', 1))
    const before = jar.header()
    store.down()
    await visit((s) => s.set('b', 2))
    store.up()
    const other = await sessions.open(before)
    other.flash('notice', 'hello')
    await sessions.save(other)
    const { session } = await visit((s) => expect(s.flash('notice')).toBe('hello'))
    expect(session.data).toEqual({ a: 1, b: 2 })
    expect(types()).toContain('commit.applied')
  })

  it('is applied in the order of the requests, whichever cookie comes first', async () => {
    const { visit, store, jar, sessions, clock } = createDeferring()
    await visit((s) => s.set('a', 1))
    const before = jar.header()
    store.down()
    const deferred: string[] = []
    for (const item of ['x', 'y', 'z']) {
      clock.advance(1)
      const session = await sessions.open(before)
      session.append('list', item)
      for (const one of await sessions.save(session)) deferred.push(one.split(';')[0]!)
    }
    store.up()
    for (const all of [deferred, deferred.toReversed()]) {
      const session = await sessions.open([before, ...all].join('; '))
      expect(session.data).toEqual({ a: 1, list: ['x', 'y', 'z'] })
    }
  })

  it('is applied or dropped as one: additions always, a set value only if no other request changed data', async () => {
    for (const isAddition of [true, false]) {
      const { visit, store, types, jar, sessions, events } = createDeferring()
      await visit((s) => s.set('a', 1))
      const before = jar.header()
      store.down()
      await visit((s) => {
        s.increment('n')
        s.append('list', 'x')
        if (!isAddition) s.set('b', 2)
      })
      expect(types()).toContain('commit.deferred')
      store.up()
      const other = await sessions.open(before)
      other.set('a', 3)
      other.set('n', 10)
      await sessions.save(other)
      const expected = isAddition ? { a: 3, n: 11, list: ['x'] } : { a: 3, n: 10 }
      for (let i = 0; i < 2; i++) expect((await visit()).session.data).toEqual(expected)
      const told = events.filter(({ type }) => /^commit.(applied|dropped)$/.test(type))
      expect(told).toEqual([
        isAddition
          ? expect.objectContaining({ type: 'commit.applied', changes: 2 })
          : expect.objectContaining({ type: 'commit.dropped', changes: 3, reason: 'conflict' }),
      ])
    }
  })

  it('is dropped as one, or applied as one, also when a later deferred write replaced the value that it set', async () => {
    for (const isConflict of [true, false]) {
      const { visit, store, jar, sessions, clock } = createDeferring({ snapshot: BRIEF })
      await visit((s) => s.set('a', 1))
      const before = jar.header()
      store.down()
      await visit((s) => {
        s.increment('n')
        s.set('b', 1)
      })
      await visit((s) => s.set('c', 1))
      await visit((s) => s.increment('c'))
      await visit((s) => s.set('b', 2))
      clock.advance(40)
      // From then on the value that was replaced is left out.
      await visit((s) => s.set('d', 1))
      store.up()
      const other = await sessions.open(before)
      if (isConflict) other.set('a', 2)
      await sessions.save(other)
      const dropped = { a: 2, c: 1 }
      const expected = isConflict ? dropped : { a: 1, n: 1, b: 2, c: 2, d: 1 }
      expect((await visit()).session.data).toEqual(expected)
    }
  })

  it('keeps the value that an overlapping one replaced, if that one is dropped', async () => {
    const { visit, store, jar, sessions, clock } = createDeferring()
    await visit((s) => s.set('a', 1))
    store.down()
    await visit((s) => s.set('x', 1))
    const late = await sessions.open(jar.header())
    const early = await sessions.open(jar.header())
    early.set('y', 1)
    jar.store(answer(await sessions.save(early)))
    clock.advance(1)
    late.set('x', 2)
    jar.store(answer(await sessions.save(late)))
    store.up()
    expect((await visit()).session.data).toEqual({ a: 1, x: 1, y: 1 })
  })

  it('is applied over renewals, which change no data', async () => {
    const { visit, store, jar, sessions, clock } = createDeferring({ renewAfter: 10 })
    await visit((s) => s.set('a', 1))
    const before = jar.header()
    store.down()
    await visit((s) => s.set('a', 2))
    store.up()
    clock.advance(20)
    await sessions.save(await sessions.open(before))
    expect((await visit()).session.get('a')).toBe(2)
  })

  it('needs a snapshot with staleIfError: without one the commit throws', async () => {
    for (const snapshot of [false, { maxAge: 60 }] as const) {
      const { visit, store, jar } = createDeferring({ snapshot })
      await visit((s) => s.set('a', 1))
      store.down({ type: 'throw-before' }, 'write')
      expect((await visit((s) => s.set('a', 2))).response.status).toBe(503)
      expect(jar.cookies().length).toBe(1)
    }
  })

  it('is made in an outage only: a refusal by the store, which a visitor can cause, throws', async () => {
    const perKey = Object.assign(new StoreUnavailableError('busy'), { perKey: true })
    for (const snapshot of [false, { maxAge: 60, staleIfError: 3600 }] as const) {
      for (const error of [new StoreError('too large'), perKey]) {
        const { visit, store, types, jar } = createDeferring({ snapshot })
        await visit((s) => s.set('credit', 10))
        const cookies = jar.header()
        store.down({ type: 'throw-before', error }, 'write')
        const buy = () => visit((s) => s.update('credit', (credit = 0) => credit - 10))
        if (error === perKey) expect((await buy()).response.status).toBe(503)
        else expect(await errorOf(buy)).toBe(error)
        expect([jar.header(), types().includes('commit.deferred')]).toEqual([cookies, false])
        store.up()
        expect((await visit()).session.get('credit')).toBe(10)
      }
    }
  })

  it('is not made once the store has refused an attempt, which a visitor can bring about', async () => {
    const { visit, store, types } = createDeferring({ storeTimeout: 0.05 })
    await visit((s) => s.set('credit', 10))
    const { response } = await visit(async (s) => {
      s.update('credit', (credit = 0) => credit - 10)
      // Another request was faster, and the next attempt comes too late.
      await visit((other) => other.set('credit', 20))
      store.inject([{ type: 'pass' }, { type: 'hang' }], 'write')
    })
    expect([response.status, types().includes('commit.deferred')]).toEqual([503, false])
  })

  it('is not made of a refusal by a store of another copy of this package', async () => {
    const { visit, store, types } = createDeferring()
    await visit((s) => s.set('a', 1))
    const error = Object.assign(new Error('private text'), { code: 'ERR_STORE' })
    store.down({ type: 'throw-before', error }, 'write')
    const thrown = await errorOf(() => visit((s) => s.set('b', 2)))
    expect([thrown instanceof StoreError, thrown.message]).toEqual([
      true,
      expect.stringMatching(/^The store ".+" refused$/),
    ])
    expect(types()).not.toContain('commit.deferred')
  })

  it('is carried in a cookie, is seen at once and is applied when the store answers', async () => {
    const { visit, store, types, jar } = createDeferring()
    await visit((s) => s.set('a', 1))
    const session = jar.header() as string
    store.down()
    const { response, setCookie } = await visit((s) => s.set('b', 2))
    expect([response.status, setCookie.length]).toEqual([200, 1])
    expect(
      /^__Host-session\.d[\w-]{4}=[\w-]+; Max-Age=900; Path=\/; /.test(setCookie[0] ?? ''),
    ).toBe(true)
    expect(jar.header()?.includes(session)).toBe(true)
    expect(types()).toContain('commit.deferred')
    expect((await visit()).session.data).toEqual({ a: 1, b: 2 })
    store.up()
    expect((await visit()).session.data).toEqual({ a: 1, b: 2 })
    expect(jar.cookies().length).toBe(1)
    expect((await visit()).session.data).toEqual({ a: 1, b: 2 })
  })

  it('adds up over many requests of an outage, in one cookie', async () => {
    const { visit, store, jar } = createDeferring()
    await visit((s) => s.set('n', 0))
    store.down()
    for (let i = 0; i < 20; i++) await visit((s) => s.increment('n'))
    expect(jar.cookies().length).toBe(2)
    expect((await visit()).session.get('n')).toBe(20)
    store.up()
    for (let i = 0; i < 3; i++) expect((await visit()).session.get('n')).toBe(20)
    expect(jar.cookies().length).toBe(1)
  })

  it('takes little room over a long outage, and none is applied twice', async () => {
    const { visit, store, jar, clock } = createDeferring({
      snapshot: { maxAge: 1, staleIfError: 3600 },
    })
    await visit((s) => s.set('n', 0))
    store.down()
    const cookies: string[] = []
    for (let i = 0; i < 40; i++) {
      clock.advance(6)
      const { response } = await visit((s) => {
        s.increment('n')
        s.update('list', (list = []) => [...list, i % 10].slice(0, 10))
        s.set(`key ${i % 7}`, i)
      })
      expect(response.status).toBe(200)
      cookies.push(jar.header() as string)
    }
    // One that was kept back is sent first.
    const [session] = jar.header()?.split('; ') ?? []
    store.up()
    const last = (await visit()).session
    expect([last.get('n'), last.get('key 1'), last.get('list').length]).toEqual([40, 36, 10])
    expect(jar.cookies().length).toBe(1)
    for (const header of cookies.slice(-3)) {
      const replayed = `${jar.header()}; ${header.split('; ').find((one) => one !== session)}`
      const { sessions } = createWorld({ store }, clock)
      expect((await sessions.open(replayed)).get('n')).toBe(40)
    }
  })

  it.each([
    ['an addition', (s: Session) => s.increment('n')],
    ['nothing but what was deferred before', () => {}],
  ])('is kept when %s was applied before it, and only the answer was lost', async (_, use) => {
    const { visit, store, clock } = createDeferring()
    await visit((s) => s.set('n', 0))
    const refused = { type: 'throw-before', error: new CircuitOpenError('open') } as const
    store.down(refused)
    await visit((s) => s.increment('n'))
    store.down({ type: 'throw-after' }, 'write')
    const { session } = await visit(use)
    const expected = session.get('n')
    store.up()
    store.down(refused)
    for (const value of [1, 2, 3]) {
      // From then on they travel together.
      clock.advance(31)
      await visit((s) => s.set('value', value))
    }
    store.up()
    const { data } = (await visit()).session
    expect(data).toEqual({ n: expected, value: 3 })
  })

  it('does not overwrite that of an overlapping request', async () => {
    const { sessions, store, jar, visit } = createDeferring()
    await visit((s) => s.set('n', 0))
    store.down()
    const header = jar.header()
    const open = [await sessions.open(header), await sessions.open(header)]
    for (const [i, session] of open.entries()) {
      session.append('keys', i)
      session.increment('n')
      jar.store(answer(await sessions.save(session)))
    }
    expect(jar.cookies().length).toBe(3)
    store.up()
    expect((await visit()).session.data).toEqual({ n: 2, keys: [0, 1] })
    expect(jar.cookies().length).toBe(1)
  })

  it('is applied once, however often its cookie comes back', async () => {
    const { sessions, store, jar, visit, clock } = createDeferring()
    await visit((s) => s.set('n', 0))
    store.down()
    await visit((s) => s.increment('n'))
    const replay = jar.cookies().find(({ name }) => name.includes('.d'))
    store.up()
    await visit()
    await visit((s) => s.set('n', 0))
    clock.advance(61)
    const header = `${jar.header()}; ${replay?.name}=${replay?.value}`
    const session = await sessions.open(header)
    expect(session.get('n')).toBe(0)
    const setCookie = await sessions.save(session)
    expect(setCookie.some((one) => one.startsWith(`${replay?.name}=; Max-Age=0`))).toBe(true)
  })

  it('is applied once, even when more writes came since than the record lists', async () => {
    const { store, jar, visit, sessions, clock } = createDeferring()
    const defer = async () => {
      store.down({ type: 'throw-before' }, 'write')
      await visit((s) => s.increment('credit', 10))
      store.up()
      return jar.cookies().find(({ name }) => name.includes('.d'))
    }
    await visit((s) => s.set('credit', 0))
    const kept = await defer()
    for (let i = 0; i < 150; i++) {
      clock.advance(1)
      await visit((s) => s.increment('visits'))
    }
    const replayed = await sessions.open(`${jar.header()}; ${kept?.name}=${kept?.value}`)
    expect([replayed.get('credit'), replayed.get('visits')]).toEqual([10, 150])
    // What is newer than all that was forgotten is still taken up.
    await defer()
    expect((await visit()).session.get('credit')).toBe(20)
  })

  it('is not in the cookies of writes that reached the store', async () => {
    const { jar, visit, clock } = createDeferring()
    await visit((s) => s.set('n', 0))
    const before = jar.header()?.length ?? 0
    for (let i = 0; i < 200; i++) {
      clock.advance(10)
      await visit((s) => s.increment('n'))
    }
    expect((jar.header()?.length ?? 0) - before).toBeLessThan(120)
  })

  it('is read from a limited number of cookies', async () => {
    const { jar, visit, sessions } = createDeferring()
    await visit((s) => s.set('a', 1))
    const junk = Array.from({ length: 200 }, (_, i) => `; __Host-session.d${1000 + i}=AA`)
    const session = await sessions.open(jar.header() + junk.join(''))
    expect((await sessions.save(session)).length).toBeLessThan(20)
  })

  it('is not lost when the cookie before it is still on its way', async () => {
    const { store, jar, visit, sessions, clock } = createDeferring()
    await visit((s) => s.set('n', 0))
    const session = jar.header()
    store.down()
    const deferrals: string[] = []
    for (let i = 0; i < 2; i++) {
      await visit((s) => s.increment('n'))
      deferrals.push(jar.header()?.replace(`${session}; `, '') ?? '')
      clock.advance(10)
    }
    store.up()
    for (const [i, deferral] of deferrals.entries()) {
      const late = await sessions.open(`${session}; ${deferral}`)
      expect(late.get('n')).toBe(i + 1)
      late.set('seen', i)
      await sessions.save(late)
    }
  })

  it('expires after 15 minutes', async () => {
    const { store, jar, visit, sessions, clock } = createDeferring()
    await visit((s) => s.set('n', 0))
    store.down()
    await visit((s) => s.set('n', 1))
    const header = jar.header()
    store.up()
    clock.advance(900)
    expect((await sessions.open(header)).get('n')).toBe(0)
  })

  it('lasts as long as the deferred writes made on top of it', async () => {
    const { store, visit, clock } = createDeferring()
    await visit((s) => s.set('theme', 'light'))
    store.down()
    await visit((s) => s.set('theme', 'dark'))
    clock.advance(600)
    await visit((s) => s.set('theme', 'blue'))
    clock.advance(600)
    expect((await visit()).session.get('theme')).toBe('blue')
    store.up()
    expect((await visit()).session.get('theme')).toBe('blue')
  })

  it('does not restore a value that was spent since', async () => {
    const { store, jar, visit, sessions } = createDeferring()
    await visit((s) => s.set('coupon', null))
    store.down()
    await visit((s) => s.set('coupon', 'unused'))
    const [session, deferral] = jar.header()?.split('; ') ?? []
    store.up()
    // The browser keeps the cookie back, spends elsewhere, and only then sends it.
    const spending = await sessions.open(session ?? '')
    spending.set('coupon', 'spent')
    await sessions.save(spending)
    expect((await sessions.open(`${session}; ${deferral}`)).get('coupon')).toBe('spent')
  })

  it('is dropped after destroy, revoke and a newer login', async () => {
    for (const end of ['destroy', 'revoke', 'login'] as const) {
      const { store, jar, visit, sessions } = createDeferring()
      const { session } = await visit((s) => s.set('n', 0))
      store.down()
      await visit((s) => s.set('n', 1))
      const header = jar.header() as string
      const [before] = header.split('; ')
      store.up()
      if (end === 'revoke') await sessions.revoke(session.id)
      else {
        const other = await sessions.open(before ?? '')
        if (end === 'destroy') other.destroy()
        else other.login('ann')
        jar.store(answer(await sessions.save(other)))
      }
      const late = await sessions.open(header)
      const status = end === 'login' ? 'superseded' : 'missing'
      expect([late.status, late.get('n')]).toEqual([status, undefined])
      if (end === 'login') expect((await visit()).session.get('n')).toBe(0)
    }
  })

  it('is not applied twice when the store had applied the original and only its answer was lost', async () => {
    const { visit, store } = createDeferring()
    await visit((s) => s.increment('n'))
    store.inject({ type: 'throw-after' }, 'write')
    const { response } = await visit((s) => s.increment('n'))
    expect(response.status).toBe(200)
    // Somebody else writes before the browser comes back.
    expect((await visit((s) => s.set('a', 1))).session.get('n')).toBe(2)
    expect((await visit()).session.get('n')).toBe(2)
  })

  it('is appended to a list, whoever wrote to it meanwhile', async () => {
    const { visit, store, jar, sessions } = createDeferring()
    await visit((s) => s.set('cart', ['tea']))
    const [session] = jar.header()?.split('; ') ?? []
    store.down()
    await visit((s) => s.append('cart', 'milk'))
    store.up()
    const other = await sessions.open(session ?? '')
    other.append('cart', 'sugar')
    await sessions.save(other)
    expect((await visit()).session.get('cart')).toEqual(['tea', 'sugar', 'milk'])
  })

  it('is not lost among many of overlapping requests', async () => {
    const { sessions, store, jar, visit } = createDeferring()
    await visit((s) => s.set('n', 0))
    store.down()
    const header = jar.header()
    const open = await Promise.all(Array.from({ length: 70 }, () => sessions.open(header)))
    for (const session of open) {
      session.increment('n')
      jar.store(answer(await sessions.save(session)))
    }
    store.up()
    // Every response removes 16 of the cookies.
    for (let i = 0; i < 4; i++) await visit()
    expect([(await visit()).session.get('n'), jar.cookies().length]).toEqual([70, 1])
  })

  it('is not lost with an overlapping one, however long they wait', async () => {
    const { sessions, store, jar, visit, clock } = createDeferring()
    await visit((s) => s.set('list', []))
    store.down({ type: 'throw-before', error: new CircuitOpenError('Not asked') })
    const header = jar.header()
    const open = [await sessions.open(header), await sessions.open(header)]
    for (const [i, session] of open.entries()) {
      session.append('list', i)
      jar.store(answer(await sessions.save(session)))
    }
    clock.advance(40)
    await visit((s) => s.set('a', 1))
    store.up()
    expect((await visit()).session.data).toEqual({ list: [0, 1], a: 1 })
  })

  it('is applied, though an earlier one was applied and its answer lost', async () => {
    const { store, jar, visit, clock } = createDeferring()
    await visit((s) => s.set('n', 0))
    store.inject({ type: 'throw-after' }, 'write')
    await visit((s) => s.increment('n'))
    store.down()
    for (const key of ['a', 'b']) {
      await visit((s) => s.set(key, 1))
      clock.advance(40)
    }
    await visit((s) => s.increment('n'))
    store.up()
    expect((await visit()).session.data).toEqual({ n: 2, a: 1, b: 1 })
    expect(jar.cookies().length).toBe(1)
  })

  it('does not come back when it was applied, spent, and only its answer had been lost', async () => {
    const { store, jar, visit, sessions, clock } = createDeferring({ snapshot: BRIEF })
    await visit((s) => s.set('a', 1))
    const header = jar.header()
    store.inject({ type: 'throw-after' }, 'write')
    await visit((s) => s.set('coupon', 'unused'))
    clock.advance(2)
    const spending = await sessions.open(header)
    expect(spending.get('coupon')).toBe('unused')
    spending.unset('coupon')
    await sessions.save(spending)
    expect((await visit()).session.get('coupon')).toBe(undefined)
  })

  it('does not come back after it was dropped', async () => {
    const { store, jar, visit, sessions } = createDeferring()
    await visit((s) => s.set('coupon', null))
    const header = jar.header()
    store.down({ type: 'throw-before' }, 'write')
    await visit((s) => s.set('coupon', 'unused'))
    const kept = jar.header()
    store.up()
    const change = async (value: unknown) => {
      const session = await sessions.open(header)
      session.set('coupon', value)
      await sessions.save(session)
    }
    await change('spent')
    expect((await visit()).session.get('coupon')).toBe('spent')
    await change(null)
    expect((await sessions.open(kept)).get('coupon')).toBe(null)
  })

  it('is applied once, whatever was written since', async () => {
    const { store, jar, visit, sessions } = createDeferring()
    await visit((s) => s.set('n', 0))
    store.down({ type: 'throw-before' }, 'write')
    await visit((s) => s.increment('n', 5))
    const kept = jar.header()
    store.up()
    for (let i = 0; i < 150; i++) {
      await visit((s) => s.increment('visits'))
      if (i % 10 === 0) expect((await sessions.open(kept)).get('n')).toBe(5)
    }
  })

  it('adds nothing where it set a value before', async () => {
    const { store, jar, visit, sessions } = createDeferring()
    await visit((s) => s.set('credit', 5))
    const header = jar.header()
    store.down({ type: 'throw-before' }, 'write')
    await visit((s) => {
      s.set('credit', 100)
      s.update('credit', (credit) => credit - 1)
    })
    store.up()
    const other = await sessions.open(header)
    other.set('credit', 50)
    await sessions.save(other)
    expect((await visit()).session.get('credit')).toBe(50)
  })

  it("gives way to a newer deployment's schema", async () => {
    const { store, jar, visit, clock } = createDeferring()
    await visit((s) => s.set('n', 0))
    store.down({ type: 'throw-before' }, 'write')
    await visit((s) => s.set('n', 'text'))
    store.up()
    const validate = (value: unknown) =>
      typeof Object(value).n === 'number' ? { value } : { issues: [{ message: 'n' }] }
    const schema = { '~standard': { version: 1 as const, vendor: 'tests', validate } }
    const next = createWorld({ store, schema: schema as never }, clock)
    const session = await next.sessions.open(jar.header())
    expect([session.status, session.get('n')]).toEqual(['active', 0])
    jar.store(answer(await next.sessions.save(session)))
    expect(jar.cookies().length).toBe(1)
    const dropped = next.events.filter(({ type }) => type === 'commit.dropped')
    expect(dropped).toEqual([expect.objectContaining({ changes: 1 })])
  })

  it('takes little room in the list of writes of a busy session', async () => {
    const { visit, memory, jar, clock } = createDeferring()
    const { session } = await visit((s) => s.set('n', 0))
    for (let i = 0; i < 200; i++) {
      clock.advance(10)
      await visit((s) => s.increment('n'))
    }
    expect(((await memory.read(session.id))?.value ?? '').length < 500).toBe(true)
    expect((jar.header() ?? '').length < 550).toBe(true)
  })

  it('is reported as dropped when its session had ended before the sign-out that removes it', async () => {
    const { store, visit, sessions, events } = createDeferring({ snapshot: BRIEF })
    const { session } = await visit((s) => s.set('n', 0))
    store.down()
    await visit((s) => s.set('n', 1))
    store.up()
    await sessions.revoke(session.id)
    await visit((s) => s.destroy())
    const dropped = events.filter(({ type }) => type === 'commit.dropped')
    expect(dropped).toMatchObject([{ changes: 1, reason: 'ended' }])
  })

  it('hides no failed renewal when all of it is dropped, and the data are of a newer version', async () => {
    const { visit, store, jar, clock } = createDeferring(BRIEF_RENEWAL)
    await visit((s) => s.set('a', 1))
    store.down({ type: 'throw-before' }, 'write')
    await visit((s) => s.set('a', 2))
    const migrate = (data: unknown) => ({ ...(data as object), b: 1 })
    const newer = createWorld({ ...BRIEF_RENEWAL, store, version: 2, migrate }, clock)
    clock.advance(100)
    const response = await newer.sessions.handler(async (request) => {
      const { data } = await newer.sessions.get(request)
      return Response.json(data)
    })(jar.request('/'))
    expect(await response.json()).toEqual({ a: 1, b: 1 })
    expect(newer.types().filter((type) => type.startsWith('store.'))).toEqual(['store.degraded'])
  })

  it('is not made where it cannot wait: too large, a sign-in, a new session, a destroy throw', async () => {
    const { visit, store, jar } = createDeferring()
    store.down()
    expect((await visit((s) => s.set('a', 1))).response.status).toBe(503)
    store.up()
    await visit((s) => s.set('a', 1))
    store.down()
    const header = jar.header()
    expect((await visit((s) => s.set('a', 'x'.repeat(4000)))).response.status).toBe(503)
    expect((await visit((s) => s.destroy())).response.status).toBe(503)
    expect(jar.header()).toBe(header)
    expect((await visit((s) => s.login('ann'))).response.status).toBe(503)
    expect((await visit((s) => s.regenerate())).response.status).toBe(503)
    expect(jar.cookies().some(({ name }) => name.includes('.d'))).toBe(false)
    store.up()
    const { session } = await visit()
    expect([session.subject, session.data]).toEqual([null, { a: 1 }])
  })

  it('is not made of a sign-in over the session of another user that was never rotated', async () => {
    const { visit, store, jar } = createDeferring({ cache: false })
    await visit((s) => s.login('ann'))
    store.down()
    const { response, setCookie } = await visit((s) => s.login('bob'))
    expect([response.status, setCookie]).toEqual([503, []])
    store.up()
    expect((await visit()).session.subject).toBe('ann')
    expect(jar.cookies().some(({ name }) => name.includes('.d'))).toBe(false)
  })

  it('fits into a cookie that browsers take, or the commit throws, at every size', async () => {
    const { visit, store, jar } = createDeferring()
    await visit((s) => s.set('a', 1))
    const header = jar.header()
    store.down()
    const sizes = new Set<number>()
    for (let length = 2900; length < 3000; length++) {
      const { response, setCookie } = await visit((s) => s.set('b', 'x'.repeat(length)))
      const [pair = ''] = (setCookie[0] ?? '').split(';')
      expect([response.status, pair !== '']).toEqual(pair ? [200, true] : [503, false])
      sizes.add(pair.length)
      jar.clear()
      for (const one of header!.split('; ')) jar.store(answer([`${one}; Path=/; Secure`]))
    }
    // With "=" between name and value.
    expect(Math.max(...sizes)).toBeLessThan(4098)
    expect(Math.max(...sizes)).toBeGreaterThan(4090)
    expect(sizes.has(0)).toBe(true)
  })

  it("is not made with onStoreFailure 'throw'", async () => {
    const { visit, store, jar } = createDeferring({ onStoreFailure: 'throw' })
    await visit((s) => s.set('a', 1))
    store.down()
    expect((await visit((s) => s.set('a', 2))).response.status).toBe(503)
    expect(jar.cookies().length).toBe(1)
  })
})

describe('a rotation whose outcome is unknown', () => {
  it.each(['throw-after', 'throw-before'] as const)(
    'is answered 503 with the new credential, which is good either way (%s)',
    async (type) => {
      const { visit, store, memory, jar, types } = createDeferring({ snapshot: false })
      const { session: first } = await visit((s) => s.set('a', 1))
      const old = jar.header()
      store.inject({ type }, 'write')
      const { response } = await visit((s) => s.login('ann'))
      expect([response.status, response.headers.get('cache-control')]).toEqual([503, 'no-store'])
      expect(jar.header() === old).toBe(false)
      const { session } = await visit()
      const isApplied = type === 'throw-after'
      expect([session.status, session.id, session.get('a')]).toEqual(['active', first.id, 1])
      expect(session.subject).toBe(isApplied ? 'ann' : null)
      // A rotation that was never applied is no write that the store lost.
      expect(types()).not.toContain('store.rolled-back')
      expect(memory.stats().live).toBe(1)
      expect((await visit((s) => s.login('ann'))).response.status).toBe(200)
      expect([(await visit()).session.subject, memory.stats().live]).toEqual(['ann', 1])
    },
  )

  it('is of no use with the credential before it, once the sign-in was repeated', async () => {
    const { visit, store, jar, sessions } = createDeferring({ snapshot: false })
    await visit((s) => s.set('a', 1))
    const planted = jar.header()
    store.inject({ type: 'throw-before' }, 'write')
    await visit((s) => s.login('ann'))
    // Whoever planted the session collects cookies of rotations that were never applied.
    const thief = createWorld({ store }, createClock())
    for (const one of planted!.split('; ')) thief.jar.store(answer([`${one}; Path=/; Secure`]))
    const collected: string[] = []
    for (let i = 0; i < 3; i++) {
      store.inject({ type: 'throw-before' }, 'write')
      await thief.visit((s) => s.regenerate())
      collected.push(thief.jar.header()!)
    }
    await visit((s) => s.login('ann'))
    for (const header of [planted!, ...collected]) {
      expect((await sessions.open(header)).subject).toBe(null)
    }
    expect((await visit()).session.subject).toBe('ann')
  })

  it('puts its cookies into no property of the error', async () => {
    const { visit, store, jar, sessions } = createDeferring({ snapshot: false })
    await visit((s) => s.set('a', 1))
    const session = await sessions.open(jar.header())
    session.login('ann')
    store.inject({ type: 'throw-after' }, 'write')
    const error = await errorOf(() => sessions.save(session))
    expect(JSON.stringify([error, ...Reflect.ownKeys(error).map((key) => error[key])])).not.toMatch(
      /__Host-session/,
    )
    const [cookie = '', note = ''] = error.getResponse().headers.getSetCookie()
    expect([cookie.slice(0, 15), note.slice(0, 16)]).toEqual([
      '__Host-session=',
      '__Host-session.n',
    ])
  })

  it('throws for a client without cookies, and leaves its token as it is', async () => {
    const { store, sessions } = createDeferring({
      snapshot: false,
      transport: { header: 'x-session' },
    })
    const session = await sessions.open(null)
    session.set('a', 1)
    const [token = ''] = await sessions.save(session)
    const next = await sessions.open(token)
    next.login('ann')
    store.inject({ type: 'throw-before' }, 'write')
    const error = await errorOf(() => sessions.save(next))
    const { headers } = error.getResponse()
    expect([headers.get('set-cookie'), headers.get('x-session')]).toEqual([null, null])
    expect((await sessions.open(token)).get('a')).toBe(1)
  })

  it('leaves no ghost in a list, when it was to create a session', async () => {
    for (const type of ['throw-after', 'throw-before'] as const) {
      const { visit, store, memory, sessions } = createDeferring({ snapshot: false })
      store.inject({ type }, 'write')
      expect((await visit((s) => s.login('ann'))).response.status).toBe(503)
      expect([memory.stats().live, await sessions.list('ann')]).toEqual([0, []])
    }
  })
})
