import { describe, expect, it } from 'vitest'
import type { Session } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createClock } from '../../src/testing/index.ts'
import { asRemote, createWorld } from '../support/sessions.ts'

/** Two overlapping requests: both read before one of them writes. */
async function overlap(first: (s: Session) => void, second: (s: Session) => void) {
  const clock = createClock()
  const world = createWorld({ store: asRemote(createMemoryStore({ now: clock })) }, clock)
  await world.visit((session) => session.set('a', 1))
  const header = world.jar.header()
  const [one, other] = [await world.sessions.open(header), await world.sessions.open(header)]
  first(one)
  second(other)
  await world.sessions.save(one)
  await world.sessions.save(other)
  const dropped = world.events.filter(({ type }) => type === 'commit.dropped')
  return { data: (await world.sessions.open(header)).data, dropped }
}

describe('additions', () => {
  it('never come to a number that JSON has no word for', async () => {
    const add = (session: Session) => session.increment('n', 1.7e308)
    expect((await overlap(add, add)).data).toEqual({ a: 1, n: 1.7e308 })
  })

  it('are told of as dropped where another request has set what nothing can be added to', async () => {
    const text = (session: Session) => session.set('n', 'none')
    const { data, dropped } = await overlap(text, (session) => {
      session.increment('n')
      session.append('m', 1)
    })
    expect(data).toEqual({ a: 1, m: [1], n: 'none' })
    expect(dropped).toMatchObject([{ reason: 'conflict', changes: 1 }])
  })

  it('are not told of as dropped where the request itself sets the key afterwards', async () => {
    const { data, dropped } = await overlap(
      (session) => session.increment('n'),
      (session) => {
        session.increment('n')
        session.set('n', 'none')
      },
    )
    expect(data).toEqual({ a: 1, n: 'none' })
    expect(dropped).toEqual([])
  })
})
