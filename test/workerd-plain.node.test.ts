import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/** Since 2026-08-04 workerd has Node's globals unless both of these say no. */
const withoutNode = ['no_nodejs_compat', 'no_nodejs_compat_v2']

async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('./fixtures/plain-worker.ts', import.meta.url))],
    bundle: true,
    format: 'esm',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    write: false,
    logLevel: 'silent',
  })
  return outputFiles[0]?.text ?? ''
}

describe('the built package in workerd without Node compatibility', () => {
  let worker: Miniflare

  beforeAll(async () => {
    worker = new Miniflare(
      convertV4MiniflareOptions({
        modules: true,
        script: await bundle(),
        compatibilityDate: '2026-10-20',
        compatibilityFlags: withoutNode,
      }),
    )
    await worker.ready
  })

  afterAll(() => worker?.dispose())

  it('has neither process nor Buffer there', async () => {
    const response = await worker.dispatchFetch('https://example.com/globals')
    expect(await response.json()).toEqual({ process: 'undefined', Buffer: 'undefined' })
  })

  it('keeps a cookie session over two requests', async () => {
    const first = await worker.dispatchFetch('https://example.com/')
    expect(await first.text()).toBe('visit 1')
    const cookie = first.headers.getSetCookie()[0]?.split(';')[0] ?? ''
    expect(cookie).toMatch(/^__Host-/)

    const second = await worker.dispatchFetch('https://example.com/', { headers: { cookie } })
    expect(await second.text()).toBe('visit 2')
  })

  it('starts afresh without the cookie', async () => {
    const response = await worker.dispatchFetch('https://example.com/')
    expect(await response.text()).toBe('visit 1')
  })
})
