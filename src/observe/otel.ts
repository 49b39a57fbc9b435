/**
 * Events as OpenTelemetry metrics, and as spans of the requests they happened in.
 *
 * @module
 * @example
 * import { recordEvents } from 'sojourn/otel'
 *
 * const sessions = createSessions({ secret, store, onEvent: recordEvents() })
 */
import {
  type Attributes,
  type HrTime,
  type Meter,
  metrics,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import { applyRules, methodsRule, type Rule } from '../check.ts'
import type { SessionEvent, SessionEventListener, StoreCallEvent } from '../events.ts'
import type { SessionStore } from '../stores/store.ts'

/** Options for {@link recordEvents}. */
export interface RecordOptions {
  /** Makes the instruments. (default: the global one, named `sojourn`) */
  meter?: Meter
  /** Makes the spans of store calls. (default: the global one, named `sojourn`) */
  tracer?: Tracer
}

/** Name and version of the instrumentation, as meter and tracer report them. */
const SCOPE = ['sojourn', '0.1.0'] as const

const RULES: Record<keyof RecordOptions, Rule> = {
  meter: methodsRule(undefined, 'a Meter of OpenTelemetry', 'createObservableGauge'),
  tracer: methodsRule(undefined, 'a Tracer of OpenTelemetry', 'startSpan'),
}

/** The higher the worse: an alert is a threshold. */
const BREAKER_STATES: Record<string, number> = { closed: 0, 'half-open': 1, open: 2 }
/** Seconds: from a cache nearby to the default of `storeTimeout` and beyond. */
const DURATIONS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
/** Bytes: browsers take 4096 a cookie. */
const SIZES = [128, 256, 512, 1024, 2048, 3072, 4096, 8192, 16_384]

type Event<T extends SessionEvent['type']> = Extract<SessionEvent, { type: T }>

/**
 * Makes an `onEvent` that records metrics, and spans where the request has one that is recording.
 *
 * | instrument | kind | attributes |
 * | --- | --- | --- |
 * | `sojourn.session.opened` | counter, `{session}` | `sojourn.status` |
 * | `sojourn.session.saved` | counter, `{session}` | `sojourn.outcome` |
 * | `sojourn.cookie.size` | histogram, `By`: the `Set-Cookie` values of a response | |
 * | `sojourn.store.duration` | histogram, `s`: a call with all its attempts | `sojourn.store`, `sojourn.operation`, `sojourn.outcome`, `error.type` |
 * | `sojourn.store.attempts` | counter, `{attempt}` | `sojourn.store`, `sojourn.operation` |
 * | `sojourn.cache.requests` | counter, `{request}` | `sojourn.layer`, `sojourn.hit` |
 * | `sojourn.deferred` | counter, `{change}` | `sojourn.outcome`: `deferred`, `applied`, `dropped` |
 * | `sojourn.key.used` | counter, `{event}`: at most one a minute, secret and isolate | `sojourn.key` |
 * | `sojourn.events` | counter, `{event}`: every event that has no instrument above, and `commit.dropped` | `sojourn.event.type`, and where the event has them `sojourn.store`, `sojourn.operation`, `sojourn.direction`, `sojourn.by`, `sojourn.reason`, `error.type` |
 * | `sojourn.breaker.state` | gauge from the start: 0 closed, 1 half-open, 2 open | `sojourn.store`, `sojourn.direction` |
 * | `sojourn.retry.budget` | gauge from the start, `{retry}`: what is left of the retry budget | `sojourn.store` |
 *
 * A call of the store is a span `sojourn.store.<operation>` with a span event for each attempt, below the
 * active span. Every other event but `cache.read` is a span event `sojourn.<type>` on the active span with all its
 * fields. Attributes of metrics have few values; the session's fingerprint is on spans only. Of stores with
 * the same name the gauges show the one that was given to `createSessions` last.
 *
 * Start the OpenTelemetry SDK first: instruments made before it record nothing.
 *
 * @throws TypeError when `meter` or `tracer` is none.
 */
export function recordEvents(options: RecordOptions = {}): SessionEventListener {
  const given = applyRules<RecordOptions>('', RULES, options)
  const meter = given.meter ?? metrics.getMeter(...SCOPE)
  const tracer = given.tracer ?? trace.getTracer(...SCOPE)
  const stores = new Map<string, Pick<SessionStore, 'details'>>()
  const measure = createMeasures(meter)
  observeStores(meter, stores)
  return Object.assign(
    (event: SessionEvent): void => {
      measure(event)
      traceEvent(tracer, event)
    },
    { attach: (store: Pick<SessionStore, 'name' | 'details'>) => stores.set(store.name, store) },
  )
}

/** Makes the counters and histograms, and returns what records an event on them. */
function createMeasures(meter: Meter): (event: SessionEvent) => void {
  const count = (name: string, unit: string, description: string) =>
    meter.createCounter(name, { unit, description })
  const measure = (name: string, unit: string, description: string, bounds: number[]) =>
    meter.createHistogram(name, { unit, description, advice: { explicitBucketBoundaries: bounds } })
  const opened = count('sojourn.session.opened', '{session}', 'Sessions that requests opened')
  const saved = count('sojourn.session.saved', '{session}', 'Sessions that requests saved')
  const size = measure('sojourn.cookie.size', 'By', 'Set-Cookie values of a response', SIZES)
  const duration = measure(
    'sojourn.store.duration',
    's',
    'Calls of the store, all attempts of one together',
    DURATIONS,
  )
  const attempts = count('sojourn.store.attempts', '{attempt}', 'Attempts of calls of the store')
  const cache = count('sojourn.cache.requests', '{request}', 'Looks into a cache')
  const deferred = count('sojourn.deferred', '{change}', 'Changes that waited for the store')
  const keys = count('sojourn.key.used', '{event}', 'Uses of a former secret')
  const events = count('sojourn.events', '{event}', 'Other events of sessions and their stores')

  return (event) => {
    switch (event.type) {
      case 'session.opened':
        return opened.add(1, { 'sojourn.status': event.status })
      case 'session.saved':
        if (event.bytes !== undefined) size.record(event.bytes)
        return saved.add(1, { 'sojourn.outcome': event.outcome })
      case 'store.call': {
        const about = { 'sojourn.store': event.store, 'sojourn.operation': event.operation }
        attempts.add(event.attempts, about)
        return duration.record(event.durationMs / 1000, {
          ...about,
          'sojourn.outcome': event.outcome,
          ...(event.code !== undefined && { 'error.type': event.code }),
        })
      }
      case 'cache.read':
        return cache.add(1, { 'sojourn.layer': event.layer, 'sojourn.hit': event.hit })
      case 'commit.deferred':
      case 'commit.applied':
        return deferred.add(event.changes, { 'sojourn.outcome': event.type.slice(7) })
      case 'key.used':
        return keys.add(1, { 'sojourn.key': event.key })
      default:
        // Others were never deferred.
        if (event.type === 'commit.dropped' && event.deferred) {
          deferred.add(event.changes, { 'sojourn.outcome': 'dropped' })
        }
        return events.add(1, { 'sojourn.event.type': event.type, ...fewValues(event) })
    }
  }
}

/** The attributes of an event that have few values. */
function fewValues(event: SessionEvent): Attributes {
  const { by, code, direction, operation, reason, store } = Object(event) as Attributes
  // The reason of an end is a text of the application's.
  const few = {
    by,
    code,
    direction,
    operation,
    store,
    ...(event.type !== 'session.ended' && { reason }),
  }
  const given = Object.entries(few).filter(([, value]) => value !== undefined)
  return attributesOf(Object.fromEntries(given))
}

function observeStores(meter: Meter, stores: ReadonlyMap<string, Pick<SessionStore, 'details'>>) {
  const breaker = meter.createObservableGauge('sojourn.breaker.state', {
    description: '0 closed, 1 half-open, 2 open',
  })
  breaker.addCallback((result) => {
    for (const [name, store] of stores) {
      const { readBreaker: read, writeBreaker: write } = store.details?.() ?? {}
      for (const [direction, status] of Object.entries({ read, write })) {
        const state = BREAKER_STATES[String(status)]
        const about = { 'sojourn.store': name, 'sojourn.direction': direction }
        if (state !== undefined) result.observe(state, about)
      }
    }
  })
  const budget = meter.createObservableGauge('sojourn.retry.budget', {
    unit: '{retry}',
    description: 'Retries that are left of the budget',
  })
  budget.addCallback((result) => {
    for (const [name, store] of stores) {
      const { retriesLeft } = store.details?.() ?? {}
      if (typeof retriesLeft === 'number') result.observe(retriesLeft, { 'sojourn.store': name })
    }
  })
}

/** Notes an event on the active span, or below it, where one is recording. */
function traceEvent(tracer: Tracer, event: SessionEvent): void {
  const active = trace.getActiveSpan()
  if (!active?.isRecording() || event.type === 'cache.read') return
  if (event.type === 'store.call') {
    traceCall(tracer, event)
    return
  }
  const { type, at, ...fields } = event
  active.addEvent(`sojourn.${type}`, attributesOf(fields), timeOf(at))
}

function traceCall(tracer: Tracer, event: Event<'store.call'>): void {
  const { type, at, durationMs, tries, ...fields } = event
  const attempts = attemptsOf(event)
  // Two clocks: a process that was paused between them would begin the call after its first attempt.
  const span = tracer.startSpan(`sojourn.store.${event.operation}`, {
    startTime: timeOf(Math.min(at - durationMs, attempts[0]?.at ?? at)),
    attributes: attributesOf(fields),
  })
  for (const [i, { at: began, ...failure }] of attempts.entries()) {
    const attributes = attributesOf({ attempt: i + 1, ...failure })
    span.addEvent('sojourn.store.attempt', attributes, timeOf(began))
  }
  if (event.outcome === 'failed') {
    span.setStatus({ code: SpanStatusCode.ERROR, message: event.code ?? '' })
  }
  span.end(timeOf(at))
}

/** Returns the attempts; of a store that does not repeat calls the call is the only one. */
function attemptsOf(event: StoreCallEvent & { at: number }): NonNullable<StoreCallEvent['tries']> {
  if (event.tries) return event.tries
  const { at, code, durationMs } = event
  return [{ at: at - durationMs, ...(code !== undefined && { code }) }]
}

/** A number alone would be taken for milliseconds since the process began, if it is small enough. */
function timeOf(ms: number): HrTime {
  return [Math.floor(ms / 1000), Math.round((ms % 1000) * 1e6)]
}

function attributesOf(fields: object): Attributes {
  const named = Object.entries(fields).map(([name, value]) => [
    name === 'code' ? 'error.type' : `sojourn.${name}`,
    value,
  ])
  return Object.fromEntries(named)
}
