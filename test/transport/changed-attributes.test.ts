import { describe, expect, it } from 'vitest'
import { createSessions, type Session } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { type Clock, createClock } from '../../src/testing/index.ts'
import type { CookieOptions } from '../../src/transport/cookie.ts'
import { SECRET } from '../support/sessions.ts'

/** A browser, which keeps cookies apart by name, domain, path and partition. */
function createBrowser(now: Clock) {
  const cookies = new Map<string, { pair: string; until: number }>()
  const header = (): string => {
    for (const [key, { until }] of cookies) if (until <= now()) cookies.delete(key)
    return [...cookies.values()].map(({ pair }) => pair).join('; ')
  }
  const store = (response: Response): void => {
    for (const line of response.headers.getSetCookie()) {
      const [pair = '', ...attributes] = line.split('; ')
      const key = [
        pair.split('=', 1)[0],
        ...attributes.filter((one) => /^(Domain|Path|Partitioned)/.test(one)),
      ].join()
      const [, age] = /Max-Age=(\d+)/.exec(line) ?? []
      cookies.set(key, { pair, until: age ? now() + 1000 * Number(age) : Infinity })
    }
  }
  return { header, store }
}

type Step = readonly [deployment: 'before' | 'after', use: (session: Session) => void]

const see = (): void => {}
const alice = (session: Session): void => session.login('alice')
const bob = (session: Session): void => session.login('bob')
const out = (session: Session): void => session.destroy()

describe.each<[string, CookieOptions, CookieOptions]>([
  ['domain is added', { name: 's' }, { name: 's', domain: 'app.example' }],
  ['domain is removed', { name: 's', domain: 'app.example' }, { name: 's' }],
  ['path is widened', { name: 's', path: '/app' }, { name: 's' }],
  ['partitioned is added', { sameSite: 'none' }, { sameSite: 'none', partitioned: true }],
])('a deployment after which the cookie’s %s', (_, before, after) => {
  describe.each(['cookie', 'store'])('with sessions in a %s', (kind) => {
    /** The users that a browser's requests find, a minute apart; then after some hours. */
    async function visit(steps: readonly Step[], hours: readonly number[] = []) {
      const now = createClock()
      const store = kind === 'store' ? { store: createMemoryStore({ now }) } : {}
      const make = (cookie: CookieOptions) =>
        createSessions({ secret: SECRET, cookie, now, ...store })
      const deployments = { before: make(before), after: make(after) }
      const browser = createBrowser(now)
      const one = async ([deployment, use]: Step): Promise<string | null> => {
        const sessions = deployments[deployment]
        let found: string | null = null
        const handler = sessions.handler(async (request) => {
          const session = await sessions.get(request)
          found = session.subject
          use(session)
          return new Response()
        })
        const headers = { cookie: browser.header() }
        browser.store(await handler(new Request('https://app.example/app/', { headers })))
        return found
      }
      const subjects: (string | null)[] = []
      for (const step of steps) {
        now.advance(60)
        subjects.push(await one(step))
      }
      for (const hour of hours) {
        now.advance(3600 * hour)
        subjects.push(await one(['after', see]))
      }
      return subjects
    }

    it('signs nobody out', async () => {
      expect(
        await visit([
          ['before', alice],
          ['after', see],
          ['after', see],
        ]),
      ).toEqual([null, 'alice', 'alice'])
      // A renewal leaves two cookies of one session, of which the newer one counts.
      const seen = await visit([['before', alice]], [3, 12, 12, 12, 23])
      expect(seen).toEqual([null, 'alice', 'alice', 'alice', 'alice', 'alice'])
    })

    it('lets signing out sign out, for as long as the former cookie could be good', async () => {
      const steps: Step[] = [
        ['before', alice],
        ['after', out],
        ['after', see],
      ]
      expect(await visit(steps, [0.9, 0.2, 6, 12, 4])).toEqual([
        ...[null, 'alice', null],
        ...[null, null, null, null, null],
      ])
    })

    it('brings nobody back after another user has signed in and out', async () => {
      const steps: Step[] = [
        ['before', alice],
        ['after', bob],
        ['after', see],
        ['after', out],
      ]
      expect(await visit(steps, [0, 2, 20])).toEqual([
        null,
        'alice',
        'bob',
        'bob',
        null,
        null,
        null,
      ])
    })

    it('remembers the longest of several ends', async () => {
      const month = 30 * 86_400
      const long = (session: Session): void =>
        session.login('alice', { persistent: true, idleTimeout: month, absoluteTimeout: month })
      const steps: Step[] = [
        ['before', long],
        ['after', out],
        ['after', bob],
        ['after', out],
      ]
      expect(await visit(steps, [1, 24, 24 * 7, 24 * 20])).toEqual([
        ...[null, 'alice', null, 'bob'],
        ...[null, null, null, null],
      ])
    })
  })
})
