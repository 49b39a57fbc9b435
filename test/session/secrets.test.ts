import { describe, expect, it } from 'vitest'
import { createSessions, type Session, type Sessions } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createClock, createCookieJar } from '../../src/testing/index.ts'
import { errorOf, OTHER_SECRET, SECRET } from '../support/sessions.ts'

type Secret = string | [string, ...string[]]

/** Instances of one application with different secrets, or clocks that differ, and a browser. */
function createFleet(where: string) {
  const clock = createClock()
  const jar = createCookieJar({ now: clock })
  const store = where === 'store' ? { store: createMemoryStore({ now: clock }) } : {}
  const instance = (secret: Secret, aheadMinutes = 0): Sessions =>
    createSessions({ secret, ...store, now: () => clock() + 60_000 * aheadMinutes })
  const visit = async (
    sessions: Sessions,
    use: (session: Session) => void = () => {},
    browser = jar,
  ): Promise<Session> => {
    let session: Session | undefined
    const handler = sessions.handler(async (request) => {
      session = await sessions.get(request)
      use(session)
      return new Response()
    })
    await browser.fetch(handler, '/')
    return session as Session
  }
  return { clock, jar, instance, visit }
}

describe.each(['cookie', 'store'])('a secret is replaced, sessions in a %s', (where) => {
  const [current, next] = [SECRET, OTHER_SECRET]
  const steps: [step: string, old: Secret, fresh: Secret][] = [
    ['[current, next] beside current', current, [current, next]],
    ['[next, current] beside [current, next]', [current, next], [next, current]],
    ['next beside [next, current]', [next, current], next],
  ]

  it.each(steps)('%s: old and new instances sign nobody out', async (_step, old, fresh) => {
    const { clock, instance, visit } = createFleet(where)
    const instances = [instance(old), instance(fresh)] as const
    const [first] = instances
    await visit(first, (session) => session.login('ann'))
    for (let i = 0; i < 8; i++) {
      clock.advance(3 * 3600) // A renewal is due.
      const session = await visit(instances[i % 2]!, (one) => one.set('seen', i))
      expect([i, session.status, session.subject]).toEqual([i, 'active', 'ann'])
    }
  })

  it('all in one step signs out whoever meets an old instance', async () => {
    const { instance, visit } = createFleet(where)
    await visit(instance([next, current]), (session) => session.login('ann'))
    expect((await visit(instance(current))).status).toBe('invalid')
  })

  it('which leaked: replaced alone, nothing that it sealed opens', async () => {
    const { instance, visit } = createFleet(where)
    await visit(instance(current), (session) => session.login('ann'))
    expect((await visit(instance([next, current]))).subject).toBe('ann')
    expect((await visit(instance(next))).status).toBe('invalid')
  })

  it.each(['\n', '\r\n', ' ', '\ufeff'])(
    'is the same with white space around it: %j',
    async (space) => {
      const { instance, visit } = createFleet(where)
      await visit(instance(`${space}${current}${space}`), (session) => session.login('ann'))
      expect((await visit(instance(current))).subject).toBe('ann')
      const list: Secret = [next, `${current}${space}`]
      expect((await visit(instance(list))).subject).toBe('ann')
    },
  )
})

describe('revokeAll while a secret is replaced', () => {
  it.each([0, 1])('ends the sessions of old and new instances, called at either', async (at) => {
    const { clock, instance, visit } = createFleet('store')
    const instances = [instance([SECRET, OTHER_SECRET]), instance([OTHER_SECRET, SECRET])] as const
    const jars = instances.map(() => createCookieJar({ now: clock }))
    for (const [i, one] of instances.entries()) {
      await visit(one, (session) => session.login('ann'), jars[i])
    }
    expect(await instances[at]!.revokeAll('ann')).toBe(2)
    for (const [i, one] of instances.entries()) {
      expect((await visit(one, undefined, jars[i])).subject).toBe(null)
    }
  })
})

describe.each(['cookie', 'store'])('clocks of servers differ, sessions in a %s', (where) => {
  it.each([45, -45])('by %s minutes: nobody notices', async (minutes) => {
    const { clock, instance, visit } = createFleet(where)
    const [here, there] = [instance(SECRET), instance(SECRET, minutes)]
    for (let i = 0; i < 6; i++) {
      const start = await visit(there, (session) => session.login(`user-${i}`))
      expect(start.subject).toBe(`user-${i}`)
      expect((await visit(here, (session) => session.set('seen', i))).subject).toBe(`user-${i}`)
      expect((await visit(there)).get('seen')).toBe(i)
      clock.advance(11 * 60)
    }
  })

  it('by 65 minutes: the reason says that the cookie was made in the future', async () => {
    const { clock, jar, instance, visit } = createFleet(where)
    const [here, there] = [instance(SECRET), instance(SECRET, 65)]
    for (let i = 0; i < 6; i++) {
      await visit(there, (session) => session.login('ann'))
      const { code, message, reason } = await errorOf(() => here.require(jar.request('/')))
      expect([code, reason]).toEqual(['ERR_SESSION_ENCRYPTION', 'future'])
      const [, ahead] =
        /made in the future: a clock is (\d+) s ahead of this one/.exec(message) ?? []
      expect(Number(ahead)).toBeGreaterThan(3600)
      expect(Number(ahead)).toBeLessThanOrEqual(65 * 60)
      clock.advance(11 * 60)
    }
  })

  it('the reason says nothing of the future where a cookie is merely not ours', async () => {
    const { instance } = createFleet(where)
    for (const token of ['', 'x', 'A'.repeat(60), 'AQAAAAAAAAAA'.repeat(5)]) {
      const headers = { cookie: `__Host-session=${token}` }
      const request = new Request('https://example.com', { headers })
      const { message, reason } = await errorOf(() => instance(SECRET).require(request))
      expect(message).not.toContain('future')
      expect(reason).not.toBe('future')
    }
  })
})
