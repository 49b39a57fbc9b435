import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { connect as connect2, createServer as createServer2 } from 'node:http2'
import { createRequire } from 'node:module'
import { connect } from 'node:net'
import { serve as serveHono } from '@hono/node-server'
import express from 'express'
import Fastify from 'fastify'
import { H3, serve as serveH3 } from 'h3'
import { Hono } from 'hono'
import { afterEach, describe, expect, it } from 'vitest'
import {
  session as honoSession,
  requireSession as requireSessionOfHono,
} from '../../src/adapters/hono.ts'
import {
  type NodeRequest,
  requestOf,
  requireSession,
  requireSessionHook,
  session,
  sojourn,
} from '../../src/adapters/node.ts'
import { refuseCrossSite, requireSession as requireSessionOfGuard } from '../../src/guard/guard.ts'
import type { Sessions } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createClock, createDeviceBrowser } from '../../src/testing/index.ts'
import { createWorld } from '../support/sessions.ts'
import { type Handler, hosts, type Running } from './node-servers.ts'

const express4 = createRequire(import.meta.url)('express-4') as typeof express
const COOKIE = { name: 'app', secure: false }
const createHere = (options = {}) =>
  createWorld({ cookie: COOKIE, now: Date.now, store: createMemoryStore(), ...options }).sessions

let stops: (() => unknown)[] = []
afterEach(async () => {
  await Promise.all(stops.map((stop) => stop()))
  stops = []
})

/** Sends text over a socket, and returns all that comes back. */
function send(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    let all = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(text))
    socket.on('data', (chunk) => {
      all += chunk
    })
    socket.on('close', () => resolve(all))
  })
}

/** Ways to serve `/admin/*`, for who is signed in, and the sign-in page. Each resolves with its port. */
const guarded: Record<string, (sessions: Sessions) => Promise<number>> = {
  'Express 5': (sessions) => serveExpress(express, sessions),
  'Express 4': (sessions) => serveExpress(express4, sessions),
  async Fastify(sessions) {
    const app = Fastify()
    stops.push(() => app.close())
    app.register(sojourn, { sessions })
    const preHandler = requireSessionHook({ onMissing: '/login' })
    app.all('/admin', { preHandler }, () => 'secret')
    app.all('/admin/*', { preHandler }, () => 'secret')
    app.get('/login', { preHandler }, () => 'sign in here')
    await app.listen({ port: 0, host: '127.0.0.1' })
    return (app.server.address() as { port: number }).port
  },
}

/** Servers that make a `Request` of a message by themselves. */
const others: Record<string, (sessions: Sessions) => Promise<number>> = {
  async Hono(sessions) {
    const app = new Hono().use(honoSession(sessions))
    app.use(requireSessionOfHono({ onMissing: '/login' }))
    app.all('/admin', (c) => c.text('secret')).all('/admin/*', (c) => c.text('secret'))
    app.get('/login', (c) => c.text('sign in here'))
    return await new Promise((resolve) => {
      const options = { fetch: app.fetch, port: 0, hostname: '127.0.0.1' }
      const server = serveHono(options, ({ port }) => resolve(port))
      stops.push(() => server.close())
    })
  },
  async h3(sessions) {
    const guard = requireSessionOfGuard(sessions, { onMissing: '/login' })
    const app = new H3()
    app.use(async ({ req }, next) => (await guard(req)) ?? (await next()))
    app.all('/admin', () => 'secret').all('/admin/**', () => 'secret')
    app.get('/login', () => 'sign in here')
    const server = serveH3(app, { port: 0, hostname: '127.0.0.1', silent: true })
    stops.push(() => server.close(true))
    await server.ready()
    return Number(new URL(server.url!).port)
  },
}

async function serveExpress(create: typeof express, sessions: Sessions): Promise<number> {
  const app = create()
  app.use(session(sessions), requireSession({ onMissing: '/login' }) as never)
  app.use('/admin', (_, res) => {
    res.send('secret')
  })
  app.get('/login', (_, res) => {
    res.send('sign in here')
  })
  const server = app.listen(0, '127.0.0.1')
  stops.push(() => server.close())
  await new Promise((resolve) => server.once('listening', resolve))
  return (server.address() as { port: number }).port
}

const TARGETS = [
  ['/admin', 'a'],
  ['/admin/../login', 'a'],
  ['/admin/%2e%2e/login', 'a'],
  ['/admin/%2E./login', 'a'],
  ['/admin/x/../../login', 'a'],
  ['/admin/..\\login', 'a'],
  ['/admin/../login.data', 'a'],
  ['/admin/../login?x', 'a'],
  ['/admin', 'a/login?'],
  ['/admin', 'a/login#'],
  ['/admin', 'a\\login?'],
  ['/admin', 'user@a/login?'],
  ['/admin', 'a/login?:80'],
  ['http://a/admin/../login', 'a'],
  ['HTTP://a/admin/..\\login', 'a'],
] as const

describe.each(Object.entries(others))('a guard in %s', (_, serve) => {
  it.each(TARGETS)('shows nothing for the target %s of host %s', async (target, host) => {
    const port = await serve(createHere())
    const head = `GET ${target} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`
    const text = await send(port, head)
    expect(text).toMatch(/^HTTP\/1\.1 \d/)
    expect(text).not.toContain('secret')
  })
})

describe.each(Object.entries(guarded))('a guard in %s', (_, serve) => {
  it.each(TARGETS)('refuses the target %s of host %s', async (target, host) => {
    const port = await serve(createHere())
    const text = await send(
      port,
      `GET ${target} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`,
    )
    expect(text).not.toContain('secret')
    // Fastify knows no absolute targets.
    expect(text).toMatch(/^HTTP\/1\.1 (?:303|401|404)/)
  })

  it.each(['/login', '/login/', '/login?returnTo=%2Fadmin%23x', 'http://a/login'])(
    'lets everybody see the sign-in page %s',
    async (target) => {
      const port = await serve(createHere())
      const text = await send(
        port,
        `GET ${target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`,
      )
      expect(text).not.toMatch(/^HTTP\/1\.1 (?:401|303)/)
    },
  )
})

const NOWHERE = 'http://localhost/%00'

describe('requestOf()', () => {
  const headers = { host: 'a.example:81' }
  it.each([
    ['/a/b?c=d', headers, 'http://a.example:81/a/b?c=d'],
    ['/a.b/.well-known/..c/%2f', headers, 'http://a.example:81/a.b/.well-known/..c/%2f'],
    ['/a?b=/../c&d=%2e%2e', headers, 'http://a.example:81/a?b=/../c&d=%2e%2e'],
    ['//evil.example/x', headers, 'http://a.example:81//evil.example/x'],
    ["/it's?q={a}^b", headers, 'http://a.example:81/it%27s?q=%7Ba%7D%5Eb'],
    ['/"<`>"/../b', headers, NOWHERE],
    ['/a#b?c', headers, NOWHERE],
    ['/a/./b', headers, NOWHERE],
    ['/a/..', headers, NOWHERE],
    ['https://other.example/x?y', headers, 'https://other.example/x?y'],
    ['https://other.example?y', headers, NOWHERE],
    ['http://user@other.example/x', headers, 'http://localhost/x'],
    ['/a?', headers, 'http://a.example:81/a?'],
    ['/x', { host: 'A.example:80' }, 'http://a.example/x'],
    ['*', headers, NOWHERE],
    ['/x', { host: '[[[' }, 'http://localhost/x'],
    ['/x', { host: 'a b' }, 'http://localhost/x'],
    ['/x', { host: 'a?' }, 'http://localhost/x'],
    ['/x', {}, 'http://localhost/x'],
    ['/x', { ':authority': 'a.example' }, 'http://a.example/x'],
  ])(
    'gives the target %s of %o an address with the path of its router, or of no page',
    (url, all, expected) => {
      expect(requestOf({ url, headers: all, socket: {} }).url).toBe(expected)
    },
  )

  it('takes no method that a Request cannot have for a read', () => {
    for (const method of ['TRACE', 'CONNECT', 'TRACK', 'connect'])
      expect(requestOf({ url: '/', method, headers, socket: {} }).method).toBe('POST')
  })

  it('shows a WebSocket of HTTP/2 as one, which refuseCrossSite refuses to other sites', async () => {
    const server = createServer2({ settings: { enableConnectProtocol: true } })
    // Node tells of a CONNECT where somebody listens to requests.
    server.on('request', () => {})
    server.on('connect', (req: NodeRequest, res: ServerResponse) => {
      res.statusCode = refuseCrossSite(requestOf(req))?.status ?? 200
      res.end()
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const client = connect2(`http://127.0.0.1:${port}`)
    stops.push(
      () => client.destroy(),
      () => server.close(),
    )
    await once(client, 'remoteSettings')
    const open = async (origin: string, site?: string) => {
      const request = client.request({
        ':method': 'CONNECT',
        ':protocol': 'websocket',
        ':authority': 'a.example',
        ':path': '/ws',
        ':scheme': 'http',
        origin,
        ...(site && { 'sec-fetch-site': site }),
      })
      const [answer] = await once(request, 'response')
      return answer[':status']
    }
    expect(await open('http://a.example')).toBe(200)
    expect(await open('http://evil.example')).toBe(403)
    expect(await open('http://evil.example', 'none')).toBe(403)
  })

  it('takes no address from a protocol that a proxy has passed on', () => {
    const message = { url: '/admin', headers, socket: {}, protocol: 'http://a/login?' }
    expect(requestOf(message).url).toBe(NOWHERE)
  })
})

describe.each(hosts)('$name', (host) => {
  const start = async (sessions: Sessions, handler: Handler): Promise<Running> => {
    const server = await host.serve(sessions, handler)
    stops.push(server.close)
    return server
  }

  it('a session opens where it may be bound to a device', async () => {
    const sessions = createHere({ deviceBound: { enforce: 'always' } })
    const server = await start(sessions, async (req, res) => {
      const own = await req.session()
      if (req.url === '/login') own.login('ada')
      res.end(`${own.subject} ${own.bound}`)
    })
    const { cookies, headers } = await server.get('/login')
    expect(headers['secure-session-registration']).toContain('challenge=')
    const cookie = cookies.map((one) => one.split(';')[0]).join('; ')
    expect((await server.get('/', { cookie })).body).toBe('ada null')
  })

  // Without a `next` the browser's own requests are for the handler.
  it.runIf(host.hasErrors)('a session that is bound to a device is for that device', async () => {
    const clock = createClock(Date.now())
    const store = createMemoryStore({ now: clock })
    const sessions = createHere({ deviceBound: { enforce: 'always' }, now: clock, store })
    const server = await start(sessions, async (req, res) => {
      const own = await req.session()
      if (req.url === '/login') own.login('ada')
      res.end(`${own.subject} ${own.bound}`)
    })
    const ask = ({ headers, method, url }: Request): Promise<Response> =>
      fetch(`http://127.0.0.1:${server.port}${new URL(url).pathname}`, { headers, method })
    const browser = createDeviceBrowser({ now: clock })
    await browser.fetch(ask, '/login')
    const copy = browser.jar.header()!
    clock.advance(3600)
    expect(await (await browser.fetch(ask, '/')).text()).toBe('ada true')
    expect((await server.get('/', { cookie: copy })).body).toBe('null false')
  })

  it.each([
    ['end()', (res) => res.end(123 as never)],
    ['write()', (res) => res.write(null as never)],
  ] as [string, (res: Parameters<Handler>[1]) => unknown][])(
    'a handler that passes neither text nor bytes to %s gets the error, and nothing is saved',
    async (_, answer) => {
      const sessions = createHere()
      const saved: unknown[] = []
      const server = await start(sessions, async (req, res) => {
        const own = await req.session()
        own.set('x', 1)
        saved.push(own)
        try {
          answer(res)
        } catch (error) {
          res.statusCode = 500
          throw error
        }
      })
      const { status, cookies } = await server.get('/')
      expect([status, cookies, saved.length]).toEqual([500, [], 1])
    },
  )

  it.each([
    ['an encoding that is none', (res) => res.end('x', 'no-such-encoding' as never)],
    [
      'a status that is none',
      (res) => {
        res.writeHead(99_999)
        res.end('x')
      },
    ],
  ] as [string, (res: Parameters<Handler>[1]) => unknown][])(
    'an answer that Node refuses, %s, ends the response, and leaves no promise rejected',
    async (_, answer) => {
      const left: unknown[] = []
      const listener = (error: unknown) => left.push(error)
      process.on('unhandledRejection', listener)
      stops.push(() => process.off('unhandledRejection', listener))
      const server = await start(createHere(), async (req, res) => {
        ;(await req.session()).set('x', 1)
        answer(res)
      })
      const { status } = await server.get('/').catch(() => ({ status: 500 }))
      expect(left).toEqual([])
      // The head of HTTP/2 leaves before its body is looked at.
      if (host.hasErrors) expect(status).toBe(500)
    },
  )

  it('the page of a commit that failed is for no cache that others share, whatever was said before the session', async () => {
    const memory = createMemoryStore()
    const write: typeof memory.write = async (id, record, expected) =>
      expected === null ? memory.write(id, record, expected) : Promise.reject(new Error('down'))
    for (const store of [undefined, { ...memory, write }]) {
      const server = await start(createHere({ store }), async (req, res) => {
        res.setHeader('cache-control', 'public, max-age=600')
        res.setHeader('cdn-cache-control', 'max-age=600')
        const own = await req.session()
        if (own.subject) own.set('letter' as never, 'x'.repeat(6000) as never)
        else own.login('ada')
        res.end('page')
      })
      const [cookie = ''] = (await server.get('/')).cookies[0]?.split(';') ?? []
      const { headers, status } = await server.get('/', { cookie })
      expect([status, headers['cdn-cache-control']]).toEqual([store ? 503 : 500, undefined])
      expect(headers['cache-control']).toMatch(/^(private, max-age=600|private|no-store)$/)
      expect(headers.vary).toContain('Cookie')
    }
  })

  it('an answer whose head waits looks begun, and ended once it is, and takes no more', async () => {
    const seen: unknown[] = []
    const server = await start(createHere(), async (req, res) => {
      await req.session()
      res.write('first, ')
      seen.push([res.headersSent, res.writableEnded])
      res.end('last')
      seen.push([res.headersSent, res.writableEnded])
      seen.push(res.write('more'))
    })
    const { body, status } = await server.get('/')
    expect([status, body]).toEqual([200, 'first, last'])
    expect(seen).toEqual([[true, false], [true, true], false])
  })

  it('a second answer changes neither status nor headers of the first one', async () => {
    const server = await start(createHere(), async (req, res) => {
      ;(await req.session()).set('x', 1)
      res.setHeader('content-length', '5')
      res.setHeader('x-own', 'first')
      res.end('hello')
      res.statusCode = 404
      const changes = [
        () => res.setHeader('content-length', '2'),
        () => res.removeHeader('x-own'),
        () => res.appendHeader('x-own', 'second'),
      ]
      for (const change of changes) {
        expect(change).toThrow(
          expect.objectContaining({ code: expect.stringMatching(/^ERR_HTTP2?_HEADERS_SENT$/) }),
        )
      }
      res.end('no')
    })
    const { status, headers, body } = await server.get('/')
    expect([status, headers['x-own'], body]).toEqual([200, 'first', 'hello'])
    expect(headers['content-length'] ?? '5').toBe('5')
  })
})

describe('http', () => {
  const serve = async (sessions: Sessions, handler: Handler): Promise<number> => {
    const use = session(sessions)
    const server = createServer((req, res) => {
      use(req, res)
      Promise.resolve(handler(req as never, res)).catch(() => res.destroy())
    })
    stops.push(() => server.close())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return (server.address() as { port: number }).port
  }

  it.each([
    ['values that are lists', ['Set-Cookie', ['a=1', 'b=2'], 'X-Own', 'yes']],
    ['a name in two cases', ['Set-Cookie', 'a=1', 'set-cookie', 'b=2', 'X-Own', 'yes']],
    [
      'pairs',
      [
        ['Set-Cookie', 'a=1'],
        ['set-cookie', ['b=2']],
        ['X-Own', 'yes'],
      ],
    ],
  ])('writeHead() with %s in a list sets all of them', async (_, list) => {
    const port = await serve(createHere(), async (req, res) => {
      ;(await req.session()).set('x', 1)
      res.writeHead(200, list as never)
      res.end('ok')
    })
    const text = await send(port, 'GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n')
    const cookies = [...text.matchAll(/^set-cookie: (\w+)=/gim)].map(([, name]) => name)
    expect(cookies).toEqual(['a', 'b', 'app'])
    expect(text).toMatch(/^x-own: yes\r$/im)
  })
})
