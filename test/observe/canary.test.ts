import { describe, expect, it } from 'vitest'
import { StoreError } from '../../src/errors.ts'
import {
  createSessions,
  type Session,
  type SessionEvent,
  type Sessions,
  type SessionsOptions,
} from '../../src/index.ts'
import { defaultLevels, logEvents } from '../../src/observe/log.ts'
import { cached } from '../../src/stores/cached.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { resilient } from '../../src/stores/resilient.ts'
import { createClock, createCookieJar, createFaultyStore } from '../../src/testing/index.ts'

const SECRETS: [string, string] = [
  'CANARY 1d8f the first secret, long enough for anybody',
  'CANARY 77e0 the second secret, long enough for anybody',
]

/** All that an error or an event shows, by whatever way it is printed. */
function textOf(value: unknown, seen = new Set<unknown>()): string {
  if (Object(value) !== value) return String(value)
  if (seen.has(value)) return ''
  seen.add(value)
  const names = Object.getOwnPropertyNames(value).filter((name) => name !== 'issues')
  const own = names.map(
    (name) => `${name}: ${textOf((value as Record<string, unknown>)[name], seen)}`,
  )
  return `${String(value)} ${own.join('\n')}`
}

/** Collects whatever leaves the library, and what must not be in it. */
function createWorld() {
  const clock = createClock()
  const said: string[] = []
  const types = new Set<string>()
  const canaries = new Set<string>(['CANARY', ...SECRETS])
  const line = (...all: unknown[]): void => void said.push(...all.map((one) => textOf(one)))
  const logger = { debug: line, info: line, warn: line, error: line }
  const levels = Object.fromEntries(Object.keys(defaultLevels).map((type) => [type, 'info']))
  const log = logEvents(logger, { limit: Infinity, levels, now: clock })
  const onEvent = [
    log,
    (event: SessionEvent): void => {
      types.add(event.type)
      said.push(textOf(event))
    },
  ]
  const make = (options: Partial<SessionsOptions>): Sessions =>
    createSessions({ secret: SECRETS, now: clock, onEvent, ...options })
  const jar = createCookieJar({ now: clock })
  /** One request, whatever comes of it. */
  const visit = async (
    sessions: Sessions,
    use: (session: Session) => unknown = () => {},
    browser = jar,
  ) => {
    const handler = sessions.handler(async (request) => {
      const session = await sessions.get(request)
      canaries.add(session.id)
      await use(session)
      return new Response()
    })
    await attempt(() => browser.fetch(handler, '/'))
    for (const { value } of browser.cookies()) if (value.length > 20) canaries.add(value)
  }
  const attempt = async (run: () => unknown): Promise<void> => {
    try {
      await run()
    } catch (error) {
      said.push(textOf(error))
    }
  }
  return { attempt, canaries, clock, jar, make, said, types, visit }
}

// Names of keys are the application's own: two errors quote them for its programmer.
const fill = (session: Session): void => {
  session.set('key', 'CANARY value')
  session.flash('flash', { CANARY: ['CANARY'] })
}
const signIn = (session: Session): void =>
  session.login('CANARY ann', { label: 'CANARY label', actor: 'CANARY actor' })

type World = ReturnType<typeof createWorld>

/** The life of sessions in cookies: forged, cut, expired, too large, of a clock that is ahead. */
async function liveInCookies({ attempt, clock, jar, make, visit }: World): Promise<void> {
  const sessions = make({ idleTimeout: 600, notBefore: () => 0 })
  await visit(sessions, fill)
  await visit(sessions, signIn)
  await visit(sessions, (session) => session.set('large', 'CANARY'.repeat(1000)))
  await visit(sessions, (session) => session.set('fn', (() => 'CANARY') as never))
  const header = jar.header() ?? ''
  const ask = (cookie: string) => new Request('https://example.com', { headers: { cookie } })
  for (const cookie of [
    header.slice(0, -6),
    `${header}CANARY`,
    header.replace(/=.{9}/, '=CANARY'),
  ]) {
    await attempt(() => sessions.require(ask(cookie)))
  }
  await attempt(() => make({ secret: SECRETS[1].replace('77e0', '99e0') }).require(ask(header)))
  await attempt(() => make({ secret: [SECRETS[1], SECRETS[0]] }).require(ask(header)))
  await attempt(() => make({ schema: refusing, onCorruption: 'throw' }).require(ask(header)))
  const bound = make({ binding: { userAgent: true } })
  const ownJar = createCookieJar({ now: clock })
  await visit(bound, signIn, ownJar)
  const agent = { cookie: ownJar.header() ?? '', 'user-agent': 'CANARY agent' }
  await attempt(() => bound.require(new Request('https://example.com', { headers: agent })))
  await attempt(() => make({ notBefore: () => clock() + 1 }).require(ask(header)))
  await attempt(() => make({ now: () => clock() - 7_200_000 }).require(ask(header)))
  await attempt(() =>
    make({
      notBefore: () => {
        throw new Error('CANARY notBefore')
      },
    }).require(ask(header)),
  )
  await visit(sessions, (session) => {
    session.set('n', 'CANARY')
    throw new Error('of the application')
  })
  clock.advance(120)
  await visit(sessions)
  clock.advance(601)
  await attempt(() => sessions.require(ask(header)))
  await visit(sessions, fill)
  await visit(sessions, (session) => session.destroy())
}

const refusing = {
  '~standard': {
    version: 1 as const,
    vendor: 'tests',
    validate: () => ({ issues: [{ message: 'CANARY is no number' }] }),
  },
}

/** Sessions in a store that fails in every way, and says canaries. */
async function liveInStore(world: World): Promise<void> {
  const { attempt, canaries, clock, make, visit } = world
  const faulty = createFaultyStore(createMemoryStore({ now: clock }))
  const calm = resilient(faulty, {
    attempts: 2,
    now: clock,
    sleep: async (ms) => void clock.advanceMs(ms),
    breaker: { minimumCalls: 3 },
  })
  const store = cached(calm, { ttl: 1, staleIfError: 60, now: clock })
  const snapshot = { maxAge: 1, staleIfError: 3600 }
  const sessions = make({ store, snapshot, onReuse: 'revoke' })
  const jar = createCookieJar({ now: clock })
  const go = (use?: (session: Session) => unknown) => visit(sessions, use, jar)
  await go(fill)
  const old = jar.header() ?? ''
  await go(signIn)
  const ask = (cookie = jar.header() ?? '') =>
    new Request('https://x.example', { headers: { cookie } })
  await attempt(() => sessions.require(ask(old)))
  clock.advance(40)
  await attempt(() => sessions.require(ask(old)))
  await go(signIn)
  await go((session) => session.once('once', async () => 'CANARY once'))
  // Answered by an older copy, by another attempt, or after another request.
  clock.advance(5)
  faulty.inject([{ type: 'throw-before', error: new Error('CANARY') }])
  await go(fill)
  await go((session) => {
    session.update('n', () => 'CANARY')
    return visit(sessions, (other) => other.update('n', () => 'CANARY'), jar)
  })
  for (const [use, isDown] of [
    [undefined, false],
    [fill, true],
    [undefined, false],
  ] as const) {
    clock.advance(70)
    if (isDown) faulty.down({ type: 'throw-before', error: new Error('CANARY') })
    else faulty.up()
    await go(use)
  }
  clock.advance(70)
  await go()
  const before = jar.header()
  clock.advance(5)
  faulty.down({ type: 'throw-before', error: new Error('CANARY') })
  await go((session) => session.set('n', 'CANARY'))
  faulty.up()
  clock.advance(120)
  await attempt(async () => {
    const other = await sessions.open(before)
    other.set('n', 'CANARY other')
    await sessions.save(other)
  })
  await go()
  const failures = [
    new Error('CANARY of a client'),
    new StoreError('refused', { reason: 'full', word: 'OOM' }),
    Object.assign(new Error('CANARY quotes CANARY'), { code: 'CANARY', status: 413 }),
    'CANARY text',
  ]
  for (const error of failures) {
    clock.advance(70)
    faulty.down({ type: 'throw-before', error: error as Error })
    await go()
    for (let i = 0; i < 3; i++) await go((session) => session.increment('n'))
    await go(signIn)
    await go((session) => session.destroy())
    await attempt(() => sessions.list('CANARY ann'))
    await attempt(() => sessions.revokeAll('CANARY ann'))
    await attempt(() => sessions.health())
    faulty.up()
    clock.advance(70)
    await go(signIn)
    await go(fill)
  }
  for (const { id } of await sessions.list('CANARY ann')) canaries.add(id)
  await attempt(() => sessions.require(ask(old)))
  clock.advance(4 * 3600)
  await go((session) => session.increment('n'))
  await go((session) => session.regenerate())
  await go((session) => session.update('n', async () => sessions.revokeAll('CANARY ann')) as never)
  const { id } = await sessions.open(jar.header())
  await attempt(() => sessions.revoke(id))
  await attempt(() => sessions.require(ask()))
}

/** Events whose own tests look for canaries: imports, devices, a store that went back, and what `health` finds. */
const ELSEWHERE = [
  'session.imported',
  'session.import-conflict',
  'device.registered',
  'device.refreshed',
  'device.refused',
  'device.skipped',
  'store.rolled-back',
  'policy.invalid',
  'store.emptied',
]

describe('whatever leaves the library', () => {
  it('shows no secret, cookie, id, subject, label, key or value: events, lines, errors and their causes', async () => {
    const world = createWorld()
    await liveInCookies(world)
    await liveInStore(world)
    const { canaries, said, types } = world
    expect(Object.keys(defaultLevels).filter((type) => !types.has(type))).toEqual(ELSEWHERE)
    expect(said.length).toBeGreaterThan(200)
    const leaks = said.filter((text) => [...canaries].some((canary) => text.includes(canary)))
    expect(leaks).toEqual([])
  })
})
