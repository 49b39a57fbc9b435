import { describe, expect, it } from 'vitest'
import { StoreUnavailableError } from '../../src/errors.ts'
import type { SessionsOptions } from '../../src/index.ts'
import {
  fromCookieSession,
  fromIronSession,
  type ImporterOptions,
} from '../../src/migrate/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createClock } from '../../src/testing/index.ts'
import { createWorld, errorOf } from '../support/sessions.ts'
import frozen from '../vectors/migrate.json' with { type: 'json' }

type Options = Partial<ImporterOptions<Record<string, unknown>>>
const DAY = 86_400

function odd(): never {
  throw new RangeError('canary')
}

/** A browser that comes with an old cookie. */
function createMoving(
  importer: Options = {},
  more: Partial<SessionsOptions> = {},
  library: 'iron' | 'cookie' = 'cookie',
) {
  const clock = createClock()
  const toSession = (data: Record<string, unknown>) => ({ data, subject: 'ann' })
  const given = { toSession, ...importer }
  const importFrom =
    library === 'iron'
      ? [fromIronSession({ password: frozen.secret, cookieName: 'app', ...given })]
      : [fromCookieSession({ keys: [frozen.secret], ...given })]
  const store = more.store && createMemoryStore({ now: clock })
  const world = createWorld({ importFrom, ...more, ...(store && { store }) }, clock)
  const arrive = () => {
    for (const pair of frozen.cookies[library].split('; ')) {
      world.jar.store(new Response('', { headers: { 'set-cookie': `${pair}; Path=/` } }))
    }
  }
  arrive()
  const names = () => world.jar.cookies().map(({ name }) => name)
  return { ...world, arrive, names }
}

describe('an import', () => {
  it.each(['', 7, 'x'.repeat(5000), '\ud800', {}])(
    'takes nothing over with a subject that login refuses, and its old cookie stays: %j',
    async (subject) => {
      const toSession = (data: Record<string, unknown>) => ({ data, subject: subject as string })
      const { visit, events, names } = createMoving({ toSession })
      for (let i = 0; i < 2; i++) {
        const { session } = await visit((s) => s.set('cart', ['book']))
        expect([session.subject, session.data]).toEqual([null, { cart: ['book'] }])
        expect(names()).toContain('session')
      }
      expect(events[0]).toMatchObject({ type: 'session.corrupt', code: 'ERR_SESSION_CORRUPT' })
      const strict = createMoving({ toSession }, { onCorruption: 'throw' })
      expect((await errorOf(() => strict.visit())).message).toContain('"subject" must be')
    },
  )

  it.each([
    ['of two visitors is one for each', null, 2],
    ['of one user is one, which a sign-out ends', 'ann', 1],
  ])('whose old cookie is the same, as only data are signed, %s', async (_, subject, count) => {
    const clock = createClock()
    const store = createMemoryStore({ now: clock })
    const toSession = (data: Record<string, unknown>) => ({ data, subject })
    const importFrom = [fromCookieSession({ keys: [frozen.secret], toSession })]
    const { sessions } = createWorld({ store, importFrom }, clock)
    const arrive = async () => {
      const session = await sessions.open(frozen.cookies.cookie)
      session.set('cart', [1])
      const [cookie] = await sessions.save(session)
      return await sessions.open(cookie!.split(';')[0]!)
    }
    const opened = [await arrive(), await arrive()]
    expect(new Set(opened.map(({ id }) => id)).size).toBe(count)
    opened[0]!.destroy()
    await sessions.save(opened[0]!)
    const again = await sessions.open(frozen.cookies.cookie)
    expect(again.status).toBe(subject ? 'missing' : 'active')
    expect(again.subject).toBe(null)
  })

  it('says whether somebody is signed in', async () => {
    for (const store of [undefined, createMemoryStore()]) {
      const more = store ? { store } : {}
      const known = createMoving({}, more)
      await known.visit()
      expect(known.events[0]).toMatchObject({ type: 'session.imported', signedIn: true })
      for (const library of ['cookie', 'iron'] as const) {
        const nobody = createMoving({ toSession: (data) => ({ data }) }, more, library)
        await nobody.visit()
        expect(nobody.events[0]).toMatchObject({ type: 'session.imported', signedIn: false })
      }
    }
  })

  it('of data that toSession throws on is a new session of that visitor, and its old cookie stays', async () => {
    const { visit, types, names } = createMoving({ toSession: odd })
    const { response, session } = await visit()
    expect([response.status, session.status]).toEqual([200, 'new'])
    expect(types()).toEqual(['session.corrupt'])
    expect(names()).toContain('session')
    const strict = createMoving({ toSession: odd }, { onCorruption: 'throw' })
    const error = await errorOf(() => strict.visit())
    expect([error.code, error.message.includes('canary'), error.cause]).toEqual([
      'ERR_SESSION_CORRUPT',
      false,
      undefined,
    ])
  })

  it.each<[string, () => unknown]>([
    ['nothing', () => undefined],
    ['a text', () => 'text'],
    ['no data', () => ({})],
    ['a number for data', () => ({ data: 7 })],
    ['a list for data', () => ({ data: ['book'] })],
    ['data that no JSON has', () => ({ data: { a: 1n } })],
    ['data that throw when they are read', () => Object.defineProperty({}, 'data', { get: odd })],
  ])('of what toSession returns is a new session where that is %s', async (_, wrong) => {
    const { visit, names } = createMoving({ toSession: wrong as never })
    const { response, session } = await visit()
    expect([response.status, session.status]).toEqual([200, 'new'])
    expect(names()).toContain('session')
  })

  it('is unreachable where toSession could not ask its database', async () => {
    const { visit, names } = createMoving({
      toSession: async () => Promise.reject(new StoreUnavailableError('down')),
    })
    expect((await visit()).session.status).toBe('degraded')
    expect(names()).toContain('session')
  })

  it('lives as long as its cookie, which outlives the browser where the old one did', async () => {
    for (const [library, persistent, expected] of [
      ['iron', undefined, true],
      ['iron', false, false],
      ['cookie', undefined, false],
      ['cookie', true, true],
    ] as const) {
      const options = persistent === undefined ? {} : { persistent }
      // The frozen seal of iron-session has no end.
      const given = library === 'iron' && expected ? { persistent: true } : options
      const { visit, clock } = createMoving(given, {}, library)
      const [first] = (await visit()).setCookie
      expect(first!.includes('; Max-Age=86400')).toBe(expected)
      clock.advance(DAY / 2)
      const [renewed] = (await visit()).setCookie
      expect(renewed!.includes('; Max-Age=86400')).toBe(expected)
    }
  })

  it('ends at endsAt, however often the old cookie comes back', async () => {
    for (const store of [undefined, createMemoryStore()]) {
      const endsAt = createClock()() + 3 * DAY * 1000
      const timeouts = { idleTimeout: 30 * DAY, absoluteTimeout: 30 * DAY }
      const { visit, clock, arrive, jar } = createMoving(
        { endsAt },
        { ...timeouts, ...(store && { store }) },
      )
      expect((await visit()).session.expiresAt).toBe(endsAt)
      clock.advance(2 * DAY)
      jar.clear()
      arrive()
      expect((await visit()).session.expiresAt).toBe(endsAt)
      clock.advance(DAY)
      expect((await visit()).session.subject).toBe(null)
      jar.clear()
      arrive()
      expect((await visit()).session.status).toBe('new')
    }
  })

  it('asks nothing of the old library from endsAt on', async () => {
    const endsAt = createClock()() + DAY * 1000
    let asked = 0
    const toSession = (data: Record<string, unknown>) => {
      asked++
      return { data, subject: 'ann' }
    }
    const { visit, clock, jar, arrive } = createMoving({ endsAt, toSession })
    clock.set(endsAt - 1)
    expect((await visit()).session.subject).toBe('ann')
    clock.set(endsAt)
    jar.clear()
    arrive()
    expect([(await visit()).session.status, asked]).toEqual(['new', 1])
  })

  it('goes on after endsAt for whoever has signed in since', async () => {
    const endsAt = createClock()() + DAY * 1000
    const { visit, clock } = createMoving({ endsAt })
    await visit((session) => session.login('ann'))
    clock.advance(DAY - 1)
    await visit()
    clock.advance(2)
    expect((await visit()).session.subject).toBe('ann')
  })

  it('ends by its timeouts where those are shorter than endsAt', async () => {
    const endsAt = createClock()() + 3 * DAY * 1000
    const { visit, clock } = createMoving({ endsAt }, { idleTimeout: 60, absoluteTimeout: 120 })
    expect((await visit()).session.expiresAt).toBe(clock() + 60_000)
  })

  it('refuses seconds for endsAt', async () => {
    for (const endsAt of [1_900_000_000, Number.NaN, Infinity, '2030-01-01']) {
      const error = await errorOf(() => createMoving({ endsAt: endsAt as number }))
      expect(error.message).toContain('"endsAt" must be epoch milliseconds')
    }
  })
})
