import { describe, expect, it } from 'vitest'
import { refuseCrossSite } from '../../src/guard/guard.ts'

const URL_ = 'https://example.com/transfer'
const send = (
  headers: Record<string, string>,
  method = 'POST',
  trusted: string[] = [],
  url = URL_,
) => {
  // `new Request` may not set these; a server's request has them.
  const request = { url, method, headers: new Headers(headers) } as Request
  return refuseCrossSite(request, trusted)?.status ?? 'goes on'
}

describe('refuseCrossSite()', () => {
  it.each([
    ['same-origin', 'goes on'],
    ['none', 'goes on'],
    ['same-site', 403],
    ['cross-site', 403],
    ['something new', 403],
  ])('takes Sec-Fetch-Site: %s for %s', (site, outcome) => {
    expect(send({ 'sec-fetch-site': site, origin: 'https://example.com' })).toBe(outcome)
  })

  it.each([
    ['https://example.com', 'goes on'],
    ['http://example.com', 403],
    ['https://example.com:8443', 403],
    ['https://evil.example.com', 403],
    ['https://example.com.evil.test', 403],
    ['null', 403],
    ['garbage', 403],
  ])('takes Origin: %s for %s, where that is all there is', (origin, outcome) => {
    expect(send({ origin })).toBe(outcome)
  })

  it.each(['/transfer', 'https://a b/transfer'])(
    'takes no origin for that of the address %s, which does not parse',
    (url) => {
      for (const origin of ['null', 'garbage', 'https://example.com'])
        expect([origin, send({ origin }, 'POST', [], url)]).toEqual([origin, 403])
    },
  )

  it('lets clients that are no browsers go on, and origins that are trusted', () => {
    expect(send({})).toBe('goes on')
    const headers = { 'sec-fetch-site': 'same-site', origin: 'https://admin.example.com' }
    expect(send(headers, 'POST', ['https://admin.example.com'])).toBe('goes on')
    expect(send(headers, 'POST', ['https://other.example.com'])).toBe(403)
    expect(send({ 'sec-fetch-site': 'cross-site' }, 'POST', [''])).toBe(403)
    // A variable of the environment that is not set.
    expect(send({ 'sec-fetch-site': 'cross-site' }, 'POST', [null as never])).toBe(403)
  })

  it.each([
    ['https://example.com', 'goes on'],
    ['https://evil.example.com', 403],
    ['null', 403],
  ])('takes a WebSocket of %s for %s', (origin, outcome) => {
    const headers = { upgrade: 'WebSocket', connection: 'Upgrade', origin }
    expect(send(headers, 'GET')).toBe(outcome)
    // What Fetch Metadata say of a WebSocket differs from browser to browser.
    expect(send({ ...headers, 'sec-fetch-site': 'none' }, 'GET')).toBe(outcome)
    expect(send(headers, 'GET', [origin])).toBe('goes on')
  })

  it.each([
    ['https:', 'https://example.com', 'goes on'],
    ['https:', 'http://example.com', 403],
    ['wss:', 'http://example.com', 403],
    ['wss:', 'https://example.com', 'goes on'],
    // Behind a proxy that has taken the TLS off.
    ['http:', 'https://example.com', 'goes on'],
    ['http:', 'http://example.com', 'goes on'],
  ])('compares schemes: a WebSocket and a form to %s from %s: %s', (scheme, origin, outcome) => {
    const url = `${scheme}//example.com/transfer`
    const upgrade = { upgrade: 'websocket', connection: 'Upgrade', origin }
    expect(send(upgrade, 'GET', [], url)).toBe(outcome)
    expect(send({ origin }, 'POST', [], url)).toBe(outcome)
    expect(send(upgrade, 'GET', [origin], url)).toBe('goes on')
  })

  it('takes the scheme of an address from its beginning only', () => {
    const url = 'http://example.com/go?to=https://example.com'
    expect(send({ origin: 'http://example.com' }, 'POST', [], url)).toBe('goes on')
    const odd = 'https://http:8443'
    expect(send({ origin: odd }, 'POST', [], `${odd}/transfer`)).toBe('goes on')
  })

  it('takes a WebSocket for one that is offered beside other protocols', () => {
    for (const upgrade of ['websocket', 'h2c, WebSocket', 'websocket, h2c']) {
      const headers = { upgrade, origin: 'https://evil.example' }
      expect(send(headers, 'GET')).toBe(403)
    }
    expect(send({ upgrade: 'h2c', origin: 'https://evil.example' }, 'GET')).toBe('goes on')
  })

  it('refuses WebSockets behind a proxy that changes Host or the port, unless their origin is trusted', () => {
    const origin = 'https://example.com'
    const headers = { upgrade: 'websocket', origin, 'sec-fetch-site': 'same-origin' }
    for (const url of ['http://10.0.0.7/chat', 'http://example.com:3000/chat']) {
      expect(send(headers, 'GET', [], url)).toBe(403)
      expect(send(headers, 'GET', [origin], url)).toBe('goes on')
      expect(send({ origin, 'sec-fetch-site': 'same-origin' }, 'POST', [], url)).toBe('goes on')
    }
  })

  it('lets preflights go on, which have no cookies', () => {
    const headers = { origin: 'https://a.example', 'access-control-request-method': 'PUT' }
    expect(send(headers, 'OPTIONS')).toBe('goes on')
  })

  it('says what it needs where it gets no request', () => {
    for (const none of [undefined, {}]) {
      expect(() => refuseCrossSite(none as never)).toThrow('"request" must be a Request')
    }
  })

  it('takes no text for a list of trusted origins', () => {
    const trusted = 'https://admin.example.com' as never
    expect(() => send({ origin: 'https://admin.example.co' }, 'POST', trusted)).toThrow(TypeError)
  })

  it('looks at what changes something only', () => {
    for (const method of ['GET', 'HEAD', 'OPTIONS']) {
      expect(send({ 'sec-fetch-site': 'cross-site' }, method)).toBe('goes on')
    }
    for (const method of ['PUT', 'PATCH', 'DELETE', 'GETAWAY']) {
      expect(send({ 'sec-fetch-site': 'cross-site' }, method)).toBe(403)
    }
  })

  it('says nothing that a cache could keep', () => {
    const request = {
      url: URL_,
      method: 'POST',
      headers: new Headers({ origin: 'https://evil.test' }),
    }
    expect(refuseCrossSite(request as Request)?.headers.get('cache-control')).toBe('no-store')
  })
})
