import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import { afterEach, describe, expect, it } from 'vitest'
import { requireSessionHook, type SessionRequest, sojourn } from '../../src/adapters/node.ts'
import { StoreUnavailableError } from '../../src/errors.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createWorld, errorOf } from '../support/sessions.ts'

/** The example's augmentation of Fastify holds for every file here; this one needs no types of data. */
const sessionOf = (request: object) => (request as unknown as SessionRequest).session()

const COOKIE = { name: 'app', secure: false }
const createHere = (options = {}) => createWorld({ cookie: COOKIE, now: Date.now, ...options })

let open: FastifyInstance[] = []
afterEach(async () => {
  await Promise.all(open.map((one) => one.close()))
  open = []
})

function createApp(options: object = {}) {
  const world = createHere(options)
  const app = Fastify()
  open.push(app)
  app.register(sojourn, { sessions: world.sessions })
  return { ...world, app }
}

const listOf = (value: unknown): string[] => [value ?? []].flat() as string[]
const ownOf = (headers: Record<string, unknown>): string[] =>
  listOf(headers['set-cookie']).filter((one) => one.startsWith('app='))
const pairOf = (headers: Record<string, unknown>): string => ownOf(headers)[0]?.split(';')[0] ?? ''

describe('the Fastify plugin', () => {
  it('refuses an assignment to request.session, which would be lost', async () => {
    const { app } = createApp()
    app.get('/', async (request) => {
      const { session } = request as unknown as SessionRequest
      const error = await errorOf(() => Object.assign(session, { user: 1 }))
      return error.message
    })
    expect((await app.inject('/')).body).toContain('Cannot set "user"')
  })

  it.each([
    ['a page', (app: FastifyInstance) => app.get('/', async (q) => count(q))],
    [
      'a redirect with a cookie of its own',
      (app: FastifyInstance) =>
        app.get('/', async (q, reply) => {
          await count(q)
          reply.header('set-cookie', 'a=1')
          return reply.redirect('/home')
        }),
    ],
    [
      'a Response',
      (app: FastifyInstance) =>
        app.get('/', async (q) => new Response(JSON.stringify(await count(q)), { status: 201 })),
    ],
    [
      'a 204',
      (app: FastifyInstance) =>
        app.get('/', async (q, reply) => {
          await count(q)
          return reply.code(204).send()
        }),
    ],
  ])('%s carries the session', async (name, add) => {
    const { app, sessions } = createApp({ store: createMemoryStore() })
    add(app)
    const first = await app.inject('/')
    expect(ownOf(first.headers)).toHaveLength(1)
    expect(first.headers['cache-control']).toBe('private, no-store')
    const others = listOf(first.headers['set-cookie']).filter((one) => !one.startsWith('app='))
    expect(others).toEqual(name.includes('its own') ? ['a=1'] : [])
    const cookie = pairOf(first.headers)
    await app.inject({ url: '/', headers: { cookie } })
    expect((await sessions.open(cookie)).get('visits')).toBe(2)
  })

  it('leaves a response alone whose session nobody asked for', async () => {
    const { app } = createApp()
    app.get('/', async () => 'hello')
    const { headers } = await app.inject({ url: '/', headers: { cookie: 'app=x' } })
    expect([headers['set-cookie'], headers.vary]).toEqual([undefined, undefined])
  })

  it('saves nothing when the handler throws, and says so', async () => {
    const { app, types } = createApp()
    app.setErrorHandler((_, __, reply) => reply.code(400).send('sorry'))
    app.get('/', async (q) => {
      await count(q)
      throw new Error('boom')
    })
    const { statusCode, headers } = await app.inject('/')
    expect([statusCode, ownOf(headers)]).toEqual([400, []])
    expect(types()).toContain('session.uncommitted')
  })

  it('answers 503 with Retry-After when the commit fails', async () => {
    const store = createMemoryStore()
    const { app } = createApp({
      store: {
        ...store,
        write: async () => {
          throw new StoreUnavailableError('down', { retryAfter: 7 })
        },
      },
    })
    app.get('/', async (q) => ({ secret: await count(q) }))
    const { statusCode, headers, body } = await app.inject('/')
    expect([statusCode, headers['retry-after'], headers['cache-control']]).toEqual([
      503,
      '7',
      'no-store',
    ])
    expect(body).not.toContain('secret')
  })

  const handlers: Record<string, (reply: FastifyReply) => unknown> = {
    'sends and does not return it': (reply) => void reply.send('page'),
    'redirects and does not return it': (reply) => void reply.redirect('/home'),
    'sends nothing and does not return it': (reply) => void reply.code(204).send(),
    'sends a Response and does not return it': (reply) => void reply.send(new Response('page')),
    'sends twice': (reply) => reply.send('page').send('other'),
    'sends and throws': (reply) => {
      reply.send('page')
      throw new Error('boom')
    },
  }
  it.each(Object.keys(handlers))(
    'a handler that %s answers with the cookie, and with the error of the commit',
    async (name) => {
      const memory = createMemoryStore()
      let isDown = false
      const write: typeof memory.write = async (...call) => {
        await new Promise((resolve) => setTimeout(resolve, 2))
        if (isDown) throw new StoreUnavailableError('down', { retryAfter: 7 })
        return memory.write(...call)
      }
      const { app, sessions } = createApp({ store: { ...memory, write } })
      app.get('/', async (q, reply) => {
        ;(await (q as unknown as SessionRequest).session()).login('ada')
        reply.header('cache-control', 'public, max-age=60')
        return handlers[name]?.(reply)
      })
      const { body, headers, statusCode } = await app.inject('/')
      const { vary, 'cache-control': control } = headers
      // Fastify gives what it has not sent yet the status of the error.
      const isError = name === 'sends and throws'
      expect([statusCode < 400, vary, control]).toEqual([!isError, 'Cookie', 'private, no-store'])
      if (!isError) expect(body).toBe(/redirects|nothing/.test(name) ? '' : 'page')
      expect((await sessions.open(pairOf(headers))).subject).toBe('ada')
      isDown = true
      const failed = await app.inject('/')
      expect([failed.statusCode, ownOf(failed.headers)]).toEqual([isError ? 500 : 503, []])
      if (!isError) expect(failed.headers['retry-after']).toBe('7')
    },
  )

  it('the page of a commit that failed is for no cache that others share, whatever the handler said', async () => {
    const memory = createMemoryStore()
    const write: typeof memory.write = async (id, record, expected) =>
      expected === null ? memory.write(id, record, expected) : Promise.reject(new Error('down'))
    for (const store of [undefined, { ...memory, write }]) {
      const { app } = createApp({ store })
      app.setErrorHandler((_, __, reply) => reply.code(500).send('sorry'))
      app.get('/', async (q, reply) => {
        reply
          .header('cache-control', 'public, max-age=600')
          .header('cdn-cache-control', 'max-age=9')
        const session = await sessionOf(q)
        if (session.subject) session.set('letter' as never, 'x'.repeat(6000) as never)
        else session.login('ada')
        return 'page'
      })
      const cookie = pairOf((await app.inject('/')).headers)
      const { body, headers } = await app.inject({ url: '/', headers: { cookie } })
      expect([body, headers.vary, headers['cdn-cache-control']]).toEqual([
        'sorry',
        'Cookie',
        undefined,
      ])
      expect(headers['cache-control']).toMatch(/^(private, max-age=600|no-store)$/)
    }
  })

  it('refuses to open a session after the response has begun', async () => {
    const { app } = createApp()
    app.get('/', async (_, reply) => reply.send('hello'))
    const error = new Promise((resolve) => {
      app.addHook('onResponse', async (q) => resolve(await errorOf(() => sessionOf(q))))
    })
    await app.inject('/')
    expect(await error).toMatchObject({ code: 'ERR_SESSION_COMMITTED' })
  })

  it('requireSessionHook lets in who is signed in, and answers everybody else', async () => {
    const { app } = createApp()
    app.get('/login', async (q) => {
      ;(await sessionOf(q)).login('ann')
      return 'hello'
    })
    app.get(
      '/account',
      { preHandler: requireSessionHook() },
      async (q) => (await sessionOf(q)).subject,
    )
    expect((await app.inject('/account')).statusCode).toBe(401)
    const cookie = pairOf((await app.inject('/login')).headers)
    expect((await app.inject({ url: '/account', headers: { cookie } })).body).toBe('ann')
  })

  it('is refused where `request.session` is taken', async () => {
    const { sessions } = createHere()
    const app = Fastify()
    app.decorateRequest('session', undefined as never)
    app.register(sojourn, { sessions })
    expect(await errorOf(() => app.ready())).toMatchObject({
      message: expect.stringMatching(/taken, by @fastify\/session/),
    })
  })
})

async function count(request: object): Promise<object> {
  const session = await sessionOf(request)
  session.increment('visits')
  return session.data
}
