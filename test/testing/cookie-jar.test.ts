import { describe, expect, it } from 'vitest'
import { type CookieJar, createClock, createCookieJar } from '../../src/testing/index.ts'

function answer(...cookies: string[]): Response {
  const response = new Response('ok')
  for (const cookie of cookies) response.headers.append('set-cookie', cookie)
  return response
}

function jarWith(cookie: string, url: string): CookieJar {
  const jar = createCookieJar({ now: createClock() })
  jar.store(answer(cookie), url)
  return jar
}

describe('createCookieJar()', () => {
  it('sends back what a response set', () => {
    const jar = createCookieJar()
    expect(jar.header()).toBe(null)
    jar.store(answer('a=1; Path=/', 'b=2; Path=/; HttpOnly; SameSite=Lax'))
    expect(jar.header()).toBe('a=1; b=2')
    expect(jar.get('b')).toBe('2')
    expect(jar.get('c')).toBe(undefined)
    expect(jar.request('/x').headers.get('cookie')).toBe('a=1; b=2')
    jar.clear()
    expect(jar.header()).toBe(null)
  })

  it('drives a handler from request to request', async () => {
    const jar = createCookieJar()
    const handler = (request: Request): Response => {
      const seen = Number(/n=(\d+)/.exec(request.headers.get('cookie') ?? '')?.[1] ?? 0)
      return answer(`n=${seen + 1}; Path=/`)
    }
    await jar.fetch(handler, '/first')
    await jar.fetch(async (request) => handler(request), '/second', { method: 'POST' })
    expect(jar.get('n')).toBe('2')
  })

  it('sends an explicit cookie header in place of its own', () => {
    const jar = createCookieJar()
    jar.store(answer('a=1'))
    const request = jar.request('/', { headers: { cookie: 'a=forged', 'x-test': 'y' } })
    expect(request.headers.get('cookie')).toBe('a=forged')
    expect(request.headers.get('x-test')).toBe('y')
  })

  it('takes relative URLs as relative to its origin', () => {
    const jar = createCookieJar({ origin: 'http://localhost:8787' })
    expect(jar.request('/a?b').url).toBe('http://localhost:8787/a?b')
    expect(() => createCookieJar({ origin: 'nowhere' })).toThrow(TypeError)
  })

  it('replaces a cookie of the same name, domain and path, keeping its place', () => {
    const jar = createCookieJar()
    jar.store(answer('a=1; Path=/', 'b=2; Path=/', 'a=3; Path=/'))
    expect(jar.header()).toBe('a=3; b=2')
    expect(jar.cookies().length).toBe(2)
  })

  it('sends longer paths first, then older cookies', () => {
    const clock = createClock()
    const jar = createCookieJar({ now: clock })
    jar.store(answer('a=old; Path=/'))
    clock.advance(1)
    jar.store(answer('b=new; Path=/', 'a=deep; Path=/x/y'))
    expect(jar.header('/x/y/z')).toBe('a=deep; a=old; b=new')
  })

  it.each([
    ['a=1; Path=/x', '/x', true],
    ['a=1; Path=/x', '/x/y', true],
    ['a=1; Path=/x', '/xy', false],
    ['a=1; Path=/x/', '/x', false],
    ['a=1; Path=x', '/elsewhere', false],
    ['a=1', '/shop/other', true],
    ['a=1', '/', false],
    ['a=1; Path=/; Path=/shop', '/', false],
  ])('%s set by /shop/cart, asked by %s: %s', (cookie, path, sent) => {
    const jar = jarWith(cookie, 'https://example.com/shop/cart')
    expect(jar.header(`https://example.com${path}`) !== null).toBe(sent)
  })

  it.each([
    ['a=1', 'https://example.com', true],
    ['a=1', 'https://www.example.com', false],
    ['a=1; Domain=example.com', 'https://www.example.com', true],
    ['a=1; Domain=.EXAMPLE.com', 'https://deep.www.example.com', true],
    ['a=1; Domain=example.com', 'https://badexample.com', false],
    ['a=1; Domain=www.example.com', 'https://www.example.com', false],
    ['a=1; Domain=other.com', 'https://other.com', false],
    ['a=1; Domain=com', 'https://example.com', false],
    ['a=1; Domain=', 'https://www.example.com', false],
  ])('%s set by example.com, asked by %s: %s', (cookie, url, sent) => {
    expect(jarWith(cookie, 'https://example.com/').header(url) !== null).toBe(sent)
  })

  it('never matches an address by its end', () => {
    const jar = jarWith('a=1; Domain=0.0.1', 'http://127.0.0.1/')
    expect(jar.header('http://127.0.0.1/')).toBe(null)
  })

  it.each([
    ['https://example.com/', true],
    ['http://example.com/', false],
    ['http://localhost:3000/', true],
    ['http://app.localhost/', true],
    ['http://127.0.0.1/', true],
    ['http://127.9.9.9/', true],
    ['http://[::1]/', true],
    ['http://localhost.example.com/', false],
    ['http://128.0.0.1/', false],
  ])('Secure from %s is kept: %s', (url, kept) => {
    const jar = jarWith('__Host-a=1; Secure; Path=/', url)
    expect(jar.header(url) !== null).toBe(kept)
  })

  it('does not send Secure cookies over plain http', () => {
    const jar = jarWith('a=1; Secure; Path=/', 'https://example.com/')
    expect(jar.header('http://example.com/')).toBe(null)
  })

  it('does not let plain http replace or hide a Secure cookie', () => {
    const jar = jarWith('a=1; Secure; Path=/', 'https://example.com/')
    jar.store(answer('a=evil; Path=/', 'a=evil; Path=/x'), 'http://example.com/')
    expect(jar.header('https://example.com/x')).toBe('a=1')
    jar.store(answer('b=fine; Path=/'), 'http://example.com/')
    expect(jar.header('https://example.com/')).toBe('a=1; b=fine')
  })

  it.each([
    ['__Host-a=1; Secure; Path=/', true],
    ['__Host-a=1; Path=/', false],
    ['__Host-a=1; Secure', false],
    ['__Host-a=1; Secure; Path=/x', false],
    ['__Host-a=1; Secure; Path=/; Domain=example.com', false],
    ['__HOST-a=1; Path=/', false],
    ['__Secure-a=1; Secure', true],
    ['__Secure-a=1', false],
    ['__secure-a=1', false],
    ['__Http-a=1; Secure; HttpOnly', true],
    ['__Http-a=1; Secure', false],
    ['__Http-a=1; HttpOnly', false],
    ['__Host-Http-a=1; Secure; HttpOnly; Path=/', true],
    ['__Host-Http-a=1; Secure; Path=/', false],
    ['__host-http-a=1; Secure; HttpOnly; Path=/x', false],
    ['=__Host-a=1; Secure; Path=/', false],
    ['__Host-a; Path=/', false],
    ['a=1; SameSite=None', false],
    ['a=1; SameSite=None; Secure', true],
    ['a=1; Partitioned', false],
    ['a=1; Partitioned; Secure', true],
  ])('%s is kept: %s', (cookie, kept) => {
    expect(jarWith(cookie, 'https://example.com/').cookies('https://example.com/').length).toBe(
      kept ? 1 : 0,
    )
  })

  it('keeps 4096 bytes of name and value, and ignores the cookie at one more', () => {
    const url = 'https://example.com/'
    expect(jarWith(`n=${'x'.repeat(4095)}`, url).get('n', url)?.length).toBe(4095)
    expect(jarWith(`n=${'x'.repeat(4096)}`, url).get('n', url)).toBe(undefined)
    expect(jarWith(`nn=${'x'.repeat(4095)}`, url).get('nn', url)).toBe(undefined)
  })

  it('ignores an attribute longer than 1024 bytes', () => {
    const jar = jarWith(`a=1; Path=/${'x'.repeat(1024)}`, 'https://example.com/')
    expect(jar.get('a', 'https://example.com/')).toBe('1')
  })

  it('reads odd pairs as browsers do', () => {
    const url = 'https://example.com/'
    expect(jarWith('  a  =  1  2  ; ', url).header(url)).toBe('a=1  2')
    expect(jarWith('lonely', url).header(url)).toBe('lonely')
    expect(jarWith('=nameless', url).header(url)).toBe('nameless')
    expect(jarWith('a=b=c', url).get('a', url)).toBe('b=c')
    expect(jarWith('a="quoted"', url).get('a', url)).toBe('"quoted"')
    expect(jarWith('=', url).header(url)).toBe(null)
  })

  it('removes a cookie by Max-Age=0, a negative one, or a past date', () => {
    for (const end of ['Max-Age=0', 'Max-Age=-5', 'Expires=Thu, 01 Jan 1970 00:00:00 GMT']) {
      const jar = jarWith('a=1; Path=/', 'https://example.com/')
      jar.store(answer(`a=; Path=/; ${end}`))
      expect(jar.header()).toBe(null)
    }
  })

  it('does not remove a cookie under another path', () => {
    const jar = jarWith('a=1; Path=/', 'https://example.com/')
    jar.store(answer('a=; Path=/x; Max-Age=0'))
    expect(jar.header()).toBe('a=1')
  })

  it('ends a cookie when its time is over; Max-Age wins over Expires', () => {
    const clock = createClock()
    const jar = createCookieJar({ now: clock })
    jar.store(answer('a=1; Max-Age=10; Expires=Fri, 01 Jan 2027 00:00:00 GMT'))
    clock.advanceMs(9999)
    expect(jar.get('a')).toBe('1')
    clock.advanceMs(1)
    expect(jar.get('a')).toBe(undefined)
  })

  it('ignores a Max-Age that is no number', () => {
    const [cookie] = jarWith('a=1; Max-Age=10.5', 'https://example.com/').cookies()
    expect(cookie?.expiresAt).toBe(Number.POSITIVE_INFINITY)
  })

  it.each([
    ['Thu, 15 Jan 2026 10:20:30 GMT', '2026-01-15T10:20:30.000Z'],
    ['Thursday, 15-Jan-26 10:20:30 GMT', '2026-01-15T10:20:30.000Z'],
    ['Thu Jan 15 10:20:30 2026', '2026-01-15T10:20:30.000Z'],
    ['10:20:30 15 january 2026 whatever', '2026-01-15T10:20:30.000Z'],
    ['Thu, 31 Feb 2026 10:20:30 GMT', null],
    ['Thu, 15 Jan 2026 25:20:30 GMT', null],
    ['Thu, 15 Jan 1600 10:20:30 GMT', null],
    ['soon', null],
  ])('reads Expires=%s as %s', (text, expected) => {
    const [cookie] = jarWith(`a=1; Expires=${text}`, 'https://example.com/').cookies()
    const ends = cookie?.expiresAt ?? 0
    expect(Number.isFinite(ends) ? new Date(ends).toISOString() : null).toBe(expected)
  })

  it('keeps no cookie longer than 400 days', () => {
    const start = createClock()()
    for (const end of ['Max-Age=99999999', 'Expires=Fri, 01 Jan 2100 00:00:00 GMT']) {
      const [cookie] = jarWith(`a=1; ${end}`, 'https://example.com/').cookies()
      expect((cookie?.expiresAt ?? 0) - start).toBe(400 * 86_400_000)
    }
  })
})
