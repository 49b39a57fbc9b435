import { describe, expect, it } from 'vitest'
import type { Session } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { createClock } from '../../src/testing/index.ts'
import { createWorld } from '../support/sessions.ts'

/** A signed-in browser over a store that does `meanwhile` before it answers the next write once more. */
async function createOvertaken() {
  const clock = createClock()
  const memory = createMemoryStore({ now: clock })
  let meanwhile: (() => Promise<unknown>) | null = null
  const store: SessionStore = {
    ...memory,
    async write(...call) {
      const run = meanwhile
      meanwhile = null
      if (!run) return memory.write(...call)
      await memory.write(...call)
      await run()
      return memory.write(...call)
    },
  }
  const { events, frequent, jar, sessions, visit } = createWorld({ store }, clock)
  await visit((session) => session.login('ada'))
  /** What a late request is told of its commit. */
  const outcomeOf = async (late: Session): Promise<unknown[]> => {
    await sessions.save(late)
    const saved = frequent.flatMap((one) => (one.type === 'session.saved' ? one.outcome : []))
    const dropped = events.flatMap((one) => (one.type === 'commit.dropped' ? one.changes : []))
    return [saved.at(-1), ...dropped]
  }
  const before = (run: () => Promise<unknown>): void => {
    meanwhile = run
  }
  const open = () => sessions.open(jar.header())
  const rotate = () => visit((session) => session.regenerate())
  return { before, clock, open, outcomeOf, rotate }
}

describe('session.saved of a request that a rotation overtook', () => {
  it('says dropped, and how many changes, where there were some: those of tags are one', async () => {
    const changes: [(session: Session) => unknown, number][] = [
      [(session) => session.set('a', 1), 1],
      [(session) => session.tag('x', 'y'), 1],
      [(session) => [session.set('a', 1), session.set('b', 1), session.tag('x')], 3],
    ]
    for (const [use, count] of changes) {
      const { open, outcomeOf, rotate } = await createOvertaken()
      const late = await open()
      use(late)
      await rotate()
      expect(await outcomeOf(late)).toEqual(['dropped', count])
    }
  })

  it('says unchanged where there was a renewal alone', async () => {
    const { clock, open, outcomeOf, rotate } = await createOvertaken()
    clock.advance(20_000)
    const late = await open()
    await rotate()
    expect(await outcomeOf(late)).toEqual(['unchanged'])
  })

  it('says written where the rotation came after the write, and before its answer', async () => {
    const { before, open, outcomeOf, rotate } = await createOvertaken()
    const late = await open()
    late.set('a', 1)
    before(rotate)
    expect(await outcomeOf(late)).toEqual(['written'])
    expect((await open()).get('a')).toBe(1)
  })
})
