/** The real SDK of OpenTelemetry, with exporters that keep what they get. */
import { context, metrics, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import {
  AggregationTemporality,
  type DataPoint,
  type Histogram,
  InMemoryMetricExporter,
  MeterProvider,
  type MetricData,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'

export interface Telemetry {
  /** Names and versions of the meters that have metrics. */
  scopes(): Promise<{ name: string; version?: string }[]>
  /** The metrics of now. */
  measured(): Promise<MetricData[]>
  /** Points of one metric: its value, or count and sum, and its attributes. */
  pointsOf(name: string): Promise<[value: unknown, attributes: object][]>
  spans(): ReadableSpan[]
  /** Runs in a span of its own, as the instrumentation of a server does. */
  inSpan<T>(name: string, run: () => Promise<T>): Promise<T>
  stop(): Promise<void>
}

const figureOf = ({ value }: DataPoint<number> | DataPoint<Histogram>): unknown =>
  typeof value === 'number' ? value : { count: value.count, sum: value.sum }

/** Starts it as the global one, until `stop`. */
export function startTelemetry(): Telemetry {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
  const meters = new MeterProvider({ readers: [reader] })
  const traced = new InMemorySpanExporter()
  const tracers = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(traced)] })
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  metrics.setGlobalMeterProvider(meters)
  trace.setGlobalTracerProvider(tracers)
  const collect = async () => {
    exporter.reset()
    await meters.forceFlush()
    return exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics)
  }
  const measured = async (): Promise<MetricData[]> =>
    (await collect()).flatMap((one) => one.metrics)
  return {
    measured,
    scopes: async () =>
      (await collect()).map(({ scope: { name, version = '' } }) => ({ name, version })),
    async pointsOf(name) {
      const found = (await measured()).filter(({ descriptor }) => descriptor.name === name)
      return found.flatMap(({ dataPoints }) =>
        (dataPoints as DataPoint<number>[]).map((point): [unknown, object] => [
          figureOf(point),
          point.attributes,
        ]),
      )
    },
    spans: () => traced.getFinishedSpans(),
    inSpan: (name, run) =>
      trace.getTracer('server').startActiveSpan(name, async (span) => {
        try {
          return await run()
        } finally {
          span.end()
        }
      }),
    async stop() {
      await meters.shutdown()
      context.disable()
      metrics.disable()
      trace.disable()
    },
  }
}
