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

const answer = (setCookie: readonly string[]): Response =>
  new Response('', { headers: setCookie.map((one) => ['set-cookie', one] as [string, string]) })

describe('a write that could not reach the store', () => {
  it('is told of when it comes too late: somebody has written the value since', async () => {
    const { visit, store, types, jar, sessions, events } = createDeferring()
    await visit((s) => s.set('a', 1))
    const before = jar.header()
    store.down()
    await visit((s) => {
      s.set('a', 2)
      s.set('b', 2)
      s.update('n', (n = 0) => n + 1)
    })
    expect(types()).not.toContain('commit.dropped')
    store.up()
    const other = await sessions.open(before)
    other.set('a', 3)
    other.set('n', 10)
    await sessions.save(other)
    for (let i = 0; i < 2; i++) {
      expect((await visit()).session.data).toEqual({ a: 3, b: 2, n: 11 })
    }
    const dropped = events.filter(({ type }) => type === 'commit.dropped')
    expect(dropped).toEqual([expect.objectContaining({ changes: 1 })])
  })

  it('is thrown and not deferred when the store refuses it, which a visitor can bring about', async () => {
    const perKey = Object.assign(new StoreUnavailableError('busy'), { keyOnly: true })
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

  it('is not deferred either when the store is of another copy of this package', async () => {
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

  it('rides in a cookie, is seen at once and is applied when the store answers', async () => {
    const { visit, store, types, jar } = createDeferring()
    await visit((s) => s.set('a', 1))
    const session = jar.header() as string
    store.down()
    const { response, setCookie } = await visit((s) => s.set('b', 2))
    expect([response.status, setCookie.length]).toEqual([200, 1])
    expect(
      /^__Host-session\.d[\w-]{7}=[\w-]+; Max-Age=900; Path=\/; /.test(setCookie[0] ?? ''),
    ).toBe(true)
    expect(jar.header()?.includes(session)).toBe(true)
    expect(types()).toContain('commit.deferred')
    expect((await visit()).session.data).toEqual({ a: 1, b: 2 })
    store.up()
    expect((await visit()).session.data).toEqual({ a: 1, b: 2 })
    expect(jar.cookies().length).toBe(1)
    expect((await visit()).session.data).toEqual({ a: 1, b: 2 })
  })

  it('is applied without a snapshot too', async () => {
    const { visit, store, jar } = createDeferring({ snapshot: false })
    await visit((s) => s.set('a', 1))
    store.down({ type: 'throw-before' }, 'write')
    await visit((s) => s.set('b', 2))
    store.up()
    expect((await visit()).session.data).toEqual({ a: 1, b: 2 })
    expect(jar.cookies().length).toBe(1)
    expect((await visit()).session.get('b')).toBe(2)
  })

  it('adds up over many requests of an outage, in one cookie', async () => {
    const { visit, store, jar } = createDeferring()
    await visit((s) => s.set('n', 0))
    store.down()
    for (let i = 0; i < 20; i++) await visit((s) => s.update('n', (n) => n + 1))
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
    for (let i = 0; i < 100; i++) {
      clock.advance(2)
      const { response } = await visit((s) => {
        s.update('n', (n) => n + 1)
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
    expect([last.get('n'), last.get('key 1'), last.get('list').length]).toEqual([100, 99, 10])
    expect(jar.cookies().length).toBe(1)
    for (const header of cookies.slice(-3)) {
      const replayed = `${jar.header()}; ${header.split('; ').find((one) => one !== session)}`
      const { sessions } = createWorld({ store }, clock)
      expect((await sessions.open(replayed)).get('n')).toBe(100)
    }
  })

  it.each([
    ['an addition', (s: Session) => s.update('n', (n = 0) => n + 1)],
    ['nothing but what was deferred before', () => {}],
  ])('is kept when %s was applied before it, and only the answer was lost', async (_, use) => {
    const { visit, store, clock } = createDeferring()
    await visit((s) => s.set('n', 0))
    const refused = { type: 'throw-before', error: new CircuitOpenError('open') } as const
    store.down(refused)
    await visit((s) => s.update('n', (n) => n + 1))
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
      session.set(`key${i}`, i)
      session.update('n', (n) => n + 1)
      jar.store(answer(await sessions.save(session)))
    }
    expect(jar.cookies().length).toBe(3)
    store.up()
    expect((await visit()).session.data).toEqual({ n: 2, key0: 0, key1: 1 })
    expect(jar.cookies().length).toBe(1)
  })

  it('is applied once, however often its cookie comes back', async () => {
    const { sessions, store, jar, visit, clock } = createDeferring()
    await visit((s) => s.set('n', 0))
    store.down()
    await visit((s) => s.update('n', (n) => n + 1))
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

  it('is applied once, even when more was updated since than is remembered', async () => {
    const { store, jar, visit, sessions, clock } = createDeferring({ snapshot: false })
    const defer = async () => {
      store.down({ type: 'throw-before' }, 'write')
      await visit((s) => s.update('credit', (n = 0) => n + 10))
      store.up()
      return jar.cookies().find(({ name }) => name.includes('.d'))
    }
    await visit((s) => s.set('credit', 0))
    const kept = await defer()
    for (let i = 0; i < 150; i++) {
      clock.advance(1)
      await visit((s) => s.update('visits', (n = 0) => n + 1))
    }
    const replayed = await sessions.open(`${jar.header()}; ${kept?.name}=${kept?.value}`)
    expect([replayed.get('credit'), replayed.get('visits')]).toEqual([10, 150])
    // What is newer than all that was forgotten is still taken up.
    await defer()
    expect((await visit()).session.get('credit')).toBe(20)
  })

  it('leaves nothing in the cookies of those that could be written', async () => {
    const { jar, visit } = createDeferring()
    await visit((s) => s.set('n', 0))
    const before = jar.header()?.length ?? 0
    for (let i = 0; i < 200; i++) await visit((s) => s.update('n', (n) => n + 1))
    expect((jar.header()?.length ?? 0) - before).toBeLessThan(40)
  })

  it('is not looked for among more cookies than requests can have left', async () => {
    const { jar, visit, sessions } = createDeferring()
    await visit((s) => s.set('a', 1))
    const junk = Array.from({ length: 200 }, (_, i) => `; __Host-session.d${i}=AA`)
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
      await visit((s) => s.update('n', (n) => n + 1))
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

  it('is over after 15 minutes', async () => {
    const { store, jar, visit, sessions, clock } = createDeferring()
    await visit((s) => s.set('n', 0))
    store.down()
    await visit((s) => s.set('n', 1))
    const header = jar.header()
    store.up()
    clock.advance(900)
    expect((await sessions.open(header)).get('n')).toBe(0)
  })

  it('lasts as long as what was made from it', async () => {
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

  it('cannot restore what was spent since', async () => {
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

  it('loses against destroy, revoke and a newer login', async () => {
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
      expect([late.status, late.get('n')]).toEqual(['superseded', undefined])
      if (end === 'login') expect((await visit()).session.get('n')).toBe(0)
    }
  })

  it('is not added twice when only the answer was lost', async () => {
    const { visit, store } = createDeferring({ snapshot: false })
    await visit((s) => s.update('n', (n = 0) => n + 1))
    store.inject({ type: 'throw-after' }, 'write')
    const { response } = await visit((s) => s.update('n', (n) => n + 1))
    expect(response.status).toBe(200)
    // Somebody else writes before the browser comes back.
    expect((await visit((s) => s.set('a', 1))).session.get('n')).toBe(2)
    expect((await visit()).session.get('n')).toBe(2)
  })

  it('keeps what was added to a list, whoever wrote to it meanwhile', async () => {
    const { visit, store, jar, sessions } = createDeferring()
    await visit((s) => s.set('cart', ['tea']))
    const [session] = jar.header()?.split('; ') ?? []
    store.down()
    await visit((s) => s.update('cart', (cart) => [...cart, 'milk']))
    store.up()
    const other = await sessions.open(session ?? '')
    other.update('cart', (cart) => [...cart, 'sugar'])
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
      session.update('n', (n) => n + 1)
      jar.store(answer(await sessions.save(session)))
    }
    store.up()
    // Every response removes 16 of the cookies.
    for (let i = 0; i < 4; i++) await visit()
    expect([(await visit()).session.get('n'), jar.cookies().length]).toEqual([70, 1])
  })

  it('is not lost with what overlapped it, however long they wait', async () => {
    const { sessions, store, jar, visit, clock } = createDeferring()
    await visit((s) => s.set('list', []))
    store.down({ type: 'throw-before', error: new CircuitOpenError('Not asked') })
    const header = jar.header()
    const open = [await sessions.open(header), await sessions.open(header)]
    for (const [i, session] of open.entries()) {
      session.update('list', (list) => [...list, i])
      jar.store(answer(await sessions.save(session)))
    }
    clock.advance(40)
    await visit((s) => s.set('a', 1))
    store.up()
    expect((await visit()).session.data).toEqual({ list: [0, 1], a: 1 })
  })

  it('is applied, though an earlier one of the outage was before its answer was lost', async () => {
    const { store, jar, visit, clock } = createDeferring()
    await visit((s) => s.set('n', 0))
    store.inject({ type: 'throw-after' }, 'write')
    await visit((s) => s.update('n', (n) => n + 1))
    store.down()
    for (const key of ['a', 'b']) {
      await visit((s) => s.set(key, 1))
      clock.advance(40)
    }
    await visit((s) => s.update('n', (n) => n + 1))
    store.up()
    expect((await visit()).session.data).toEqual({ n: 2, a: 1, b: 1 })
    expect(jar.cookies().length).toBe(1)
  })

  it('does not come back when it was applied, spent, and only its answer had been lost', async () => {
    const { store, jar, visit, sessions } = createDeferring({ snapshot: false })
    await visit((s) => s.set('a', 1))
    const header = jar.header()
    store.inject({ type: 'throw-after' }, 'write')
    await visit((s) => s.set('coupon', 'unused'))
    const spending = await sessions.open(header)
    expect(spending.get('coupon')).toBe('unused')
    spending.unset('coupon')
    await sessions.save(spending)
    expect((await visit()).session.get('coupon')).toBe(undefined)
  })

  it('does not come back when it was refused, once its time has come again', async () => {
    const { store, jar, visit, sessions } = createDeferring({ snapshot: false })
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
    const { store, jar, visit, sessions } = createDeferring({ snapshot: false })
    await visit((s) => s.set('n', 0))
    store.down({ type: 'throw-before' }, 'write')
    await visit((s) => s.update('n', (n) => n + 5))
    const kept = jar.header()
    store.up()
    for (let i = 0; i < 150; i++) {
      await visit((s) => s.update('visits', (visits = 0) => visits + 1))
      if (i % 10 === 0) expect((await sessions.open(kept)).get('n')).toBe(5)
    }
  })

  it('adds nothing where it set a value before', async () => {
    const { store, jar, visit, sessions } = createDeferring({ snapshot: false })
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
    const { store, jar, visit, clock } = createDeferring({ snapshot: false })
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

  it('takes little room in the records of sessions that change all the time', async () => {
    const { visit, memory, jar } = createDeferring()
    const { session } = await visit((s) => s.set('n', 0))
    for (let i = 0; i < 200; i++) await visit((s) => s.update('n', (n) => n + 1))
    expect(((await memory.read(session.id))?.value ?? '').length < 500).toBe(true)
    expect((jar.header() ?? '').length < 550).toBe(true)
  })

  it('is an error where it cannot wait: too large, a sign-in, a new session, a destroy', async () => {
    const { visit, store, jar } = createDeferring()
    store.down()
    expect((await visit((s) => s.set('a', 1))).response.status).toBe(503)
    store.up()
    await visit((s) => s.set('a', 1))
    store.down()
    const header = jar.header()
    expect((await visit((s) => s.set('a', 'x'.repeat(4000)))).response.status).toBe(503)
    expect((await visit((s) => s.login('ann'))).response.status).toBe(503)
    expect((await visit((s) => s.regenerate())).response.status).toBe(503)
    expect((await visit((s) => s.destroy())).response.status).toBe(503)
    expect(jar.header()).toBe(header)
  })

  it('fits into a cookie that browsers take, or is an error, at every size', async () => {
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

  it("is an error with onStoreFailure 'throw'", async () => {
    const { visit, store, jar } = createDeferring({ onStoreFailure: 'throw' })
    await visit((s) => s.set('a', 1))
    store.down()
    expect((await visit((s) => s.set('a', 2))).response.status).toBe(503)
    expect(jar.cookies().length).toBe(1)
  })
})

describe('a move whose last answer was lost', () => {
  it('finds out that the old id is dead', async () => {
    const { visit, store, jar } = createDeferring({ snapshot: false })
    await visit((s) => s.set('a', 1))
    store.inject([{ type: 'pass' }, { type: 'throw-after' }], 'write')
    const { response, session } = await visit((s) => s.login('ann'))
    expect(response.status).toBe(200)
    const next = (await visit()).session
    expect([next.id, next.subject, jar.cookies().length]).toEqual([session.id, 'ann', 1])
  })

  it('is an error when the old id is alive, and leaves it as it was', async () => {
    const { visit, store, memory, jar } = createDeferring({ snapshot: false })
    const { session } = await visit((s) => s.set('a', 1))
    const header = jar.header()
    store.inject([{ type: 'pass' }, { type: 'throw-before' }], 'write')
    expect((await visit((s) => s.login('ann'))).response.status).toBe(503)
    expect([jar.header(), memory.stats().live]).toEqual([header, 1])
    expect((await visit()).session.id).toBe(session.id)
  })

  it('makes sure with the next request when it cannot find out', async () => {
    const { visit, store, jar, sessions } = createDeferring({ snapshot: false })
    const { session: first } = await visit((s) => s.set('a', 1))
    const old = jar.header()
    store.inject([{ type: 'pass' }, { type: 'throw-before' }], 'write')
    store.inject([{ type: 'pass' }, { type: 'throw-before' }], 'read')
    const { response, session } = await visit((s) => s.regenerate())
    expect([response.status, jar.cookies().length]).toEqual([200, 2])
    expect(session.id === first.id).toBe(false)
    expect((await visit()).session.get('a')).toBe(1)
    expect((await sessions.open(old)).status).toBe('superseded')
    expect(jar.cookies().length).toBe(1)
  })
  it('disturbs no request while it cannot find out', async () => {
    const { visit, store, jar, sessions } = createDeferring()
    await visit((s) => s.set('a', 1))
    const old = jar.header()
    store.inject([{ type: 'pass' }, { type: 'throw-before' }], 'write')
    store.inject({ type: 'throw-before' }, 'read')
    await visit((s) => s.login('ann'))
    store.down()
    for (let i = 0; i < 2; i++) {
      const { response, session } = await visit()
      expect([response.status, session.subject]).toEqual([200, 'ann'])
      expect(jar.cookies().some(({ name }) => name.includes('.d'))).toBe(true)
    }
    store.up()
    await visit()
    expect((await sessions.open(old)).status).toBe('superseded')
    expect(jar.cookies().some(({ name }) => name.includes('.d'))).toBe(false)
  })

  it('answers all the same when the old id cannot be buried then, and tries once more', async () => {
    const { visit, store, jar, sessions, types } = createDeferring({ snapshot: false })
    await visit((s) => s.set('n', 0))
    const old = jar.header()
    store.inject([{ type: 'pass' }, { type: 'throw-before' }], 'write')
    store.inject([{ type: 'pass' }, { type: 'throw-before' }], 'read')
    await visit((s) => s.regenerate())
    store.inject([{ type: 'pass' }, { type: 'throw-before' }], 'read')
    const { response } = await visit((s) => s.update('n', (n) => n + 1))
    expect([response.status, jar.cookies().length]).toEqual([200, 2])
    expect(types()).toContain('store.degraded')
    expect((await visit()).session.get('n')).toBe(1)
    expect((await sessions.open(old)).status).toBe('superseded')
    expect(jar.cookies().length).toBe(1)
  })

  it('leaves the token of a client without cookies as it is', async () => {
    const { store, sessions } = createDeferring({
      snapshot: false,
      transport: { header: 'x-session' },
    })
    const session = await sessions.open(null)
    session.set('a', 1)
    const [token = ''] = await sessions.save(session)
    const next = await sessions.open(token)
    next.login('ann')
    store.inject([{ type: 'pass' }, { type: 'throw-before' }], 'write')
    store.inject([{ type: 'throw-before' }], 'read')
    const values = await sessions.save(next)
    expect(values.length).toBe(1)
    expect((await sessions.open(values.join(', '))).subject).toBe('ann')
  })
})
