import { Hono } from 'hono'
import { describe, expect, it } from 'vitest'
import { session } from '../../src/adapters/hono.ts'
import { createSessions } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createCookieJar } from '../../src/testing/index.ts'
import { SECRET } from '../support/sessions.ts'

/** The little of workerd's WebSockets that is used here. */
interface Socket extends EventTarget {
  accept(): void
  send(text: string): void
  close(code?: number, reason?: string): void
}
declare const WebSocketPair: new () => [Socket, Socket]

const next = (socket: Socket, type: string): Promise<{ data?: string; code?: number }> =>
  new Promise((resolve) => socket.addEventListener(type, (event) => resolve(event as never)))

describe('a WebSocket behind hono session()', () => {
  const sessions = createSessions({ secret: SECRET, store: createMemoryStore() })
  const app = new Hono()
    .use(session(sessions))
    .post('/login', async (c) => {
      ;(await c.var.session()).login('ann')
      return c.text('')
    })
    .get('/socket', async (c) => {
      const { subject } = await c.var.session()
      const header = c.req.header('cookie') ?? null
      const [client, server] = new WebSocketPair()
      server.accept()
      server.addEventListener('message', async () => {
        const now = await sessions.open(header)
        if (subject !== null && now.subject === subject) server.send(`hello ${subject}`)
        else server.close(4401, 'signed out')
      })
      return new Response(null, { status: 101, webSocket: client } as ResponseInit)
    })

  it('passes the upgrade through, and is closed at the next check after a revocation', async () => {
    const jar = createCookieJar()
    jar.store(await app.fetch(jar.request('/login', { method: 'POST' })))
    const response = await app.fetch(jar.request('/socket', { headers: { upgrade: 'websocket' } }))
    expect(response.status).toBe(101)
    const { webSocket: socket } = response as Response & { webSocket: Socket }
    socket.accept()
    socket.send('who am I?')
    expect((await next(socket, 'message')).data).toBe('hello ann')
    await sessions.revokeAll('ann')
    socket.send('and now?')
    expect((await next(socket, 'close')).code).toBe(4401)
  })
})
