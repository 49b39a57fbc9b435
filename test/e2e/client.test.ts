import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { requestOf, sendResponse } from '../../src/adapters/node.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { launchChromium } from '../support/chromium.ts'
import { createWorld } from '../support/sessions.ts'

const dist = new URL('../../dist/client/', import.meta.url)

/** A page that says for whom it was made, and watches. */
const page = (user: string): string => `<!doctype html><title>${user}</title>
<p id="expiring"></p><input>
<script type="module">
import { watchSession } from '/client.js'
const expiring = document.querySelector('#expiring')
window.watch = watchSession({
  url: '/status',
  interval: 1,
  warnBefore: 5,
  onExpiring: (seconds) => { expiring.textContent = 'expires in ' + seconds },
  onRenewed: () => { expiring.textContent = 'renewed' },
})
</script>`

/** An application with sessions, and what its status endpoint was asked. */
async function startApplication() {
  let ahead = 0
  // It stands still, or a slow machine could miss the seconds before the end. Cookies go by the clock of the browser.
  const began = Date.now()
  const now = () => began + 1000 * ahead
  const { sessions } = createWorld({ store: createMemoryStore({ now }), idleTimeout: 1000, now })
  const asked: string[] = []
  const status = sessions.statusHandler()
  const answer = sessions.handler(async (request) => {
    const { pathname, searchParams } = new URL(request.url)
    if (/^\/(client|watch)\.js$/.test(pathname)) {
      const headers = { 'content-type': 'text/javascript' }
      return new Response(readFileSync(new URL(`.${pathname}`, dist)), { headers })
    }
    if (pathname === '/status') {
      asked.push(`${request.method} ${new URL(request.headers.get('referer') ?? '').pathname}`)
      return status(request)
    }
    const session = await sessions.get(request)
    if (pathname === '/sign-in') session.login(String(searchParams.get('as')))
    if (pathname === '/sign-out') session.destroy()
    const headers = { 'content-type': 'text/html' }
    return new Response(page(session.subject ?? 'nobody'), { headers })
  })
  const server: Server = createServer(async (message, response) => {
    await sendResponse(response, await answer(requestOf(message)))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    asked,
    sessions,
    origin: `http://localhost:${port}`,
    advance: (seconds: number) => {
      ahead += seconds
    },
    stop: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

describe('watchSession() in Chromium', () => {
  let browser: Browser
  let context: BrowserContext
  let app: Awaited<ReturnType<typeof startApplication>>
  const errors: string[] = []

  beforeAll(async () => {
    browser = await launchChromium()
  })
  afterAll(async () => {
    await browser?.close()
  })
  beforeEach(async () => {
    app = await startApplication()
    context = await browser.newContext()
    errors.length = 0
  })
  afterEach(async () => {
    await context.close()
    await app.stop()
    expect(errors).toEqual([])
  })

  async function open(path: string): Promise<Page> {
    const tab = await context.newPage()
    tab.on('pageerror', (error) => errors.push(error.message))
    await tab.goto(app.origin + path)
    await tab.waitForFunction('window.watch')
    await tab.evaluate('watch.check()')
    return tab
  }
  const untilTitle = (tab: Page, title: string) =>
    tab.waitForFunction(`document.title === '${title}' && window.watch`)
  /** Has a page take itself for hidden, or for seen: tabs of a browser without a window are never hidden. */
  const show = (tab: Page, isVisible: boolean) =>
    tab.evaluate(`
      Object.defineProperty(document, 'hidden', { value: ${!isVisible}, configurable: true })
      document.dispatchEvent(new Event('visibilitychange'))
    `)

  it('signs out every tab once one of them has signed out, hidden ones too', async () => {
    const first = await open('/sign-in?as=ann')
    const others = [await open('/'), await open('/'), await open('/')]
    await show(others[2] as Page, false)
    expect(await Promise.all(others.map((tab) => tab.title()))).toEqual(['ann', 'ann', 'ann'])
    await first.goto(`${app.origin}/sign-out`)
    await Promise.all(others.map((tab) => untilTitle(tab, 'nobody')))
  })

  it('reloads the other tabs once one has signed in as somebody else, and not for the same user', async () => {
    const first = await open('/sign-in?as=ann')
    const other = await open('/')
    await other.evaluate('window.mark = 1')
    await first.goto(`${app.origin}/sign-in?as=ann`)
    await first.evaluate('watch.check()')
    await other.evaluate('watch.check()')
    expect(await other.evaluate('window.mark')).toBe(1)
    await first.goto(`${app.origin}/sign-in?as=bob`)
    await untilTitle(other, 'bob')
    expect(await other.evaluate('window.mark')).toBe(undefined)
  })

  it('notices a session that was revoked on the server, and asks nothing while hidden', async () => {
    await open('/sign-in?as=ann').then((first) => first.close())
    const tab = await open('/')
    await show(tab, false)
    await tab.evaluate('watch.check()')
    const before = app.asked.length
    await app.sessions.revokeAll('ann')
    await tab.waitForTimeout(2500)
    expect([app.asked.length, await tab.title()]).toEqual([before, 'ann'])
    await show(tab, true)
    await untilTitle(tab, 'nobody')
  })

  it('warns before the end, and a key press keeps the session alive in every tab', async () => {
    const first = await open('/sign-in?as=ann')
    const other = await open('/')
    app.advance(996)
    const untilShown = (text: string) => (tab: Page) =>
      tab.waitForFunction(`document.querySelector('#expiring').textContent.startsWith('${text}')`)
    await Promise.all([first, other].map(untilShown('expires in')))
    expect(app.asked.filter((one) => one.startsWith('POST'))).toEqual([])
    await first.bringToFront()
    await first.locator('input').press('a')
    await Promise.all([first, other].map(untilShown('renewed')))
    expect(app.asked.some((one) => one.startsWith('POST'))).toBe(true)
    expect([await first.title(), await other.title()]).toEqual(['ann', 'ann'])
  })

  it('signs nobody out while the browser is offline, and asks as soon as it is online', async () => {
    await open('/sign-in?as=ann').then((first) => first.close())
    const tab = await open('/')
    await context.setOffline(true)
    // The first may be a question that was under way.
    expect(await tab.evaluate('watch.check().then(() => watch.check())')).toBe(null)
    await tab.waitForTimeout(2500)
    expect(await tab.title()).toBe('ann')
    await app.sessions.revokeAll('ann')
    await context.setOffline(false)
    await untilTitle(tab, 'nobody')
  })

  it('leaves nothing behind once it is stopped', async () => {
    const tab = await open('/sign-in?as=ann')
    await tab.evaluate('watch.check().then(() => watch.stop())')
    const ofTab = () => app.asked.filter((one) => one.endsWith('/sign-in')).length
    const before = ofTab()
    const other = await open('/sign-out')
    await other.close()
    await tab.locator('input').press('a')
    await show(tab, true)
    await tab.waitForTimeout(1500)
    expect(app.asked.filter((one) => one.endsWith('/sign-out'))).not.toEqual([])
    expect(ofTab()).toBe(before)
    expect(await tab.title()).toBe('ann')
  })
})
