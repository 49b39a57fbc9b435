import { describe, expect, it } from 'vitest'
import { type CookieOptions, createSessionCookie } from '../../src/transport/cookie.ts'
import { createWorld, errorOf } from '../support/sessions.ts'

const NOTHING = createSessionCookie({}).find(null)

describe('the attributes of the session cookie', () => {
  it.each<[CookieOptions, string]>([
    [{}, '; Path=/; HttpOnly; Secure; SameSite=Lax'],
    [
      { httpOnly: false, secure: false, sameSite: 'strict', path: '/a b' },
      '; Path=/a b; SameSite=Strict',
    ],
    [
      { domain: '.example.com', sameSite: 'none', partitioned: true, priority: 'high' },
      '; Domain=.example.com; Path=/; HttpOnly; Secure; Partitioned; Priority=High; SameSite=None',
    ],
  ])('%j are spelled alike in every cookie', (options, attributes) => {
    const { remove, side, write } = createSessionCookie({ name: 's', ...options })
    expect(write(['a'], 60, false, NOTHING)).toEqual([`s=a${attributes}`])
    expect(write(['a'], 60, true, NOTHING)).toEqual([`s=a; Max-Age=60${attributes}`])
    expect(remove(NOTHING)).toEqual([`s=; Max-Age=0${attributes}`])
    expect(side!('nAAAA', 'a', undefined)).toBe(`s.nAAAA=a${attributes}`)
    expect(side!('nAAAA', 'a', 0)).toBe(`s.nAAAA=a; Max-Age=0${attributes}`)
  })

  it('maxAge limits the time of every session, and makes it outlive the browser', () => {
    const { write } = createSessionCookie({ name: 's', maxAge: 30 })
    const [one = '', other = ''] = [60, 20].map((life) => write(['a'], life, false, NOTHING)[0])
    expect([one.split('; ')[1], other.split('; ')[1]]).toEqual(['Max-Age=30', 'Max-Age=20'])
    const year = createSessionCookie({ name: 's' }).write(['a'], 99_000_000, true, NOTHING)[0]
    expect(year).toContain('; Max-Age=34560000;')
  })
})

describe('the options of the session cookie', () => {
  const refusal = (cookie: object) =>
    errorOf(() => createWorld({ cookie }).sessions).then(({ message }) => message)

  it.each([
    [{ name: 's', domain: null }, 'Option "cookie.domain" must be a domain name'],
    [{ name: 's', domain: 5 }, 'Option "cookie.domain" must be a domain name'],
    [{ name: 's', path: ['/'] }, 'Option "cookie.path" must be a path that starts with "/"'],
    [{ domain: 'a.com' }, 'Option "cookie.domain" must be left out with name "__Host-session"'],
    [{ path: '/app' }, 'Option "cookie.path" must be / with name "__Host-session"'],
    [{ secure: false }, 'Option "cookie.secure" must be true with name "__Host-session"'],
    [{ name: '__Host-Http-a', httpOnly: false }, 'Option "cookie.httpOnly" must be true with'],
    [{ name: '__Host-Http-a', domain: 'a.com' }, 'Option "cookie.domain" must be left out with'],
    [{ name: '__Host-Http-a', path: '/app' }, 'Option "cookie.path" must be / with'],
    [{ name: '__Http-a', secure: false }, 'Option "cookie.secure" must be true with'],
    [{ name: 's', sameSite: 'none', secure: false }, 'Option "cookie.secure" must be true with'],
    [{ name: 's', partitioned: true, secure: false }, 'Option "cookie.secure" must be true with'],
    [{ name: '__secure-a', secure: false }, 'Option "cookie.secure" must be true with'],
  ])('%j are refused', async (options, message) => {
    expect(await refusal(options)).toContain(message)
  })

  it.each([
    { name: 'my__Host-a', secure: false, path: '/app' },
    { name: '__Http-a', domain: 'a.com', path: '/app' },
    { name: '__Secure-a', httpOnly: false, domain: 'a.com' },
    { name: '__Host-a', httpOnly: false },
  ])('%j go together', (cookie) => {
    expect(() => createWorld({ cookie })).not.toThrow()
  })
})
