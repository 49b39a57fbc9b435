import { type ChildProcess, spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { afterEach, describe, expect, it } from 'vitest'
import { createCookieJar } from '../../src/testing/index.ts'
import { SECRET } from '../support/sessions.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const bin = join(root, 'node_modules', '.bin')
const cleanUp: (() => unknown)[] = []

afterEach(async () => {
  for (const undo of cleanUp.splice(0)) await undo()
})

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })

type Send = (request: Request) => Promise<Response>

/** Starts an example with its runtime and waits until it answers. */
async function start(command: string, ...args: string[]): Promise<Send> {
  const port = await freePort()
  const path = `${bin}${delimiter}${process.env.PATH}`
  const env = { ...process.env, PATH: path, SESSION_SECRET: SECRET, PORT: String(port) }
  const child: ChildProcess = spawn(command, args, { cwd: root, env, detached: true })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text) => (output += text))
  cleanUp.push(() => process.kill(-(child.pid as number), 'SIGKILL'))
  const send: Send = ({ url, method, headers }) =>
    fetch(url.replace('https://example.com', `http://127.0.0.1:${port}`), { method, headers })
  for (let tries = 0; tries < 100; tries++) {
    if (await send(new Request('https://example.com/')).catch(() => null)) return send
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`${command} did not start:\n${output}`)
}

/** Bundles an example for Workers and runs it in workerd. */
async function startInWorkerd(file: string): Promise<Send> {
  const { outputFiles } = await build({
    entryPoints: [join(root, file)],
    bundle: true,
    format: 'esm',
    conditions: ['workerd', 'worker'],
    write: false,
    logLevel: 'silent',
  })
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      modules: [{ type: 'ESModule', path: 'worker.mjs', contents: outputFiles[0]?.text ?? '' }],
      compatibilityDate: '2026-10-20',
      bindings: { SESSION_SECRET: SECRET },
      host: '127.0.0.1',
    }),
  )
  cleanUp.push(() => miniflare.dispose())
  return async (request) => {
    const body = request.method === 'POST' ? await request.text() : null
    const headers = Object.fromEntries(request.headers)
    const init = { method: request.method, headers, redirect: 'manual' as const }
    const response = await miniflare.dispatchFetch(request.url, body ? { ...init, body } : init)
    return new Response(await response.text(), {
      status: response.status,
      headers: [...response.headers],
    })
  }
}

describe('examples', () => {
  const runtimes: [name: string, start: () => Promise<Send>][] = [
    ['deno', () => start('deno', 'run', '--allow-net', '--allow-env', 'examples/deno/main.ts')],
    ['bun', () => start('bun', 'examples/bun/main.ts')],
    ['node', () => start('node', 'examples/node/main.ts')],
    ['workers', () => startInWorkerd('examples/workers/worker.ts')],
    ['hono', () => startInWorkerd('examples/hono/app.ts')],
  ]
  it.each(runtimes)('%s counts visits', async (_name, begin) => {
    const send = await begin()
    const jar = createCookieJar()
    for (const visit of ['visit 1', 'visit 2', 'visit 3']) {
      expect(await (await jar.fetch(send, '/')).text()).toBe(visit)
    }
  })

  it('hono signs in and out', async () => {
    const send = await startInWorkerd('examples/hono/app.ts')
    const jar = createCookieJar()
    const body = new URLSearchParams({ name: 'Ada' })
    expect((await jar.fetch(send, '/me')).status).toBe(401)
    expect((await jar.fetch(send, '/sign-in', { method: 'POST', body })).status).toBe(303)
    expect(await (await jar.fetch(send, '/me')).text()).toBe('Welcome, Ada')
    expect(await (await jar.fetch(send, '/me')).text()).toBe('Hello again, Ada')
    await jar.fetch(send, '/sign-out', { method: 'POST', body })
    expect((await jar.fetch(send, '/me')).status).toBe(401)
  })
})
