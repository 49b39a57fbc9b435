import { describe, expect, it } from 'vitest'
import { createSessions, type Session } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { createFaultyStore } from '../../src/testing/index.ts'
import { SECRET } from '../support/sessions.ts'

const WRITERS = 20
const TIMES = 25

const tick = () => new Promise((resolve) => setTimeout(resolve, Math.random() * 3))

/** Many writers at once, each with its own sessions; `apart`: in isolates that share nothing. */
async function storm(
  change: (session: Session, writer: number, i: number) => void,
  apart: boolean,
  writers = WRITERS,
): Promise<{ last: Session; calls: number }> {
  const memory = createMemoryStore()
  const far = async <T>(call: () => Promise<T>): Promise<T> => {
    await tick()
    const result = await call()
    await tick()
    return result
  }
  const store = createFaultyStore({
    ...memory,
    read: (...args) => far(() => memory.read(...args)),
    write: (...args) => far(() => memory.write(...args)),
  })
  const isolate = (): SessionStore => ({
    name: 'far',
    atomic: true,
    read: (...args) => store.read(...args),
    write: (...args) => store.write(...args),
    end: (...args) => store.end(...args),
  })
  const shared = isolate()
  // A slow machine is no conflict.
  const create = () =>
    createSessions({ secret: SECRET, store: apart ? isolate() : shared, storeTimeout: 60 })
  const first = create()
  const session = await first.open(null)
  session.set('n', 0)
  const [setCookie = ''] = await first.save(session)
  const header = setCookie.split(';')[0] as string
  const before = store.calls.length
  await Promise.all(
    Array.from({ length: writers }, async (_, writer) => {
      const sessions = create()
      for (let i = 0; i < TIMES; i++) {
        const mine = await sessions.open(header)
        change(mine, writer, i)
        await sessions.save(mine)
      }
    }),
  )
  const calls = (store.calls.length - before) / (writers * TIMES)
  return { last: await first.open(header), calls }
}

describe('many writers on one session', () => {
  for (const apart of [false, true]) {
    const where = apart ? 'many isolates' : 'one isolate'
    it(`lose no value they set, in two round trips each but for merges, in ${where}`, async () => {
      const { last, calls } = await storm((session, writer, i) => {
        session.set(`key ${writer} ${i}`, i)
      }, apart)
      expect(Object.keys(last.data).length).toBe(WRITERS * TIMES + 1)
      expect(calls).toBeLessThan(2.3)
    })

    it(`lose no increment and no append, in two round trips each but for merges, in ${where}`, async () => {
      const { last, calls } = await storm((session, writer) => {
        session.increment('n')
        session.append('list', writer)
      }, apart)
      expect([last.get('n'), last.get('list').length]).toEqual([WRITERS * TIMES, WRITERS * TIMES])
      expect(calls).toBeLessThan(2.3)
    })

    it(`lose no update in ${where}`, async () => {
      const { last, calls } = await storm(
        (session) => {
          session.update('n', (n: number) => n + 1)
        },
        apart,
        6,
      )
      expect(last.get('n')).toBe(6 * TIMES)
      expect(calls).toBeLessThan(8)
    })
  }
})
