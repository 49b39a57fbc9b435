import { context, metrics, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createSessions } from '../../src/index.ts'
import { recordEvents } from '../../src/observe/otel.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { resilient } from '../../src/stores/resilient.ts'
import { createFaultyStore } from '../../src/testing/index.ts'
import { SECRET } from '../support/sessions.ts'

/* The real SDK of OpenTelemetry, with exporters that keep what they get. */

const measured = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
const meters = new MeterProvider({
  readers: [new PeriodicExportingMetricReader({ exporter: measured })],
})
const traced = new InMemorySpanExporter()
const tracers = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(traced)] })

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  metrics.setGlobalMeterProvider(meters)
  trace.setGlobalTracerProvider(tracers)
})

afterAll(async () => {
  await meters.shutdown()
  context.disable()
  metrics.disable()
  trace.disable()
})

/** Signs somebody in through a store that fails twice, in a span of its own. */
async function signIn(): Promise<string> {
  const store = createFaultyStore(createMemoryStore())
  const sessions = createSessions({
    secret: SECRET,
    store: resilient(store, { sleep: async () => {} }),
    onEvent: recordEvents(),
  })
  return await trace.getTracer('test').startActiveSpan('request', async (span) => {
    const session = await sessions.open(null)
    session.login('canary-ann')
    session.set('cart', 'canary-cart')
    store.inject([{ type: 'throw-before' }, { type: 'throw-before' }])
    const [setCookie = ''] = await sessions.save(session)
    span.end()
    return `${setCookie.split(/[=;]/)[1]} ${session.id}`
  })
}

describe('recordEvents()', () => {
  it('counts events and notes them on the span of the request, without a secret', async () => {
    const secrets = await signIn()
    await meters.forceFlush()
    const points = measured
      .getMetrics()
      .flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics))
      .filter(({ descriptor }) => descriptor.name === 'sojourn.events')
      .flatMap(({ dataPoints }) => dataPoints.map(({ attributes, value }) => [value, attributes]))
    expect(points).toEqual(
      expect.arrayContaining([
        [1, { 'sojourn.event.type': 'session.created' }],
        [1, { 'sojourn.event.type': 'session.login' }],
        [
          2,
          {
            'sojourn.event.type': 'store.retry',
            'sojourn.store': 'faulty(memory)',
            'sojourn.operation': 'write',
            'error.type': 'ERR_STORE_UNAVAILABLE',
          },
        ],
      ]),
    )
    const [span] = traced.getFinishedSpans()
    expect(span?.events.map(({ name }) => name)).toEqual([
      'sojourn.session.opened',
      'sojourn.store.retry',
      'sojourn.store.retry',
      'sojourn.store.recovered',
      'sojourn.store.call',
      'sojourn.session.created',
      'sojourn.session.login',
      'sojourn.session.saved',
    ])
    expect(span?.events[2]?.attributes).toMatchObject({
      'sojourn.attempt': 2,
      'error.type': 'ERR_STORE_UNAVAILABLE',
    })
    expect(Object.keys(span?.events[6]?.attributes ?? {})).toEqual(['sojourn.session'])
    const all = JSON.stringify([points, span?.events])
    for (const one of [...secrets.split(' '), 'canary', SECRET]) expect(all).not.toContain(one)
  })

  it('tells the state of the breaker', async () => {
    const record = recordEvents({ meter: meters.getMeter('own') })
    record({ type: 'breaker.open', store: 'upstash', direction: 'write', at: 1 })
    record({ type: 'breaker.half-open', store: 'upstash', direction: 'write', at: 2 })
    record({ type: 'breaker.open', store: 'kv', direction: 'write', at: 3 })
    await meters.forceFlush()
    const gauge = measured
      .getMetrics()
      .at(-1)
      ?.scopeMetrics.flatMap(({ metrics }) => metrics)
      .find(({ descriptor }) => descriptor.name === 'sojourn.breaker.state')
    expect(gauge?.dataPoints.map(({ attributes, value }) => [attributes, value])).toEqual([
      [{ 'sojourn.store': 'upstash' }, 1],
      [{ 'sojourn.store': 'kv' }, 2],
    ])
  })

  it('refuses what is no meter', () => {
    expect(() => recordEvents({ meter: {} as never })).toThrow(/meter.*Meter of OpenTelemetry/)
    expect(() => recordEvents({ metre: 1 } as never)).toThrow(/metre/)
  })
})
