import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { SpanStatusCode } from '@opentelemetry/api'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createSessions, type Session, type SessionEvent } from '../../src/index.ts'
import { recordEvents } from '../../src/observe/otel.ts'
import { createRedisStore } from '../../src/stores/redis.ts'
import { resilient } from '../../src/stores/resilient.ts'
import { createCookieJar } from '../../src/testing/index.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { SECRET } from '../support/sessions.ts'
import { startTelemetry, type Telemetry } from '../support/telemetry.ts'

/*
 * One outage of the real redis-server, seen three ways: as events, as metrics and as a trace. The server, which
 * writes all it acknowledged to an append-only file, is killed, users go on, and it is started again.
 */

const USERS = 4
const DEADLINE_MS = 60_000

let folder: string
let server: RedisServer
let client: Redis
let telemetry: Telemetry
const events: SessionEvent[] = []
const secrets: string[] = ['canary', SECRET]

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sojourn-'))
  server = await startRedis('--dir', folder, '--appendonly', 'yes', '--appendfsync', 'always')
  telemetry = startTelemetry()
  client = new Redis(server.port, '127.0.0.1', {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    retryStrategy: () => 50,
  })
  client.on('error', () => {})
  await untilReady()
  await liveThroughOutage()
})

afterAll(async () => {
  client.disconnect()
  await telemetry.stop()
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
})

async function untilReady(): Promise<void> {
  for (const until = Date.now() + DEADLINE_MS; client.status !== 'ready'; await sleep(20)) {
    if (Date.now() > until) throw new Error('The client does not connect')
  }
}

async function liveThroughOutage(): Promise<void> {
  const redis = createRedisStore({ send: ([name, ...args]) => client.call(name, ...args) })
  const sessions = createSessions({
    secret: SECRET,
    store: resilient(redis, {
      attempts: 2,
      baseMs: 1,
      // A slow machine is no outage: a client without a queue fails at once.
      attemptTimeoutMs: 20_000,
      deadlineMs: 60_000,
      breaker: { consecutiveFailures: 3, openMs: 200, maxOpenMs: 400 },
    }),
    snapshot: { maxAge: 0, staleIfError: 300 },
    onEvent: [(event) => events.push(event), recordEvents()],
  })
  const users = Array.from({ length: USERS }, (_, i) => ({
    jar: createCookieJar(),
    name: `canary-${i}`,
  }))
  const visit = (jar: (typeof users)[number]['jar'], use: (session: Session) => unknown) =>
    telemetry.inSpan('request', async () => {
      let found: Session | undefined
      const handler = sessions.handler(async (request) => {
        found = await sessions.get(request)
        await use(found)
        return new Response()
      })
      await jar.fetch(handler)
      secrets.push(...jar.cookies().map(({ value }) => value), found?.id ?? SECRET)
      return found!
    })
  for (const { jar, name } of users) await visit(jar, (s) => s.login(name))
  await server.stop()
  for (const { jar } of users) await visit(jar, (s) => s.get('n'))
  for (const { jar, name } of users) await visit(jar, (s) => s.set('canary-key', name))
  await server.start()
  await untilReady()
  for (const { jar, name } of users) {
    const until = Date.now() + DEADLINE_MS
    for (;;) {
      const { status } = await visit(jar, (s) => s.get('n'))
      if (status === 'active' && !jar.cookies().some((one) => one.name.includes('.d'))) break
      if (Date.now() > until) throw new Error(`${name} does not come back`)
      await sleep(50)
    }
  }
}

type Event<T extends SessionEvent['type']> = Extract<SessionEvent, { type: T }>
const all = <T extends SessionEvent['type']>(type: T): Event<T>[] =>
  events.filter((event): event is Event<T> => event.type === type)

/** Sums by a key, in the order of the keys. */
function tally<E>(
  list: readonly E[],
  keyOf: (one: E) => unknown,
  of: (one: E) => number = () => 1,
) {
  const sums = new Map<string, number>()
  for (const one of list) {
    const key = JSON.stringify(keyOf(one))
    sums.set(key, (sums.get(key) ?? 0) + of(one))
  }
  return Object.fromEntries([...sums].sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** The points of a metric, summed by some of its attributes. */
async function points(name: string, ...attributes: string[]) {
  const found = await telemetry.pointsOf(name)
  const figureOf = (value: unknown): number =>
    typeof value === 'number' ? value : (value as { count: number }).count
  return tally(
    found,
    ([, about]) => attributes.map((one) => (about as Record<string, unknown>)[one]),
    ([value]) => figureOf(value),
  )
}

const storeSpans = () => telemetry.spans().filter(({ name }) => name.startsWith('sojourn.store.'))

describe('one outage of Redis, as events, metrics and a trace', () => {
  it('has in it what is compared: calls that failed, attempts, an open breaker, deferred writes', () => {
    const outcomes = new Set(all('store.call').map(({ outcome }) => outcome))
    expect([...outcomes].toSorted((a, b) => (a < b ? -1 : 1))).toEqual(
      expect.arrayContaining(['failed', 'ok']),
    )
    const attempts = new Set(all('store.call').map((call) => call.attempts))
    expect([...attempts]).toEqual(expect.arrayContaining([0, 1, 2]))
    expect(all('breaker.open').length).toBeGreaterThan(0)
    expect(all('breaker.closed').length).toBeGreaterThan(0)
    const changesOf = (type: 'commit.deferred' | 'commit.applied'): number =>
      all(type).reduce((sum, { changes }) => sum + changes, 0)
    expect([changesOf('commit.deferred'), changesOf('commit.applied')]).toEqual([USERS, USERS])
    expect(new Set(all('session.opened').map(({ status }) => status))).toContain('degraded')
  })

  it('has the same sessions, by status and by outcome', async () => {
    expect(await points('sojourn.session.opened', 'sojourn.status')).toEqual(
      tally(all('session.opened'), ({ status }) => [status]),
    )
    expect(await points('sojourn.session.saved', 'sojourn.outcome')).toEqual(
      tally(all('session.saved'), ({ outcome }) => [outcome]),
    )
    const sizes = all('session.saved').flatMap(({ bytes }) => (bytes === undefined ? [] : [bytes]))
    const sum = sizes.reduce((a, b) => a + b, 0)
    expect(await telemetry.pointsOf('sojourn.cookie.size')).toEqual([
      [{ count: sizes.length, sum }, {}],
    ])
  })

  it('has the same calls of the store, by operation, outcome and error', async () => {
    const keyOf = ({ operation, outcome, code }: Event<'store.call'>) => [operation, outcome, code]
    const told = tally(all('store.call'), keyOf)
    const names = ['sojourn.operation', 'sojourn.outcome', 'error.type']
    expect(await points('sojourn.store.duration', ...names)).toEqual(told)
    expect(tally(storeSpans(), ({ attributes }) => names.map((name) => attributes[name]))).toEqual(
      told,
    )
  })

  it('has the same attempts of these calls', async () => {
    const told = tally(
      all('store.call'),
      ({ operation }) => [operation],
      (call) => call.attempts,
    )
    expect(await points('sojourn.store.attempts', 'sojourn.operation')).toEqual(told)
    const traced = tally(
      storeSpans(),
      ({ attributes }) => [attributes['sojourn.operation']],
      ({ events: attempts }) => attempts.length,
    )
    expect(traced).toEqual(told)
  })

  it('has the same failures: of resilient(), of calls, and of spans with the status ERROR', () => {
    const failed = all('store.call').filter(({ outcome }) => outcome === 'failed').length
    const spans = storeSpans().filter(({ status }) => status.code === SpanStatusCode.ERROR).length
    expect([all('store.failed').length, spans]).toEqual([failed, failed])
  })

  it('has the same looks into caches, and changes that waited', async () => {
    expect(await points('sojourn.cache.requests', 'sojourn.layer', 'sojourn.hit')).toEqual(
      tally(all('cache.read'), ({ layer, hit }) => [layer, hit]),
    )
    const waited = [
      ...all('commit.deferred').map(({ changes }) => ['deferred', changes] as const),
      ...all('commit.applied').map(({ changes }) => ['applied', changes] as const),
      ...all('commit.dropped')
        .filter(({ deferred }) => deferred)
        .map(({ changes }) => ['dropped', changes] as const),
    ]
    expect(await points('sojourn.deferred', 'sojourn.outcome')).toEqual(
      tally(
        waited,
        ([outcome]) => [outcome],
        ([, changes]) => changes,
      ),
    )
  })

  it('has the same other events, on spans of requests too', async () => {
    const OWN = ['session.opened', 'session.saved', 'store.call', 'cache.read', 'key.used']
    const counted = [...OWN, 'commit.deferred', 'commit.applied']
    const others = events.filter(({ type }) => !counted.includes(type))
    expect(await points('sojourn.events', 'sojourn.event.type')).toEqual(
      tally(others, ({ type }) => [type]),
    )
    const onSpans = telemetry
      .spans()
      .filter(({ name }) => name === 'request')
      .flatMap((span) => span.events)
    const traced = events.filter(({ type }) => type !== 'store.call' && type !== 'cache.read')
    expect(tally(onSpans, ({ name }) => [name])).toEqual(
      tally(traced, ({ type }) => [`sojourn.${type}`]),
    )
  })

  it('has closed breakers in the end, as the last event of each says', async () => {
    const states = await points('sojourn.breaker.state', 'sojourn.direction')
    expect(states).toEqual({ '["read"]': 0, '["write"]': 0 })
    for (const direction of ['read', 'write']) {
      const last = events.findLast((event) => 'direction' in event && event.direction === direction)
      expect(last?.type ?? 'breaker.closed').toBe('breaker.closed')
    }
  })

  it('shows no secret, cookie, id, user or data in any of them', async () => {
    const spans = telemetry
      .spans()
      .map(({ attributes, events: noted, status }) => [attributes, noted, status])
    const text = JSON.stringify([events, await telemetry.measured(), spans])
    expect(secrets.length).toBeGreaterThan(20)
    for (const secret of secrets) expect(text).not.toContain(secret)
  })
})
