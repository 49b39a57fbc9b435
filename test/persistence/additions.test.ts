import { describe, expect, it } from 'vitest'
import type { Session } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createClock } from '../../src/testing/index.ts'
import { createWorld } from '../support/sessions.ts'

/** Two overlapping requests: both read before one of them writes. */
async function overlap(first: (s: Session) => void, second: (s: Session) => void) {
  const clock = createClock()
  const world = createWorld({ store: createMemoryStore({ now: clock }) }, clock)
  await world.visit((session) => session.set('a', 1))
  const header = world.jar.header()
  const [one, other] = [await world.sessions.open(header), await world.sessions.open(header)]
  first(one)
  second(other)
  await world.sessions.save(one)
  await world.sessions.save(other)
  return (await world.sessions.open(header)).data
}

describe('additions', () => {
  it('never come to a number that JSON has no word for', async () => {
    const add = (session: Session) => session.increment('n', 1.7e308)
    expect(await overlap(add, add)).toEqual({ a: 1, n: 1.7e308 })
  })
})
