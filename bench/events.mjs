// What listeners of events cost a request that reads a session in memory, in one run.  usage: node events.mjs [--rounds=21]
import { AggregationTemporality, InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'
import { createSessions } from '../dist/index.js'
import { alertOn, breakerOpen, deferredGrowth, degradedShare, errorRate, invalidCookies, reusedCookies } from '../dist/observe/alerts.js'
import { logEvents } from '../dist/observe/log.js'
import { recordEvents } from '../dist/observe/otel.js'
import { createMemoryStore } from '../dist/stores/memory.js'
import { fmt, interleave, table } from './lib/measure.mjs'

const rounds = Number(process.argv.find((a) => a.startsWith('--rounds='))?.slice(9) ?? 21)
const silent = () => {}
// It collects when asked, so that only the recording is measured.
const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
const sdk = () => new MeterProvider({ readers: [reader] }).getMeter('sojourn')
const rules = [breakerOpen(), degradedShare(), errorRate(), invalidCookies(), reusedCookies(), deferredGrowth()]
const LISTENERS = {
  'no listener': undefined,
  'no listener, again': undefined,
  'a listener that does nothing': silent,
  'recordEvents, API without an SDK': recordEvents(),
  'recordEvents, SDK without an exporter': recordEvents({ meter: sdk() }),
  'alertOn, six rules': alertOn({ rules, notify: silent }),
  'logEvents': logEvents({ debug: silent, info: silent, warn: silent, error: silent }),
}

const tasks = []
for (const [id, onEvent] of Object.entries(LISTENERS)) {
  const sessions = createSessions({ secret: 'only for measuring, nobody is to use it', store: createMemoryStore(), ...(onEvent && { onEvent }) })
  const handler = sessions.handler(async (request) => {
    const session = await sessions.get(request)
    if (request.method === 'POST') session.set('n', 1)
    return new Response(String(session.get('n')))
  })
  const first = await handler(new Request('https://example.com/', { method: 'POST' }))
  const cookie = first.headers.getSetCookie()[0].split(';')[0]
  tasks.push({ id, f: () => handler(new Request('https://example.com/', { headers: { cookie } })) })
}
const out = await interleave(tasks, { rounds, chunkMs: 10, ref: 'no listener' })
const base = out['no listener'].min
const rows = tasks.map(({ id }) => ({ listener: id, 'us a request': fmt(out[id].min), 'more, us': fmt(out[id].min - base), ratio: fmt(out[id].ratio) }))
console.log(`\nA request that reads a session in memory, ${rounds} interleaved rounds, the fastest of each; ratio: median within a round\n`)
console.log(table(rows, Object.keys(rows[0])))

// The listeners by themselves, with the events of such a request.
const events = []
const sessions = createSessions({ secret: 'only for measuring, nobody is to use it', store: createMemoryStore(), onEvent: (event) => events.push(event) })
const handler = sessions.handler(async (request) => new Response(String((await sessions.get(request)).get('n'))))
const signIn = await sessions.open(null)
signIn.login('ann')
const [line] = await sessions.save(signIn)
events.length = 0
await handler(new Request('https://example.com/', { headers: { cookie: line.split(';')[0] } }))
const own = Object.entries(LISTENERS).flatMap(([id, listener]) => (listener ? [{ id, f: async () => { for (const event of events) listener(event) } }] : []))
const alone = await interleave(own, { rounds, chunkMs: 10 })
console.log(`\nThe listeners alone, with the ${events.length} events of such a request, the fastest round of each\n`)
console.log(table(own.map(({ id }) => ({ listener: id, 'us a request': fmt(alone[id].min) })), ['listener', 'us a request']))
const added = alone['recordEvents, SDK without an exporter'].min
console.log(`\n${added <= 5 ? 'PASS' : 'FAIL'}  recordEvents takes ${fmt(added)} us a request (limit 5)`)
process.exit(0)
