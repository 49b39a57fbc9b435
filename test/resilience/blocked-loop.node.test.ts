import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { Worker } from 'node:worker_threads'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { resilient } from '../../src/stores/resilient.ts'
import type { SessionStore, StoreEvent } from '../../src/stores/store.ts'

/** A server in a thread of its own: it answers every line with that line, and counts its answers. */
const SERVER = `
const { parentPort, workerData } = require('node:worker_threads')
const answered = new Int32Array(workerData)
const server = require('node:net').createServer((socket) => {
  socket.on('data', (data) => {
    const lines = String(data).split('\\n').filter((line) => line && !line.includes('silence'))
    if (!lines.length) return
    socket.write(lines.join('\\n') + '\\n', () => {
      Atomics.add(answered, 0, lines.length)
      Atomics.notify(answered, 0)
    })
  })
})
server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port))
`

const answered = new Int32Array(new SharedArrayBuffer(4))
const waiting = new Map<string, (value: null) => void>()
let worker: Worker
let socket: Socket

beforeAll(async () => {
  worker = new Worker(SERVER, { eval: true, workerData: answered.buffer })
  const [port] = (await once(worker, 'message')) as [number]
  socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.on('data', (data) => {
    for (const line of String(data).split('\n')) waiting.get(line)?.(null)
  })
})

afterAll(async () => {
  socket.destroy()
  await worker.terminate()
})

const remote: SessionStore = {
  ...createMemoryStore(),
  name: 'remote',
  read: (id) =>
    new Promise((resolve) => {
      waiting.set(id, resolve)
      socket.write(`${id}\n`)
    }),
}

/** Blocks this thread until the server has sent so many answers, and for at least so long. */
function block(answers: number, ms: number): void {
  const end = performance.now() + ms
  for (;;) {
    const count = Atomics.load(answered, 0)
    const left = end - performance.now()
    if (count >= answers && left <= 0) return
    Atomics.wait(answered, 0, count, Math.max(left, 1))
  }
}

function setUp() {
  const events: StoreEvent[] = []
  const store = resilient(remote, { attempts: 1, attemptTimeoutMs: 300, deadlineMs: 60_000 })
  store.subscribe?.((event) => void events.push(event))
  return { events, store }
}

describe('resilient() on an event loop that is blocked', () => {
  it('takes the answers that arrived meanwhile: a healthy store has not failed', async () => {
    const { events, store } = setUp()
    const running = Array.from({ length: 50 }, (_, i) => store.read(`first ${i}`))
    block(50, 1500)
    expect(await Promise.all(running)).toEqual(Array(50).fill(null))
    expect([events, store.details?.().readBreaker]).toEqual([[], 'closed'])
  })

  it('does not blame a store that had no time to be heard', async () => {
    const { events, store } = setUp()
    const running = Array.from({ length: 50 }, (_, i) => store.read(`silence ${i}`))
    block(0, 1500)
    const outcomes = await Promise.allSettled(running)
    expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set(['rejected']))
    expect(new Set(events.map(({ type }) => type))).toEqual(new Set(['store.failed']))
    expect(store.details?.().readBreaker).toBe('closed')
  })
})
