import { describe, expect, it } from 'vitest'
import type { Claims } from '../../src/codec/session-record.ts'
import type { Session, SessionsOptions } from '../../src/index.ts'
import { getDraft, instanceOf } from '../../src/session/instances.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createClock, createFaultyStore } from '../../src/testing/index.ts'
import { createWorld } from '../support/sessions.ts'

const CLAIMS: Claims = { t: ['tenant:7'], f: { passkey: 1000 }, a: 'support' }

/** Gives a session claims, as an operation that commits replay. */
function claim(session: Session): void {
  session.regenerate()
  const draft = getDraft(session)
  const set = (state: typeof draft.current) => ({ ...state, claims: CLAIMS })
  draft.operations.push(set)
  draft.current = set(draft.current)
}
const claimsOf = (session: Session) => getDraft(session).current.claims

const places: [string, Partial<SessionsOptions> | null][] = [
  ['in cookies', null],
  ['in a store', {}],
  ['in a store, with snapshots', { snapshot: { maxAge: 60 } }],
  ['sealed by the cookie', { seal: 'cookie' }],
]

/** Sessions over a memory store, in one time with it. */
function createStored(options: Partial<SessionsOptions> = {}) {
  const clock = createClock()
  const store = createFaultyStore(createMemoryStore({ now: clock }))
  return { store, ...createWorld({ store, ...options }, clock) }
}

describe.each(places)('claims of sessions %s', (_place, options) => {
  const start = async () => {
    const world = options
      ? createStored({ cache: false, ...options })
      : createWorld({ cache: false })
    await world.visit((s) => s.login('ann'))
    await world.visit(claim)
    return world
  }

  it('are there in later requests, after writes, renewals and rotations', async () => {
    const { clock, events, visit } = await start()
    await visit((s) => s.set('a', 1))
    expect(claimsOf((await visit()).session)).toEqual(CLAIMS)
    clock.advance(80_000)
    await visit()
    expect(events.at(-1)?.type).toBe('session.renewed')
    await visit((s) => s.regenerate())
    expect(claimsOf((await visit()).session)).toEqual(CLAIMS)
  })

  it('are dropped by a login as somebody else and by destroy', async () => {
    const { visit } = await start()
    const destroyed = await visit((s) => s.destroy())
    expect(claimsOf(destroyed.session)).toBeUndefined()
    await visit((s) => s.login('ann'))
    await visit(claim)
    await visit((s) => s.login('bob'))
    const { session } = await visit()
    expect([session.subject, claimsOf(session)]).toEqual(['bob', undefined])
  })
})

describe('claims', () => {
  it('are not in an id-only cookie', async () => {
    const { jar, sessions, visit } = createStored()
    await visit((s) => s.login('ann'))
    await visit(claim)
    const { cookie, tokens } = instanceOf(sessions)
    const cookies = cookie.find(jar.header('/'))
    expect(claimsOf(await sessions.open(jar.header('/')))).toEqual(CLAIMS)
    const claims = (await tokens.openAll(cookies)).map(({ opened }) => opened.claims)
    expect(claims).toEqual([undefined])
  })

  it('stay with appended entries and deferred writes', async () => {
    const { jar, sessions, store, visit } = createStored({
      snapshot: { maxAge: 0, staleIfError: 600 },
    })
    await visit((s) => s.login('ann'))
    await visit(claim)
    const header = jar.header('/')
    const both = await Promise.all([sessions.open(header), sessions.open(header)])
    for (const session of both) session.increment('n')
    for (const session of both) await sessions.save(session)
    store.down()
    const during = await visit((s) => s.increment('n'))
    expect([during.session.status, claimsOf(during.session)]).toEqual(['degraded', CLAIMS])
    store.up()
    const { session } = await visit()
    expect([session.data.n, claimsOf(session)]).toEqual([3, CLAIMS])
  })
})
