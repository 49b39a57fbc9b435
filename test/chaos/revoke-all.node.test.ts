import { describe, expect, it } from 'vitest'
import { createSessions } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { createClock, createCookieJar } from '../../src/testing/index.ts'
import { createRandom, createSchedule } from '../support/schedule.ts'
import { SECRET } from '../support/sessions.ts'

const RUNS = 3_000

/** A store whose place another one takes; the keys are derived only once. */
function createSwitch(first: SessionStore) {
  let current = first
  const index: NonNullable<SessionStore['index']> = {
    list: (...args) => current.index!.list(...args),
    end: (...args) => current.index!.end(...args),
  }
  const store: SessionStore = {
    ...first,
    index,
    read: (...args) => current.read(...args),
    write: (...args) => current.write(...args),
    end: (...args) => current.end(...args),
  }
  const to = (next: SessionStore): void => {
    current = next
  }
  return { store, to }
}

describe('sessions.revokeAll() in a storm of logins, renewals and writes', () => {
  it(`leaves no older session that answers, in ${RUNS} random orders`, async () => {
    const clock = createClock()
    const { store, to } = createSwitch(createMemoryStore())
    const options = { secret: SECRET, store, now: clock, idleTimeout: 100 }
    const sessions = createSessions({ ...options, renewAfter: 0 })
    const look = createSessions(options)
    let revoked = 0
    for (let seed = 1; seed <= RUNS; seed++) {
      const random = createRandom(seed)
      const schedule = createSchedule(random)
      const memory = createMemoryStore({ now: clock })
      to(schedule.interleave(memory))
      const jars = [1, 2].map(() => createCookieJar({ now: clock }))
      const request = (jar: (typeof jars)[number], kind: number) => () =>
        jar.fetch(
          sessions.handler(async (request) => {
            const session = await sessions.get(request)
            if (kind === 1) session.login('ann')
            if (kind === 2) session.regenerate()
            if (kind === 3) session.set('a', seed)
            return new Response('')
          }),
          '/',
        )
      for (const jar of jars) await schedule.run([request(jar, 1)])
      const before = jars.map((jar) => jar.header() as string)
      let logins = 0
      const work = jars.flatMap((jar) =>
        Array.from({ length: 2 }, () => {
          const kind = Math.floor(random() * 4)
          if (kind === 1) logins++
          return request(jar, kind)
        }),
      )
      const revoke = async () => {
        revoked += await sessions.revokeAll('ann')
      }
      await schedule.run([revoke, ...work])
      to(memory)
      for (const header of before) {
        if ((await look.open(header)).status === 'active') throw new Error(`seed ${seed}: alive`)
      }
      const listed = await look.list('ann')
      if (listed.length > logins) throw new Error(`seed ${seed}: ${listed.length} alive`)
      // The index loses nobody, and keeps nobody for ever.
      const ids = new Set(listed.map(({ id }) => id))
      for (const jar of jars) {
        const { id, status, subject } = await look.open(jar.header())
        if (status === 'active' && subject && !ids.has(id))
          throw new Error(`seed ${seed}: unlisted`)
      }
      clock.advance(101)
      if ((await look.list('ann')).length) throw new Error(`seed ${seed}: listed for ever`)
    }
    // It was worth it.
    expect(revoked > RUNS).toBe(true)
  })
})
