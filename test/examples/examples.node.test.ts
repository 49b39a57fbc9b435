import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Server, startAsWritten, startInWorkerd } from './server.ts'
import { tellStory } from './story.ts'

tellStory('deno', () => startAsWritten('examples/deno/main.ts'))
tellStory('bun', () => startAsWritten('examples/bun/main.ts'))
tellStory('node', () => startAsWritten('examples/node/main.ts'))
// Both read a body before a handler can open the session.
tellStory('Express', () => startAsWritten('examples/express/main.ts'), { opensFirst: false })
tellStory('Fastify', () => startAsWritten('examples/fastify/main.ts'), { opensFirst: false })
tellStory(
  'a worker with KV',
  () => startInWorkerd('examples/workers/worker.ts', { kvNamespaces: ['SESSIONS'] }),
  { merges: false },
)

const startHono = (): Promise<Server> =>
  startInWorkerd('examples/hono/app.ts', {
    durableObjects: { SESSION_OBJECTS: { className: 'SessionObject', useSQLite: true } },
  })
tellStory('Hono with sessions in Durable Objects', startHono)

describe('what lives long in the Hono example', () => {
  let server: Server
  let cookie: string
  const post = (path: string): Promise<Response> => {
    const body = new URLSearchParams({ name: 'Ada' })
    return fetch(server.origin + path, {
      method: 'POST',
      body,
      redirect: 'manual',
      headers: { cookie },
    })
  }
  beforeAll(async () => {
    server = await startHono()
  })
  beforeEach(async () => {
    cookie = ''
    cookie = (await post('/sign-in')).headers.getSetCookie()[0]?.split(';')[0] as string
  })
  afterAll(() => server?.stop())

  it('ends a stream of events after the sign-out', async () => {
    const { body } = await fetch(`${server.origin}/events`, { headers: { cookie } })
    const events = body?.pipeThrough(new TextDecoderStream()).getReader()
    expect((await events?.read())?.value).toContain('still here')
    await post('/sign-out')
    while (!(await events?.read())?.done);
  })

  it('closes a WebSocket at the next message after the sign-out', async () => {
    const url = `${server.origin.replace('http', 'ws')}/socket`
    // Node takes headers, which browsers do not.
    const socket = new WebSocket(url, { headers: { cookie } } as never)
    const next = (type: string): Promise<MessageEvent & CloseEvent> =>
      new Promise((resolve) => socket.addEventListener(type, resolve as never, { once: true }))
    await next('open')
    socket.send('hello')
    expect((await next('message')).data).toBe('You said hello')
    await post('/sign-out')
    socket.send('hello?')
    expect((await next('close')).code).toBe(4401)
  })
})

it.each(['examples/workers/worker.ts', 'examples/hono/app.ts', 'examples/error-handling/main.ts'])(
  '%s starts as it says',
  async (example) => {
    const server = await startAsWritten(example)
    const { status } = await fetch(server.origin)
    await server.stop()
    expect(status).toBe(200)
  },
)
