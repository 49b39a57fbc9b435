import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { launchChromium } from '../../test/support/chromium.ts'
import { freePort } from '../../test/support/free-port.ts'

const site = fileURLToPath(new URL('..', import.meta.url))
const dist = `${site}dist/`
const axe = `${site}node_modules/axe-core/axe.min.js`

let server: ChildProcess
let origin: string
let output = ''

/** Starts what `npm run docs` starts, and waits until it answers. */
async function start(): Promise<void> {
  const port = await freePort()
  origin = `http://127.0.0.1:${port}`
  const script = fileURLToPath(new URL('../../scripts/docs.mjs', import.meta.url))
  // Nothing that vitest adds: its `DEV` would make a build for development.
  const isAdded = /^(DEV|PROD|MODE|SSR|TEST|BASE_URL|NODE_ENV|NODE_OPTIONS|VITEST.*)$/
  const own = Object.entries(process.env).filter(([name]) => !isAdded.test(name))
  server = spawn('node', [script], { env: { ...Object.fromEntries(own), PORT: `${port}` } })
  for (const stream of [server.stdout, server.stderr]) {
    stream?.on('data', (text) => (output += text))
  }
  for (let tries = 0; tries < 1100 && server.exitCode === null; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 500))
    if ((await fetch(origin).catch(() => null))?.ok) return
  }
  throw new Error(`The site did not start:\n${output}`)
}

const files = (): string[] => readdirSync(dist, { recursive: true, encoding: 'utf8' })
const read = (path: string): string => readFileSync(dist + path, 'utf8')

/** The addresses of all pages, as the build wrote them. */
const pages = (): string[] =>
  files()
    .filter((path) => /(^|\/)index\.html$/.test(path))
    .map((path) => `/${path.replace(/index\.html$/, '')}`)

beforeAll(start)
afterAll(() => {
  server.kill('SIGTERM')
})

describe('the built site', () => {
  it('has links and anchors that lead somewhere', () => {
    const built = new Set(files())
    const dead = pages().flatMap((page) => {
      const html = read(`${page.slice(1)}index.html`)
      const targets = [...html.matchAll(/<\w[^<>]*\s(?:href|src)="([^"]*)"/g)].map(
        ([, to = '']) => to,
      )
      return targets.filter((to) => !leads(to, page, built)).map((to) => `${page} -> ${to}`)
    })
    expect(pages().length).toBeGreaterThan(10)
    expect(dead).toEqual([])
  })

  it('has the Markdown of every page, listed in llms.txt, and all of it in llms-full.txt', () => {
    const markdown = pages().map((page) => `${page.replace(/\/$/, '') || '/index'}.md`)
    const listed = [...read('llms.txt').matchAll(/^- \[[^\]]+\]\(([^)]+)\): \S/gm)]
    const others = markdown.filter((path) => path !== '/contents.md')
    expect(new Set(listed.map(([, to]) => to))).toEqual(new Set(others))
    expect(listed.length).toBe(others.length)
    const full = read('llms-full.txt')
    for (const path of markdown) {
      const text = read(path.slice(1))
      expect([path, /^# \S/.test(text), full.includes(text)]).toEqual([path, true, true])
    }
  })
})

/** Whether a link of a page leads to a file of the site, and to an element that it has. */
function leads(to: string, page: string, built: Set<string>): boolean {
  if (/^(https?:|mailto:|data:)/.test(to)) return true
  const { pathname, hash } = new URL(to.replaceAll('&amp;', '&'), `http://site.example${page}`)
  const path = pathname.slice(1)
  const file = [path, `${path}index.html`].find((one) => built.has(one) && one !== '')
  if (!file) return false
  const id = decodeURIComponent(hash.slice(1))
  return !id || id === '_top' || read(file).includes(` id="${id}"`)
}

describe('the site in Chromium', () => {
  let browser: Browser

  beforeAll(async () => {
    browser = await launchChromium()
  })
  afterAll(() => browser?.close())

  /** A page that notes what no page may do. */
  async function open(path: string, width = 1280): Promise<{ page: Page; faults: string[] }> {
    const context = await browser.newContext({ viewport: { width, height: 800 } })
    const page = await context.newPage()
    const faults: string[] = []
    page.on('console', (line) => line.type() === 'error' && faults.push(line.text()))
    page.on('pageerror', (error) => faults.push(error.message))
    page.on('request', (request) => {
      const url = request.url()
      if (!url.startsWith(origin) && !url.startsWith('data:')) faults.push(`asks ${url}`)
    })
    await page.addInitScript({ path: axe })
    await page.goto(origin + path)
    return { page, faults }
  }

  /** What axe finds, one line each. */
  const accessibility = (page: Page, rules?: string[]): Promise<string[]> =>
    page.evaluate(async (only) => {
      type Axe = { run(options: object): Promise<{ violations: Violation[] }> }
      type Violation = { id: string; nodes: { html: string }[] }
      const runner = (globalThis as unknown as { axe: Axe }).axe
      const options = only ? { runOnly: { type: 'rule', values: only } } : {}
      const { violations } = await runner.run({ ...options, resultTypes: ['violations'] })
      return violations.map(({ id, nodes }) => `${id}: ${nodes.length}, ${nodes[0]?.html}`)
    }, rules)

  it('has pages without faults, in both colour schemes and 360 pixels wide', async () => {
    const left = pages()
    const found = await Promise.all([look(left), look(left)])
    expect(found.flat()).toEqual([])
  }, 300_000)

  it('finds words, changes its colours and opens its menu, and nothing moves', async () => {
    const { page, faults } = await open('/')
    await noteShifts(page)
    const moved = async (): Promise<string[]> => {
      await page.evaluate(
        () => new Promise((done) => requestAnimationFrame(() => setTimeout(done))),
      )
      return page.evaluate(() => (globalThis as unknown as { shifts: string[] }).shifts)
    }
    await page.getByRole('button', { name: 'Search' }).click()
    await page.getByPlaceholder('Search').fill('upstash')
    // They arrive one by one.
    await page.locator('.pagefind-ui__result-link').nth(2).waitFor()
    await page.keyboard.press('Escape')
    expect(await moved()).toEqual([])

    const themes = page.getByLabel('Select theme').first()
    for (const theme of ['dark', 'light']) {
      await themes.selectOption(theme)
      expect(await page.locator('html').getAttribute('data-theme')).toBe(theme)
    }
    expect(await moved()).toEqual([])

    await page.setViewportSize({ width: 360, height: 800 })
    await page.reload()
    expect(await page.locator('html').getAttribute('data-theme')).toBe('light')
    await page.getByRole('button', { name: 'Menu' }).click()
    const menu = page.getByRole('navigation', { name: 'Main' })
    await menu.getByRole('link', { name: 'Choosing a store' }).click()
    await page.getByRole('heading', { level: 1, name: 'Choosing a store' }).waitFor()
    expect(faults).toEqual([])
    await page.context().close()
  })

  /** Notes what moves on a page; results of a search, which arrive one by one, make room for each other. */
  const noteShifts = (page: Page): Promise<void> =>
    page.evaluate(() => {
      type Shift = { sources: { node: Node | null }[] }
      const shifts: string[] = []
      Object.assign(globalThis, { shifts })
      const observer = new PerformanceObserver((list) => {
        const entries = list.getEntries() as unknown as Shift[]
        for (const { node } of entries.flatMap(({ sources }) => sources)) {
          const inSearch = node?.parentElement?.closest('dialog')
          if (!inSearch) shifts.push(`${node?.nodeName} ${node?.textContent?.slice(0, 60)}`)
        }
      })
      observer.observe({ type: 'layout-shift', buffered: true })
    })

  /** Takes pages from a list until none is left, and says what is wrong with them. */
  async function look(left: string[]): Promise<string[]> {
    const { page, faults } = await open('/')
    for (let path = left.pop(); path; path = left.pop()) {
      // One program writes the pages of the reference: the longest stands for them with axe.
      const isAlike = /^\/reference\/(?!sojourn\/|limits\/)/.test(path)
      const note = (text: string): number => faults.push(`${path} ${text}`)
      await page.emulateMedia({ colorScheme: 'light' })
      await page.goto(origin + path)
      await page.setViewportSize({ width: 360, height: 800 })
      const width = await page.evaluate(() => document.documentElement.scrollWidth)
      if (width > 360) note(`is ${width} pixels wide`)
      await page.setViewportSize({ width: 1280, height: 800 })
      if (isAlike) continue
      // Rows of a table and lines of code are alike, and axe takes seconds for thousands of them.
      await page.evaluate(() => {
        const more = 'tbody tr:nth-child(n+9), .ec-line:nth-child(n+9)'
        for (const element of document.querySelectorAll(more)) element.remove()
      })
      for (const text of await accessibility(page)) note(text)
      await page.emulateMedia({ colorScheme: 'dark' })
      for (const text of await accessibility(page, ['color-contrast'])) note(`dark: ${text}`)
    }
    await page.context().close()
    return faults
  }
})
