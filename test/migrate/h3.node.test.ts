import { H3, type SessionConfig, sealSession, useSession } from 'h3'
import * as h3v1 from 'h3-v1'
import { describe, expect, it } from 'vitest'
import { fromH3 } from '../../src/migrate/index.ts'
import { headerOf, read, tampered } from './support.ts'

const password = 'the password that h3 was told to use'
const HOUR = 3_600_000

type Make = (data: Record<string, unknown>, config?: Partial<SessionConfig>) => Promise<string>

/** The cookies that h3 2 sets for these data. */
const version2: Make = async (data, config = {}) => {
  const app = new H3()
  app.get('/', async (event) => {
    const session = await useSession(event, { password, ...config })
    await session.update(data)
    return 'ok'
  })
  const response = await app.request('/')
  return headerOf(response.headers.getSetCookie())
}

/** The cookies that h3 1, the one of Nuxt 3 and 4, sets for these data. */
const version1: Make = async (data, config = {}) => {
  const app = h3v1.createApp()
  const handler = h3v1.eventHandler(async (event) => {
    const session = await h3v1.useSession(event, { password, ...config } as never)
    await session.update(data)
    return 'ok'
  })
  app.use('/', handler)
  const response = await h3v1.toWebHandler(app)(new Request('http://localhost/'))
  return headerOf(response.headers.getSetCookie())
}

describe.each<[string, Make]>([
  ['2', version2],
  ['1', version1],
])('fromH3() on cookies of h3 %s', (made, cookieOf) => {
  const data = { user: { id: 7, name: 'Ada ä €' } }

  it('reads what h3 sealed, and when it began', async () => {
    const before = Date.now()
    const session = await read(fromH3({ password }), await cookieOf(data))
    expect(session?.data).toEqual(data)
    expect(session?.removed).toEqual(['h3'])
    expect(session?.createdAt).toBeGreaterThanOrEqual(before)
    expect(session?.createdAt).toBeLessThanOrEqual(Date.now())
  })

  it('says when the session was written, and whether its cookie outlives the browser', async () => {
    const session = await read(fromH3({ password }), await cookieOf(data))
    expect([session?.persistent, session?.writtenAt]).toEqual([false, session?.createdAt])
    const lasting = await read(fromH3({ password }), await cookieOf(data, { maxAge: 3600 }))
    expect(lasting?.persistent).toBe(true)
  })

  it('reads another name', async () => {
    const header = await cookieOf(data, { name: 'nuxt-session' })
    expect(await read(fromH3({ password }), header)).toBe(null)
    expect((await read(fromH3({ password, name: 'nuxt-session' }), header))?.data).toEqual(data)
  })

  it('reads it by its version alone, and beside a cookie of its name that is forged', async () => {
    const header = await cookieOf(data)
    const own = fromH3({ password, version: Number(made) as 1 | 2 })
    const other = fromH3({ password, version: made === '1' ? 2 : 1 })
    expect((await read(own, header))?.data).toEqual(data)
    expect(await read(other, header)).toBe(null)
    // Before the last character: some of its bits are padding, and what sets them is no seal at all.
    const forged = tampered(header).at(-2)
    const both = await read(own, `${forged}; ${header}`)
    // Version 2 costs too much to derive the key of a second one.
    expect(both?.data).toEqual(made === '1' ? data : undefined)
  })

  it('refuses a seal from the moment it expires', async () => {
    const before = Date.now()
    const header = await cookieOf(data, { maxAge: 3600 })
    expect((await read(fromH3({ password }), header, before + HOUR - 1))?.data).toEqual(data)
    expect(await read(fromH3({ password }), header, Date.now() + HOUR)).toBe(null)
  })

  it('refuses one that is older than it is told', async () => {
    const header = await cookieOf(data)
    const [maxAge, idleTimeout] = [3600, 3600]
    const { createdAt = 0 } = (await read(fromH3({ password }), header))!
    const later = createdAt + HOUR + 1
    expect((await read(fromH3({ password }), header, later))?.data).toEqual(data)
    expect(await read(fromH3({ password, maxAge }), header, later)).toBe(null)
    expect(await read(fromH3({ password, idleTimeout }), header, later)).toBe(null)
    const importer = fromH3({ password, maxAge, idleTimeout })
    expect((await read(importer, header, createdAt + HOUR))?.data).toEqual(data)
  })

  it('refuses a seal that differs anywhere, and one of another password', async () => {
    const header = await cookieOf(data)
    const importer = fromH3({ password })
    const forged = tampered(header)
    for (let i = 0; i < forged.length; i += 23) expect(await read(importer, forged[i]!)).toBe(null)
    const foreign = fromH3({ password: 'another password of thirty-two chars' })
    expect(await read(foreign, header)).toBe(null)
  })

  it('takes no session over that is empty', async () => {
    expect(await read(fromH3({ password }), await cookieOf({}))).toBe(null)
  })
})

describe('fromH3()', () => {
  it('puts chunks together, and removes them all', async () => {
    const data = { text: 'x'.repeat(9000) }
    const header = await version2(data)
    expect(header.split('; ').length).toBeGreaterThan(2)
    const session = await read(fromH3({ password }), header)
    expect(session?.data).toEqual(data)
    expect(session?.removed).toEqual(header.split('; ').map((pair) => pair.split('=')[0]))
    expect(await read(fromH3({ password }), header.replace('h3.2=', 'h3.9='))).toBe(null)
  })

  it.each(['h3=__chunked__', 'h3=__chunked__0', 'h3=__chunked__-3', 'h3=__chunked__999999999'])(
    'finds nothing in %j',
    async (header) => {
      expect(await read(fromH3({ password }), header)).toBe(null)
    },
  )

  it('goes by when it was last sealed, if h3 says so', async () => {
    const config = { password, idleTimeout: 3600 }
    const seal = async (lastSeenAt: number): Promise<string> => {
      const session = { id: 'x', createdAt: Date.now() - 10 * HOUR, data: { n: 1 }, lastSeenAt }
      const event = { context: { sessions: { h3: session } } }
      return `h3=${await sealSession(event as never, { password })}`
    }
    expect((await read(fromH3(config), await seal(Date.now() - HOUR / 2)))?.data).toEqual({ n: 1 })
    expect(await read(fromH3(config), await seal(Date.now() - 2 * HOUR))).toBe(null)
  })

  it.each([Date.now() + HOUR, -1, 0, '1700000000000'])(
    'believes no session that began at %j',
    async (createdAt) => {
      const session = { id: 'x', createdAt: createdAt as number, data: { n: 1 } }
      const event = { context: { sessions: { h3: session } } }
      const header = `h3=${await sealSession(event as never, { password })}`
      expect(await read(fromH3({ password }), header)).toMatchObject({
        data: { n: 1 },
        createdAt: undefined,
        writtenAt: undefined,
        removed: ['h3'],
      })
    },
  )

  it('tries only the rounds it is told', async () => {
    const header = await version2({ n: 1 })
    expect(await read(fromH3({ password, iterations: 1 }), header)).toBe(null)
    expect((await read(fromH3({ password, iterations: 8192 }), header))?.data).toEqual({ n: 1 })
  })

  it('refuses options that are missing, unknown or wrong', () => {
    const make = (options: object) => () => fromH3(options as never)
    expect(make({})).toThrow('"password"')
    expect(make({ password: 'short' })).toThrow('"password"')
    expect(make({ password: [password] })).toThrow('"password"')
    expect(make({ password, name: 'a b' })).toThrow('"name"')
    expect(make({ password, maxAge: -1 })).toThrow(RangeError)
    expect(make({ password, iterations: 0.5 })).toThrow(RangeError)
    expect(make({ password, cookieName: 'a' })).toThrow('"cookieName"')
  })
})
