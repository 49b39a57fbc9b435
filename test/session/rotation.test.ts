import { describe, expect, it } from 'vitest'
import { createSessions, generateSecret, type Session, type Sessions } from '../../src/index.ts'
import { fromEnv } from '../../src/presets.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createClock, createCookieJar } from '../../src/testing/index.ts'

const DAY = 86_400
const [current, next] = [generateSecret(), generateSecret()]

/** The three deployments that replace a secret: the variable of old instances, and of new ones. */
const steps: [step: string, old: string, fresh: string][] = [
  ['1: current beside current,next', current, `${current},${next}`],
  ['2: current,next beside next,current', `${current},${next}`, `${next},${current}`],
  ['3: next,current beside next', `${next},${current}`, next],
]

/** Instances of one application over one store, configured by their environment. */
function createFleet(where: string) {
  const clock = createClock()
  const store = where === 'store' ? { store: createMemoryStore({ now: clock }) } : {}
  let used = 0
  const instance = (secret: string): Sessions =>
    createSessions({
      ...fromEnv({ SESSION_SECRET: secret }),
      ...store,
      now: clock,
      onEvent: ({ type }) => {
        if (type === 'key.used') used++
      },
    })
  const visit = async (
    sessions: Sessions,
    jar: ReturnType<typeof createCookieJar>,
    use: (session: Session) => unknown = () => {},
  ): Promise<Session> => {
    let session: Session | undefined
    const handler = sessions.handler(async (request) => {
      session = await sessions.get(request)
      await use(session)
      return new Response()
    })
    await jar.fetch(handler, '/')
    return session as Session
  }
  return {
    clock,
    instance,
    visit,
    createJar: () => createCookieJar({ now: clock }),
    used: () => used,
  }
}

describe.each(steps)('a secret is replaced by the environment, step %s', (_step, old, fresh) => {
  const setUp = async () => {
    const fleet = createFleet('store')
    const both = [fleet.instance(old), fleet.instance(fresh)] as const
    const jars = [fleet.createJar(), fleet.createJar()] as const
    for (const [i, jar] of jars.entries()) {
      await fleet.visit(both[i]!, jar, (session) => session.login('ann', { label: `browser ${i}` }))
    }
    return { ...fleet, both, jars }
  }

  it('list shows the sessions of old and new instances at either', async () => {
    const { both } = await setUp()
    for (const one of both) {
      const labels = (await one.list('ann')).map(({ label }) => label)
      expect(labels.sort()).toEqual(['browser 0', 'browser 1'])
    }
  })

  it.each([0, 1])(
    'revokeAll ends them at either, but for the one that is spared (%i)',
    async (at) => {
      const { both, jars, visit } = await setUp()
      const spared = await visit(both[1 - at]!, jars[0])
      expect(await both[at]!.revokeAll('ann', { except: spared.id })).toBe(1)
      expect((await visit(both[1 - at]!, jars[0])).subject).toBe('ann')
      expect((await visit(both[1 - at]!, jars[1])).status).toBe('missing')
      expect(await both[1 - at]!.revokeAll('ann')).toBe(1)
      expect((await visit(both[at]!, jars[0])).status).toBe('missing')
    },
  )

  it('once runs the work of overlapping requests at both once', async () => {
    const { both, jars } = await setUp()
    let runs = 0
    const results = await Promise.all(
      [...both, ...both].map(async (sessions) => {
        const session = await sessions.get(jars[0].request('/'))
        return session.once('refresh', async () => `token ${++runs}`)
      }),
    )
    expect([runs, new Set(results).size]).toEqual([1, 1])
  })

  it('a sign-in, a rotation and a sign-out at one instance hold at the other', async () => {
    const { both, jars, visit } = await setUp()
    await visit(both[0], jars[0], (session) => session.login('bob'))
    expect((await visit(both[1], jars[0])).subject).toBe('bob')
    await visit(both[1], jars[0], (session) => session.regenerate())
    expect((await visit(both[0], jars[0])).subject).toBe('bob')
    await visit(both[1], jars[0], (session) => session.destroy())
    expect((await visit(both[0], jars[0])).subject).toBe(null)
  })
})

describe.each(['cookie', 'store'])('a secret is replaced, sessions in a %s', (where) => {
  it('and dropped when key.used was silent for the longest timeout of anybody: nobody is signed out', async () => {
    const { clock, createJar, instance, used, visit } = createFleet(where)
    const longest = 30 * DAY
    const users = Array.from({ length: 6 }, (_, i) => ({
      jar: createJar(),
      name: `user ${i}`,
      every: i + 1,
    }))
    let sessions = instance(current)
    for (const { jar, name, every } of users) {
      // The rarer somebody comes, the longer a session they get.
      const idleTimeout = every === 6 ? longest : 2 * every * DAY
      await visit(sessions, jar, (one) =>
        one.login(name, { persistent: true, idleTimeout, absoluteTimeout: 365 * DAY }),
      )
    }
    const live = async (day: number): Promise<void> => {
      for (const { jar, name, every } of users) {
        // The last one comes every 29 days.
        if (day % (every === 6 ? 29 : every)) continue
        expect([day, name, (await visit(sessions, jar)).subject]).toEqual([day, name, name])
      }
    }
    let silentSince = 0
    let dropped = 0
    for (let day = 1; day <= 150; day++) {
      clock.advance(DAY)
      if (day === 2) sessions = instance(`${current},${next}`)
      if (day === 3) sessions = instance(`${next},${current}`)
      const before = used()
      await live(day)
      if (used() > before) silentSince = day
      if (!dropped && day > 3 && day - silentSince > longest / DAY) {
        sessions = instance(next)
        dropped = day
      }
    }
    // The rarest visitor was the last one who needed it.
    expect(silentSince).toBe(29)
    expect(dropped).toBe(60)
  })

  it('and dropped too early: whoever was not there meanwhile is signed out', async () => {
    const { clock, createJar, instance, visit } = createFleet(where)
    const jar = createJar()
    await visit(instance(current), jar, (session) => session.login('ann'))
    clock.advance(600)
    expect((await visit(instance(next), jar)).status).toBe('invalid')
  })
})
