import { readFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { createSessions, type Session, type SessionsOptions } from 'sojourn'
import { createMemoryStore } from 'sojourn/memory'
import { createClock, createCookieJar } from 'sojourn/testing'
import { describe, expect, it } from 'vitest'
import { keepHistory } from '../../examples/history/history.ts'

const read = (path: string): string =>
  readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')

/** Sessions with a history and a browser, of the built package as the example is. */
function begin(options: Partial<SessionsOptions>, isStored = false) {
  const db = new DatabaseSync(':memory:')
  const now = createClock()
  const store = isStored ? { store: createMemoryStore({ now }) } : {}
  const onEvent = keepHistory(db)
  const secret = 'a secret of this test, long enough for anybody'
  const sessions = createSessions({ secret, now, onEvent, ...store, ...options })
  const jar = createCookieJar({ now })
  const visit = async (use: (session: Session) => void = () => {}): Promise<string> => {
    let id = ''
    const handler = sessions.handler(async (request) => {
      const session = await sessions.get(request)
      use(session)
      id = session.id
      return new Response()
    })
    await jar.fetch(handler, '/')
    return id
  }
  const rows = () =>
    db
      .prepare(
        'SELECT user_id, actor_id, label, ended_by, reason, ended_at - at FROM sign_in ORDER BY rowid',
      )
      .all()
      .map((row) => Object.values(row))
  return { clock: now, jar, rows, sessions, visit }
}

describe.each([
  ['in cookies', false],
  ['in a store', true],
])('a history of sign-ins, sessions %s', (_place, isStored) => {
  it('says who signed in, where, when, and why it ended', async () => {
    const { clock, rows, visit } = begin({}, isStored)
    await visit((s) => s.set('cart', 1))
    await visit((s) => s.login('ann', { label: 'Firefox on Linux' }))
    expect(rows()).toEqual([['ann', null, 'Firefox on Linux', null, null, null]])
    clock.advance(60)
    await visit((s) => s.destroy({ reason: 'signed out' }))
    expect(rows()).toEqual([['ann', null, 'Firefox on Linux', 'destroy', 'signed out', 60_000]])
  })

  it('says who acted for a user, and when that ended', async () => {
    const { clock, rows, visit } = begin({}, isStored)
    await visit((s) => s.login('support-7'))
    clock.advance(1)
    await visit((s) => s.login('ann', { actor: 'support-7' }))
    clock.advance(1)
    await visit((s) => s.login('support-7'))
    expect(rows()).toEqual([
      ['support-7', null, null, 'login', null, 1000],
      ['ann', 'support-7', null, 'login', null, 1000],
      ['support-7', null, null, null, null, null],
    ])
  })

  it('says that a session timed out, once its cookie comes', async () => {
    const { clock, rows, visit } = begin({ idleTimeout: 60 }, isStored)
    await visit((s) => s.login('ann'))
    clock.advance(61)
    await visit()
    await visit()
    expect(rows()).toEqual([['ann', null, null, 'timeout', 'idle', 61_000]])
  })

  it('tells nothing of visitors, and one sign-in after another of one session', async () => {
    const { clock, rows, visit } = begin({}, isStored)
    await visit((s) => s.set('a', 1))
    await visit((s) => s.destroy())
    expect(rows()).toEqual([])
    await visit((s) => s.login('ann'))
    clock.advance(5)
    await visit((s) => s.login('ann'))
    await visit((s) => s.destroy())
    expect(rows().map(([user, , , by, , ms]) => [user, by, ms])).toEqual([
      ['ann', 'destroy', 5000],
      ['ann', 'destroy', 0],
    ])
  })
})

describe('a history of sign-ins, in a store', () => {
  it('ends those that revoke, revokeAll and revokeBy ended, and spares the one that goes on', async () => {
    const { jar, rows, sessions, visit } = begin({}, true)
    const signIn = (user: string, label: string, ...tags: string[]): Promise<string> => {
      jar.clear()
      return visit((s) => s.login(user, { label, tags }))
    }
    await signIn('bob', 'other')
    const lost = await signIn('ann', 'lost')
    await signIn('ann', 'old')
    const here = await signIn('ann', 'here')
    await sessions.revoke(lost, { subject: 'bob', reason: 'not his' })
    await sessions.revoke(lost, { subject: 'ann', reason: 'lost' })
    await sessions.revoke(lost, { reason: 'again' })
    await sessions.revokeAll('ann', { except: here, reason: 'new password' })
    await signIn('eve', 'tenant', 'tenant:7', 'a')
    await signIn('eve', 'tenants', 'tenant:77')
    await sessions.revokeBy('tenant:7', { reason: 'contract over' })
    expect(rows().map(([, , label, by, reason]) => [label, by, reason])).toEqual([
      ['other', null, null],
      ['lost', 'id', 'lost'],
      ['old', 'subject', 'new password'],
      ['here', null, null],
      ['tenant', 'tag', 'contract over'],
      ['tenants', null, null],
    ])
  })

  it('is printed in the documentation as it is', () => {
    const code = read('examples/history/history.ts').split('\n').slice(1).join('\n')
    expect(read('docs/guides/history.md')).toContain(`\`\`\`ts\n// src/history.ts\n${code}\`\`\``)
  })
})
