import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { generateSecret } from '../../src/index.ts'
import { launchChromium } from '../support/chromium.ts'
import { freePort } from '../support/free-port.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { type Bridge, startBridge, TOKEN } from '../support/upstash-bridge.ts'

const script = fileURLToPath(new URL('../../scripts/dev.mjs', import.meta.url))
const secret = generateSecret()

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
  for (let tries = 0; tries < 300; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 500))
    const ready = await fetch(`http://127.0.0.1:${port}/`).catch(() => null)
    if (ready?.ok) return
  }
  throw new Error(`The playground did not start:\n${output}`)
}

async function stop(): Promise<void> {
  const ended = new Promise((resolve) => server.once('exit', resolve))
  server.kill('SIGTERM')
  await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 60_000))])
  const left = await fetch(`http://127.0.0.1:${port}/`).catch(() => null)
  try {
    process.kill(-(server.pid as number), 'SIGKILL')
  } catch {
    // It has ended.
  }
  if (left) throw new Error('The playground left its server behind')
}

/** No script of a form is under way. */
const IDLE = `document.documentElement.dataset.busy !== 'true'`

/** Waits in the test: the page forbids what Playwright's own wait evaluates in it. */
async function until(tab: Page, expression: string): Promise<void> {
  for (let tries = 0; tries < 1200; tries++) {
    if (await tab.evaluate(`!!(${expression})`)) return
    await tab.waitForTimeout(50)
  }
  throw new Error(`Not so within a minute: ${expression}`)
}

describe('the playground in Chromium', () => {
  let browser: Browser
  let context: BrowserContext
  let page: Page
  let origins: Set<string>
  let complaints: string[]
  const text = (selector: string): Promise<string> => page.locator(selector).innerText()
  const cookies = async (name: 'a' | 'b') =>
    (await context.cookies()).filter((one) => one.name.startsWith(`${name}~`))
  /** Presses a button and waits for the page that follows, in place. */
  const press = async (id: string, tab = page): Promise<void> => {
    const answered = tab.waitForResponse((response) => {
      const { pathname } = new URL(response.url())
      const isPage = pathname === '/' && response.status() < 300
      return isPage || (response.status() >= 400 && !pathname.endsWith('/session-status'))
    })
    await tab.locator(id).click()
    await (await answered).finished()
    await until(tab, IDLE)
  }
  /** Waits until a store that was mended is asked again, which the page does by itself. */
  const untilStatus = (name: 'a' | 'b', status: string): Promise<unknown> =>
    until(page, `document.querySelector('#${name}-status').textContent === '${status}' && ${IDLE}`)
  const signIn = async (name: 'a' | 'b', user = 'Ada'): Promise<void> => {
    await page.locator(`#${name}-name`).fill(user)
    await press(`#${name}-sign-in`)
    expect(await text(`#${name}-user`)).toBe(user)
  }

  async function open(url = `http://localhost:${port}/`): Promise<Page> {
    const tab = await context.newPage()
    tab.on('request', (request) => origins.add(new URL(request.url()).origin))
    tab.on('pageerror', (error) => complaints.push(error.message))
    tab.on('console', (message) => {
      // What the browser writes of a 503 and a 401 is no complaint of the page.
      const isStatus = message.text().startsWith('Failed to load resource')
      if (message.type() === 'error' && !isStatus) complaints.push(message.text())
    })
    await tab.goto(url)
    return tab
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
    context = await browser.newContext({ viewport: { width: 1400, height: 900 } })
    origins = new Set()
    complaints = []
    page = await open()
  })
  afterEach(async () => {
    await context.close()
    expect(complaints).toEqual([])
    expect([...origins].filter((one) => one !== `http://localhost:${port}`)).toEqual([])
  })

  it('the tour loses nothing in five clicks, and moves nothing on the page', async () => {
    await page.evaluate(`
      window.shift = 0
      new PerformanceObserver((list) => {
        for (const { value } of list.getEntries()) window.shift += value
      }).observe({ type: 'layout-shift', buffered: true })
    `)
    await page.evaluate('scrollTo(0, 40)')
    await press('#a-sign-in-Ada-0')
    await press('#lab-fault-down-1')
    expect(await text('#a-status')).toBe('degraded')
    await press('#a-cart-add-Tent-2')
    expect(await text('#a-message')).toContain('the browser carries what you change')
    expect(await text('#requests')).toContain('commit.deferred')
    await press('#lab-fault-healthy-3')
    await untilStatus('a', 'active')
    await press('#lab-look-4')
    expect(await text('#a-cart')).toContain('Tent')
    expect(await text('#a-user')).toBe('Ada')
    expect(await text('#tour-end')).toContain('Nothing was lost')
    expect(await text('#requests')).toContain('commit.applied')
    expect(await page.evaluate('[scrollY, window.shift]')).toEqual([40, 0])
  })

  it('cookies are sealed, hidden from scripts, and apart for each browser', async () => {
    await signIn('a', 'Grace')
    const cookie = (await cookies('a')).find(({ name }) => name === 'a~__Host-memory-session')
    expect(cookie).toMatchObject({ httpOnly: true, secure: true })
    expect(cookie?.value).not.toContain('Grace')
    expect(await page.evaluate('document.cookie')).not.toContain('session')
    expect(await cookies('b')).toEqual([])
    expect(await text('#b-status')).toBe('new')
    await page.locator('#a-cookie summary').click()
    expect(await text('#a-opened')).toContain('"subject": "Grace"')
    await press('#a-count')
    // The part was drawn again, and stays open.
    expect(await page.locator('#a-cookie').getAttribute('open')).not.toBe(null)
  })

  it('what visitors type is escaped', async () => {
    await signIn('a', '<img src=x onerror=document.title=1>')
    expect(await page.title()).toBe('Sojourn playground')
  })

  it('a stolen cookie is the session until its owner has a new credential, and then nothing', async () => {
    await signIn('a')
    await press('#lab-steal')
    expect(await text('#b-user')).toBe('Ada')
    await press('#a-regenerate')
    expect(await text('#b-status')).toBe('superseded')
    await press('#lab-ahead-1')
    expect([await text('#a-user'), await text('#b-status')]).toEqual(['Ada', 'missing'])
    expect(await text('#requests')).toContain('session.reused')
  })

  it('a stolen cookie is of no use when sessions are bound to their browser', async () => {
    await press('#lab-binding-browser')
    await signIn('a')
    await press('#lab-steal')
    expect(await page.locator('#b-user').count()).toBe(0)
    expect(await text('#requests')).toContain('session.binding-mismatch')
    expect(await text('#a-user')).toBe('Ada')
  })

  it('stolen cookies are of no use without the key, once a proof is due', async () => {
    await press('#lab-binding-device')
    await signIn('a')
    expect(await text('#requests')).toContain('/device-bound/register')
    expect(await page.locator('#a-key').textContent()).toMatch(/^[\w-]{43}$/)
    expect(await page.locator('#a-bound').textContent()).toMatch(/^\d+ bytes$/)
    await press('#lab-steal')
    expect(await text('#b-user')).toBe('Ada')
    await press('#lab-ahead-1')
    expect([await text('#a-user'), await text('#b-status')]).toEqual(['Ada', 'unproven'])
    expect(await text('#requests')).toContain('/device-bound/refresh')
  })

  it('a cookie that was tampered with opens to nothing', async () => {
    await signIn('a')
    await press('#lab-tamper')
    expect(await text('#a-status')).toBe('invalid')
    expect(await text('#requests')).toContain('session.invalid')
  })

  it('races are counted in a store, and lost in a cookie', async () => {
    await press('#lab-race')
    expect(await text('#result')).toMatch(/^10 requests at once, every one of them counted/)
    // Of one session: all of them meet.
    await press('#lab-steal')
    await press('#lab-race')
    expect(await text('#result')).toMatch(/^10 requests at once, every one of them counted/)
    expect([await text('#a-total'), await text('#b-total')]).toEqual(['16', '16'])
    await press('#lab-store-cookie')
    await press('#lab-race')
    expect(await text('#result')).toContain('8 of them lost')
    expect(await page.locator('#lab-fault-down').isDisabled()).toBe(true)
  })

  it('devices are listed, and signed out one by one or all others', async () => {
    await signIn('a')
    await signIn('b')
    expect(await text('#b-devices')).toContain('Firefox on a laptop')
    await press('#a-devices-sign-out-others')
    expect(await text('#a-message')).toBe('Signed out 1 other device.')
    expect(await text('#b-status')).toBe('missing')
    await signIn('b')
    await press('#b-devices li button')
    expect([await text('#a-status'), await text('#b-user')]).toEqual(['missing', 'Ada'])
  })

  it('step-up asks for a proof, which counts for five minutes', async () => {
    await signIn('a')
    await press('#a-account-e-mail')
    expect(await text('#a-message')).toContain('401: first prove the passkey')
    await press('#a-prove')
    await press('#a-account-e-mail')
    expect(await text('#a-message')).toContain('E-mail address changed')
    await press('#lab-ahead-1')
    await press('#a-account-e-mail')
    expect(await text('#a-message')).toContain('401')
  })

  it('somebody who acts for a user is seen, and kept out of what only the user may do', async () => {
    await signIn('a')
    await press('#b-act-as-Ada')
    expect(await text('#pane-b')).toContain('support:sam acts')
    await press('#b-prove')
    await press('#b-account-e-mail')
    expect(await text('#b-message')).toContain('403: only the user')
    await page.reload()
    expect(await text('#a-devices')).toContain('Support')
  })

  it('time travels: an hour keeps a session, a day ends it', async () => {
    await signIn('a')
    await press('#lab-ahead-1')
    expect(await text('#a-user')).toBe('Ada')
    await press('#lab-ahead-25')
    expect(await text('#a-status')).toBe('expired')
    expect(await text('#requests')).toContain('session.expired')
  })

  it('secrets rotate: a new one signs nobody out, and the former one can go once it is not used', async () => {
    await signIn('a')
    await signIn('b', 'Bob')
    await press('#lab-secrets-new')
    expect(await text('#requests')).toContain('key.used')
    // A change is sealed by the new one.
    await press('#a-count')
    await press('#lab-secrets-drop')
    expect([await text('#a-user'), await text('#b-status')]).toEqual(['Ada', 'invalid'])
  })

  it('an outage keeps the page and its panels: 503 with the whole page', async () => {
    await press('#lab-snapshot-false')
    await signIn('a')
    await press('#lab-fault-down')
    const answer = await page.request.post(`http://localhost:${port}/a/count`, { form: {} })
    expect(answer.status()).toBe(503)
    expect(answer.headers()['retry-after']).toMatch(/^\d+$/)
    const body = await answer.text()
    for (const id of ['tour', 'pane-a', 'pane-b', 'timeline', 'store', 'policy']) {
      expect(body).toContain(`id="${id}"`)
    }
    await press('#a-count')
    expect(await text('#a-message')).toContain('nothing was changed, and nobody is signed out')
    await press('#lab-fault-healthy')
    await untilStatus('a', 'active')
    expect(await text('#a-user')).toBe('Ada')
  })

  it('the sliders change retries and breaker at once', async () => {
    await signIn('a')
    const set = async (id: string, value: string): Promise<void> => {
      const changed = until(
        page,
        `document.querySelector('#${id}').value === '${value}' &&
        document.querySelector('label[for=${id}]').textContent.includes('${Number(value) / (id === 'openMs' ? 1000 : 1)}')`,
      )
      await page.locator(`#${id}`).fill(value)
      await changed
    }
    await set('attempts', '1')
    await set('failures', '1')
    await press('#lab-fault-down')
    expect(await text('#read-breaker')).toBe('open')
    expect(await text('#requests')).not.toContain('store.retry')
    expect(await page.locator('#breakers rect.open').count()).toBeGreaterThan(0)
  })

  it('a second tab notices who signs in and out', async () => {
    await signIn('a')
    const other = await open()
    const seesUser = (isThere: boolean) =>
      until(other, `!!document.querySelector('#a-user') === ${isThere}`)
    await seesUser(true)
    // Its first answer is there once its watch is.
    await other.waitForLoadState('networkidle')
    await press('#a-sign-out')
    await seesUser(false)
    await page.bringToFront()
    await signIn('a')
    await seesUser(true)
  })

  it('every visitor has faults, a log and sessions of their own', async () => {
    await signIn('a')
    await press('#lab-fault-down')
    const stranger = await browser.newContext()
    const tab = await stranger.newPage()
    await tab.goto(`http://localhost:${port}/`)
    expect(await tab.locator('#lab-fault-healthy').getAttribute('aria-pressed')).toBe('true')
    expect(await tab.locator('#requests > li').count()).toBe(2)
    await stranger.close()
  })

  it('works by keyboard, keeps the focus, and says what happened', async () => {
    await page.locator('#a-name').focus()
    await page.keyboard.press('Enter')
    await page.locator('#a-user').waitFor()
    await page.locator('#a-count').focus()
    for (const count of ['1', '2']) {
      await page.keyboard.press('Enter')
      await until(page, `document.querySelector('#a-total').textContent === '${count}'`)
      expect(await page.evaluate('document.activeElement.id')).toBe('a-count')
    }
    expect(await text('#said')).toContain('Counted to 2.')
  })

  it('keeps what is being typed while the page looks again', async () => {
    await page.locator('#b-name').fill('Bob')
    await press('#b-count')
    await press('#a-count')
    expect(await page.locator('#b-name').inputValue()).toBe('Bob')
  })

  it('works without scripts', async () => {
    const plain = await browser.newContext({ javaScriptEnabled: false })
    const tab = await plain.newPage()
    await tab.goto(`http://localhost:${port}/`)
    await tab.locator('#a-sign-in').click()
    await tab.locator('#a-cart-add-Map').click()
    expect(await tab.locator('#a-cart').innerText()).toContain('Map')
    await plain.close()
  })

  it('each event of the timeline links to what the documents say of it', async () => {
    await signIn('a')
    const link = page.locator('#requests a', { hasText: 'session.login' }).first()
    const [document] = await Promise.all([context.waitForEvent('page'), link.click()])
    await document.waitForLoadState()
    expect(await document.locator('body').innerText()).toContain('`session.login`')
  })

  for (const store of ['memory', 'kv', 'durable-object', 'redis']) {
    it(`sessions in the store "${store}" outlive every way in which it breaks`, async () => {
      await press(`#lab-store-${store}`)
      await press('#lab-snapshot-false')
      await signIn('a')
      await press('#a-count')
      const before = await cookies('a')
      for (const fault of ['down', 'throttled', 'garbage', 'slow']) {
        await press(`#lab-fault-${fault}`)
        expect([fault, await text('#a-status')]).toEqual([fault, 'degraded'])
        expect(await text('#a-message')).toContain('Nobody is signed out')
        await press('#lab-fault-healthy')
        await untilStatus('a', 'active')
        expect([await text('#a-user'), await text('#a-total')]).toEqual(['Ada', '1'])
      }
      expect(await cookies('a')).toEqual(before)
    })
  }

  it('a visitor stays signed in over a restart of the server, cart and all', async () => {
    await press('#lab-store-durable-object')
    await press('#a-cart-add-Rope')
    await signIn('a')
    await stop()
    await start()
    await page.reload()
    expect(await text('#a-user')).toBe('Ada')
    expect(await text('#a-cart')).toContain('Rope')
  })

  it.each([
    [360, 'light'],
    [360, 'dark'],
    [800, 'light'],
    [800, 'dark'],
    [1400, 'light'],
    [1400, 'dark'],
  ] as const)('fits %i pixels in %s colours', async (width, colorScheme) => {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    await page.setViewportSize({ width, height: 900 })
    await signIn('a')
    await press('#lab-fault-down')
    expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true)
    const background = await page.evaluate('getComputedStyle(document.body).backgroundColor')
    expect(background).toBe(colorScheme === 'dark' ? 'rgb(20, 23, 28)' : 'rgb(246, 245, 241)')
    expect(
      await page.evaluate('getComputedStyle(document.querySelector("button")).transitionDuration'),
    ).toBe('0s')
    const { SCREENSHOTS } = process.env
    if (SCREENSHOTS)
      await page.screenshot({ path: `${SCREENSHOTS}/${width}-${colorScheme}.png`, fullPage: true })
  })
})
