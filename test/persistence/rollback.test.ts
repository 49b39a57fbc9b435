import { describe, expect, it } from 'vitest'
import { StoreUnavailableError } from '../../src/errors.ts'
import type { SessionsOptions } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import type { SessionStore, StoredRecord } from '../../src/stores/store.ts'
import { createClock } from '../../src/testing/index.ts'
import { createWorld, errorOf } from '../support/sessions.ts'

/** A user whose store goes back to what it had, and counts its calls. */
async function createRollback(options: Partial<SessionsOptions> = {}) {
  const clock = createClock()
  let memory = createMemoryStore({ now: clock })
  let isDown = false
  const calls: string[] = []
  const store: SessionStore = {
    name: 'memory',
    atomic: true,
    read: (...call) => {
      calls.push('read')
      return memory.read(...call)
    },
    write: async (...call) => {
      calls.push('write')
      if (isDown) throw new StoreUnavailableError('Down')
      return memory.write(...call)
    },
    end: (...call) => memory.end(...call),
  }
  const world = createWorld({ store, ...options }, clock)
  const { session } = await world.visit((one) => one.login('ada'))
  const look = (header = world.jar.header()) => world.sessions.open(header)
  const keep = async (): Promise<StoredRecord> => (await memory.read(session.id))!
  /** The store has lost all that came after `record`. */
  const goBack = async (record: StoredRecord): Promise<void> => {
    memory = createMemoryStore({ now: clock })
    await memory.write(session.id, record, null)
    calls.length = 0
  }
  const failing = async (run: () => Promise<unknown>): Promise<void> => {
    isDown = true
    await run()
    isDown = false
  }
  const told = (): unknown[] => world.events.filter(({ type }) => type === 'store.rolled-back')
  return { ...world, calls, failing, goBack, keep, look, told }
}

describe("onRollback: 'refuse'", () => {
  const options = { onRollback: 'refuse', onCorruption: 'throw' } as const

  it('refuses a session whose last writes the store has lost', async () => {
    const { goBack, keep, look, visit } = await createRollback(options)
    const before = await keep()
    await visit((session) => session.set('n', 1))
    await visit((session) => session.regenerate())
    await goBack(before)
    expect((await errorOf(() => look())).code).toBe('ERR_SESSION_CORRUPT')
  })

  it('refuses no session whose rotation never reached the store: nothing is lost', async () => {
    const { failing, look, told, visit } = await createRollback(options)
    await failing(() => visit((session) => session.regenerate()))
    expect([(await look()).subject, told()]).toEqual(['ada', []])
  })
})

describe('a store that has lost its last writes', () => {
  it('has no proof of a user whose sign-in it lost', async () => {
    const clock = createClock()
    const memory = createMemoryStore({ now: clock })
    const { jar, sessions, visit } = createWorld({ store: memory, snapshot: { maxAge: 10 } }, clock)
    const { session } = await visit((one) => one.set('n', 1))
    const before = (await memory.read(session.id))!
    const other = await sessions.open(jar.header())
    await visit((one) => one.login('ada'))
    const late = await sessions.open(jar.header())
    late.elevate('passkey')
    await memory.write(session.id, before, (await memory.read(session.id))!.version)
    other.set('n', 2)
    await sessions.save(other)
    await sessions.save(late)
    expect([late.subject, late.get('n'), late.factors]).toEqual([null, 2, {}])
  })

  it('is told of by the first request, which writes the session back; the next one reads once', async () => {
    const { calls, goBack, keep, look, told, visit } = await createRollback()
    const before = await keep()
    await visit((session) => session.regenerate())
    await goBack(before)
    await visit()
    expect([told().length, calls.splice(0)]).toEqual([1, ['read', 'read', 'write']])
    expect([(await look()).subject, told().length, calls]).toEqual(['ada', 1, ['read']])
  })

  it('costs one read again where another isolate has written the session back', async () => {
    const { calls, failing, goBack, keep, look, visit } = await createRollback()
    await visit((session) => session.set('n', 1))
    const header = (await visit((session) => session.regenerate())).setCookie[0]!.split(';')[0]!
    const before = await keep()
    await visit((session) => session.set('n', 2))
    await goBack(before)
    await failing(() => look(header))
    expect(calls.splice(0)).toEqual(['read', 'read'])
    await look(header)
    expect(calls).toEqual(['read'])
  })

  it("has no session with seal: 'cookie' where only the credential before opens its record", async () => {
    const { goBack, keep, look, visit } = await createRollback({ seal: 'cookie' })
    const before = await keep()
    await visit((session) => session.regenerate())
    await goBack(before)
    expect((await look()).status).toBe('missing')
  })
})
