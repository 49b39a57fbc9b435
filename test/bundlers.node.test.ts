import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { scriptOf } from '../src/stores/redis-scripts.ts'
import { root, runTool, startProgram } from './examples/server.ts'
import { type RedisServer, startRedis } from './support/redis.ts'
import { type Bridge, startBridge, TOKEN } from './support/upstash-bridge.ts'

process.env.NEXT_TELEMETRY_DISABLED = '1'
process.env.WRANGLER_SEND_METRICS = 'false'

const folder = '.test-results/bundlers'
const work = join(root, folder)
const entry = join(work, 'entry.mjs')

type Rollup = (options: object) => Promise<{ write(options: object): Promise<unknown> }>

/** Builds the entry into a folder, and returns the name of the file to run. */
const bundlers: Record<string, (out: string) => Promise<string>> = {
  async 'webpack, the one inside Next'(path) {
    const webpack = createRequire(import.meta.url)('next/dist/compiled/webpack/webpack-lib')
    const output = { path, filename: 'out.cjs', chunkFilename: '[id].cjs' }
    // Next brings its own way to minify.
    const optimization = { minimize: false }
    const config = {
      mode: 'production',
      target: 'node',
      context: work,
      entry,
      output,
      optimization,
    }
    const stats = await promisify(webpack)(config)
    expect(stats.toJson({ all: false, errors: true }).errors).toEqual([])
    return 'out.cjs'
  },
  async 'esbuild, one file'(outdir) {
    const { build } = await import('esbuild')
    const options = { bundle: true, minify: true, format: 'esm', platform: 'node' } as const
    await build({ ...options, entryPoints: [entry], outdir })
    return 'entry.js'
  },
  async 'esbuild, chunks'(outdir) {
    const { build } = await import('esbuild')
    const options = { bundle: true, minify: true, format: 'esm', platform: 'node' } as const
    await build({ ...options, entryPoints: [entry], outdir, splitting: true })
    return 'entry.js'
  },
  async rollup(dir) {
    const { rollup } = (await import('rollup' as string)) as { rollup: Rollup }
    const resolveId = (id: string): string | null =>
      /^[./]/.test(id) ? null : fileURLToPath(import.meta.resolve(id))
    const bundle = await rollup({ input: entry, plugins: [{ name: 'packages', resolveId }] })
    await bundle.write({ dir, entryFileNames: 'out.mjs', chunkFileNames: '[name].mjs' })
    return 'out.mjs'
  },
  async rolldown(dir) {
    const { rolldown } = (await import('rolldown' as string)) as { rolldown: Rollup }
    const bundle = await rolldown({ input: entry, platform: 'node' })
    await bundle.write({ dir, entryFileNames: 'out.mjs', minify: true })
    return 'out.mjs'
  },
}

let redis: RedisServer
let bridge: Bridge

beforeAll(async () => {
  rmSync(work, { recursive: true, force: true })
  const next = join(work, 'next')
  mkdirSync(join(next, 'app'), { recursive: true })
  redis = await startRedis()
  bridge = await startBridge(redis.port)
  for (const where of [work, join(next, 'app')]) {
    cpSync(join(root, 'test/fixtures/bundled.mjs'), join(where, 'bundled.mjs'))
  }
  const take = "import { runScripts } from './bundled.mjs'"
  const run = `runScripts(${JSON.stringify(bridge.url)}, ${JSON.stringify(TOKEN)})`
  const handler = `async () => Response.json(await ${run})`
  writeFileSync(entry, `${take}\n${run}.then((result) => console.log(JSON.stringify(result)))`)
  writeFileSync(join(work, 'worker.mjs'), `${take}\nexport default { fetch: ${handler} }`)
  writeFileSync(
    join(work, 'wrangler.toml'),
    'name = "bundled"\nmain = "worker.mjs"\ncompatibility_date = "2026-10-20"',
  )
  writeFileSync(
    join(next, 'app/route.js'),
    `${take}\nexport const dynamic = 'force-dynamic'\nexport const GET = ${handler}`,
  )
  writeFileSync(
    join(next, 'next.config.mjs'),
    `export default { distDir: process.env.DIST_DIR, turbopack: { root: ${JSON.stringify(root)} } }`,
  )
})

beforeEach(async () => {
  await bridge.redis('FLUSHALL')
  await bridge.redis('SCRIPT', 'FLUSH')
  bridge.requests.length = 0
})

afterAll(async () => {
  await bridge.close()
  await redis.stop()
})

const SCRIPTS = ['READ', 'WRITE', 'END', 'LIST', 'END_ALL', 'PAGE'] as const

/** Every script is sent as it was written, where Redis asks for it, and does what it is for. */
function expectScripts(result: unknown): void {
  expect(result).toEqual({ left: 'missing', listed: 2, all: 2, ended: 2 })
  const sent = bridge.requests
    .flat()
    .map((command) => command as string[])
    .filter(([name]) => name === 'EVAL')
    .map(([, text]) => SCRIPTS.find((name) => scriptOf(name) === text) ?? text)
  expect(new Set(sent)).toEqual(new Set(SCRIPTS))
  // Those that end sessions never depend on a command before.
  const asked = sent.filter((name) => name !== 'END' && name !== 'END_ALL')
  expect(asked).toHaveLength(4)
}

describe('the scripts of a store in Redis', () => {
  it.each(Object.entries(bundlers))('are in the bundle of %s', async (name, bundle) => {
    const out = join(work, name.replace(/\W+/g, '-'))
    mkdirSync(out)
    const file = join(out, await bundle(out))
    const { stdout } = await promisify(execFile)(process.execPath, [file])
    expectScripts(JSON.parse(stdout))
  })

  it('are in the bundle of wrangler', async () => {
    await runTool(folder, 'wrangler', 'deploy', '--dry-run', '--outdir', 'wrangler')
    const contents = readFileSync(join(work, 'wrangler/worker.js'), 'utf8')
    const miniflare = new Miniflare(
      convertV4MiniflareOptions({
        modules: [{ type: 'ESModule', path: 'worker.mjs', contents }],
        compatibilityDate: '2026-10-20',
        host: '127.0.0.1',
      }),
    )
    try {
      const { origin } = await miniflare.ready
      expectScripts(await (await fetch(origin)).json())
    } finally {
      await miniflare.dispose()
    }
  })

  it.each(['turbopack', 'webpack'])('are in the build of Next with --%s', async (bundler) => {
    process.env.DIST_DIR = `.next-${bundler}`
    await runTool(`${folder}/next`, 'next', 'build', `--${bundler}`)
    const server = await startProgram(`${folder}/next`, 'next', 'start', '-H', '127.0.0.1')
    try {
      expectScripts(await (await fetch(`${server.origin}/?again`)).json())
    } finally {
      await server.stop()
    }
  })
})
