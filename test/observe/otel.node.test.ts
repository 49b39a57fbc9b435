import { SpanKind, SpanStatusCode } from '@opentelemetry/api'
import type { HistogramMetricData, MetricData } from '@opentelemetry/sdk-metrics'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import jsr from '../../jsr.json' with { type: 'json' }
import pkg from '../../package.json' with { type: 'json' }
import { createSessions, type SessionEvent, type SessionsOptions } from '../../src/index.ts'
import { defaultLevels } from '../../src/observe/log.ts'
import { recordEvents } from '../../src/observe/otel.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { resilient } from '../../src/stores/resilient.ts'
import { createFaultyStore, type Fault } from '../../src/testing/index.ts'
import { createWorld, SECRET } from '../support/sessions.ts'
import { startTelemetry, type Telemetry } from '../support/telemetry.ts'

let telemetry: Telemetry

beforeEach(() => {
  telemetry = startTelemetry()
})

afterEach(() => telemetry.stop())

const DOWN: Fault = { type: 'throw-before' }

/** A world over a store that fails when told to, recorded, each visit in a span of its own. */
function setUp(options: Partial<SessionsOptions> = {}) {
  const faulty = createFaultyStore(createMemoryStore())
  const store = resilient(faulty, { sleep: async () => {}, attempts: 3 })
  const now = Date.now
  const world = createWorld({ store, now, onEvent: recordEvents(), ...options })
  const visit = (...use: Parameters<typeof world.visit>) =>
    telemetry.inSpan('request', () => world.visit(...use))
  return { ...world, faulty, visit }
}

const shapeOf = ({ descriptor, dataPoints }: MetricData): unknown[] => [
  descriptor.name,
  descriptor.unit,
  Object.keys(dataPoints[0]?.attributes ?? {}).toSorted((a, b) => (a < b ? -1 : 1)),
]

describe('recordEvents(), its metrics', () => {
  it('are of a meter with the name and version of the package', async () => {
    recordEvents()({ at: 1, type: 'session.opened', status: 'new' })
    expect(await telemetry.scopes()).toEqual([{ name: 'sojourn', version: pkg.version }])
    expect(jsr.version).toBe(pkg.version)
  })

  it('have the names, units and attributes that dashboards and alerts are made of', async () => {
    const record = recordEvents()
    record.attach?.({
      name: 'redis',
      details: () => ({ readBreaker: 'closed', writeBreaker: 'off', retriesLeft: 10 }),
    })
    const about = { store: 'redis', operation: 'read' } as const
    const failure = { code: 'ERR_STORE_TIMEOUT', reason: 'timeout' } as const
    const events = [
      { type: 'session.opened', status: 'active' },
      { type: 'session.saved', outcome: 'written', bytes: 300 },
      { type: 'store.call', ...about, outcome: 'failed', durationMs: 5, attempts: 2, ...failure },
      { type: 'cache.read', layer: 'cookie', hit: true },
      { type: 'commit.deferred', changes: 2, session: 'fingerprint' },
      { type: 'key.used', key: '0a1b2c3d', position: 1 },
      { type: 'store.failed', ...about, attempts: 2, ...failure, word: 'LOADING' },
      { type: 'breaker.open', store: 'redis', direction: 'read' },
    ] as const
    for (const event of events) record({ at: 1, ...event } as SessionEvent)
    const shapes = (await telemetry.measured()).map(shapeOf)
    expect(Object.fromEntries(shapes.map(([name, ...rest]) => [name, rest]))).toEqual({
      'sojourn.session.opened': ['{session}', ['sojourn.status']],
      'sojourn.session.saved': ['{session}', ['sojourn.outcome']],
      'sojourn.cookie.size': ['By', []],
      'sojourn.store.duration': [
        's',
        ['error.type', 'sojourn.operation', 'sojourn.outcome', 'sojourn.store'],
      ],
      'sojourn.store.attempts': ['{attempt}', ['sojourn.operation', 'sojourn.store']],
      'sojourn.cache.requests': ['{request}', ['sojourn.hit', 'sojourn.layer']],
      'sojourn.deferred': ['{change}', ['sojourn.outcome']],
      'sojourn.key.used': ['{event}', ['sojourn.key']],
      'sojourn.events': [
        '{event}',
        [
          'error.type',
          'sojourn.event.type',
          'sojourn.operation',
          'sojourn.reason',
          'sojourn.store',
        ],
      ],
      'sojourn.breaker.state': ['', ['sojourn.direction', 'sojourn.store']],
      'sojourn.retry.budget': ['{retry}', ['sojourn.store']],
    })
  })

  it('count an event once, whatever its type', async () => {
    const record = recordEvents()
    const fields = { changes: 1, durationMs: 1, attempts: 1, bytes: 1 }
    for (const type of Object.keys(defaultLevels)) {
      record({ at: 1, type, ...fields } as unknown as SessionEvent)
    }
    const counts = new Map<string, number>()
    for (const { descriptor, dataPoints } of await telemetry.measured()) {
      for (const { value } of dataPoints) {
        const count = typeof value === 'number' ? value : value.count
        counts.set(descriptor.name, (counts.get(descriptor.name) ?? 0) + (count ?? 0))
      }
    }
    const own = ['session.opened', 'session.saved', 'store.call', 'cache.read', 'key.used']
    const changes = ['commit.deferred', 'commit.applied']
    const rest = Object.keys(defaultLevels).length - own.length - changes.length
    expect(Object.fromEntries(counts)).toEqual({
      'sojourn.session.opened': 1,
      'sojourn.session.saved': 1,
      'sojourn.cookie.size': 1,
      'sojourn.store.duration': 1,
      'sojourn.store.attempts': 1,
      'sojourn.cache.requests': 1,
      'sojourn.key.used': 1,
      'sojourn.deferred': changes.length,
      'sojourn.events': rest,
    })
  })

  it('count changes that waited, and of those dropped only them', async () => {
    const record = recordEvents()
    const of = (event: object): void =>
      void record({ at: 1, session: 'x', ...event } as SessionEvent)
    of({ type: 'commit.deferred', changes: 5 })
    of({ type: 'commit.applied', changes: 2 })
    of({ type: 'commit.dropped', changes: 3, reason: 'conflict', deferred: true })
    of({ type: 'commit.dropped', changes: 7, reason: 'superseded' })
    expect(await telemetry.pointsOf('sojourn.deferred')).toEqual([
      [5, { 'sojourn.outcome': 'deferred' }],
      [2, { 'sojourn.outcome': 'applied' }],
      [3, { 'sojourn.outcome': 'dropped' }],
    ])
  })

  it('have buckets for seconds, up to beyond the time that a request may wait for a store', async () => {
    const call = { at: 1, type: 'store.call', store: 'redis', operation: 'read' } as const
    void recordEvents()({ ...call, outcome: 'ok', durationMs: 250, attempts: 1 })
    const all = await telemetry.measured()
    const found = all.find(({ descriptor }) => descriptor.name === 'sojourn.store.duration')
    const [point] = (found as HistogramMetricData).dataPoints
    expect(point?.value.buckets.boundaries).toEqual(expect.arrayContaining([0.001, 0.1, 5, 10]))
    expect(point?.value.sum).toBe(0.25)
  })

  it('show breakers and the retry budget before the first request, and as they are later', async () => {
    const { faulty, visit } = setUp()
    const about = (direction: string) => ({
      'sojourn.store': 'faulty(memory)',
      'sojourn.direction': direction,
    })
    const states = async () => (await telemetry.pointsOf('sojourn.breaker.state')).map(([n]) => n)
    expect(await telemetry.pointsOf('sojourn.breaker.state')).toEqual([
      [0, about('read')],
      [0, about('write')],
    ])
    const [before] = await telemetry.pointsOf('sojourn.retry.budget')
    expect(before).toEqual([expect.any(Number), { 'sojourn.store': 'faulty(memory)' }])
    await visit((s) => s.set('n', 1))
    faulty.down(DOWN, 'read')
    for (let i = 0; i < 12; i++) await visit((s) => s.get('n'))
    expect(await states()).toEqual([2, 0])
    const [after] = await telemetry.pointsOf('sojourn.retry.budget')
    expect(Number(after?.[0])).toBeLessThan(Number(before?.[0]))
  })

  it('leave out what an event does not have, and the reason of an end', async () => {
    const record = recordEvents()
    record({ at: 1, type: 'session.saved', outcome: 'unchanged' })
    const call = { type: 'store.call', store: 'redis', operation: 'read', attempts: 1 } as const
    record({ at: 1, ...call, outcome: 'ok', durationMs: 2 })
    record({ at: 1, type: 'session.ended', by: 'id', count: 1, reason: 'asked for' })
    expect(await telemetry.pointsOf('sojourn.cookie.size')).toEqual([])
    const durations = (await telemetry.measured()).find(
      ({ descriptor }) => descriptor.name === 'sojourn.store.duration',
    )
    expect(Object.keys(durations!.dataPoints[0]!.attributes)).not.toContain('error.type')
    expect(await telemetry.pointsOf('sojourn.events')).toEqual([
      [1, { 'sojourn.event.type': 'session.ended', 'sojourn.by': 'id' }],
    ])
  })

  it('show nothing of a store that says nothing of itself', async () => {
    const record = recordEvents()
    record.attach?.({ name: 'plain' })
    record.attach?.({
      name: 'odd',
      details: () => ({ readBreaker: 'unheard of', retriesLeft: null }) as never,
    })
    expect(await telemetry.pointsOf('sojourn.breaker.state')).toEqual([])
    expect(await telemetry.pointsOf('sojourn.retry.budget')).toEqual([])
  })

  it('show no breaker where there is none', async () => {
    createSessions({ secret: SECRET, store: createMemoryStore(), onEvent: recordEvents() })
    expect(await telemetry.pointsOf('sojourn.breaker.state')).toEqual([])
    expect(await telemetry.pointsOf('sojourn.retry.budget')).toEqual([])
  })
})

describe('recordEvents(), its spans', () => {
  it('are of each store call, below the span of the request, with their attempts', async () => {
    const { faulty, visit } = setUp()
    const before = Date.now()
    faulty.inject([DOWN, DOWN])
    await visit((s) => s.set('n', 1))
    const [call, request] = telemetry.spans()
    expect([call?.name, request?.name]).toEqual(['sojourn.store.write', 'request'])
    expect(call?.parentSpanContext?.spanId).toBe(request?.spanContext().spanId)
    expect(call?.instrumentationScope).toMatchObject({ name: 'sojourn', version: pkg.version })
    expect(call?.kind).toBe(SpanKind.INTERNAL)
    expect(call?.attributes).toEqual({
      'sojourn.store': 'faulty(memory)',
      'sojourn.operation': 'write',
      'sojourn.outcome': 'ok',
      'sojourn.attempts': 3,
    })
    expect(call?.status.code).toBe(SpanStatusCode.UNSET)
    expect(call?.events.map(({ name, attributes }) => [name, attributes?.['error.type']])).toEqual([
      ['sojourn.store.attempt', 'ERR_STORE_UNAVAILABLE'],
      ['sojourn.store.attempt', 'ERR_STORE_UNAVAILABLE'],
      ['sojourn.store.attempt', undefined],
    ])
    const times = [call!.startTime, ...call!.events.map(({ time }) => time), call!.endTime]
    const ms = times.map(([seconds, nanos]) => seconds * 1000 + nanos / 1e6)
    expect(ms).toEqual(ms.toSorted((a, b) => a - b))
    expect(ms[0]).toBeGreaterThan(before - 1000)
  })

  it('last from the first attempt to the answer, to the microsecond', async () => {
    const record = recordEvents()
    const at = 1_700_000_000_123
    const call = { type: 'store.call', store: 'redis', operation: 'read', at } as const
    const failure = { code: 'ERR_STORE_TIMEOUT', reason: 'timeout' } as const
    await telemetry.inSpan('request', async () => {
      record({ ...call, outcome: 'ok', durationMs: 5.25, attempts: 1 })
      const tries = [
        { at: at - 9, ...failure },
        { at: at - 2, ...failure },
      ]
      // Measured by another clock, which a busy machine read later.
      record({ ...call, outcome: 'failed', durationMs: 7, attempts: 2, tries, ...failure })
      record({ ...call, outcome: 'failed', durationMs: 9, attempts: 1, ...failure })
      record({ ...call, outcome: 'aborted', durationMs: 9, attempts: 1 })
    })
    const ms = ([seconds, nanos]: [number, number]) =>
      Math.round(seconds * 1e6 + nanos / 1000) - at * 1000
    const seen = telemetry
      .spans()
      .filter(({ name }) => name !== 'request')
      .map(({ startTime, endTime, events, status }) => [
        ms(startTime),
        ms(endTime),
        events.map(({ time, attributes }) => [
          ms(time),
          attributes?.['sojourn.attempt'],
          attributes?.['error.type'],
        ]),
        status.message,
      ])
    const { code } = failure
    expect(seen).toEqual([
      [-5250, 0, [[-5250, 1, undefined]], undefined],
      [
        -9000,
        0,
        [
          [-9000, 1, code],
          [-2000, 2, code],
        ],
        code,
      ],
      [-9000, 0, [[-9000, 1, code]], code],
      [-9000, 0, [[-9000, 1, undefined]], undefined],
    ])
  })

  it('have the status ERROR when the store failed, and not when it refused a write', async () => {
    const { faulty, visit } = setUp()
    await visit((s) => s.set('n', 1))
    await visit(async (s) => {
      s.update('n', (n) => Number(n) + 1)
      await visit((other) => other.update('n', (n) => Number(n) + 1))
    })
    const outcomes = (): unknown[] =>
      telemetry
        .spans()
        .filter(({ name }) => name.startsWith('sojourn.store'))
        .map(({ attributes, status }) => [attributes['sojourn.outcome'], status.code])
    expect(outcomes()).toContainEqual(['refused', SpanStatusCode.UNSET])
    faulty.down()
    await visit((s) => s.get('n'))
    expect(outcomes().at(-1)).toEqual(['failed', SpanStatusCode.ERROR])
  })

  it('of requests carry the other events, cache reads apart', async () => {
    const { visit } = setUp()
    await visit((s) => s.login('ann'))
    await visit((s) => s.get('n'))
    const requests = telemetry.spans().filter(({ name }) => name === 'request')
    expect(requests.map(({ events }) => events.map(({ name }) => name))).toEqual([
      [
        'sojourn.session.opened',
        'sojourn.session.created',
        'sojourn.session.login',
        'sojourn.session.saved',
      ],
      ['sojourn.session.opened', 'sojourn.session.saved'],
    ])
    expect(requests[0]?.events[1]?.attributes).toEqual({ 'sojourn.session': expect.any(String) })
  })

  it('are not made where no request has one', async () => {
    const world = createWorld({ store: createMemoryStore(), onEvent: recordEvents() })
    await world.visit((s) => s.set('n', 1))
    expect(telemetry.spans()).toEqual([])
    expect(await telemetry.pointsOf('sojourn.session.opened')).toEqual([
      [1, { 'sojourn.status': 'new' }],
    ])
  })
})

describe('recordEvents()', () => {
  it('lets no secret, cookie, id, user or data into metrics or spans', async () => {
    const { faulty, jar, sessions, visit } = setUp({
      secret: ['the canary-secret, which is long enough for anybody', SECRET],
      snapshot: { maxAge: 5, staleIfError: 60 },
    })
    const { session } = await visit((s) => {
      s.login('canary-ann', { label: 'canary-label' })
      s.set('canary-key', 'canary-value')
      s.flash('canary-flash', 'canary-value')
    })
    const id = session.id ?? ''
    const cookies = jar.cookies().map(({ value }) => value)
    faulty.down()
    await visit((s) => s.set('canary-key', 'canary-other'))
    cookies.push(...jar.cookies().map(({ value }) => value))
    faulty.up()
    await visit((s) => s.get('canary-key'))
    await sessions.open(`__Host-session=${cookies[0]?.slice(0, -4)}aaaa`)
    await sessions.revokeAll('canary-ann')
    await visit((s) => s.get('canary-key'))
    const spans = telemetry.spans().map(({ attributes, events, name, status }) => ({
      attributes,
      events,
      name,
      status,
    }))
    const all = JSON.stringify([await telemetry.measured(), spans])
    expect(spans.length).toBeGreaterThan(5)
    expect(cookies.length).toBeGreaterThan(2)
    for (const one of [id, ...cookies, 'canary', SECRET]) expect(all).not.toContain(one)
  })

  it('refuses what is no meter or no tracer', () => {
    expect(() => recordEvents({ meter: {} as never })).toThrow(/meter.*Meter of OpenTelemetry/)
    expect(() => recordEvents({ tracer: {} as never })).toThrow(/tracer.*Tracer of OpenTelemetry/)
    expect(() => recordEvents({ metre: 1 } as never)).toThrow(/metre/)
  })
})
