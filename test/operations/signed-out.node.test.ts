/**
 * "Users are signed out": each cause is planted, and found from what an operator has: the log at its usual levels, the
 * command line. `docs/operations.md` leads from each of these lines to its cause.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Session, SessionEvent, SessionsOptions } from '../../src/index.ts'
import { logEvents } from '../../src/observe/log.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createClock } from '../../src/testing/index.ts'
import { sojourn } from '../cli/support.ts'
import { createWorld, OTHER_SECRET, SECRET } from '../support/sessions.ts'

const HOUR = 3600
type Line = readonly [level: string, message: string, fields: Record<string, unknown>]

/** Records count whole seconds. */
const near = (seconds: number) => ({
  asymmetricMatch: (value: number) => Math.abs(value - seconds) <= 1,
})

/** A server whose log is read at `info` and above, as in production. */
function createServerHere(options: Partial<SessionsOptions> = {}, clock = createClock(Date.now())) {
  const lines: Line[] = []
  const write =
    (level: string) =>
    (message: string, fields: object): void => {
      lines.push([level, message, { ...fields }])
    }
  const logger = {
    debug: () => {},
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
  }
  const onEvent = logEvents(logger, { now: clock })
  const world = createWorld({ onEvent, ...options }, clock)
  /** The lines of one type, without what tells sessions apart. */
  const said = (type: string): Record<string, unknown>[] =>
    lines.filter(([, message]) => message === `sojourn: ${type}`).map(([, , fields]) => fields)
  return { ...world, lines, said }
}

const signIn = (session: Session): void => session.login('ann')
const subjectOf = async (visit: ReturnType<typeof createWorld>['visit']) =>
  (await visit()).session.subject

describe.each([
  ['in cookies', () => ({})],
  ['in a store', (now: () => number) => ({ store: createMemoryStore({ now }) })],
])('a user who is signed out after an hour, sessions %s', (where, create) => {
  const clockOf = () => createClock(Date.now())

  it('idleTimeout is an hour: session.expired says idle, and for how long', async () => {
    const clock = clockOf()
    const { said, visit } = createServerHere({ ...create(clock), idleTimeout: HOUR }, clock)
    await visit(signIn)
    clock.advance(HOUR + 60)
    expect(await subjectOf(visit)).toBe(null)
    expect(said('session.expired')).toMatchObject([
      { reason: 'idle', idleFor: near(HOUR + 60), age: near(HOUR + 60) },
    ])
  })

  it('absoluteTimeout is an hour: session.expired says absolute, of a session in use', async () => {
    const clock = clockOf()
    const options = { idleTimeout: 600, absoluteTimeout: HOUR }
    const { said, visit } = createServerHere({ ...create(clock), ...options }, clock)
    await visit(signIn)
    for (let minute = 0; minute < 60; minute += 5) {
      expect(await subjectOf(visit)).toBe('ann')
      clock.advance(300)
    }
    expect(await subjectOf(visit)).toBe(null)
    const [line] = said('session.expired')
    expect(line).toMatchObject({ reason: 'absolute', age: near(HOUR) })
    expect(Number(line?.idleFor)).toBeLessThan(600)
  })

  it('one server does not have the new secret: session.invalid says unknown-key, and which', async () => {
    const clock = clockOf()
    const options = create(clock)
    const renewed = createServerHere({ ...options, secret: [OTHER_SECRET, SECRET] }, clock)
    const former = createServerHere({ ...options, secret: SECRET }, clock)
    await renewed.visit(signIn)
    await former.sessions.get(renewed.jar.request('/'))
    const [line] = former.said('session.invalid')
    expect(line).toMatchObject({
      reason: 'unknown-key',
      keyId: expect.stringMatching(/^[\da-f]{8}$/),
    })
    const cookie = renewed.jar.header() ?? ''
    const asked = await sojourn(['explain'], { input: cookie, env: { SESSION_SECRET: SECRET } })
    expect(asked.stdout).toContain(`key ${line?.keyId}`)
    expect(asked.stdout).toMatch(/secret was replaced without the first of three steps/)
  })

  it('the clock of one server is two hours ahead: session.invalid says future, and by how much', async () => {
    const ahead = createClock(Date.now() + 2 * HOUR * 1000)
    const clock = clockOf()
    const store = create(clock)
    const wrong = createServerHere(store, ahead)
    const right = createServerHere(store, clock)
    await wrong.visit(signIn)
    await right.sessions.get(wrong.jar.request('/'))
    const [line] = right.said('session.invalid')
    expect(line).toMatchObject({ reason: 'future' })
    expect(Number(line?.aheadBy)).toBeGreaterThan(HOUR)
  })

  it('notBefore names a time after the sign-in: session.expired says not-before', async () => {
    const clock = clockOf()
    const started = clock()
    const notBefore = () => started + HOUR * 1000
    const { said, visit } = createServerHere({ ...create(clock), notBefore }, clock)
    await visit(signIn)
    clock.advance(HOUR + 1)
    expect(await subjectOf(visit)).toBe(null)
    expect(said('session.expired')).toMatchObject([{ reason: 'not-before', age: near(HOUR + 1) }])
  })

  it('notBefore answers with the time of the question: nobody stays signed in; with seconds: refused', async () => {
    const clock = clockOf()
    let unit = 1
    const notBefore = () => Math.floor(clock() / unit)
    const { said, visit } = createServerHere({ ...create(clock), notBefore }, clock)
    await visit(signIn)
    clock.advance(1)
    expect(await subjectOf(visit)).toBe(null)
    expect(await subjectOf(visit)).toBe(null)
    // Every request with such a cookie has a line of its own.
    expect(said('session.expired').map(({ reason }) => reason)).toEqual([
      'not-before',
      'not-before',
    ])
    await visit(signIn)
    unit = 1000
    clock.advance(1)
    await expect(subjectOf(visit)).rejects.toThrow('Option "notBefore" must be')
  })

  it('a browser was updated, and binding is strict: session.binding-mismatch', async () => {
    const clock = clockOf()
    const { said, sessions, jar } = createServerHere(
      { ...create(clock), binding: { userAgent: true } },
      clock,
    )
    const ask = (agent: string) => jar.request('/', { headers: { 'user-agent': agent } })
    await jar.fetch(
      sessions.handler(async (request) => {
        ;(await sessions.get(request)).login('ann')
        return new Response('')
      }),
      ask('Firefox on Linux').url,
      { headers: { 'user-agent': 'Firefox on Linux' } },
    )
    expect((await sessions.get(ask('Chrome on Linux'))).subject).toBe(null)
    expect(said('session.binding-mismatch')).toMatchObject([{ by: 'user-agent' }])
  })

  it('the cookie was renamed: no session is opened, and explain names the cookie it looks for', async () => {
    const clock = clockOf()
    const before = createServerHere(create(clock), clock)
    await before.visit(signIn)
    const after = createServerHere({ ...create(clock), cookie: { name: 'app' } }, clock)
    expect((await after.sessions.get(before.jar.request('/'))).status).toBe('new')
    expect(after.lines).toEqual([])
    const asked = await sojourn(['explain'], {
      input: `Cookie: ${before.jar.header()}`,
      env: { SESSION_SECRET: SECRET, SESSION_COOKIE_NAME: 'app' },
    })
    expect([asked.code, asked.stdout]).toEqual([1, expect.stringContaining('looked for is app')])
  })

  if (where === 'in a store') {
    it('the store has lost it: session.missing says how lately the cookie was made', async () => {
      const clock = clockOf()
      const { store } = create(clock) as { store: ReturnType<typeof createMemoryStore> }
      const { said, visit, sessions } = createServerHere({ store }, clock)
      const { session } = await visit(signIn)
      clock.advance(HOUR)
      await visit((current) => current.set('page', 1))
      clock.advance(60)
      await store.end(session.id)
      expect(await subjectOf(visit)).toBe(null)
      expect(said('session.missing')).toMatchObject([
        { age: near(HOUR + 60), sinceLastSeen: near(HOUR + 60) },
      ])
      expect(await sessions.list('ann')).toEqual([])
    })

    it('somebody signed out everywhere: session.ended says by what, and how many', async () => {
      const clock = clockOf()
      const { said, visit, sessions } = createServerHere(create(clock), clock)
      await visit(signIn)
      await sessions.revokeAll('ann')
      expect(await subjectOf(visit)).toBe(null)
      expect(said('session.ended')).toMatchObject([{ by: 'subject', count: 1 }])
      expect(said('session.missing')).toHaveLength(1)
    })

    it('the answer to a rotation never arrived: session.reused says since when', async () => {
      const clock = clockOf()
      const { said, sessions, jar, visit } = createServerHere(create(clock), clock)
      await visit(signIn)
      const former = jar.header()
      await visit((session) => session.regenerate())
      clock.advance(60)
      expect((await sessions.open(former)).subject).toBe(null)
      expect(said('session.reused')).toMatchObject([{ sinceRotation: near(60) }])
      expect(said('session.missing')).toEqual([])
    })
  }
})

describe('a user in use, whose cookie does not last', () => {
  it('a renewal that never arrives: session.renewed again and again, then session.expired with idleFor equal to age', async () => {
    const clock = createClock(Date.now())
    const told: SessionEvent[] = []
    const options = { idleTimeout: HOUR, onEvent: (event: SessionEvent) => void told.push(event) }
    const { jar, sessions, visit } = createWorld(options, clock)
    await visit(signIn)
    const cookie = jar.header()
    for (let visits = 0; visits < 3; visits++) {
      clock.advance(600)
      const session = await sessions.open(cookie)
      expect(await sessions.save(session)).toHaveLength(1)
    }
    clock.advance(HOUR)
    expect((await sessions.open(cookie)).status).toBe('expired')
    const events = told.filter(({ type }) => /renewed|expired/.test(type))
    const [first, , , last] = events
    expect(events.map(({ type }) => type)).toEqual([
      ...Array(3).fill('session.renewed'),
      'session.expired',
    ])
    expect(last).toMatchObject({
      reason: 'idle',
      idleFor: near(HOUR + 1800),
      age: near(HOUR + 1800),
      session: (first as { session?: string }).session,
    })
  })

  it('cookie.maxAge is shorter than their pauses: a new session, and no line', async () => {
    const clock = createClock(Date.now())
    const { lines, visit } = createServerHere({ cookie: { maxAge: 600 } }, clock)
    await visit((session) => session.login('ann', { persistent: true }))
    const before = lines.length
    clock.advance(601)
    expect((await visit()).session.status).toBe('new')
    expect(lines.slice(before)).toEqual([])
  })
})

describe('a user who is never signed in', () => {
  const { sessions } = createWorld({ now: Date.now })
  const server = createServer(async (req, res) => {
    const request = new Request('http://127.0.0.1/', { headers: req.headers as never })
    const answer = sessions.handler(async () => {
      ;(await sessions.get(request)).set('seen', true)
      return new Response('page', { headers: { 'content-type': 'text/html' } })
    })
    const { headers } = await answer(request)
    // A proxy before the application that knows better.
    headers.set('cache-control', 'public, max-age=3600')
    for (const [name, value] of headers) res.appendHeader(name, value)
    res.end('page')
  })
  let origin = ''
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterAll(() => server.close())

  it('a proxy lets a page with a cookie be stored: doctor says so, and who does it', async () => {
    const { code, stdout } = await sojourn(['doctor', `${origin}/`])
    expect([code, stdout]).toEqual([1, expect.stringMatching(/lets caches store it[\s\S]*proxy/)])
  })
})
