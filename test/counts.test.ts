import { describe, expect, it } from 'vitest'
import { decodeBase64url, encodeBase64url } from '../src/crypto/base64url.ts'
import type { Session } from '../src/index.ts'
import { cached } from '../src/stores/cached.ts'
import { createMemoryStore } from '../src/stores/memory.ts'
import type { SessionStore } from '../src/stores/store.ts'
import { createClock } from '../src/testing/index.ts'
import { countObjects } from './support/runtime-objects.ts'
import {
  countCrypto,
  createCountingStore,
  createWorld,
  OTHER_SECRET,
  SECRET,
} from './support/sessions.ts'

const read = (s: { get(key: string): unknown }) => s.get('n')
const write = (s: { update(key: string, fn: (n: unknown) => unknown): void }) =>
  s.update('n', (n = 0) => (n as number) + 1)

describe('what a request costs', () => {
  it('is no WebCrypto call when the session is not used', async () => {
    const { sessions, visit, jar } = createWorld()
    await visit(write)
    const untouched = sessions.handler(() => new Response('ok'))
    expect(await countCrypto(() => untouched(jar.request('/')) as Promise<unknown>)).toBe(0)
  })

  it('is one call for a cookie this isolate has not seen, none for one that it has', async () => {
    const { visit, jar, sessions } = createWorld({ cache: { maxEntries: 1 } })
    await visit(write)
    const header = jar.header()
    await visit(write)
    expect(await countCrypto(() => sessions.open(header))).toBe(1)
    expect(await countCrypto(() => sessions.open(header))).toBe(0)
  })

  it('is two calls to read and write a cookie not seen before, one for a known one', async () => {
    const cold = createWorld({ cache: false })
    await cold.visit(write)
    expect(await countCrypto(() => cold.visit(write))).toBe(2)
    const warm = createWorld()
    await warm.visit(write)
    expect(await countCrypto(() => warm.visit(write))).toBe(1)
  })

  it("is one call for each of a user's sessions that are listed, keys known", async () => {
    const clock = createClock()
    const { sessions, visit } = createWorld({ store: createMemoryStore({ now: clock }) }, clock)
    for (let i = 0; i < 3; i++) await visit((s) => s.login('ada'))
    await sessions.list('ada')
    expect(await countCrypto(() => sessions.list('ada'))).toBe(1)
    const { session } = await visit((s) => s.once('first', async () => 1))
    // Its id, the lease and the result.
    expect(await countCrypto(() => session.once('then', async () => 2))).toBe(3)
  })

  /** A cookie's value as if it had been sealed in another hour (unix time / 3600). */
  const withHour = (token: string, hour: number): string => {
    const bytes = decodeBase64url(token)!
    bytes.set([hour >> 16, (hour >> 8) & 255, hour & 255], 5)
    return encodeBase64url(bytes)
  }

  it('is four derived keys at most, however many hours the cookies of a request name', async () => {
    const { sessions, visit, jar, clock } = createWorld({ cookie: { name: 's' } })
    await visit(write)
    const own = (jar.header() ?? '').slice(2)
    const now = Math.floor(clock() / 3_600_000)
    const of = (hours: readonly number[], prefix: string): string =>
      hours
        .map(
          (hour, i) => `${prefix.replace('#', String(i).padStart(4, '0'))}=${withHour(own, hour)}`,
        )
        .join('; ')
    const hours = Array.from({ length: 64 }, (_, i) => now - 1 - i)
    const derived = 3
    const opened = 1
    const cost = (header: string) => countCrypto(() => sessions.open(header))
    expect(await cost(of(hours.slice(0, 32), 's'))).toBe(4 * (derived + opened))
    expect(await cost(of(hours, 's.n#'))).toBe(4 * (derived + opened))
    // All kinds of cookies of one request together.
    expect(await cost(`${of(hours.slice(0, 3), 's')}; ${of(hours, 's.n#')}`)).toBe(
      4 * (derived + opened),
    )
    // The hour of the own one is known, so it opens, whatever is there before it.
    const both = `${of(hours.slice(0, 31), 's')}; s=${own}`
    expect((await sessions.open(both)).get('n')).toBe(1)
    expect(await cost(both)).toBe(4 * (derived + opened))
  })

  it('is four derived keys at most for deferred writes too', async () => {
    const clock = createClock()
    const options = {
      cookie: { name: 's' },
      snapshot: { maxAge: 1, staleIfError: 60 },
      store: createMemoryStore({ now: clock }),
    }
    const { sessions, visit, jar } = createWorld(options, clock)
    await visit(write)
    const own = (jar.header() ?? '').slice(2)
    const now = Math.floor(clock() / 3_600_000)
    const forged = Array.from(
      { length: 64 },
      (_, i) => `s.d${1000 + i}=${withHour(own, now - 1 - i)}`,
    )
    const session = await sessions.open([`s=${own}`, ...forged].join('; '))
    expect(session.get('n')).toBe(1)
    expect(await countCrypto(() => sessions.open([`s=${own}`, ...forged].join('; ')))).toBe(16)
    // Where there is no session they are counted, to tell of them, when it is signed out.
    const nobody = await sessions.open(forged.join('; '))
    nobody.destroy()
    expect(await countCrypto(() => sessions.save(nobody))).toBe(16)
  })

  it('is no call for hours before the oldest session there can be, or ahead', async () => {
    const { sessions, visit, jar, clock } = createWorld()
    await visit(write)
    const now = Math.floor(clock() / 3_600_000)
    for (const hour of [0, 1, now - 10 * 365 * 24 - 2, now + 2, 0xffffff]) {
      const [name, token = ''] = (jar.header() ?? '').split('=')
      const header = `${name}=${withHour(token, hour)}`
      expect([hour, await countCrypto(() => sessions.open(header))]).toEqual([hour, 0])
    }
  })

  it('is no call for what cannot be a token of ours', async () => {
    const { sessions, visit } = createWorld()
    await visit(write)
    for (const value of ['', 'x', '!', 'A'.repeat(60), 'B'.repeat(5000)]) {
      expect(await countCrypto(() => sessions.open(`__Host-session=${value}`))).toBe(0)
    }
  })

  it('forgets what it knew after the ttl', async () => {
    const { visit, sessions, jar, clock } = createWorld({ cache: { ttl: 10 } })
    await visit(write)
    clock.advance(9)
    expect(await countCrypto(() => sessions.open(jar.header()))).toBe(0)
    clock.advance(1)
    expect(await countCrypto(() => sessions.open(jar.header()))).toBe(1)
  })

  it('is no serialising when the session was only read', async () => {
    let texts = 0
    const stringify = (value: unknown): string => {
      texts++
      return JSON.stringify(value)
    }
    const { visit } = createWorld({ codec: { stringify, parse: JSON.parse } })
    await visit(write)
    texts = 0
    await visit(read)
    expect(texts).toBe(0)
  })

  it('is one store call to read and one more to write', async () => {
    const { store, take } = createCountingStore()
    const { visit, sessions, jar } = createWorld({ store, now: Date.now })
    await visit((s) => s.get('n'))
    expect(take()).toEqual([])
    await visit(write)
    expect(take()).toEqual(['write'])
    await visit(read)
    expect(take()).toEqual(['read'])
    await visit(write)
    expect(take()).toEqual(['read', 'write'])
    await visit((s) => s.login('u'))
    expect(take()).toEqual(['read', 'write'])
    await sessions.handler(() => new Response('ok'))(jar.request('/'))
    expect(take()).toEqual([])
    await sessions.open('__Host-session=forged')
    expect(take()).toEqual([])
    await visit((s) => s.destroy())
    expect(take()).toEqual(['read', 'end'])
  })

  it('is one store call beside the read to sign in, also as somebody else by a second one', async () => {
    const { store, take } = createCountingStore()
    const { visit } = createWorld({ store, now: () => Date.now() })
    await visit((session) => session.set('a', 1))
    expect(take()).toEqual(['write'])
    await visit((session) => session.login('ann'))
    expect(take()).toEqual(['read', 'write'])
    await visit((session) => session.login('bob'))
    expect(take()).toEqual(['read', 'end', 'write'])
    await visit((session) => session.destroy())
    expect(take()).toEqual(['read', 'end'])
  })

  it('is one end per session that the cookies of the request open, to sign out', async () => {
    const { store, take } = createCountingStore()
    const [one, two] = [
      createWorld({ store, now: Date.now }),
      createWorld({ store, now: Date.now }),
    ]
    await one.visit((s) => s.login('ann'))
    await two.visit((s) => s.login('bob'))
    const cookie = [one.jar.header(), two.jar.header()].join('; ')
    take()
    const session = await one.sessions.open(cookie)
    session.destroy()
    await one.sessions.save(session)
    expect(take()).toEqual(['read', 'read', 'end', 'end'])
    expect((await one.sessions.open(one.jar.header())).subject).toBe(null)
    expect((await one.sessions.open(two.jar.header())).subject).toBe(null)
  })

  it('is one store call to revoke, and one per secret and pass to revoke all', async () => {
    const { store, take } = createCountingStore()
    const secret = [SECRET, OTHER_SECRET] as const
    const { sessions, visit } = createWorld({ store, now: Date.now, secret })
    const { session } = await visit((s) => s.login('ann'))
    take()
    expect(await sessions.revoke(session.id)).toBe(true)
    expect(take()).toEqual(['end'])
    await visit((s) => s.login('ann'))
    take()
    expect(await sessions.revokeAll('ann')).toBe(1)
    expect(take()).toEqual(['index.end', 'index.end', 'index.end', 'index.end'])
    const one = createWorld({ store, now: Date.now })
    expect(await one.sessions.revokeAll('ann')).toBe(0)
    expect(take()).toEqual(['index.end'])
  })

  it.each([
    ['set', (s: Session, i: number) => s.set(`k${i}`, i)],
    ['unset', (s: Session, i: number) => s.unset(`k${i}`)],
    ['increment', (s: Session) => s.increment('n')],
    ['append', (s: Session, i: number) => s.append('list', i)],
  ] as const)(
    'is one store call beside the read to %s, for each of twenty writers in twenty isolates',
    async (_, change) => {
      const { store, take } = createCountingStore()
      const first = createWorld({ store, now: Date.now })
      await first.visit((s) => {
        for (let i = 0; i < 20; i++) s.set(`k${i}`, -1)
      })
      const isolates = Array.from({ length: 20 }, () => createWorld({ store, now: Date.now }))
      const header = first.jar.header()
      const open = await Promise.all(isolates.map(({ sessions }) => sessions.open(header)))
      take()
      for (const [i, session] of open.entries()) change(session, i)
      await Promise.all(open.map((session, i) => isolates[i]!.sessions.save(session)))
      expect(take()).toEqual(Array.from({ length: 20 }, () => 'write'))
      const { data } = await first.sessions.open(header)
      const { n, list, ...keys } = data as { n?: number; list?: number[] }
      expect([0, 20]).toContain(Object.keys(keys).length)
      expect([n ?? 20, list?.length ?? 20]).toEqual([20, 20])
    },
  )

  it('is one call to open the record and one to seal it, and one more for an entry that may be needed', async () => {
    const memory = createMemoryStore()
    const { store } = createCountingStore()
    const stores = { memory, store, wrapped: { ...memory }, lagging: { ...store, atomic: false } }
    const calls: Record<string, number> = {}
    for (const [name, one] of Object.entries(stores)) {
      const { visit } = createWorld({ store: one, now: Date.now })
      await visit((session) => session.set('n', 0))
      calls[name] = await countCrypto(() => visit((session) => session.set('n', 1)))
    }
    // Where answers lag, the cookie says how new the record is.
    expect(calls).toEqual({ memory: 2, store: 3, wrapped: 2, lagging: 3 })
  })

  it('is an entry in memory only once a write was refused, and twenty writers lose nothing', async () => {
    const store = createMemoryStore()
    const { sessions, visit, jar } = createWorld({ store, now: Date.now })
    const { session } = await visit((s) => s.set('list', []))
    const open = await Promise.all(Array.from({ length: 20 }, () => sessions.open(jar.header())))
    for (const [i, one] of open.entries()) one.append('list', i)
    for (const one of open.slice(0, 2)) await sessions.save(one)
    expect((await store.read(session.id))?.entries).toBe(undefined)
    await Promise.all(open.slice(2).map((one) => sessions.save(one)))
    const entries = (await store.read(session.id))?.entries ?? []
    expect(entries.length).toBeGreaterThan(0)
    const list = (await sessions.open(jar.header())).get('list') as number[]
    expect(list.toSorted((a, b) => a - b)).toEqual([...open.keys()])
  })

  /** A request of the browser that reads and writes, made before it is counted. */
  const countRequest = async (store: SessionStore) => {
    const { visit, sessions, jar } = createWorld({ store, now: Date.now })
    await visit(write)
    const request = jar.request('/')
    const handler = sessions.handler(async () => {
      write(await sessions.get(request))
      return new Response('ok')
    })
    return await countObjects(async () => handler(request))
  }

  it('is no timer and no AbortController for a store that answers from memory', async () => {
    const memory = createMemoryStore()
    for (const store of [memory, createCountingStore().store, cached(memory, { ttl: 60 })]) {
      expect(await countRequest(store)).toEqual({ controllers: 0, timers: 0 })
    }
  })

  it('is one of each for each call of a store that waits', async () => {
    const memory = createMemoryStore()
    const { setTimeout: start } = globalThis
    const wait = (): Promise<void> => new Promise((resolve) => void start(resolve, 0))
    const waiting: SessionStore = {
      ...memory,
      read: (...args) => wait().then(() => memory.read(...args)),
      write: (...args) => wait().then(() => memory.write(...args)),
    }
    expect(await countRequest(waiting)).toEqual({ controllers: 2, timers: 2 })
  })

  it('is one store call for one request, however often it asks', async () => {
    const { store, take } = createCountingStore()
    const { visit, sessions, jar } = createWorld({ store, now: Date.now })
    await visit(write)
    take()
    const request = jar.request('/')
    await Promise.all(Array.from({ length: 20 }, () => sessions.get(request)))
    expect(take()).toEqual(['read'])
  })
})
