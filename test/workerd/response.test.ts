import { describe, expect, it } from 'vitest'
import { createWorld } from '../support/sessions.ts'

interface WebSocketPair {
  0: { accept(): void }
  1: { accept(): void }
}

function handshake() {
  const Pair = (globalThis as unknown as { WebSocketPair: new () => WebSocketPair }).WebSocketPair
  const pair = new Pair()
  const init = { status: 101, webSocket: pair[0] } as ResponseInit
  return { pair, response: new Response(null, init) }
}

describe('commit() in workerd', () => {
  it('puts the cookie on a copy of a WebSocket handshake that cannot be changed, as of a Durable Object', async () => {
    const { pair, response } = handshake()
    const append = () => {
      throw new TypeError("Can't modify immutable headers.")
    }
    Object.defineProperty(response.headers, 'append', { value: append })
    const { sessions } = createWorld()
    const request = new Request('https://example.com/socket')
    ;(await sessions.get(request)).login('ann')
    const committed = await sessions.commit(request, response)
    expect([committed.status, committed.headers.getSetCookie().length]).toEqual([101, 1])
    expect((committed as unknown as { webSocket: unknown }).webSocket === pair[0]).toBe(true)
  })

  it('puts the cookie on a WebSocket handshake itself', async () => {
    const { pair, response } = handshake()
    const { sessions } = createWorld()
    const request = new Request('https://example.com/socket')
    ;(await sessions.get(request)).set('a', 1)
    const committed = await sessions.commit(request, response)
    expect(committed).toBe(response)
    expect(committed.status).toBe(101)
    expect(committed.headers.getSetCookie().length).toBe(1)
    expect((committed as unknown as { webSocket: unknown }).webSocket === pair[0]).toBe(true)
  })
})
