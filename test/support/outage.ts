/** 60 simulated seconds in which a store is down, under steady traffic of users with a snapshot. */
import { createSessions, type SessionEvent } from '../../src/index.ts'
import { resilient } from '../../src/stores/resilient.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { type Clock, createClock, createCookieJar, type TestApi } from '../../src/testing/index.ts'
import { SECRET } from './sessions.ts'

const USERS = 10
const BEFORE_S = 20
const DOWN_S = 60
const AFTER_S = 20

/** A store behind something that can be cut, and how many calls the dead one got. */
export interface Place {
  readonly store: SessionStore
  cut(down: boolean): void
  readonly dead: () => number
}

/** Cuts a store itself, where there is nothing in front of it that could be. */
export function cuttable(store: SessionStore): Place {
  let down = false
  let dead = 0
  const through = async <T>(call: () => Promise<T>): Promise<T> => {
    if (!down) return await call()
    dead++
    throw new Error('Network connection lost')
  }
  return {
    store: {
      ...store,
      read: (...args) => through(() => store.read(...args)),
      write: (...args) => through(() => store.write(...args)),
      end: (...args) => through(() => store.end(...args)),
    },
    cut(on) {
      down = on
    },
    dead: () => dead,
  }
}

/** No read fails, no write is lost, each deferred one is applied once, and the dead store is spared. */
export async function surviveOutage(
  createPlace: (clock: Clock) => Place,
  expect: TestApi['expect'],
): Promise<void> {
  const clock = createClock(Date.now())
  const place = createPlace(clock)
  const events: SessionEvent[] = []
  const store = resilient(place.store, {
    now: clock,
    random: () => 0.5,
    sleep: async (ms) => void clock.advanceMs(ms),
  })
  const sessions = createSessions({
    secret: SECRET,
    store,
    now: clock,
    snapshot: { maxAge: 5, staleIfError: 300 },
    onEvent: (event) => events.push(event),
  })
  const users = Array.from({ length: USERS }, (_, i) => ({
    name: `user ${i}`,
    jar: createCookieJar({ now: clock }),
    writes: 0,
    keys: [] as string[],
  }))
  let calls = 0
  const visit = async (user: (typeof users)[number], second: number) => {
    const handler = sessions.handler(async (request) => {
      const session = await sessions.get(request)
      expect([session.subject, session.get('n')]).toEqual([user.name, user.writes])
      for (const key of user.keys) expect(session.has(key)).toBe(true)
      if (second % 3 === 0) {
        session.increment('n')
        session.set(`at ${second}`, true)
        user.writes++
        user.keys = [`at ${second}`]
        if (session.has(`at ${second - 3}`)) session.unset(`at ${second - 3}`)
      }
      return new Response('')
    })
    calls++
    expect((await user.jar.fetch(handler, '/')).status).toBe(200)
  }
  for (const { name, jar } of users) {
    const handler = sessions.handler(async (request) => {
      const session = await sessions.get(request)
      session.login(name)
      session.set('n', 0)
      return new Response('')
    })
    await jar.fetch(handler, '/')
  }
  clock.advance(2)
  for (let second = 0; second < BEFORE_S + DOWN_S + AFTER_S; second++) {
    place.cut(second >= BEFORE_S && second < BEFORE_S + DOWN_S)
    for (const [i, user] of users.entries()) await visit(user, second + i)
    clock.advance(1)
  }
  expect(events.filter(({ type }) => type === 'commit.deferred').length > 100).toBe(true)
  // In a browser that has lost its copy, from the store alone.
  const plain = createSessions({ secret: SECRET, store, now: clock })
  for (const { jar, name, writes } of users) {
    const session = await plain.open(jar.header())
    expect([session.subject, session.get('n'), session.status]).toEqual([name, writes, 'active'])
    // Nothing waits any more; a note of the sign-in may be left.
    expect(jar.cookies().filter(({ name }) => name.includes('.d'))).toEqual([])
  }
  // For reads and for writes, failures until the breaker opens, and its probes: 1, 2, 4, 8, 16, 30 seconds apart.
  expect(calls > 900).toBe(true)
  expect(place.dead() <= 40).toBe(true)
}
