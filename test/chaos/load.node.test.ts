import { describe, expect, it } from 'vitest'
import { createSessions } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { createCookieJar } from '../../src/testing/index.ts'
import { SECRET } from '../support/sessions.ts'

const REQUESTS = 1000
const BROWSERS = 500

/** A store that answers no call until a whole round of them is under way. */
function createSlowStore() {
  const memory = createMemoryStore()
  const calls = { read: 0, write: 0, end: 0 }
  let size = REQUESTS
  let waiting: (() => void)[] = []
  async function slowly<T>(operation: keyof typeof calls, call: () => Promise<T>): Promise<T> {
    calls[operation]++
    await new Promise<void>((resolve) => {
      if (waiting.push(resolve) < size) return
      for (const answer of waiting) answer()
      waiting = []
    })
    return await call()
  }
  const store: SessionStore = {
    name: 'slow',
    atomic: true,
    read: (...args) => slowly('read', () => memory.read(...args)),
    write: (...args) => slowly('write', () => memory.write(...args)),
    end: (...args) => slowly('end', () => memory.end(...args)),
  }
  const rounds = (of: number): void => {
    size = of
  }
  return { store, calls, rounds }
}

const createHere = (store: SessionStore) =>
  // A slow machine is no outage.
  createSessions({ secret: SECRET, store, storeTimeout: 60 })

describe('1,000 overlapping requests in one isolate', () => {
  it('read once each, and see their own session only', async () => {
    const { store, calls, rounds } = createSlowStore()
    const sessions = createHere(store)
    const browsers = Array.from({ length: BROWSERS }, () => createCookieJar())
    const visit = sessions.handler(async (request) => {
      const session = await sessions.get(request)
      const again = await sessions.get(request)
      return Response.json([session.status, session.get('who'), again === session])
    })
    const signIn = sessions.handler(async (request) => {
      const session = await sessions.get(request)
      session.set('who', Number(new URL(request.url).searchParams.get('who')))
      return new Response()
    })
    rounds(BROWSERS)
    await Promise.all(browsers.map((jar, who) => jar.fetch(signIn, `/?who=${who}`)))
    expect(calls).toEqual({ read: 0, write: BROWSERS, end: 0 })
    expect(new Set(browsers.map((jar) => jar.header())).size).toBe(BROWSERS)

    // Nobody waits for anybody: else no round of all would ever come together.
    rounds(REQUESTS)
    const answers = await Promise.all(
      Array.from({ length: REQUESTS }, async (_, i) => {
        const response = await browsers[i % BROWSERS]!.fetch(visit)
        return await response.json()
      }),
    )
    expect(answers).toEqual(
      Array.from({ length: REQUESTS }, (_, i) => ['active', i % BROWSERS, true]),
    )
    expect(calls).toEqual({ read: REQUESTS, write: BROWSERS, end: 0 })
  })

  it('keep all changes, each to its own session', async () => {
    const { store, calls, rounds } = createSlowStore()
    const sessions = createHere(store)
    const browsers = Array.from({ length: REQUESTS }, () => createCookieJar())
    const add = sessions.handler(async (request) => {
      const session = await sessions.get(request)
      const who = Number(new URL(request.url).searchParams.get('who'))
      session.update('total', (total = 0) => total + who)
      return new Response()
    })
    const all = () => Promise.all(browsers.map((jar, who) => jar.fetch(add, `/?who=${who + 1}`)))
    await all()
    await all()
    expect(calls).toEqual({ read: REQUESTS, write: 2 * REQUESTS, end: 0 })
    rounds(1)
    const totals = await Promise.all(
      browsers.map(async (jar) => (await sessions.open(jar.header())).get('total')),
    )
    expect(totals).toEqual(browsers.map((_, who) => 2 * (who + 1)))
  })
})
