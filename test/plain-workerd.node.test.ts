import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createCookieJar } from '../src/testing/index.ts'
import { SECRET } from './support/sessions.ts'

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

describe('the built package in workerd without Node compatibility', () => {
  let miniflare: Miniflare
  const jar = createCookieJar()
  const visit = async (where: string): Promise<string> => {
    const request = jar.request(where)
    const headers = { cookie: request.headers.get('cookie') ?? '' }
    const response = await miniflare.dispatchFetch(request.url, { headers })
    const copy = new Response(null, { headers: [...response.headers] })
    jar.store(copy, request.url)
    return response.text()
  }

  beforeAll(async () => {
    const { outputFiles } = await build({
      entryPoints: [path('./fixtures/plain-worker.ts')],
      bundle: true,
      format: 'esm',
      conditions: ['workerd', 'worker'],
      write: false,
      logLevel: 'silent',
    })
    miniflare = new Miniflare(
      convertV4MiniflareOptions({
        modules: [{ type: 'ESModule', path: 'worker.mjs', contents: outputFiles[0]?.text ?? '' }],
        compatibilityDate: '2026-10-20',
        compatibilityFlags: ['no_nodejs_compat', 'no_nodejs_compat_v2'],
        bindings: { SECRET },
        host: '127.0.0.1',
      }),
    )
    await miniflare.ready
  })
  afterAll(() => miniflare.dispose())

  for (const where of ['/cookie', '/store']) {
    it(`keeps sessions (${where})`, async () => {
      for (const n of [1, 2, 3]) expect(await visit(where)).toBe(`visit ${n}`)
    })
  }

  it('has nothing of Node, and made its sessions once', async () => {
    expect(JSON.parse(await visit('/globals'))).toEqual({ node: [], made: 1 })
  })
})
