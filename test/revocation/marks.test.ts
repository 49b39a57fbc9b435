import { describe, expect, it } from 'vitest'
import { createSessions, type EventIdentity, identityOf } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import type { SessionStore, StoredRecord } from '../../src/stores/store.ts'
import { createClock, createFaultyStore } from '../../src/testing/index.ts'
import { createWorld, errorOf, SECRET } from '../support/sessions.ts'

const FAULT = { type: 'throw-before' } as const

/** Sessions in cookies whose marks are in a memory store, of which `change` may make another one. */
function createMarked(
  change: (memory: SessionStore) => Partial<SessionStore> = () => ({}),
  more: { onFailure?: 'open' | 'closed'; maxEntries?: number } = {},
) {
  const clock = createClock()
  const { maxEntries = 1000, ...settings } = more
  const memory = createMemoryStore({ now: clock, maxEntries })
  const store = createFaultyStore({ ...memory, ...change(memory) })
  const who: (EventIdentity | null)[] = []
  const world = createWorld(
    {
      revocations: { store, ...settings },
      onEvent: (event) => {
        if (event.type === 'session.ended') who.push(identityOf(event))
      },
    },
    clock,
  )
  const { sessions } = world
  /** Signs somebody in, in a browser of their own, and returns its id and cookie. */
  const signIn = async (subject: string | null, options = {}) => {
    const session = await sessions.open(null)
    session.set('n', 1)
    if (subject !== null) session.login(subject, options)
    const [setCookie = ''] = await sessions.save(session)
    return { id: session.id, header: setCookie.split(';')[0] as string }
  }
  const signOut = async (header: string) => {
    const session = await sessions.open(header)
    session.destroy()
    return sessions.save(session)
  }
  const statusOf = async (header: string) => (await sessions.open(header)).status
  /** The records of marks, without what does not differ. */
  const marks = async () => (await memory.page!(null)).records.map(({ record }) => record)
  let told = 0
  /** The calls since the last time. */
  const calls = (): string[] => {
    const all = store.calls.slice(told).map(({ operation }) => operation)
    told = store.calls.length
    return all
  }
  return { ...world, calls, marks, memory, signIn, signOut, statusOf, store, who }
}

describe('marks of which only some can be read', () => {
  it.each(['user', 'session'] as const)(
    '(not that of the %s) count as a failure',
    async (which) => {
      for (const onFailure of ['open', 'closed'] as const) {
        const reads = (memory: SessionStore): Partial<SessionStore> => ({
          read: async (id, options) => {
            if (isDown && (id === `revoked-${own}`) === (which === 'session'))
              throw new Error('down')
            return memory.read(id, options)
          },
        })
        let [isDown, own] = [false, '']
        const { sessions, signIn, statusOf } = createMarked(reads, { onFailure })
        const { header, id } = await signIn('ann')
        own = id
        isDown = true
        expect(await statusOf(header)).toBe('degraded')
        const session = await sessions.open(header)
        expect(session.subject).toBe(onFailure === 'open' ? 'ann' : null)
        if (onFailure === 'closed') {
          const request = new Request('https://example.com/', { headers: { cookie: header } })
          const error = await errorOf(() => sessions.require(request))
          expect(error.code).toBe('ERR_STORE_UNAVAILABLE')
        }
        isDown = false
      }
    },
  )

  it('end the session where one that can be read says so', async () => {
    const { clock, sessions, signIn, statusOf, store } = createMarked()
    const { header, id } = await signIn('ann')
    clock.advance(1)
    await sessions.revokeAll('ann')
    store.down(FAULT, 'read')
    // The mark of the user is known here, that of the session is not.
    expect(await statusOf(header)).toBe('missing')
    store.up()
    expect(await sessions.revoke(id)).toBe(true)
  })

  it('of a user count as a failure where they say nothing that is of us', async () => {
    for (const value of [
      '',
      'x',
      '12x',
      'x12',
      '12.short',
      '.',
      '1,',
      ` 1`,
      `1.${'a'.repeat(23)}`,
    ]) {
      const { clock, memory, marks, sessions, signIn, statusOf } = createMarked()
      await sessions.revokeAll('ann')
      const [mark] = await marks()
      const [{ id } = { id: '' }] = (await memory.page!(null)).records
      await memory.write(id, { ...mark!, value, version: 'v' }, mark!.version)
      clock.advance(10)
      const { header } = await signIn('ann')
      expect([value, await statusOf(header)]).toEqual([value, 'degraded'])
    }
  })
})

describe('revokeAll() that spares one session', () => {
  it('spares it, however often it is repeated', async () => {
    const { clock, marks, sessions, signIn, statusOf } = createMarked()
    const [own, other] = [await signIn('ann'), await signIn('ann')]
    for (let i = 0; i < 20; i++) {
      clock.advance(1)
      await sessions.revokeAll('ann', { except: own.id })
    }
    expect(await statusOf(own.header)).toBe('active')
    expect(await statusOf(other.header)).toBe('missing')
    expect((await marks())[0]!.value.split(',')).toHaveLength(1)
  })

  it('remembers the last eight that were spared', async () => {
    const { clock, marks, sessions, signIn } = createMarked()
    const counts: number[] = []
    for (let i = 0; i < 10; i++) {
      const { id } = await signIn('ann')
      clock.advance(1)
      await sessions.revokeAll('ann', { except: id })
      counts.push((await marks())[0]!.value.split(',').length)
    }
    expect(counts).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 8, 8])
  })
})

describe('a sign-out', () => {
  it('leaves no mark of a session that is over anyway', async () => {
    const { calls, clock, signIn, signOut } = createMarked()
    const over = await signIn('ann', { absoluteTimeout: 60, idleTimeout: 60 })
    const own = await signIn('ann')
    clock.advance(61)
    calls()
    await signOut(`${over.header}; ${own.header}`)
    expect(calls().filter((one) => one === 'write')).toHaveLength(1)
  })

  it('is not forgotten for an answer that was under way before it', async () => {
    let hold: Promise<void> | undefined
    const { calls, clock, sessions, signIn, signOut, statusOf } = createMarked((memory) => ({
      read: async (id, options) => {
        const record = await memory.read(id, options)
        await hold
        return record
      },
    }))
    const { header } = await signIn('ann')
    await sessions.open(header)
    clock.advance(5)
    let release = () => {}
    hold = new Promise((resolve) => {
      release = resolve
    })
    const slow = sessions.open(header)
    await new Promise((resolve) => setTimeout(resolve, 5))
    hold = undefined
    await signOut(header)
    release()
    await slow
    calls()
    expect(await statusOf(header)).toBe('missing')
  })
})

describe('a mark', () => {
  it('is written in one call, and not again where it would say the same', async () => {
    const { calls, sessions, signIn } = createMarked()
    const { id } = await signIn('ann')
    await sessions.revoke(id, { subject: 'ann' })
    expect(calls()).toEqual(['write'])
    await sessions.revoke(id, { subject: 'ann' })
    // The store refuses to create it.
    expect(calls()).toEqual(['write'])
    await sessions.revoke(id)
    expect(calls()).toEqual(['write', 'write'])
  })

  it('keeps what others left in it, in a store that cannot refuse a write', async () => {
    const { calls, sessions, signIn, statusOf } = createMarked((memory) => ({
      atomic: false,
      write: async (id, record, _, options) => {
        const there = await memory.read(id)
        return memory.write(id, record, there?.version ?? null, options)
      },
    }))
    const { header, id } = await signIn('ann')
    await sessions.revoke(id, { subject: 'ann' })
    await sessions.revoke(id, { subject: 'bob' })
    expect(calls()).toEqual(['read', 'write', 'read', 'write'])
    expect(await statusOf(header)).toBe('missing')
  })

  it('of a user, which its sign-out leaves too, is in no index, and outlives those of visitors', async () => {
    const { marks, memory, sessions, signIn, signOut } = createMarked(undefined, { maxEntries: 3 })
    const [own, revoked] = [await signIn('ann'), await signIn('bob')]
    await signOut(own.header)
    await sessions.revoke(revoked.id)
    const owned = await marks()
    expect(owned.map(({ keys }) => keys)).toEqual([[], []])
    for (let i = 0; i < 5; i++) await signOut((await signIn(null)).header)
    const values = (await marks()).map(({ value }) => value)
    for (const { value } of owned) expect(values).toContain(value)
    for (const { id } of [own, revoked]) expect(await memory.read(`revoked-${id}`)).not.toBe(null)
  })

  it('that others keep changing fails with a conflict at the deadline, and is told of', async () => {
    let there: StoredRecord | null = null
    const { clock, sessions, signIn } = createMarked(() => ({
      write: async (_, record) => {
        clock.advance(1)
        there = { ...record, value: '1', version: `${clock()}` }
        return { ok: false, current: there }
      },
    }))
    const error = await errorOf(() => sessions.revokeAll('ann'))
    expect([error.code, error.message]).toEqual([
      'ERR_SESSION_CONFLICT',
      'Cannot revoke: other requests kept changing the mark',
    ])
    expect((await signIn('ann')).header).toContain('=')
  })

  it('is told of with the tag or the user, and whom it spares', async () => {
    const { sessions, signIn, who } = createMarked()
    const { id } = await signIn('ann')
    await sessions.revokeBy('tenant:7', { except: id })
    await sessions.revokeAll('ann', { except: id })
    expect(who).toMatchObject([
      { subject: null, tag: 'tenant:7', except: id },
      { subject: 'ann', tag: null, except: id },
    ])
  })

  it('is looked for with the options of the sessions that find it', async () => {
    const { clock, memory, sessions, signIn } = createMarked()
    const { header, id } = await signIn('ann')
    await sessions.revoke(id)
    const longer = createSessions({
      secret: SECRET,
      now: clock,
      revocations: { store: memory, ttl: 0 },
    })
    expect((await longer.open(header)).status).toBe('missing')
  })
})
