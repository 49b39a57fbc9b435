import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createSessions, generateSecret, type SessionEvent } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createClock } from '../../src/testing/index.ts'
import { launchBoundChromium, type SecureServer, serveSecurely } from '../support/bound-chromium.ts'

const BOUND = '__Host-session-bound'

/** A request as the server saw it. */
interface Seen {
  readonly what: string
  readonly cookies: readonly string[]
  readonly status: number
  readonly asks: boolean
}

let server: SecureServer
let binding: Browser
let plain: Browser
let context: BrowserContext
let page: Page
let sessions: ReturnType<typeof createSessions>
let clock = createClock(Date.now())
let seen: Seen[] = []
let events: SessionEvent[] = []
/** Resolves when a request such as `POST /device-bound/register` has been answered. */
let waiting: { what: string; resolve: () => void }[] = []

const html = (text: string) =>
  new Response(`<link rel="icon" href="data:,"><p id="who">${text}</p>`, {
    headers: { 'content-type': 'text/html' },
  })

async function answer(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url)
  const what = `${request.method} ${pathname}`
  const cookies = (request.headers.get('cookie') ?? '').split('; ').map((one) => one.split('=')[0]!)
  const response = await sessions.handler(async () => {
    const session = await sessions.get(request)
    if (pathname === '/login') session.login('ada')
    if (pathname === '/regenerate') session.regenerate()
    if (pathname === '/logout') session.destroy()
    return html(`${session.subject} ${session.bound}`)
  })(request)
  const asks = response.headers.has('secure-session-registration')
  seen.push({ what, cookies, status: response.status, asks })
  for (const one of waiting.filter((one) => one.what === what)) one.resolve()
  waiting = waiting.filter((one) => one.what !== what)
  return response
}

const answered = (what: string): Promise<void> =>
  new Promise((resolve) => waiting.push({ what, resolve }))
const visit = async (path: string, on: Page = page): Promise<string> => {
  await on.goto(server.origin + path)
  return on.locator('#who').innerText()
}
/** Signs in, and waits for the key to be registered and its cookie to be there. */
async function signIn(): Promise<void> {
  const before = await bound()
  await visit('/login')
  await expect.poll(async () => [undefined, before].includes(await bound())).toBe(false)
}
const bound = async (): Promise<string | undefined> =>
  (await context.cookies()).find(({ name }) => name === BOUND)?.value
const requests = (): string[] => seen.map(({ what }) => what)
const registrations = (): string[] =>
  events.filter(({ type }) => type === 'device.registered').map(({ type }) => type)

beforeAll(async () => {
  server = await serveSecurely((request) => answer(request))
  binding = await launchBoundChromium(server.spki, true)
  plain = await launchBoundChromium(server.spki, false)
})
afterAll(async () => {
  await binding?.close()
  await plain?.close()
  await server?.close()
})
beforeEach(async () => {
  clock = createClock(Date.now())
  events = []
  seen = []
  sessions = createSessions({
    secret: generateSecret(),
    store: createMemoryStore({ now: clock }),
    deviceBound: { maxAge: 300, enforce: 'always' },
    now: clock,
    onEvent: (event) => events.push(event),
  })
  // Browsers count signatures for each profile.
  context = await binding.newContext()
  page = await context.newPage()
})
afterEach(async () => context.close())

describe('a session in a Chromium with device-bound sessions', () => {
  it('is bound after a sign-in, and refreshed before the next request once its cookie is over', async () => {
    await signIn()
    // As when its time is over.
    await context.clearCookies({ name: BOUND })
    clock.advance(3600)
    seen = []
    expect(await visit('/account')).toBe('ada true')
    // The page was held meanwhile: it came with the new cookie.
    const at = requests().indexOf('GET /account')
    expect(requests().indexOf('POST /device-bound/refresh')).toBeLessThan(at)
    expect(seen[at]?.cookies).toContain(BOUND)
    expect(requests().filter((what) => what === 'GET /account')).toHaveLength(1)
  })

  it('is signed out in another browser that has its cookies, and signed in where it began', async () => {
    await signIn()
    const thief = await plain.newContext()
    await thief.addCookies(await context.cookies())
    const copy = await thief.newPage()
    expect(await visit('/', copy)).toBe('ada true')
    clock.advance(300 + 31)
    expect(await visit('/', copy)).toBe('null false')
    expect(events.findLast(({ type }) => type === 'device.refused')).toMatchObject({
      reason: 'expired-cookie',
    })
    await context.clearCookies({ name: BOUND })
    expect(await visit('/')).toBe('ada true')
    expect(await visit('/', copy)).toBe('null false')
    await thief.close()
  })

  it('ends with a sign-out, and the browser gives up its key', async () => {
    await signIn()
    expect(await visit('/logout')).toBe('null null')
    expect(await bound()).toBe(undefined)
    expect(await visit('/')).toBe('null null')
    await expect.poll(requests).toContain('POST /device-bound/refresh')
    // Once the answer to that has arrived.
    const visited = async (): Promise<string[]> => {
      seen = []
      expect(await visit('/')).toBe('null null')
      return requests()
    }
    await expect.poll(visited).toEqual(['GET /'])
  })

  it('binds again after regenerate(), when the former key was proven once more', async () => {
    await signIn()
    await visit('/regenerate')
    expect(seen.at(-1)?.asks).toBe(false)
    expect(await visit('/')).toBe('ada true')
    expect(registrations()).toHaveLength(1)
    await context.clearCookies({ name: BOUND })
    const registered = answered('POST /device-bound/register')
    expect(await visit('/')).toBe('ada true')
    await registered
    expect(registrations()).toHaveLength(2)
    // The server takes another key only with the bound cookie of the latest proof.
    expect(seen.findLast(({ what }) => what.endsWith('/register'))?.cookies).toContain(BOUND)
    expect(await visit('/')).toBe('ada true')
  })

  it('binds again with the next sign-in, at once', async () => {
    await signIn()
    await signIn()
    expect(registrations()).toHaveLength(2)
    await context.clearCookies({ name: BOUND })
    expect(await visit('/')).toBe('ada true')
  })
})

describe('a session in a Chromium without device-bound sessions', () => {
  it('stays as it is', async () => {
    const other = await plain.newContext()
    const tab = await other.newPage()
    await visit('/login', tab)
    for (let i = 0; i < 3; i++) {
      clock.advance(3600)
      expect(await visit('/', tab)).toBe('ada null')
    }
    expect(requests()).toEqual(['GET /login', 'GET /', 'GET /', 'GET /'])
    expect((await other.cookies()).map(({ name }) => name)).not.toContain(BOUND)
    await other.close()
  })
})
