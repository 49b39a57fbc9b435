import { describe, expect, it } from 'vitest'
import { createWorld } from '../support/sessions.ts'

interface WebSocketPair {
  0: { accept(): void }
  1: { accept(): void }
}

describe('commit() in workerd', () => {
  it('puts the cookie on a WebSocket handshake itself, which cannot be rebuilt', async () => {
    const Pair = (globalThis as unknown as { WebSocketPair: new () => WebSocketPair }).WebSocketPair
    const pair = new Pair()
    const init = { status: 101, webSocket: pair[0] } as ResponseInit
    const response = new Response(null, init)
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
