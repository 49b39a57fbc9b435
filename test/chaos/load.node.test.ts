import { describe, expect, it } from 'vitest'
import { createSessions } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { createCookieJar } from '../../src/testing/index.ts'
import { SECRET } from '../support/sessions.ts'

const REQUESTS = 1000
const BROWSERS = 500
const DELAY_MS = 50

/** A store that takes its time, and knows how many calls were under way at once. */
function createSlowStore() {
  const memory = createMemoryStore()
  const calls = { read: 0, write: 0, end: 0 }
  let active = 0
  let most = 0
  async function slowly<T>(operation: keyof typeof calls, call: () => Promise<T>): Promise<T> {
    calls[operation]++
    most = Math.max(most, ++active)
    await new Promise((resolve) => setTimeout(resolve, DELAY_MS))
    active--
    return await call()
  }
  const store: SessionStore = {
    name: 'slow',
    atomic: true,
    read: (...args) => slowly('read', () => memory.read(...args)),
    write: (...args) => slowly('write', () => memory.write(...args)),
    end: (...args) => slowly('end', () => memory.end(...args)),
  }
  return { store, calls, most: () => most }
}

describe('1,000 overlapping requests in one isolate', () => {
  it('read once each, and see their own session only', async () => {
    const { store, calls, most } = createSlowStore()
    const sessions = createSessions({ secret: SECRET, store })
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
    await Promise.all(browsers.map((jar, who) => jar.fetch(signIn, `/?who=${who}`)))
    expect(calls).toEqual({ read: 0, write: BROWSERS, end: 0 })
    expect(new Set(browsers.map((jar) => jar.header())).size).toBe(BROWSERS)

    const started = performance.now()
    const answers = await Promise.all(
      Array.from({ length: REQUESTS }, async (_, i) => {
        const response = await browsers[i % BROWSERS]!.fetch(visit)
        return await response.json()
      }),
    )
    const tookMs = performance.now() - started

    expect(answers).toEqual(
      Array.from({ length: REQUESTS }, (_, i) => ['active', i % BROWSERS, true]),
    )
    expect(calls).toEqual({ read: REQUESTS, write: BROWSERS, end: 0 })
    // Nobody waited for anybody: they were under way together.
    expect(most() > REQUESTS / 2).toBe(true)
    expect(tookMs < REQUESTS * DELAY_MS * 0.1).toBe(true)
  })

  it('keep all changes, each to its own session', async () => {
    const { store, calls } = createSlowStore()
    const sessions = createSessions({ secret: SECRET, store })
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
    const totals = await Promise.all(
      browsers.map(async (jar) => (await sessions.open(jar.header())).get('total')),
    )
    expect(totals).toEqual(browsers.map((_, who) => 2 * (who + 1)))
  })
})
