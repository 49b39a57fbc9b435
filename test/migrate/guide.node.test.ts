import '../support/next-scope.ts'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { useSession } from '@hono/session'
import { sealSession } from 'h3'
import { Hono } from 'hono'
import { sealData } from 'iron-session'
import { EncryptJWT } from 'jose'
import { NextRequest } from 'next/server.js'
import { createCookieSessionStorage } from 'react-router'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { createSessions } from '../../src/index.ts'
import { fromIronSession } from '../../src/migrate/index.ts'
import { createCookieJar } from '../../src/testing/index.ts'
import { writeApp } from '../docs/page-app.ts'
import { blocksOf } from '../support/documents.ts'
import { runInNext } from '../support/next-scope.ts'
import { cookiesOf, headerOf, type Middleware } from './support.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = `${root}.test-results/migrating`
const require = createRequire(import.meta.url)

const password = 'the secret that the old library was told'
const dataOf = (userId: number) => ({ userId, theme: 'light' })
const fillWith =
  (userId: number) =>
  ({ session }: { session: object }): void =>
    void Object.assign(session, dataOf(userId))

/** Old sessions of express-session, as connect-redis keeps them. */
const redis = new Map<string, string>()

/** The chapters of the guide, and the cookies that their old library makes for a user. */
const chapters: Record<string, (userId?: number) => Promise<string>> = {
  'iron-session': async (userId = 7) => `my-app=${await sealData(dataOf(userId), { password })}`,
  'h3, Nitro and Nuxt': async (userId = 7) => {
    const data = { user: { id: userId }, theme: 'light' }
    const session = { id: 'x', createdAt: Date.now(), data }
    const event = { context: { sessions: { h3: session } } }
    return `h3=${await sealSession(event as never, { password })}`
  },
  '@hono/session': async (userId = 7) => {
    const app = new Hono()
    app.use(useSession({ secret: password }) as never)
    app.get('/', async (c) => {
      const { session } = c.var as { session: { update(data: unknown): Promise<void> } }
      await session.update(dataOf(userId))
      return c.text('ok')
    })
    return headerOf((await app.request('/')).headers.getSetCookie())
  },
  'express-session': async (userId = 7) => {
    const middleware = require('express-session') as (options: object) => Middleware
    const [hour, id] = [3_600_000, `old-${userId}`]
    const cookie = { originalMaxAge: hour, expires: new Date(Date.now() + hour) }
    redis.set(`sess:${id}`, JSON.stringify({ cookie, ...dataOf(userId) }))
    const options = { resave: false, saveUninitialized: false, genid: () => id }
    return cookiesOf(middleware({ secret: password, ...options }), fillWith(userId))
  },
  'cookie-session': (userId = 7) => {
    const middleware = require('cookie-session') as (options: object) => Middleware
    return cookiesOf(middleware({ keys: [password] }), fillWith(userId))
  },
  'React Router and Remix': async (userId = 7) => {
    const storage = createCookieSessionStorage({ cookie: { secrets: [password] } })
    const session = await storage.getSession()
    for (const [key, value] of Object.entries(dataOf(userId))) session.set(key, value)
    return headerOf([await storage.commitSession(session)])
  },
  'Auth.js': async (userId = 7) => {
    const name = '__Secure-authjs.session-token'
    const bytes = (text: string) => new TextEncoder().encode(text)
    const info = bytes(`Auth.js Generated Encryption Key (${name})`)
    const key = await crypto.subtle.importKey('raw', bytes(password), 'HKDF', false, ['deriveBits'])
    const hkdf = { name: 'HKDF', hash: 'SHA-256', salt: bytes(name), info }
    const bits = await crypto.subtle.deriveBits(hkdf, key, 512)
    const jwt = await new EncryptJWT({ theme: 'light', sub: String(userId) })
      .setProtectedHeader({ alg: 'dir', enc: 'A256CBC-HS512' })
      .setIssuedAt()
      .setExpirationTime('30d')
      .setJti(crypto.randomUUID())
      .encrypt(new Uint8Array(bits))
    return `${name}.0=${jwt.slice(0, 200)}; ${name}.1=${jwt.slice(200)}`
  },
  Lucia: async (userId = 7) => `auth_session=the-old-token-${userId}`,
  'Anything else': async (userId = 7) => `token=the-old-token-${userId}`,
}

/** The pages whose first block is the application after the move. */
const pages: Record<string, string> = {
  'iron-session': 'guides/from-iron-session',
  'h3, Nitro and Nuxt': 'guides/from-h3-nuxt',
  '@hono/session': 'guides/from-hono-session',
  'express-session': 'guides/from-express-session',
  'cookie-session': 'guides/from-cookie-session',
  'React Router and Remix': 'guides/from-remix',
  'Auth.js': 'guides/from-authjs',
  Lucia: 'guides/from-lucia',
  'Anything else': 'migrating',
}
const fileOf = (title: string): string => `${folder}/${Object.keys(chapters).indexOf(title)}.ts`

beforeAll(() => {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const title of Object.keys(chapters)) {
    const [first] = blocksOf(`docs/${pages[title]}.md`).filter(({ language }) => language === 'ts')
    writeFileSync(fileOf(title), first!.code)
  }
  for (const name of ['SESSION_SECRET', 'IRON_PASSWORD', 'NUXT_SESSION_PASSWORD', 'AUTH_SECRET']) {
    process.env[name] = password
  }
  Object.assign(process.env, {
    EXPRESS_SECRET: password,
    COOKIE_KEY: password,
    COOKIE_SECRET: password,
  })
  Object.assign(globalThis, {
    redis: { get: async (key: string) => redis.get(key) ?? null },
    database: {
      luciaSession: async (id: string) =>
        /^the-old-token-\d$/.test(id)
          ? { theme: 'light', userId: id.slice(-1), expiresAt: new Date(Date.now() + 86_400_000) }
          : null,
      sessionOf: async (token: string) =>
        /^the-old-token-\d$/.test(token)
          ? { theme: 'light', userId: token.slice(-1), since: new Date() }
          : null,
    },
  })
})

describe('docs/migrating.md and its pages', () => {
  it.each(Object.keys(chapters))('%s: nobody is signed out', async (title) => {
    const { handler } = (await import(fileOf(title))) as {
      handler: (request: Request) => Promise<Response>
    }
    const jar = createCookieJar()
    const [url, old] = ['https://example.com/', await chapters[title]!()]
    for (const pair of old.split('; ')) {
      jar.store(new Response('', { headers: { 'set-cookie': `${pair}; Path=/; Secure` } }))
    }
    expect(await (await jar.fetch(handler, url)).text()).toBe('7 changed from light')
    const name = title.startsWith('React Router') ? '__session' : '__Host-session'
    expect(jar.cookies().map((cookie) => cookie.name)).toEqual([name])
    expect(await (await jar.fetch(handler, url)).text()).toBe('7 changed from dark')
  })

  it('iron-session: a visitor who has no theme gets the default, and not the text "undefined"', async () => {
    const { handler } = (await import(fileOf('iron-session'))) as {
      handler: (request: Request) => Promise<Response>
    }
    const headers = { cookie: `my-app=${await sealData({ userId: 7 }, { password })}` }
    const response = await handler(new Request('https://example.com/', { headers }))
    expect(await response.text()).toBe('7 changed from light')
  })

  it('iron-session, in Next.js: nobody is signed out, wherever the old cookie arrives first', async () => {
    type Next = {
      proxy(request: NextRequest): Promise<Response>
      getSession(): Promise<{ subject: string | null; get(key: string): unknown }>
      setTheme(theme: string): Promise<void>
      signIn(userId: string): Promise<void>
      signOut(): Promise<void>
      POST(request: NextRequest): Promise<Response>
    }
    const app = `${root}${writeApp('guides/from-iron-session.md')}`
    const { getSession } = (await import(`${app}/lib/session.ts`)) as Next
    const { proxy } = (await import(`${app}/proxy.ts`)) as Next
    const { setTheme, signIn, signOut } = (await import(`${app}/app/actions.ts`)) as Next
    const { POST: saveTheme } = (await import(`${app}/app/theme/route.ts`)) as Next
    const url = 'https://example.com/'
    const old = await chapters['iron-session']!()
    const page = async (cookie: string) => {
      const seen: unknown[] = []
      await runInNext(new Request(url, { headers: { cookie } }), async () => {
        const session = await getSession()
        seen.push(session.subject, session.get('theme'))
        return new Response()
      })
      return seen
    }
    const arrive = () => {
      const jar = createCookieJar()
      jar.store(new Response('', { headers: { 'set-cookie': `${old}; Path=/` } }))
      const run = (use: (request: NextRequest) => unknown) =>
        jar.fetch((request) =>
          runInNext(request, async (own) => {
            const answer = await use(own)
            return answer instanceof Response ? answer : new Response()
          }),
        )
      return { jar, run }
    }
    expect(await page(old)).toEqual(['7', 'light'])
    const first = arrive()
    await first.jar.fetch((request) => proxy(new NextRequest(request)))
    const second = arrive()
    await second.run(() => setTheme('light'))
    const third = arrive()
    expect(await (await third.run(saveTheme)).text()).toBe('7 changed from light')
    for (const [{ jar }, theme] of [
      [first, 'light'],
      [second, 'light'],
      [third, 'dark'],
    ] as const) {
      expect(jar.cookies().map(({ name }) => name)).toEqual(['__Host-session'])
      expect(await page(jar.header() ?? '')).toEqual(['7', theme])
    }
    await first.run(() => signIn('8'))
    expect(await page(first.jar.header() ?? '')).toEqual(['8', undefined])
    await first.run(() => signOut())
    expect(first.jar.header()).not.toContain('__Host-session=')
    expect(await page(first.jar.header() ?? '')).toEqual([null, undefined])
  })

  it.each(Object.keys(chapters))(
    '%s: after a rollback nobody gets the session of the user before',
    async (title) => {
      const { handler } = (await import(fileOf(title))) as {
        handler: (request: Request) => Promise<Response>
      }
      const jar = createCookieJar()
      const arrive = async (userId: number) => {
        for (const pair of (await chapters[title]!(userId)).split('; ')) {
          jar.store(new Response('', { headers: { 'set-cookie': `${pair}; Path=/; Secure` } }))
        }
        return await (await jar.fetch(handler, 'https://example.com/')).text()
      }
      expect(await arrive(5)).toBe('5 changed from light')
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 5000 })
      try {
        // These cookies do not say when they were made: nobody is signed in then.
        const isUnknown = title === 'cookie-session' || title === 'Lucia'
        const expected = isUnknown ? 'null changed from undefined' : '6 changed from light'
        expect(await arrive(6)).toBe(expected)
      } finally {
        vi.useRealTimers()
      }
    },
  )

  it('iron-session: back, and forward again under another name, what the old library says counts', async () => {
    const appOf = (name: string) => {
      const sessions = createSessions({
        secret: 'a secret of the application afterwards, long enough',
        cookie: { name },
        importFrom: [
          fromIronSession({
            password,
            cookieName: 'my-app',
            toSession: ({ userId }) => ({ data: { a: 1 }, subject: String(userId) }),
          }),
        ],
      })
      return sessions.handler(
        async (request) => new Response((await sessions.get(request)).subject),
      )
    }
    const [first, second] = [appOf('__Host-session'), appOf('__Host-session-2')]
    const arrive = async (userId: number) => {
      const jar = createCookieJar()
      const oldCookie = async (id: number) => {
        const headers = { 'set-cookie': `${await chapters['iron-session']!(id)}; Path=/` }
        jar.store(new Response('', { headers }))
      }
      await oldCookie(userId)
      expect(await (await jar.fetch(first)).text()).toBe(String(userId))
      return { jar, oldCookie }
    }
    const signedOutThere = await arrive(5)
    expect(await (await signedOutThere.jar.fetch(second)).text()).toBe('')
    const anotherUser = await arrive(5)
    await anotherUser.oldCookie(6)
    expect(await (await anotherUser.jar.fetch(second)).text()).toBe('6')
  })

  it.each(Object.keys(chapters))('%s: nobody else gets in', async (title) => {
    const { handler } = (await import(fileOf(title))) as {
      handler: (request: Request) => Promise<Response>
    }
    const cookie = (await chapters[title]!()).slice(0, -4)
    const response = await handler(new Request('https://example.com/', { headers: { cookie } }))
    expect(await response.text()).toBe('null changed from undefined')
  })
})
