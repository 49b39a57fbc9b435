import { connect } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import express from 'express'
import inject, { type DispatchFunc } from 'light-my-request'
import { afterEach, describe, expect, it } from 'vitest'
import { requestOf, requireSession, sendResponse, session } from '../../src/adapters/node.ts'
import { StoreUnavailableError } from '../../src/errors.ts'
import type { Session, Sessions } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { createWorld, errorOf } from '../support/sessions.ts'
import { get, type Handler, type Host, hosts, type Req, type Running } from './node-servers.ts'

const COOKIE = { name: 'app', secure: false }

let running: Running[] = []
afterEach(async () => {
  await Promise.all(running.map((one) => one.close()))
  running = []
})

async function start(host: Host, sessions: Sessions, handler: Handler): Promise<Running> {
  const server = await host.serve(sessions, handler)
  running.push(server)
  return server
}

const createHere = (options = {}) => createWorld({ cookie: COOKIE, now: Date.now, ...options })
/** The cookie to send back. */
const pair = (cookies: readonly string[], name = 'app='): string =>
  cookies.find((one) => one.startsWith(name))?.split(';')[0] ?? ''
const ownOf = (cookies: readonly string[]): string[] => cookies.filter((one) => /^app=/.test(one))

/** Waits until something has happened, and for what follows from it. */
async function waitFor(hasHappened: () => boolean): Promise<void> {
  while (!hasHappened()) await new Promise((resolve) => setTimeout(resolve, 1))
  await new Promise((resolve) => setTimeout(resolve, 20))
}

/** A store whose writes fail while `fault.on`. */
function failingStore() {
  const store = createMemoryStore()
  const fault = { on: false, count: 0 }
  const failing: SessionStore = {
    ...store,
    write: async (...given) => {
      if (fault.on) fault.count++
      if (fault.on) throw new StoreUnavailableError('down', { retryAfter: 7 })
      return store.write(...given)
    },
  }
  return { store: failing, fault }
}

/** Every way in which a head leaves, each after a change of the session. */
const ways: Record<string, (res: Parameters<Handler>[1], req: Req) => unknown> = {
  'end with a text': (res) => res.end('hello'),
  'writeHead and end': (res) => {
    res.writeHead(200, { 'content-type': 'text/plain', 'x-own': 'yes' })
    res.end('hello')
  },
  'writeHead with a reason': (res) => {
    res.writeHead(200, 'Fine', { 'x-own': 'yes' })
    res.end('hello')
  },
  'writeHead with headers in turn': (res) => {
    res.writeHead(200, ['x-own', 'yes', 'set-cookie', 'a=1', 'set-cookie', 'b=2'] as never)
    res.end('hello')
  },
  'write without a head': (res) => {
    res.write('hel')
    res.write('lo')
    res.end()
  },
  'flushHeaders first': async (res) => {
    res.flushHeaders()
    await new Promise((resolve) => setTimeout(resolve, 5))
    res.end('hello')
  },
  'a stream of 50 chunks': (res) =>
    pipeline(Readable.from(Array.from({ length: 50 }, () => 'x'.repeat(4096))), res),
  'cookies of its own': (res) => {
    res.setHeader('set-cookie', ['a=1', 'b=2'])
    res.end('hello')
  },
  'a redirect': (res) => {
    res.writeHead(303, { location: '/home' })
    res.end()
  },
  'a 204': (res) => {
    res.statusCode = 204
    res.end()
  },
  'a 304': (res) => {
    res.writeHead(304, { etag: '"1"' })
    res.end()
  },
}

describe.each(hosts)('$name', (host) => {
  it.each(Object.entries(ways))('sends the session cookie with %s', async (name, way) => {
    const { sessions } = createHere({ store: createMemoryStore() })
    const server = await start(host, sessions, async (req, res) => {
      const current = await req.session()
      current.increment('visits')
      await way(res, req)
    })
    const first = await server.get('/')
    expect(ownOf(first.cookies)).toHaveLength(1)
    expect(first.headers.vary).toMatch(/cookie/i)
    expect(first.headers['cache-control']).toBe('private, no-store')
    if (/own|in turn/.test(name)) {
      expect(first.cookies.filter((one) => /^[ab]=/.test(one))).toEqual(['a=1', 'b=2'])
    }
    if (/redirect/.test(name)) expect(first.headers.location).toBe('/home')
    const cookie = pair(first.cookies)
    await server.get('/', { cookie })
    expect((await sessions.open(cookie)).get('visits')).toBe(2)
  })

  it('sends a body of 200 kB whole, and that of HEAD not at all', async () => {
    const { sessions } = createHere()
    const server = await start(host, sessions, async (req, res) => {
      ;(await req.session()).set('seen', true)
      await ways['a stream of 50 chunks']?.(res, req)
    })
    expect((await server.get('/')).body).toHaveLength(50 * 4096)
    const head = await server.get('/', { method: 'HEAD' })
    expect([head.body, ownOf(head.cookies).length]).toEqual(['', 1])
  })

  it('leaves a response alone whose session nobody asked for', async () => {
    const { sessions } = createHere()
    let isHeld: boolean | undefined
    const server = await start(host, sessions, async (_, res) => {
      isHeld = Object.hasOwn(res, 'flushHeaders')
      res.end('hello')
    })
    const answer = await server.get('/', { cookie: 'app=x' })
    expect([isHeld, answer.cookies, answer.headers['cache-control']]).toEqual([
      false,
      [],
      undefined,
    ])
  })

  it('saves nothing with an error, and says so', async () => {
    const { sessions, types } = createHere()
    const server = await start(host, sessions, async (req) => {
      ;(await req.session()).set('tries', 1)
      throw new Error('boom')
    })
    const answer = await server.get('/')
    expect([answer.status, ownOf(answer.cookies)]).toEqual([500, []])
    expect(types()).toContain('session.uncommitted')
  })

  it('answers 503 with Retry-After when the commit fails, without what the page had sent', async () => {
    const { store, fault } = failingStore()
    const { sessions } = createHere({ store })
    const server = await start(host, sessions, async (req, res) => {
      res.setHeader('x-before', 'stays')
      ;(await req.session()).set('cart', ['tent'])
      fault.on = true
      res.writeHead(303, { location: '/thanks', 'x-page': 'goes' })
      res.end('secret page')
    })
    const { status, headers, body } = await server.get('/')
    expect([status, headers['retry-after'], headers['cache-control']]).toEqual([
      503,
      '7',
      'no-store',
    ])
    expect([headers.location, headers['x-page']]).toEqual([undefined, undefined])
    expect(body).not.toContain('secret page')
  })

  it('answers 503 to a stream whose commit fails, and drops what is still written', async () => {
    const { store, fault } = failingStore()
    const { sessions } = createHere({ store })
    const server = await start(host, sessions, async (req, res) => {
      ;(await req.session()).set('cart', ['tent'])
      fault.on = true
      res.write('secret')
      await waitFor(() => fault.count > 0)
      res.write('more')
      res.end('end')
    })
    const { status, headers, body } = await server.get('/')
    expect([status, headers['retry-after']]).toEqual([503, '7'])
    expect(body).toBe('Service Unavailable')
  })

  it('keeps the credential of a rotation whose answer was lost, beside its 503', async () => {
    const store = createMemoryStore()
    const { sessions } = createHere({
      store: {
        ...store,
        write: async (...given: Parameters<typeof store.write>) => {
          const result = await store.write(...given)
          if (given[2] !== null) throw new StoreUnavailableError('answer lost')
          return result
        },
      },
    })
    const server = await start(host, sessions, async (req, res) => {
      const current = await req.session()
      if (req.url === '/login') current.login('ann')
      else current.set('cart', ['tent'])
      res.end('hello')
    })
    const first = await server.get('/')
    const second = await server.get('/login', { cookie: pair(first.cookies) })
    expect(second.status).toBe(503)
    expect((await sessions.open(pair(second.cookies))).subject).toBe('ann')
  })

  it('refuses to open a session after the response has begun', async () => {
    const { sessions } = createHere()
    let error: unknown
    const server = await start(host, sessions, async (req, res) => {
      res.write('hello')
      error = await errorOf(() => req.session())
      res.end()
    })
    expect((await server.get('/')).cookies).toEqual([])
    expect(error).toMatchObject({ code: 'ERR_SESSION_COMMITTED' })
  })

  it('refuses an assignment to the function, which would be lost, and stays a function', async () => {
    const server = await start(host, createHere().sessions, async (req, res) => {
      const error = await errorOf(() => Object.assign(req.session, { cart: [] }))
      const { session } = req
      res.end(`${error} ${typeof session.call} ${'cart' in session}`)
    })
    const { body } = await server.get('/')
    expect(body).toMatch(
      /^TypeError: Cannot set "cart": .*session\.set\(key, value\) function false$/,
    )
  })

  it('refuses a change after the response has begun', async () => {
    const { sessions } = createHere()
    let error: unknown
    const server = await start(host, sessions, async (req, res) => {
      const current = await req.session()
      current.set('seen', 1)
      res.write('hello')
      await new Promise((resolve) => setTimeout(resolve, 20))
      error = await errorOf(() => current.set('seen', 2))
      res.end()
    })
    expect(ownOf((await server.get('/')).cookies)).toHaveLength(1)
    expect(error).toMatchObject({ code: 'ERR_SESSION_COMMITTED' })
  })

  it('does not take a client that has gone for a failure of the store', async () => {
    let isAsked: () => void = () => {}
    const asked = new Promise<void>((resolve) => {
      isAsked = resolve
    })
    let noteAbort: () => void = () => {}
    const aborted = new Promise<void>((resolve) => {
      noteAbort = resolve
    })
    const store = createMemoryStore()
    const { sessions, types } = createHere({
      store: {
        ...store,
        read: (_: string, { signal }: { signal: AbortSignal }) =>
          new Promise((_resolve, reject) => {
            isAsked()
            signal.addEventListener('abort', () => {
              reject(signal.reason)
              noteAbort()
            })
          }),
      },
    })
    const other = createHere({ store })
    const cookies = await other.visit((current) => current.set('cart', ['tent']))
    const server = await start(host, sessions, async (req, res) => {
      await req.session()
      res.end()
    })
    if (host.name === 'http2') return
    const socket = connect(server.port, '127.0.0.1')
    const cookie = pair(cookies.setCookie)
    socket.write(`GET / HTTP/1.1\r\nhost: localhost\r\ncookie: ${cookie}\r\n\r\n`)
    await asked
    socket.destroy()
    await aborted
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(types().filter((type) => /unavailable|failed|degraded/.test(type))).toEqual([])
  })

  it('commits two sessions of two cookies', async () => {
    const one = createHere()
    const two = createWorld({ cookie: { name: 'other', secure: false }, now: Date.now })
    const useTwo = session(two.sessions)
    const server = await start(host, one.sessions, async (req, res) => {
      const first = await req.session()
      first.set('seen', 1)
      useTwo(req, res)
      ;(await req.session()).set('seen', 2)
      res.end('hello')
    })
    const { cookies } = await server.get('/')
    expect((await one.sessions.open(pair(cookies))).get('seen')).toBe(1)
    expect((await two.sessions.open(pair(cookies, 'other='))).get('seen')).toBe(2)
  })

  it('keeps the rotation of one session beside the 503 of another one', async () => {
    const { fault, store } = failingStore()
    const one = createHere({ store: createMemoryStore() })
    const two = createWorld({ cookie: { name: 'other', secure: false }, now: Date.now, store })
    const useTwo = session(two.sessions)
    const server = await start(host, one.sessions, async (req, res) => {
      const openOne = req.session
      useTwo(req, res)
      ;(await req.session()).increment('n')
      const current = await openOne()
      if (req.url === '/login') current.login('ann')
      else current.set('cart', ['tent'])
      res.end('hello')
    })
    const { cookies } = await server.get('/')
    fault.on = true
    const cookie = `${pair(cookies)}; ${pair(cookies, 'other=')}`
    const second = await server.get('/login', { cookie })
    expect(second.status).toBe(503)
    const found = await one.sessions.open(pair(second.cookies))
    expect([found.subject, found.get('cart')]).toEqual(['ann', ['tent']])
  })

  it('keeps the rotation of one session where the cookie of another one is too large', async () => {
    const one = createHere({ store: createMemoryStore() })
    const two = createWorld({ cookie: { name: 'other', secure: false }, now: Date.now })
    const useTwo = session(two.sessions)
    const server = await start(host, one.sessions, async (req, res) => {
      const openOne = req.session
      useTwo(req, res)
      const isLogin = req.url === '/login'
      ;(await req.session()).set('text', isLogin ? 'x'.repeat(5000) : 'short')
      const current = await openOne()
      if (isLogin) current.login('ann')
      else current.set('cart', ['tent'])
      res.end('hello')
    })
    const { cookies } = await server.get('/')
    const cookie = `${pair(cookies)}; ${pair(cookies, 'other=')}`
    const second = await server.get('/login', { cookie })
    expect(second.status).toBe(500)
    const found = await one.sessions.open(pair(second.cookies))
    expect([found.subject, found.get('cart')]).toEqual(['ann', ['tent']])
    expect(pair(second.cookies, 'other=')).toBe('')
  })

  it.each(['before', 'after'])(
    'requestOf(), called %s session(), gives sessions.get() the same session',
    async (order) => {
      const { sessions } = createHere()
      const server = await start(host, sessions, async (req, res) => {
        if (order === 'before') requestOf(req)
        const current = await req.session()
        const same = (await sessions.get(requestOf(req))) === current
        current.set('seen', 1)
        res.end(String(same))
      })
      const { body, cookies } = await server.get('/')
      expect(body).toBe('true')
      expect((await sessions.open(pair(cookies))).get('seen')).toBe(1)
    },
  )

  it('gives `binding.ip` a whole Request', async () => {
    const seen: unknown[] = []
    const binding = {
      ip(request: Request) {
        seen.push(request instanceof Request && request.clone())
        return new URL(request.url).search
      },
    }
    const { sessions } = createHere({ binding })
    const server = await start(host, sessions, async (req, res) => {
      const current = await req.session()
      if (req.url?.startsWith('/in')) current.login('ann')
      res.end(String(current.subject))
    })
    const cookie = pair((await server.get('/in?1.1.1.1')).cookies)
    expect((await server.get('/?1.1.1.1', { cookie })).body).toBe('ann')
    expect((await server.get('/?2.2.2.2', { cookie })).body).toBe('null')
    expect(seen.length).toBeGreaterThan(1)
    expect(seen).not.toContain(false)
  })
})

describe('requests of one connection', () => {
  const [plain] = hosts as [Host]

  it('pipelined requests get each their own cookie, in order', async () => {
    const { sessions } = createHere()
    const server = await start(plain, sessions, async (req, res) => {
      const current = await req.session()
      // The first takes longest.
      await new Promise((resolve) => setTimeout(resolve, req.url === '/1' ? 30 : 1))
      current.set('path', req.url)
      res.end(req.url)
    })
    const text = await new Promise<string>((resolve) => {
      let all = ''
      const socket = connect(server.port, '127.0.0.1', () => {
        for (const path of ['/1', '/2', '/3']) {
          const last = path === '/3' ? 'connection: close\r\n' : ''
          socket.write(`GET ${path} HTTP/1.1\r\nhost: a\r\n${last}\r\n`)
        }
      })
      socket.on('data', (chunk) => {
        all += chunk
      })
      socket.on('close', () => resolve(all))
    })
    const cookies = [...text.matchAll(/set-cookie: (app=[^;]+)/gi)].map(
      (found) => found[1] as string,
    )
    const paths = []
    for (const cookie of cookies) paths.push((await sessions.open(cookie)).get('path'))
    expect(paths).toEqual(['/1', '/2', '/3'])
  })

  it.each([
    ['a path with two slashes', 'GET //evil.example/x HTTP/1.1\r\nhost: a'],
    ['an absolute form', 'GET http://other.example/x HTTP/1.1\r\nhost: a'],
    ['no resource', 'OPTIONS * HTTP/1.1\r\nhost: a'],
    ['a host that is none', 'GET /x HTTP/1.1\r\nhost: [[['],
    ['a method that no Request has', 'TRACE /x HTTP/1.1\r\nhost: a'],
  ])('%s opens a session', async (_, head) => {
    const { sessions } = createHere()
    const server = await start(plain, sessions, async (req, res) => {
      ;(await req.session()).set('seen', true)
      res.end('hello')
    })
    const text = await new Promise<string>((resolve) => {
      let all = ''
      const socket = connect(server.port, '127.0.0.1', () =>
        socket.write(`${head}\r\nconnection: close\r\n\r\n`),
      )
      socket.on('data', (chunk) => {
        all += chunk
      })
      socket.on('close', () => resolve(all))
    })
    expect(text).toMatch(/^HTTP\/1.1 200[\s\S]*set-cookie: app=/i)
  })
})

describe('Express', () => {
  async function serve(set: (app: ReturnType<typeof express>) => void): Promise<Running> {
    const app = express()
    app.set('env', 'test')
    set(app)
    const server = app.listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as { port: number }
    const one: Running = {
      port,
      get: (path, options) => get(port, path, options),
      close: async () => {
        server.closeAllConnections()
        server.close()
      },
    }
    running.push(one)
    return one
  }
  const sessionOf = (req: object): Promise<Session> => (req as Req).session()

  it('an error handler gets the error of the commit, and its answer has Retry-After', async () => {
    const { store, fault } = failingStore()
    const { sessions } = createHere({ store })
    const server = await serve((app) => {
      app.use(session(sessions))
      app.get('/', async (req, res) => {
        ;(await sessionOf(req)).set('cart', ['tent'])
        fault.on = true
        res.json({ saved: true })
      })
      app.use(((error, _req, res, _next) => {
        res.status(error.status).json({ code: error.code, sent: res.headersSent })
      }) as express.ErrorRequestHandler)
    })
    const { status, headers, body } = await server.get('/')
    expect([status, headers['retry-after'], JSON.parse(body)]).toEqual([
      503,
      '7',
      { code: 'ERR_STORE_UNAVAILABLE', sent: false },
    ])
  })

  it('a router that is mounted below a path gives guards the whole path', async () => {
    const { sessions } = createHere()
    const server = await serve((app) => {
      app.use(session(sessions))
      const inner = express.Router()
      inner.use(requireSession({ onMissing: '/login' }))
      inner.get('/orders', (_, res) => void res.send('orders'))
      app.use('/account', inner)
      app.get('/login', async (req, res) => {
        ;(await sessionOf(req)).login('ann')
        res.send('hello')
      })
    })
    const refused = await fetch(`http://127.0.0.1:${server.port}/account/orders`, {
      redirect: 'manual',
      headers: { accept: 'text/html', 'sec-fetch-dest': 'document', 'sec-fetch-mode': 'navigate' },
    })
    expect([refused.status, refused.headers.get('location')]).toEqual([
      303,
      '/login?returnTo=%2Faccount%2Forders',
    ])
    expect((await server.get('/account/orders')).status).toBe(401)
    const cookie = pair((await server.get('/login')).cookies)
    expect((await server.get('/account/orders', { cookie })).body).toBe('orders')
  })

  it('requireSession gives the framework the error of a store that is down', async () => {
    const store = createMemoryStore()
    const { sessions } = createHere({
      store: { ...store, read: async () => Promise.reject(new StoreUnavailableError('down')) },
    })
    const other = createHere({ store })
    const { setCookie } = await other.visit((current) => current.login('ann'))
    const server = await serve((app) => {
      app.use(session(sessions), requireSession(), (_, res) => void res.send('in'))
    })
    const { status, headers, body } = await server.get('/', { cookie: pair(setCookie) })
    expect([status, headers['retry-after'], body === 'in']).toEqual([503, '1', false])
  })

  it('requireSession without the middleware says what is missing', async () => {
    const server = await serve((app) => {
      app.use(requireSession(), (_, res) => void res.send('in'))
      app.use(((error, _req, res, _next) => {
        res.status(500).send(error.message)
      }) as express.ErrorRequestHandler)
    })
    expect((await server.get('/')).body).toMatch(/needs app\.use\(session\(sessions\)\) before it/)
  })

  it.each([
    [
      'twice for one cookie',
      (sessions: Sessions) => [session(sessions), session(sessions)],
      /twice/,
    ],
    [
      'where express-session has taken `req.session`',
      (sessions: Sessions) => [
        (req: object, _: unknown, next: () => void) => {
          Object.assign(req, { session: {} })
          next()
        },
        session(sessions),
      ],
      /taken by another middleware, such as express-session/,
    ],
  ])('session() %s is refused with the remedy', async (_, make, message) => {
    const { sessions } = createHere()
    const server = await serve((app) => {
      for (const one of make(sessions)) app.use(one as never)
      app.use(((error, _req, res, _next) => {
        res.status(500).send(error.message)
      }) as express.ErrorRequestHandler)
    })
    expect((await server.get('/')).body).toMatch(message)
  })

  it('sessions that are none are refused when the middleware is made', () => {
    expect(() => session({} as never)).toThrow(/sessions.*createSessions/)
  })
})

describe('sendResponse()', () => {
  it('answers with the status endpoint, which renews on POST, beside cookies of others', async () => {
    const { clock, jar, sessions, visit } = createWorld()
    await visit((session) => session.login('ann'))
    clock.advance(20_000)
    const status = sessions.statusHandler()
    const app = express().use(session(sessions))
    app.all('/status', async (req, res) => {
      res.cookie('theme', 'dark')
      await sendResponse(res, await status(requestOf(req)))
    })
    const ask = async (method: 'GET' | 'POST') =>
      await inject(app as unknown as DispatchFunc, {
        method,
        url: '/status',
        headers: { cookie: String(jar.header()) },
      })
    const asked = await ask('GET')
    expect(asked.json()).toMatchObject({ signedIn: true, secondsLeft: 66_400 })
    expect(asked.headers['set-cookie']).toBe('theme=dark; Path=/')
    expect(asked.headers['cache-control']).toContain('no-store')
    const renewed = await ask('POST')
    expect(renewed.json()).toMatchObject({ secondsLeft: 86_400 })
    expect(renewed.headers['set-cookie']).toEqual([
      'theme=dark; Path=/',
      expect.stringMatching(/^__Host-session=/),
    ])
  })

  it('refuses what is no Response', async () => {
    expect((await errorOf(() => sendResponse({} as never, {} as never))).message).toMatch(
      /"answer" must be a Response/,
    )
  })
})
