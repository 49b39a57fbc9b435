import { describe, expect, it } from 'vitest'
import { createMemoryStore } from '../src/stores/memory.ts'
import { createClock } from '../src/testing/index.ts'
import { countCrypto, createCountingStore, createWorld } from './support/sessions.ts'

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
    expect(take()).toEqual(['read', 'write', 'write'])
    await sessions.handler(() => new Response('ok'))(jar.request('/'))
    expect(take()).toEqual([])
    await sessions.open('__Host-session=forged')
    expect(take()).toEqual([])
    await visit((s) => s.destroy())
    expect(take()).toEqual(['read', 'write'])
  })

  it('is one more store call to sign in than to write', async () => {
    const { store, take } = createCountingStore()
    const { visit } = createWorld({ store, now: () => Date.now() })
    await visit((session) => session.set('a', 1))
    expect(take()).toEqual(['write'])
    await visit((session) => session.login('ann'))
    expect(take()).toEqual(['read', 'write', 'write'])
    await visit((session) => session.destroy())
    expect(take()).toEqual(['read', 'write'])
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
