// 1,000 requests in one isolate against a store that answers in 50 ms: what Sojourn adds to each, as percentiles, beside
// a handler that only asks the same store. Paced: arrivals spread evenly over so many milliseconds. Build this project first.
import { setTimeout as sleep } from 'node:timers/promises'
import { createSessions } from '../dist/index.js'
import { createMemoryStore } from '../dist/stores/memory.js'
import { SECRET } from './lib/common.mjs'
import { table } from './lib/measure.mjs'

const REQUESTS = 1000
const DELAY_MS = 50
const memory = createMemoryStore()
const slow = (call) => async (...args) => (await sleep(DELAY_MS), call(...args))
const store = { ...memory, read: slow(memory.read), write: slow(memory.write) }

const fast = createSessions({ secret: SECRET, store: memory })
const headers = []
for (let i = 0; i < REQUESTS; i++) {
  const session = await fast.open(null)
  session.set('user', { id: i, name: 'Ada', roles: ['reader', 'writer'] })
  headers.push((await fast.save(session))[0].split(';', 1)[0])
}
const sessions = createSessions({ secret: SECRET, store })
const id = (await fast.open(headers[0])).id
const handlers = {
  'only the store': async () => new Response(String((await store.read(id)) !== null)),
  Sojourn: sessions.handler(async (request) => new Response(String((await sessions.get(request)).get('user').id))),
}

/** Milliseconds that each request took over the store's own time. */
async function run(handler, overMs) {
  const took = []
  const started = performance.now()
  await Promise.all(
    headers.map(async (cookie, i) => {
      const due = (i * overMs) / REQUESTS
      const wait = started + due - performance.now()
      if (wait > 0) await sleep(wait)
      const before = performance.now()
      await (await handler(new Request('https://example.com/', { headers: { cookie } }))).text()
      took.push(performance.now() - before - DELAY_MS)
    }),
  )
  return took.sort((a, b) => a - b)
}

const rows = []
for (const [what, overMs] of [['all at once', 0], ['over 1 s, 50 in flight', 1000], ['over 5 s, 10 in flight', 5000]]) {
  const p = {}
  for (const [name, handler] of Object.entries(handlers)) {
    await run(handler, overMs)
    const took = await run(handler, overMs)
    p[name] = { p50: took[REQUESTS / 2], p99: took[REQUESTS * 0.99] }
    rows.push({ arrivals: what, handler: name, 'p50 ms': p[name].p50.toFixed(1), 'p99 ms': p[name].p99.toFixed(1) })
  }
  const added = (q) => (p.Sojourn[q] - p['only the store'][q]).toFixed(1)
  rows.push({ arrivals: what, handler: 'added', 'p50 ms': added('p50'), 'p99 ms': added('p99') })
}
console.log(table(rows, Object.keys(rows[0])))
process.exit(0)
