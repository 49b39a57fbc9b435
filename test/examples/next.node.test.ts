import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createCookieJar } from '../../src/testing/index.ts'
import { launchChromium } from '../support/chromium.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { SECRET } from '../support/sessions.ts'
import { type Bridge, startBridge, TOKEN } from '../support/upstash-bridge.ts'
import { root, runTool, type Server, startAsWritten, startProgram } from './server.ts'
import { tellStory } from './story.ts'

process.env.NEXT_TELEMETRY_DISABLED = '1'
process.env.SESSION_SECRET = SECRET

const folder = 'examples/next'
/** The same with the older convention, which runs on the edge runtime, and with pages of tests. */
const edge = 'examples/next-middleware'
/** Pages that are rendered ahead up to their session; sessions in memory. */
const ahead = 'examples/next-ahead'
let redis: RedisServer
let bridge: Bridge

const start = (where: string): Promise<Server> =>
  startProgram(where, 'next', 'start', '-H', '127.0.0.1')
/** With sessions in Redis; the bridge counts what reaches it. */
const startWithRedis = async (where = folder): Promise<Server> => {
  process.env.UPSTASH_REDIS_REST_URL = bridge.url
  process.env.UPSTASH_REDIS_REST_TOKEN = TOKEN
  try {
    return await start(where)
  } finally {
    delete process.env.UPSTASH_REDIS_REST_URL
  }
}

beforeAll(async () => {
  redis = await startRedis()
  bridge = await startBridge(redis.port)
  for (const copy of [edge, ahead]) rmSync(join(root, copy), { recursive: true, force: true })
  cpSync(join(root, folder), join(root, edge), {
    recursive: true,
    filter: (path) => !/\.next$|proxy\.ts$/.test(path),
  })
  cpSync(join(root, 'test/fixtures/next'), join(root, edge), { recursive: true })
  const proxy = readFileSync(join(root, folder, 'proxy.ts'), 'utf8')
  const middleware = proxy.replace('{ proxy }', '{ proxy as middleware }')
  writeFileSync(join(root, edge, 'middleware.ts'), middleware)
  cpSync(join(root, 'test/fixtures/next-cached'), join(root, ahead), { recursive: true })
  await runTool(folder, 'next', 'build')
  await runTool(ahead, 'next', 'build')
  await runTool(edge, 'next', 'build')
}, 600_000)

afterAll(async () => {
  for (const copy of [edge, ahead]) rmSync(join(root, copy), { recursive: true, force: true })
  await bridge?.close()
  await redis?.stop()
})

tellStory('Next.js with proxy.ts', () => start(folder), {
  merges: false,
  revokes: false,
  seesRequests: false,
})
tellStory('Next.js with middleware.ts', () => start(edge), {
  merges: false,
  revokes: false,
  seesRequests: false,
})
// With a proxy Next reads the body before it calls the route handler, which opens the session.
tellStory('Next.js with sessions in Redis', () => startWithRedis(), {
  seesRequests: false,
  opensFirst: false,
})

describe('Next.js', () => {
  let server: Server
  beforeAll(async () => {
    server = await startWithRedis()
  })
  afterAll(() => server?.stop())

  it('leaves a static page static', async () => {
    const pages = readdirSync(join(root, folder, '.next', 'server', 'app'))
    expect(pages).toContain('about.html')
    expect(pages).not.toContain('index.html')
    const response = await fetch(`${server.origin}/about`)
    expect(response.headers.getSetCookie()).toEqual([])
    expect(response.headers.get('x-nextjs-cache')).toBe('HIT')
    expect(response.headers.get('cache-control')).toContain('s-maxage')
  })

  it('is told where to write, and that it is not here', async () => {
    const { user, error } = await (await fetch(`${server.origin}/api/session`)).json()
    expect([user, error]).toEqual([null, expect.stringContaining('call withSession()')])
  })

  it('takes the session cookie from the raw header, not from decoded values or the last of two', async () => {
    const signIn = async (name: string): Promise<string> => {
      const post = {
        method: 'POST',
        body: new URLSearchParams({ name }),
        redirect: 'manual',
      } as const
      const { headers } = await fetch(`${server.origin}/sign-in`, post)
      return headers.getSetCookie()[0]?.split(';')[0] as string
    }
    const [ann, mallory] = [await signIn('Ann'), await signIn('Mallory')]
    const planted = `lang=${encodeURIComponent(`en; ${mallory}`)}`
    for (const cookie of [`${ann}; ${planted}`, `${planted}; ${ann}`, `${ann}; __Host-session=x`]) {
      const headers = { cookie }
      const ask = (path: string, method = 'GET') =>
        fetch(server.origin + path, { method, headers, redirect: 'manual' })
      expect(await (await ask('/')).text()).toContain('user: Ann;')
      expect(await (await ask('/account')).text()).toContain('user: Ann;')
      expect(await (await ask('/api/session')).json()).toMatchObject({ user: 'Ann' })
      expect((await ask('/api/session', 'DELETE')).status).toBe(204)
    }
    const alone = await fetch(server.origin, { headers: { cookie: planted } })
    expect(await alone.text()).toContain('user: nobody;')
  })

  it('reads the session once in the proxy and once for all components of a page', async () => {
    const form = new URLSearchParams({ item: 'tent' })
    const post = { method: 'POST', body: form, redirect: 'manual' } as const
    const response = await fetch(`${server.origin}/cart`, post)
    const cookie = response.headers.getSetCookie()[0]?.split(';')[0] as string
    // Takes the flash message with it.
    await (await fetch(server.origin, { headers: { cookie } })).text()
    const before = bridge.requests.length
    const page = await (await fetch(server.origin, { headers: { cookie } })).text()
    expect([page.includes('cart: tent'), page.includes('1 in your cart')]).toEqual([true, true])
    expect(bridge.requests.length - before).toBe(2)
    // A route handler writes, too.
    await fetch(`${server.origin}/api/session`, { method: 'DELETE', headers: { cookie } })
    const empty = await (await fetch(server.origin, { headers: { cookie } })).text()
    expect(empty).toContain('0 in your cart')
  })

  it('answers 503 in a route handler when the store fails', async () => {
    await redis.stop()
    const form = new URLSearchParams({ name: 'Ada' })
    const response = await fetch(`${server.origin}/sign-in`, { method: 'POST', body: form })
    await redis.start()
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1'])
  })

  it('believes no flash message that a client made up', async () => {
    const headers = { 'x-sojourn-flash': 'forged', 'x-session-id': 'forged' }
    const response = await fetch(server.origin, { headers })
    expect([response.status, (await response.text()).includes('forged')]).toEqual([200, false])
  })
})

/** A browser without scripts. */
function visitor({ origin }: Server) {
  const jar = createCookieJar({ origin })
  const send = async (path: string, init: RequestInit = {}): Promise<Response> => {
    const headers = new Headers({ accept: 'text/html', cookie: jar.header(path) ?? '' })
    const response = await fetch(origin + path, { redirect: 'manual', headers, ...init })
    jar.store(response, path)
    return response
  }
  const read = async (path: string): Promise<string> => (await send(path)).text()
  /** Submits the form of an action. */
  const act = async (path: string, action: string): Promise<Response> => {
    const page = await read(path)
    const form = page.slice(page.indexOf(`<form id="${action}"`))
    const body = new FormData()
    body.set(/name="(\$ACTION_ID_\w+)"/.exec(form)?.[1] as string, '')
    return send(path, { method: 'POST', body })
  }
  return { jar, send, read, act }
}

describe('Next.js, where its pieces meet', () => {
  let server: Server
  beforeAll(async () => {
    server = await start(edge)
  })
  afterAll(() => server?.stop())

  it('loses no write of withSession() side by side or inside of another', async () => {
    const { act, read } = visitor(server)
    const after = async (action: string) => (await act('/odd', action)).text()
    expect(await after('sideBySide')).toContain('user: nobody; cart: a, b, c;')
    expect(await after('nested')).toContain('user: Ada; cart: a, b, c, before, inside, after Ada;')
    expect(await read('/odd')).toContain('user: Ada; cart: a, b, c, before')
  })

  it('says that withSession() was not awaited, and that getSession() is read-only', async () => {
    const { act, read } = visitor(server)
    await act('/odd', 'notAwaited')
    await expect
      .poll(() => read('/odd/outcome'))
      .toContain('after the action ended: await withSession()')
    await act('/odd', 'readOnly')
    expect(await read('/odd/outcome')).toContain('getSession() is read-only')
  })

  it('saves in handler() with a response and with redirect(), once, and tells caches', async () => {
    const { read, send } = visitor(server)
    const names = (response: Response) =>
      response.headers.getSetCookie().map((line) => line.split('=')[0])
    const notFound = await send('/odd/route?end=notFound')
    expect([notFound.status, names(notFound)]).toEqual([404, []])
    const redirected = await send('/odd/route?end=redirect')
    expect([redirected.status, names(redirected)]).toEqual([307, ['__Host-session']])
    expect(await read('/odd')).toContain('user: Ada;')
    const done = await send('/odd/route')
    expect(names(done)).toEqual(['__Host-session'])
    expect(done.headers.get('cache-control')).toBe('private, no-store')
    expect(done.headers.get('vary')).toContain('Cookie')
    // A page of Next keeps the stricter one of its own.
    expect((await send('/odd')).headers.get('cache-control')).toContain('no-store')
  })

  it('says that a session cannot go to a client component', async () => {
    expect((await visitor(server).send('/odd/client')).status).toBe(500)
    expect(server.output?.()).toContain('Only plain objects')
  })
})

describe('Next.js with pages that cache what they fetch', () => {
  let server: Server
  beforeAll(async () => {
    server = await startWithRedis(edge)
  })
  afterAll(() => server?.stop())

  it.each(['cached', 'forced'])('reads the store and no cache: /odd/%s', async (page) => {
    const { jar, read, send } = visitor(server)
    const body = new URLSearchParams({ name: 'Ada' })
    await send('/sign-in', { method: 'POST', body })
    const headers = { cookie: jar.header() ?? '' }
    expect(await read(`/odd/${page}`)).toContain('user: Ada;')
    await send('/sign-out', { method: 'POST', headers })
    const after = await send(`/odd/${page}`, { headers })
    expect(await after.text()).toContain('user: nobody;')
  })
})

describe('Next.js with cacheComponents, partialPrefetching and one store in memory', () => {
  let server: Server
  beforeAll(async () => {
    server = await start(ahead)
  })
  afterAll(() => server?.stop())

  it('shares the store between the proxy, pages, actions and route handlers', async () => {
    const { act, read, send } = visitor(server)
    expect((await send('/account')).headers.has('location')).toBe(true)
    const signedIn = await act('/', 'signIn')
    expect([signedIn.status, signedIn.headers.get('location')]).toEqual([303, '/account'])
    expect(await read('/account')).toContain('user: Ada; visits: 0; notice: Welcome;')
    expect(await read('/account')).toContain('user: Ada; visits: 0; notice: ;')
    for (const visits of [1, 3]) {
      expect(await (await send('/visits', { method: 'POST' })).json()).toBe(visits)
      expect(await read('/account')).toContain(`visits: ${visits};`)
      expect(await (await act('/', 'visit')).text()).toContain(`visits: ${visits + 1};`)
      expect(await read('/account')).toContain(`visits: ${visits + 1};`)
    }
    await act('/', 'signOut')
    expect(await read('/')).toContain('user: nobody;')
    expect((await send('/account')).headers.has('location')).toBe(true)
  })

  it('reads the session when there is a request, and not before', async () => {
    const { act, jar, read, send } = visitor(server)
    await act('/', 'signIn')
    const page = await read('/')
    expect([page.includes('Rendered ahead'), page.includes('user: Ada;')]).toEqual([true, true])
    const asNext = { rsc: '1', 'next-router-prefetch': '1' }
    const { headers } = jar.request('/', { headers: asNext })
    expect((await send('/', { headers })).status).toBeLessThan(400)
    expect(server.output?.()).not.toMatch(/unstable value|Error/)
  })
})

describe.each([
  ['proxy.ts', () => start(folder)],
  ['middleware.ts', () => start(edge)],
  ['sessions in Redis', () => startWithRedis()],
])('Next.js with %s, in Chromium', (name, open) => {
  let server: Server
  let browser: Browser
  let page: Page
  let origin: string
  const text = (selector: string): Promise<string> => page.locator(selector).innerText()

  beforeAll(async () => {
    server = await open()
    browser = await launchChromium()
    page = await browser.newPage()
    origin = server.origin.replace('127.0.0.1', 'localhost')
  })
  afterAll(async () => {
    await browser?.close()
    await server?.stop()
  })

  it('shows in the very next render what a server action wrote', async () => {
    await page.goto(origin)
    expect(await text('#count')).toBe('0 in your cart')
    await page.getByLabel('Item').fill('tent')
    await page.getByRole('button', { name: 'Add' }).click()
    await page.waitForFunction('document.querySelector("#count")?.innerText === "1 in your cart"')
    expect(await text('#summary')).toContain('cart: tent')
    // This time there is no cookie to set, when sessions are in a store.
    await page.getByLabel('Item').fill('rope')
    await page.getByRole('button', { name: 'Add' }).click()
    await page.waitForFunction('document.querySelector("#count")?.innerText === "2 in your cart"')
    expect(await text('#summary')).toContain('cart: tent, rope; notice: rope is in your cart')
  })

  it.skipIf(name === 'middleware.ts')(
    'shows once what an action said on its own page',
    async () => {
      await page.reload()
      expect(await text('#summary')).toContain('cart: tent, rope; notice: ;')
    },
  )

  it('keeps a message for the page that is shown, not for one that is fetched ahead', async () => {
    // Away from the session, with links to pages that use it; the browser has a message by then.
    const form = { item: 'map' }
    await page.request.post(`${origin}/cart`, { form, maxRedirects: 0 })
    const ahead = page.waitForResponse((response) => response.url().startsWith(`${origin}/?_rsc`))
    await page.goto(`${origin}/about`)
    await ahead
    await page.getByRole('link', { name: 'Shop' }).click()
    await page.waitForSelector('#summary')
    expect(await text('#summary')).toContain('notice: map is in your cart')
  })

  it('signs in by a server action, and greets once', async () => {
    await page.getByLabel('Name').fill('Ada')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.waitForURL('**/account')
    expect(await text('#summary')).toContain(
      'user: Ada; cart: tent, rope, map; notice: Welcome, Ada',
    )
    await page.reload()
    expect(await text('#summary')).toContain('user: Ada; cart: tent, rope, map; notice: ;')
  })

  it('signs out, and shows the account to nobody', async () => {
    await page.goto(origin)
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.waitForFunction('document.querySelector("#summary")?.innerText.includes("nobody")')
    await page.goto(`${origin}/account`)
    expect(new URL(page.url()).pathname).toBe('/')
  })
})

it('the Next.js example starts as it says', async () => {
  const server = await startAsWritten(folder)
  const { status } = await fetch(server.origin)
  await server.stop()
  expect(status).toBe(200)
})
