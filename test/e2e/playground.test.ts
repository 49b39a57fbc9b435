import { type ChildProcess, spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { generateSecret } from '../../src/index.ts'
import { launchChromium } from '../support/chromium.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { type Bridge, startBridge, TOKEN } from '../support/upstash-bridge.ts'

const script = fileURLToPath(new URL('../../scripts/dev.mjs', import.meta.url))
const secret = generateSecret()

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })

let redis: RedisServer
let bridge: Bridge
let port: number
let server: ChildProcess
let output = ''

async function start(): Promise<void> {
  const env = {
    ...process.env,
    PORT: String(port),
    SESSION_SECRET: secret,
    UPSTASH_REDIS_REST_URL: bridge.url,
    UPSTASH_REDIS_REST_TOKEN: TOKEN,
  }
  server = spawn('node', [script], { env, detached: true })
  for (const stream of [server.stdout, server.stderr])
    stream?.on('data', (text) => (output += text))
  for (let tries = 0; tries < 120; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 500))
    const ready = await fetch(`http://127.0.0.1:${port}/`).catch(() => null)
    if (ready?.ok) return
  }
  throw new Error(`The playground did not start:\n${output}`)
}

async function stop(): Promise<void> {
  const ended = new Promise((resolve) => server.once('exit', resolve))
  server.kill('SIGTERM')
  await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 5000))])
  const left = await fetch(`http://127.0.0.1:${port}/`).catch(() => null)
  try {
    process.kill(-(server.pid as number), 'SIGKILL')
  } catch {
    // It has ended.
  }
  if (left) throw new Error('The playground left its server behind')
}

describe('the playground in Chromium', () => {
  let browser: Browser
  let context: BrowserContext
  let page: Page
  const text = (selector: string): Promise<string> => page.locator(selector).innerText()
  const click = async (name: string): Promise<void> => {
    await page.getByRole('button', { name, exact: true }).first().click()
    await page.waitForLoadState()
  }
  const signIn = async (name: string): Promise<void> => {
    await page.getByLabel('Your name').fill(name)
    await click('Sign in')
  }

  beforeAll(async () => {
    redis = await startRedis()
    bridge = await startBridge(redis.port)
    port = await freePort()
    browser = await launchChromium()
    await start()
  })
  afterAll(async () => {
    await browser?.close()
    if (server) await stop()
    await bridge?.close()
    await redis?.stop()
  })
  beforeEach(async () => {
    await context?.close()
    context = await browser.newContext()
    page = await context.newPage()
    await page.goto(`http://localhost:${port}/`)
  })

  it('keeps a visitor signed in, cart and all, over a reload and a restart of the server', async () => {
    await click('+ Tent')
    expect(await text('#notice')).toBe('Tent is in your cart')
    const before = [await text('#id'), await text('#rotation')]
    await signIn('Ada')
    expect(await text('#user')).toBe('Ada')
    expect(await text('#cart')).toContain('Tent')
    expect(await text('#id')).toBe(before[0])
    expect(await text('#rotation')).not.toBe(before[1])
    await click('Count')
    await page.reload()
    expect(await text('#count')).toBe('1')
    expect(await page.locator('#notice').count()).toBe(0)
    await stop()
    await start()
    await page.reload()
    expect([await text('#user'), await text('#count')]).toEqual(['Ada', '1'])
    expect(await text('#cart')).toContain('Tent')
  })

  it('seals the cookie, hides it from scripts and shows what is in it', async () => {
    await signIn('Grace')
    const [cookie] = await context.cookies()
    expect(cookie).toMatchObject({ name: '__Host-session', httpOnly: true, secure: true })
    expect(cookie?.value.includes('Grace')).toBe(false)
    expect(await page.evaluate('document.cookie')).toBe('')
    expect(await text('#opened')).toContain('"subject": "Grace"')
    expect(await text('#size')).toMatch(/^\d+ bytes$/)
    expect(await text('#requests')).toContain('session.login')
  })

  it('opens a tampered cookie to nothing', async () => {
    await signIn('Ada')
    await click('Tamper with the cookie')
    expect(await text('#status')).toBe('invalid')
    expect(await page.locator('#user').count()).toBe(0)
    await signIn('Ada again')
    expect(await text('#status')).toBe('active')
  })

  it('replaces the credential and nothing else when asked to', async () => {
    await signIn('Ada')
    const before = [await text('#id'), await text('#rotation')]
    await click('Regenerate')
    expect(await text('#id')).toBe(before[0])
    expect(await text('#rotation')).not.toBe(before[1])
    expect(await text('#user')).toBe('Ada')
  })

  it('shows nobody the signed-in page after signing out, not even by the back button', async () => {
    await click('+ Map')
    await signIn('Ada')
    await click('Sign out')
    expect(await text('#notice')).toContain('You are signed out')
    expect(await text('#status')).toBe('new')
    // A note that the session has ended, in case that a late response brings its cookie back.
    expect((await context.cookies()).map(({ name }) => name)).toEqual([
      expect.stringMatching(/^__Host-session\.n[\w-]{4}$/),
    ])
    await page.goBack()
    await page.waitForLoadState()
    expect(await page.locator('#user').count()).toBe(0)
    expect(await text('#cart')).not.toContain('Map')
  })

  it('remembers a visitor beyond the browser when asked to', async () => {
    await page.getByLabel('Remember me').check()
    await signIn('Ada')
    const [cookie] = await context.cookies()
    expect((cookie?.expires ?? 0) > Date.now() / 1000 + 3600).toBe(true)
  })

  it('escapes what visitors type', async () => {
    await signIn('<img src=x onerror=document.title=1>')
    expect(await text('#user')).toBe('<img src=x onerror=document.title=1>')
    expect(await page.title()).toBe('Sojourn playground')
  })

  for (const store of ['Memory', 'KV', 'Durable Object', 'Redis']) {
    it(`keeps sessions in ${store}, through every way in which it breaks`, async () => {
      await click(store)
      await click('+ Rope')
      await signIn('Ada')
      await click('Count')
      expect([await text('#user'), await text('#count')]).toEqual(['Ada', '1'])
      const before = await context.cookies()
      for (const [fault, events] of [
        ['Down', /store\.degraded/],
        ['429', /store\.degraded/],
        ['Garbage', /store\.degraded/],
        ['Slow', /store\.retry|store\.failed|store\.degraded/],
      ] as const) {
        await click(fault)
        expect(await text('#alert')).toContain('Nobody is signed out')
        expect(await text('#status')).toBe('degraded')
        expect(await text('#requests')).toMatch(events)
        expect(await page.getByRole('button', { name: 'Sign in' }).count()).toBe(0)
        await page.reload()
        expect(await text('#requests')).toMatch(events)
        await click('Count')
        expect(await text('#alert')).toContain('nothing was changed, and you are still signed in')
        await page.getByRole('link').click()
        await click('Healthy')
        // The breaker lets a first call through after a second or more.
        for (let tries = 0; tries < 20 && (await text('#status')) !== 'active'; tries++) {
          await page.waitForTimeout(500)
          await page.reload()
        }
        expect([await text('#user'), await text('#count')]).toEqual(['Ada', '1'])
      }
      expect(await context.cookies()).toEqual(before)
      await click('Sign out')
      expect(await text('#status')).toBe('new')
    })
  }

  it('goes on through an outage with a snapshot, and keeps what was done in it', async () => {
    await click('Redis')
    await click('Snapshot in the cookie')
    await signIn('Ada')
    await click('Count')
    await click('Down')
    await page.waitForTimeout(5100)
    await page.reload()
    expect(await text('#alert')).toContain('an older copy')
    expect([await text('#user'), await text('#count')]).toEqual(['Ada', '1'])
    await click('Count')
    await click('+ Map')
    expect(await text('#requests')).toContain('commit.deferred')
    expect(await text('#waiting')).toBe('in 1 cookie')
    expect([await text('#count'), await text('#cart')]).toEqual([
      '2',
      expect.stringContaining('Map'),
    ])
    await click('Healthy')
    const isDeferred = ({ name }: { name: string }): boolean => name.includes('.d')
    for (let tries = 0; tries < 30 && (await context.cookies()).some(isDeferred); tries++) {
      await page.waitForTimeout(500)
      await page.reload()
    }
    await click('No copy in the cookie')
    expect([await text('#user'), await text('#count')]).toEqual(['Ada', '2'])
    expect(await text('#cart')).toContain('Map')
  })

  it('lets two tabs write at once, and both win', async () => {
    await click('Durable Object')
    await signIn('Ada')
    const other = await context.newPage()
    await other.goto(`http://localhost:${port}/`)
    for (let round = 1; round <= 3; round++) {
      await Promise.all(
        [page, other].map(async (tab) => {
          await tab.getByRole('button', { name: 'Count', exact: true }).click()
          await tab.waitForLoadState()
        }),
      )
      await page.reload()
      expect(await text('#count')).toBe(String(2 * round))
      await other.reload()
    }
    const counted = page.waitForEvent('load')
    await click('Count twice at once')
    await counted
    expect(await text('#count')).toBe('8')
  })

  it('shows the devices of a user, and signs out one or all others', async () => {
    await click('Durable Object')
    const name = `Ada ${Date.now()}`
    await signIn(name)
    const others = await Promise.all(
      [1, 2].map(async () => {
        const device = await browser.newContext()
        const tab = await device.newPage()
        await tab.goto(`http://localhost:${port}/`)
        await tab.getByRole('button', { name: 'Durable Object', exact: true }).click()
        await tab.getByLabel('Your name').fill(name)
        await tab.getByRole('button', { name: 'Sign in', exact: true }).click()
        await tab.waitForLoadState()
        return tab
      }),
    )
    await page.reload()
    expect(await page.locator('#devices li').count()).toBe(3)
    expect(await text('#devices')).toContain('Chrome on Linux')
    await click('Sign this out')
    expect(await page.locator('#devices li').count()).toBe(2)
    await click('Sign out everywhere else')
    expect(await text('#notice')).toBe('Signed out 1 other device')
    expect(await page.locator('#devices li').count()).toBe(1)
    for (const tab of others) {
      await tab.reload()
      expect(await tab.locator('#user').count()).toBe(0)
      await tab.context().close()
    }
    expect(await text('#user')).toBe(name)
  })

  it.each(['light', 'dark'] as const)('fits a phone (%s)', async (colorScheme) => {
    await page.emulateMedia({ colorScheme })
    await page.setViewportSize({ width: 390, height: 844 })
    await click('+ Lantern')
    await signIn('Ada')
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390)
    const background = await page.evaluate('getComputedStyle(document.body).backgroundColor')
    expect(background).toBe(colorScheme === 'dark' ? 'rgb(20, 23, 28)' : 'rgb(246, 245, 241)')
    const { SCREENSHOTS } = process.env
    if (SCREENSHOTS)
      await page.screenshot({ path: `${SCREENSHOTS}/phone-${colorScheme}.png`, fullPage: true })
  })

  it('uses the room of a desktop', async () => {
    await page.setViewportSize({ width: 1200, height: 800 })
    await click('+ Tent')
    await signIn('Ada')
    const { SCREENSHOTS } = process.env
    if (SCREENSHOTS) await page.screenshot({ path: `${SCREENSHOTS}/desktop.png`, fullPage: true })
    const [left, right] = await Promise.all(
      ['.app', '.under'].map((selector) => page.locator(selector).boundingBox()),
    )
    expect(left?.y).toBe(right?.y)
  })
})
