import { describe, expect, it } from 'vitest'
import type { Session } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createClock } from '../../src/testing/index.ts'
import { createWorld } from '../support/sessions.ts'

/** The index keys of the last record that was written. */
async function keysAfter(
  use: (session: Session) => unknown,
): Promise<readonly string[] | undefined> {
  const clock = createClock()
  const memory = createMemoryStore({ now: clock })
  const { visit } = createWorld({ store: memory }, clock)
  const { session } = await visit(use)
  return (await memory.read(session.id))!.keys
}

describe('the index keys of a record', () => {
  it('are none for a visitor who is not signed in', async () => {
    expect(await keysAfter((session) => session.set('a', 1))).toBe(undefined)
  })

  it('are one for the user, and one for each tag', async () => {
    expect(await keysAfter((session) => session.login('ada'))).toHaveLength(1)
    const keys = await keysAfter((session) => session.login('ada', { tags: ['team', 'beta'] }))
    expect(keys).toHaveLength(3)
  })

  it('are those of the tags alone where nobody is signed in', async () => {
    const tagged = await keysAfter((session) => {
      session.set('a', 1)
      session.tag('team')
    })
    const signedIn = await keysAfter((session) => session.login('ada', { tags: ['team'] }))
    expect(tagged).toEqual(signedIn?.slice(1))
  })
})

describe('the version of a record', () => {
  it('is short, and another one after each write', async () => {
    const clock = createClock()
    const memory = createMemoryStore({ now: clock })
    const { visit } = createWorld({ store: memory }, clock)
    const versions = new Set<string>()
    for (let n = 0; n < 5; n++) {
      const { session } = await visit((one) => one.set('n', n))
      const { version } = (await memory.read(session.id))!
      expect(version).toHaveLength(12)
      versions.add(version)
    }
    expect(versions.size).toBe(5)
  })
})
