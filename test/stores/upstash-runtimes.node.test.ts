import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { groups, type Result, type Task } from '../fixtures/upstash-checks.ts'
import { type FaultServer, type HttpFault, startFaultServer } from '../support/fault-server.ts'
import { freePort } from '../support/free-port.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { type Bridge, startBridge, TOKEN } from '../support/upstash-bridge.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const main = 'test/fixtures/upstash-main.ts'

const unavailable = ['StoreUnavailableError', 'StoreTimeoutError']
const faultsByName: Record<string, [fault: HttpFault, errors: string[]]> = {
  'connection closed': [{ type: 'refuse' }, unavailable],
  'no answer': [{ type: 'hang' }, ['StoreTimeoutError']],
  'a body without end': [{ type: 'slow-body', everyMs: 20 }, ['StoreTimeoutError']],
  'a cut body': [{ type: 'cut-body' }, unavailable],
  'half of the JSON': [{ type: 'half-json' }, unavailable],
  'HTML with 200': [{ type: 'body', body: '<h1>Hi</h1>', contentType: 'text/html' }, unavailable],
  'null with 200': [{ type: 'body', body: '{"result":null}' }, unavailable],
  '503': [{ type: 'status', status: 503 }, unavailable],
  '401': [
    { type: 'status', status: 401, body: '{"error":"WRONGPASS invalid token"}' },
    ['StoreError'],
  ],
}
/** Where fetch itself is ours; a client follows redirects and reads answers of any size. */
const faultsOfOurs: Record<string, [fault: HttpFault, errors: string[]]> = {
  'a redirect': [
    { type: 'status', status: 307, headers: { location: 'http://127.0.0.1:1/' } },
    ['StoreError'],
  ],
  'an answer of more than 10 MiB': [{ type: 'oversize', bytes: 10_485_760 }, ['StoreError']],
}

let redis: RedisServer
let bridge: Bridge
let miniflare: Miniflare
let olderMiniflare: Miniflare
const servers: FaultServer[] = []
const faults: Task['faults'] = []

beforeAll(async () => {
  redis = await startRedis()
  bridge = await startBridge(redis.port)
  for (const [name, [fault, errors]] of Object.entries({ ...faultsByName, ...faultsOfOurs })) {
    const server = await startFaultServer(bridge.url)
    server.down(fault)
    servers.push(server)
    faults.push({ name, url: server.url, errors, ours: name in faultsOfOurs })
  }
  const url = `http://127.0.0.1:${await freePort()}`
  faults.push({ name: 'nobody listens', url, errors: unavailable })
  const { outputFiles } = await build({
    entryPoints: [`${root}test/fixtures/upstash-worker.ts`],
    bundle: true,
    format: 'esm',
    conditions: ['workerd', 'worker'],
    write: false,
    logLevel: 'silent',
  })
  const startWorker = (more: object): Miniflare =>
    new Miniflare(
      convertV4MiniflareOptions({
        modules: [{ type: 'ESModule', path: 'worker.mjs', contents: outputFiles[0]?.text ?? '' }],
        host: '127.0.0.1',
        ...more,
      }),
    )
  const compatibilityFlags = ['no_nodejs_compat', 'no_nodejs_compat_v2']
  miniflare = startWorker({ compatibilityDate: '2026-10-20', compatibilityFlags })
  olderMiniflare = startWorker({ compatibilityDate: '2024-09-01' })
})

afterAll(async () => {
  await miniflare.dispose()
  await olderMiniflare.dispose()
  for (const server of servers) await server.close()
  await bridge.close()
  await redis.stop()
})

const run =
  (command: string, ...args: string[]) =>
  async (task: Task): Promise<Result[]> => {
    const program = `${root}node_modules/.bin/${command}`
    const given = [...args, main, JSON.stringify(task)]
    const { stdout } = await promisify(execFile)(program, given, { cwd: root })
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
  }

const runtimes: Record<string, (task: Task) => Promise<Result[]>> = {
  workerd: async (task) => {
    const init = { method: 'POST', body: JSON.stringify(task) }
    const response = await miniflare.dispatchFetch('http://worker/', init)
    const text = await response.text()
    if (response.status !== 200) throw new Error(text)
    return JSON.parse(text)
  },
  deno: run('deno', 'run', '-A', '--no-prompt'),
  bun: run('bun', 'run'),
}

describe('createUpstashStore() in workerd of before `cache` was an option of fetch', () => {
  it('keeps its promises without that option', async () => {
    const task = { group: '{ url, token }', url: bridge.url, token: TOKEN, faults: [] }
    const init = { method: 'POST', body: JSON.stringify(task) }
    const response = await olderMiniflare.dispatchFetch('http://worker/', init)
    const results = (await response.json()) as Result[]
    expect(results.filter(({ error }) => error)).toEqual([])
    expect(results.length).toBeGreaterThan(20)
  })
})

for (const [runtime, ask] of Object.entries(runtimes)) {
  describe(`createUpstashStore() on real Redis, in ${runtime}`, () => {
    it.each(groups)('keeps its promises: %s', async (group) => {
      const before = bridge.requests.length
      const results = await ask({ group, url: bridge.url, token: TOKEN, faults })
      expect(results.filter(({ error }) => error)).toEqual([])
      expect(results.length).toBeGreaterThan(group === 'sessions' ? 3 : 20)
      if (group !== 'faults') expect(bridge.requests.length - before).toBeGreaterThan(20)
    })
  })
}
