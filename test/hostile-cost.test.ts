import { describe, expect, it } from 'vitest'
import type { Session } from '../src/index.ts'
import { createClock, createCookieJar } from '../src/testing/index.ts'
import { countCrypto, createCountingStore, createWorld } from './support/sessions.ts'

/** Numbers of calls by name. */
function tally(calls: readonly string[]): Record<string, number> {
  const names = ['read', 'write', 'end']
  return Object.fromEntries(names.map((name) => [name, calls.filter((one) => one === name).length]))
}

/** A visitor who has collected cookies of 40 sessions of their own, and notes of 20 sign-ins, all of them good. */
async function createCollector() {
  const clock = createClock()
  const { store, take } = createCountingStore(clock)
  const { sessions } = createWorld({ store, cookie: { name: 's' }, cache: false }, clock)
  const pairs: string[] = []
  for (let i = 0; i < 60; i++) {
    const jar = createCookieJar({ now: clock })
    const visit = (use: (session: Session) => void) => {
      const handler = sessions.handler(async (request) => {
        use(await sessions.get(request))
        return new Response('ok')
      })
      return jar.fetch(handler, '/')
    }
    await visit((session) => session.set('n', i))
    const isNote = i < 20
    if (isNote) await visit((session) => session.login(`user-${i}`))
    const sent = (jar.header() ?? '').split('; ')
    pairs.push(...sent.filter((pair) => pair.startsWith(isNote ? 's.n' : 's=')))
  }
  expect(pairs).toHaveLength(60)
  take()
  /** One request with all of these; returns what it cost. */
  const ask = async (use: (session: Session) => void = () => {}) => {
    let status = ''
    const crypto = await countCrypto(async () => {
      const session = await sessions.open(pairs.join('; '))
      use(session)
      await sessions.save(session)
      status = session.status
    })
    return { status, crypto, calls: tally(take()) }
  }
  return ask
}

describe('the cost of a request with every cookie that a visitor could collect', () => {
  it('is one read of the store where the first session is live', async () => {
    const ask = await createCollector()
    const { calls, crypto, status } = await ask()
    expect([status, calls]).toEqual(['active', { read: 1, write: 0, end: 0 }])
    // 32 cookies, 16 notes and a record are opened; the first note is put right by a cookie.
    expect(crypto).toBe(32 + 16 + 1 + 1)
  })

  it('is three sessions, each of them read twice, where all have ended', async () => {
    const ask = await createCollector()
    await ask((session) => session.destroy())
    const { calls, crypto, status } = await ask()
    expect([status, calls]).toEqual(['missing', { read: 6, write: 0, end: 0 }])
    expect(crypto).toBe(32 + 16)
  })

  it('is a read and an end for each session that a sign-out ends, 48 at most', async () => {
    const ask = await createCollector()
    const { calls, crypto } = await ask((session) => session.destroy())
    expect(calls).toEqual({ read: 48, write: 0, end: 48 })
    // Cookies and notes are opened with the request and for the end, notes for the one that the end leaves, too.
    expect(crypto).toBe(2 * (32 + 16) + 16 + 48 + 1)
  })
})

describe('the cost of a request with the cookies of 40 sessions that have ended, where sessions live in them', () => {
  it('is the marks of three: each of its own, of its user and of its tags', async () => {
    const clock = createClock()
    const { store, take } = createCountingStore(clock)
    const { sessions } = createWorld(
      { revocations: { store }, cookie: { name: 's' }, cache: false },
      clock,
    )
    const pairs: string[] = []
    for (let i = 0; i < 40; i++) {
      const session = await sessions.open(null)
      session.login(`user ${i}`, { tags: Array.from({ length: 8 }, (_, n) => `tag ${i} ${n}`) })
      const [setCookie = ''] = await sessions.save(session)
      pairs.push(setCookie.split(';')[0] as string)
      await sessions.revoke(session.id)
    }
    let status = ''
    const ask = () => {
      // What was left or asked for lately is remembered.
      clock.advance(60)
      take()
      return countCrypto(async () => {
        status = (await sessions.open(pairs.join('; '))).status
      })
    }
    const first = await ask()
    expect([status, tally(take())]).toEqual(['missing', { read: 3 * 10, write: 0, end: 0 }])
    const second = await ask()
    expect(tally(take())).toEqual({ read: 3 * 10, write: 0, end: 0 })
    // 32 cookies are opened three times over. Names are hashed once, under keys that are derived at first.
    expect([first < 200, second]).toEqual([true, 3 * 32])
  })
})
