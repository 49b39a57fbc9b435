/**
 * Events as OpenTelemetry metrics, and on the spans of the requests they happened in.
 *
 * @module
 * @example
 * import { recordEvents } from 'sojourn/otel'
 *
 * const sessions = createSessions({ secret, store, onEvent: recordEvents() })
 */
import { type Attributes, type Meter, metrics, trace } from '@opentelemetry/api'
import { applyRules, type Rule } from '../check.ts'
import type { SessionEvent } from '../events.ts'

/** Options for {@link recordEvents}. */
export interface RecordOptions {
  /** Makes the instruments. (default: the global one, named `sojourn`) */
  meter?: Meter
}

const RULES: Record<keyof RecordOptions, Rule> = {
  meter: [
    undefined,
    'a Meter of OpenTelemetry',
    (value: Meter) =>
      typeof value.createCounter === 'function' && typeof value.createGauge === 'function',
  ],
}

/** The higher the worse: an alert is a threshold. */
const BREAKER_STATES = { 'breaker.closed': 0, 'breaker.half-open': 1, 'breaker.open': 2 }

/**
 * Makes an `onEvent` that counts events and notes them on the active span.
 *
 * | instrument | kind | attributes |
 * | --- | --- | --- |
 * | `sojourn.events` | counter, `{event}` | `sojourn.event.type`, and where the event has them `sojourn.store`, `sojourn.operation`, `sojourn.reason`, `error.type` |
 * | `sojourn.breaker.state` | gauge: 0 closed, 1 half-open, 2 open | `sojourn.store` |
 *
 * On the active span, if one is recording, each event is a span event `sojourn.<type>` with all its
 * fields. Attributes of metrics have few values; the session's fingerprint is on spans only.
 *
 * @throws TypeError when `meter` is none.
 */
export function recordEvents(options: RecordOptions = {}): (event: SessionEvent) => void {
  const given = applyRules<RecordOptions>('', RULES, options)
  const meter = given.meter ?? metrics.getMeter('sojourn')
  const counter = meter.createCounter('sojourn.events', {
    unit: '{event}',
    description: 'What happened to sessions and their stores',
  })
  const breaker = meter.createGauge('sojourn.breaker.state', {
    description: '0 closed, 1 half-open, 2 open',
  })
  return (event) => {
    const { type, at, ...fields } = event
    const { store, operation, code, reason } = fields as Partial<Record<string, string>>
    const about = {
      ...(store !== undefined && { 'sojourn.store': store }),
      ...(operation !== undefined && { 'sojourn.operation': operation }),
      ...(reason !== undefined && { 'sojourn.reason': reason }),
      ...(code !== undefined && { 'error.type': code }),
    }
    counter.add(1, { 'sojourn.event.type': type, ...about })
    if (type in BREAKER_STATES) breaker.record(BREAKER_STATES[type as 'breaker.open'], about)
    trace.getActiveSpan()?.addEvent(`sojourn.${type}`, attributesOf(fields), at)
  }
}

function attributesOf(fields: object): Attributes {
  const named = Object.entries(fields).map(([name, value]) => [
    name === 'code' ? 'error.type' : `sojourn.${name}`,
    value,
  ])
  return Object.fromEntries(named)
}
