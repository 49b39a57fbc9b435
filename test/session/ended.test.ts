import { describe, expect, it } from 'vitest'
import { type EventIdentity, identityOf, type SessionEvent } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createClock } from '../../src/testing/index.ts'
import { createPlace, places } from '../support/places.ts'
import { createWorld, errorOf, OTHER_SECRET } from '../support/sessions.ts'

/** Sessions of a place, with the ends that were told so far and whom they were about. */
function createEnds(
  options: Parameters<typeof createPlace>[0],
  more: Parameters<typeof createPlace>[1] = {},
) {
  const told: { event: SessionEvent; who: EventIdentity | null }[] = []
  const onEvent = (event: SessionEvent): void => {
    told.push({ event, who: identityOf(event) })
  }
  const world = createPlace(options, { onEvent, ...more })
  /** The ends since the last time, without their times. */
  const ends = () =>
    told
      .splice(0)
      .filter(({ event }) => event.type === 'session.ended')
      .map(({ event: { at: _, ...event }, who }) => ({ ...event, who }))
  return { ...world, ends, told }
}

const type = 'session.ended'
const session = expect.stringMatching(/^[a-z\d]{1,7}$/)

describe.each(places)('session.ended %s', (_place, options) => {
  it('tells of destroy, with the reason of the application', async () => {
    const { ends, visit } = createEnds(options)
    const { id } = (await visit((s) => s.login('ann', { label: 'a telephone' }))).session
    const who = {
      id,
      subject: 'ann',
      label: 'a telephone',
      actor: null,
      tags: [],
      tag: null,
      except: null,
    }
    ends()
    await visit((s) => s.destroy({ reason: 'password changed' }))
    const end = { type, by: 'destroy', count: 1, session, reason: 'password changed', who }
    expect(ends()).toEqual([end])
    await visit((s) => s.login('ann'))
    await visit((s) => s.destroy())
    const [plain] = ends()
    expect(plain).toEqual({ type, by: 'destroy', count: 1, session, who: expect.any(Object) })
  })

  it('tells of a login as somebody else, and of one with another actor', async () => {
    const { ends, visit } = createEnds(options)
    const ann = (await visit((s) => s.login('ann'))).session.id
    await visit((s) => s.login('bob'))
    const by = 'login'
    const none = { label: null, actor: null, tags: [], tag: null, except: null }
    const end = { type, by, count: 1, session, who: { id: ann, subject: 'ann', ...none } }
    expect(ends()).toEqual([end])
    const bob = (await visit()).session.id
    await visit((s) => s.login('carol', { actor: 'bob' }))
    expect(ends()).toMatchObject([{ by, who: { id: bob, subject: 'bob', actor: null } }])
    const acting = (await visit()).session.id
    await visit((s) => s.login('bob'))
    const who = { id: acting, subject: 'carol', actor: 'bob' }
    expect(ends()).toMatchObject([{ by, who, actor: expect.any(String) }])
    await visit((s) => s.login('bob'))
    await visit((s) => s.regenerate())
    expect(ends()).toEqual([])
  })

  it('tells nothing where nothing has begun', async () => {
    const { ends, visit } = createEnds(options)
    await visit((s) => s.destroy())
    await visit((s) => s.set('a', 1))
    ends()
    await visit((s) => s.login('ann'))
    expect(ends()).toEqual([])
  })

  it('names an actor by a keyed hash, the same in all events', async () => {
    const { told, visit } = createEnds(options)
    await visit((s) => s.login('ann', { actor: 'support-7' }))
    await visit((s) => s.elevate('totp'))
    await visit((s) => s.destroy())
    const acted = told.filter(({ event }) => 'actor' in event)
    expect(acted.map(({ event }) => event.type)).toEqual([
      'session.created',
      'session.login',
      'session.regenerated',
      'session.ended',
    ])
    const names = acted.map(({ event }) => (event as { actor: string }).actor)
    expect(new Set(names).size).toBe(1)
    expect(names[0]).toMatch(/^[\w-]{7}$/)
    expect(acted.every(({ who }) => who?.actor === 'support-7')).toBe(true)
    const other = createEnds(options, { secret: OTHER_SECRET })
    await other.visit((s) => s.login('ann', { actor: 'support-7' }))
    const theirs = other.told.find(({ event }) => 'actor' in event)?.event
    expect((theirs as { actor: string }).actor).not.toBe(names[0])
  })

  it.each([7, null, {}, 'x'.repeat(201)])('destroy refuses the reason %j', async (reason) => {
    const { ends, visit } = createEnds(options)
    await visit((s) => s.login('ann'))
    let error: unknown
    await visit(async (s) => {
      error = await errorOf(() => s.destroy({ reason: reason as string }))
    })
    expect(error).toBeInstanceOf(TypeError)
    expect([(await visit()).session.subject, ends()]).toEqual(['ann', []])
  })
})

describe('session.ended in a store', () => {
  it('names an actor whom this isolate has not met before', async () => {
    const { clock, jar, store, visit } = createEnds({})
    await visit((s) => s.login('ann', { actor: 'support-7' }))
    const { events, sessions } = createWorld({ store }, clock)
    const elsewhere = await sessions.open(jar.header('/'))
    elsewhere.destroy()
    await sessions.save(elsewhere)
    expect(events).toMatchObject([{ type, actor: expect.stringMatching(/^[\w-]{7}$/) }])
  })

  it('tells of revoke, with its reason; with "subject" only of that user', async () => {
    const { ends, sessions, visit } = createEnds({})
    const { id } = (await visit((s) => s.login('ann'))).session
    expect(await sessions.revoke(id, { subject: 'bob', reason: 'by bob' })).toBe(false)
    expect(ends()).toEqual([])
    expect(await sessions.revoke(id, { subject: 'ann', reason: 'by ann' })).toBe(true)
    const none = { label: null, actor: null, tags: [], tag: null, except: null }
    const end = { type, by: 'id', count: 1, session, reason: 'by ann' }
    expect(ends()).toEqual([{ ...end, who: { id, subject: 'ann', ...none } }])
    await sessions.revoke(id)
    expect(ends()).toMatchObject([{ by: 'id', count: 0, who: { id, subject: null } }])
  })

  it('tells of revokeAll once, with its reason and the session that goes on', async () => {
    const { ends, jar, sessions, visit } = createEnds({})
    await visit((s) => s.login('ann'))
    jar.clear()
    const { id } = (await visit((s) => s.login('ann'))).session
    expect(await sessions.revokeAll('ann', { except: id, reason: 'new password' })).toBe(1)
    const who = {
      id: null,
      subject: 'ann',
      label: null,
      actor: null,
      tags: [],
      tag: null,
      except: id,
    }
    expect(ends()).toEqual([{ type, by: 'subject', count: 1, reason: 'new password', who }])
  })

  it('tells of revokeBy once, with its tag and its reason', async () => {
    const { ends, sessions, told, visit } = createEnds({})
    await visit((s) => s.login('ann', { tags: ['tenant:7', 'sid:1'] }))
    const login = told.find(({ event }) => event.type === 'session.login')
    expect(login?.who?.tags).toEqual(['tenant:7', 'sid:1'])
    ends()
    expect(await sessions.revokeBy('tenant:7', { reason: 'contract over' })).toBe(1)
    const who = { id: null, subject: null, tags: [], tag: 'tenant:7', except: null }
    expect(ends()).toMatchObject([{ by: 'tag', count: 1, reason: 'contract over', who }])
  })

  it('tells of each session that a sign-in beyond maxSessions ended', async () => {
    const { clock, ends, jar, visit } = createEnds({}, { maxSessions: 1 })
    const old = { label: 'old', actor: 'support-7' }
    const { id } = (await visit((s) => s.login('ann', old))).session
    clock.advance(1)
    jar.clear()
    await visit((s) => s.login('ann', { ...old, label: 'new' }))
    const who = { id, subject: 'ann', ...old }
    expect(ends()).toMatchObject([{ by: 'cap', count: 1, session, who }])
  })

  it.each([7, null, 'x'.repeat(201)])(
    'revoke and revokeAll refuse the reason %j',
    async (reason) => {
      const { ends, sessions, visit } = createEnds({})
      const { id } = (await visit((s) => s.login('ann'))).session
      const given = { reason: reason as string }
      expect(await errorOf(() => sessions.revoke(id, given))).toBeInstanceOf(TypeError)
      expect(await errorOf(() => sessions.revokeAll('ann', given))).toBeInstanceOf(TypeError)
      expect(await errorOf(() => sessions.revokeBy('tag', given))).toBeInstanceOf(TypeError)
      expect(await errorOf(() => sessions.revokeBy('tag', given))).toBeInstanceOf(TypeError)
      expect([(await sessions.list('ann')).length, ends()]).toEqual([1, []])
    },
  )

  it('tells of a replaced cookie that came back, where that ends the session', async () => {
    const { clock, ends, jar, sessions, visit } = createEnds({}, { onReuse: 'revoke' })
    const { id } = (await visit((s) => s.login('ann', { actor: 'support-7' }))).session
    const copy = jar.header('/')
    await visit((s) => s.regenerate())
    clock.advance(31)
    await sessions.open(copy)
    const who = { id, subject: 'ann', actor: 'support-7' }
    expect(ends()).toMatchObject([
      { by: 'reuse', count: 1, session, actor: expect.any(String), who },
    ])
    expect(await sessions.list('ann')).toEqual([])
  })

  it('tells of every session that a request signs out of', async () => {
    const { ends, jar, sessions, visit } = createEnds({})
    const first = (await visit((s) => s.login('ann'))).session.id
    const one = jar.header('/')
    jar.clear()
    const second = (await visit((s) => s.login('bob'))).session.id
    const both = await sessions.open(`${one}; ${jar.header('/')}`)
    both.destroy({ reason: 'both' })
    await sessions.save(both)
    const told = ends()
    expect(told.map(({ who }) => who?.id).sort()).toEqual([first, second].sort())
    expect(told.every((end) => 'reason' in end && end.reason === 'both')).toBe(true)
  })

  it('tells of a sign-out by a request whose cookie was replaced meanwhile', async () => {
    const { ends, jar, sessions, visit } = createEnds({})
    const { id } = (await visit((s) => s.login('ann'))).session
    const before = jar.header('/')
    await visit((s) => s.regenerate())
    const late = await sessions.open(before)
    late.destroy()
    await sessions.save(late)
    expect(ends()).toMatchObject([{ by: 'destroy', who: { id, subject: 'ann' } }])
  })

  it('is not told while the store fails, and once it has ended', async () => {
    const { ends, jar, sessions, store, visit } = createEnds({ snapshot: { maxAge: 60 } })
    await visit((s) => s.login('ann'))
    const session = await sessions.open(jar.header('/'))
    session.destroy()
    store.down()
    await errorOf(() => sessions.save(session))
    expect(ends()).toEqual([])
    store.up()
    await sessions.save(session)
    expect(ends()).toMatchObject([{ by: 'destroy', count: 1 }])
  })
})

describe('session.ended with revocations', () => {
  it('tells of revoke and revokeAll, with the reason', async () => {
    const clock = createClock()
    const revocations = { store: createMemoryStore({ now: clock }) }
    const told: unknown[] = []
    const onEvent = (event: SessionEvent): void => {
      if (event.type === type) told.push({ ...event, who: identityOf(event) })
    }
    const { sessions, visit } = createWorld({ revocations, onEvent }, clock)
    const { id } = (await visit((s) => s.login('ann'))).session
    await sessions.revoke(id, { subject: 'ann', reason: 'lost' })
    await sessions.revokeAll('ann', { reason: 'new password' })
    expect(told).toMatchObject([
      { by: 'id', count: 1, reason: 'lost', who: { id, subject: 'ann' } },
      { by: 'subject', count: 1, reason: 'new password', who: { id: null, subject: 'ann' } },
    ])
  })
})

describe('identityOf()', () => {
  it('knows nothing of a copy, nor of an event about no session', async () => {
    const { told, visit } = createEnds({})
    await visit((s) => s.login('ann'))
    const login = told.find(({ event }) => event.type === 'session.login')!
    expect(login.who?.subject).toBe('ann')
    expect(identityOf({ ...login.event })).toBe(null)
    const opened = told.find(({ event }) => event.type === 'session.opened')!
    expect(opened.who).toBe(null)
  })
})

it('destroy() removes a cookie that does not open, with its chunks', async () => {
  const { sessions } = createWorld({ cookie: { name: 's' } })
  for (const header of ['s=forged', 's=forged; s.1=forged', 's=forged; s.1=forged; s.2=forged']) {
    const session = await sessions.open(header)
    session.destroy()
    const removed = (await sessions.save(session)).map((one) => one.split('=')[0])
    expect(removed).toEqual(header.split('; ').map((one) => one.split('=')[0]))
  }
})
