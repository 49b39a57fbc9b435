import { createRequire } from 'node:module'
import { describe, expect, it } from 'vitest'
import { fromCookieSession } from '../../src/migrate/index.ts'
import { cookiesOf, type Middleware, read, tampered } from './support.ts'

const require = createRequire(import.meta.url)
const session = require('cookie-session') as (options: object) => Middleware
const Keygrip = require('keygrip') as new (keys: string[], algorithm: string) => unknown

const keys = ['the first key', 'the second']

/** The cookies that cookie-session sets for these data. */
const cookieOf = (data: Record<string, unknown>, options: object = {}, before = '') =>
  cookiesOf(
    session({ keys, ...options }),
    (request) => void Object.assign(request.session, data),
    before,
  )

describe('fromCookieSession()', () => {
  const data = { userId: 7, cart: ['ä', '€', '???>>>'] }

  it('reads what cookie-session signed', async () => {
    const header = await cookieOf(data)
    expect(header).toMatch(/^session=.+; session\.sig=.+/)
    expect(await read(fromCookieSession({ keys }), header)).toEqual({
      data,
      removed: ['session', 'session.sig'],
    })
  })

  it('reads another name, and converts', async () => {
    const header = await cookieOf(data, { name: 'app' })
    const importer = fromCookieSession({
      keys,
      name: 'app',
      toSession: ({ userId, cart }) => ({ data: { cart }, subject: String(userId) }),
    })
    expect(await read(importer, header)).toEqual({
      data: { cart: data.cart },
      subject: '7',
      removed: ['app', 'app.sig'],
    })
    expect(await read(fromCookieSession({ keys }), header)).toBe(null)
  })

  it('accepts each key, and none that is gone', async () => {
    const header = await cookieOf(data, { keys: ['the second'] })
    expect((await read(fromCookieSession({ keys }), header))?.data).toEqual(data)
    expect(await read(fromCookieSession({ keys: ['the first key'] }), header)).toBe(null)
  })

  it('reads what other hash functions signed', async () => {
    const header = await cookieOf(data, { keys: new Keygrip(keys, 'sha512') })
    expect((await read(fromCookieSession({ keys, hash: 'SHA-512' }), header))?.data).toEqual(data)
    expect(await read(fromCookieSession({ keys }), header)).toBe(null)
  })

  it('refuses cookies that differ in any character', async () => {
    const header = await cookieOf({ userId: 7 })
    const importer = fromCookieSession({ keys })
    for (const forged of tampered(header)) {
      expect([forged, await read(importer, forged)]).toEqual([forged, null])
    }
  })

  it('refuses what is not signed, or signed for another name', async () => {
    const unsigned = await cookieOf(data, { signed: false })
    expect(await read(fromCookieSession({ keys }), unsigned)).toBe(null)
    const foreign = await cookieOf(data, { name: 'other' })
    const renamed = foreign.replaceAll('other', 'session')
    expect(await read(fromCookieSession({ keys }), renamed)).toBe(null)
  })

  it('finds the pair that belongs together among several', async () => {
    const header = await cookieOf(data)
    const noise = 'session=e30=; session.sig=AAAA'
    expect((await read(fromCookieSession({ keys }), `${noise}; ${header}`))?.data).toEqual(data)
  })

  it.each(['', 'session=', 'session=e30=', 'session.sig=AAAA', 'session=%; session.sig=%'])(
    'finds nothing in %j',
    async (header) => {
      expect(await read(fromCookieSession({ keys }), header)).toBe(null)
    },
  )

  it('refuses options that are missing, unknown or wrong', () => {
    const make = (options: object) => () => fromCookieSession(options as never)
    expect(make({})).toThrow('"keys"')
    expect(make({ keys: [] })).toThrow('"keys"')
    expect(make({ keys: 'one' })).toThrow('"keys"')
    expect(make({ keys: [''] })).toThrow('"keys"')
    expect(make({ keys, hash: 'MD5' })).toThrow('"hash"')
    expect(make({ keys, signed: false })).toThrow('"signed"')
  })
})
