import { describe, expect, it } from 'vitest'
import { createSessions, type Session, type SessionEvent } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createClock, createCookieJar, createFaultyStore } from '../../src/testing/index.ts'
import { SECRET } from '../support/sessions.ts'

type Jar = ReturnType<typeof createCookieJar>

/** Sessions over a store that can be down, and the sums of what the events of commits say. */
function setUp() {
  const clock = createClock()
  const store = createFaultyStore(createMemoryStore({ now: clock }))
  const sums: Record<string, number> = { deferred: 0, applied: 0, dropped: 0 }
  const reasons: Record<string, number> = {}
  const onEvent = (event: SessionEvent): void => {
    if (!('changes' in event)) return
    // Dropped without having waited: no part of the sum.
    if (event.type === 'commit.dropped' && !event.deferred) return
    const kind = event.type.slice('commit.'.length)
    sums[kind] = (sums[kind] ?? 0) + event.changes
    if ('reason' in event) reasons[event.reason] = (reasons[event.reason] ?? 0) + event.changes
  }
  const snapshot = { maxAge: 1, staleIfError: 3600 }
  const sessions = createSessions({ secret: SECRET, store, now: clock, snapshot, onEvent })
  const visit = async (jar: Jar, use: (session: Session) => unknown = () => {}) => {
    const handler = sessions.handler(async (request) => {
      await use(await sessions.get(request))
      return new Response()
    })
    const { status } = await jar.fetch(handler, '/')
    expect(status).toBe(200)
  }
  const createBrowser = async (name: string): Promise<Jar> => {
    const jar = createCookieJar({ now: clock })
    await visit(jar, (session) => session.login(name))
    return jar
  }
  return { clock, createBrowser, reasons, sessions, store, sums, visit }
}

describe('deferred = applied + dropped + lost', () => {
  it('holds over an outage, in the sums of the events, and names what was dropped', async () => {
    const { clock, createBrowser, reasons, sessions, store, sums, visit } = setUp()
    const names = [
      'adds',
      'sets',
      'in conflict',
      'signs in again',
      'signs out',
      'comes late',
      'lost',
    ]
    const jars = await Promise.all(names.map(createBrowser))
    const [adds, sets, conflict, again, out, late, lost] = jars as [
      Jar,
      Jar,
      Jar,
      Jar,
      Jar,
      Jar,
      Jar,
    ]
    const before = conflict.header()
    clock.advance(5)
    store.down()
    // Three pages each, and on every one of them two changes.
    for (let page = 0; page < 3; page++) {
      for (const jar of jars) {
        await visit(jar, (session) => {
          session.increment('pages')
          if (jar === adds) session.append('list', page)
          else session.set(`page ${page}`, true)
        })
      }
      clock.advance(5)
    }
    expect(sums).toEqual({ deferred: 42, applied: 0, dropped: 0 })
    store.up()
    const other = await sessions.open(before)
    other.set('pages', 'another tab')
    await sessions.save(other)
    await visit(adds)
    await visit(sets)
    await visit(conflict)
    await visit(again, (session) => session.login('somebody else'))
    await visit(out, (session) => session.destroy())
    // What the browser has lost is told by nothing: the sum says how much it was.
    for (const { name } of lost.cookies()) if (name.includes('.d')) lost.clear()
    clock.advance(16 * 60)
    await visit(late)
    await visit(lost)
    const { applied = 0, deferred = 0, dropped = 0 } = sums
    expect({ applied, dropped, lost: deferred - applied - dropped, reasons }).toEqual({
      applied: 12,
      dropped: 18,
      lost: 12,
      reasons: { conflict: 6, ended: 12 },
    })
    for (const jar of [adds, sets]) {
      const session = await sessions.open(jar.header())
      expect(session.get('pages')).toBe(3)
    }
  })

  it('holds where a later page replaces what an earlier one has set', async () => {
    const { clock, createBrowser, sessions, store, sums, visit } = setUp()
    const jar = await createBrowser('ann')
    clock.advance(5)
    store.down()
    for (let page = 0; page < 10; page++) {
      await visit(jar, (session) => {
        session.set('page', page)
        session.increment('pages')
      })
      clock.advance(40)
    }
    store.up()
    await visit(jar)
    expect((await sessions.open(jar.header())).data).toEqual({ page: 9, pages: 10 })
    expect(sums.deferred).toBeGreaterThan(10)
    expect(sums).toEqual({ deferred: sums.deferred, applied: sums.deferred, dropped: 0 })
  })
})
