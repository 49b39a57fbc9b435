import { getIronSession, type SessionOptions, sealData } from 'iron-session'
import { describe, expect, it } from 'vitest'
import { fromIronSession } from '../../src/migrate/index.ts'
import { headerOf, read, tampered } from './support.ts'

const password = 'the password that iron-session was told'
const other = 'the password that came after the first'
const cookieName = 'my-app'

/** The cookies that iron-session sets for these data. */
async function cookieOf(
  data: Record<string, unknown>,
  options: Partial<SessionOptions> = {},
  before = '',
): Promise<string> {
  const request = new Request('https://example.com/', { headers: { cookie: before } })
  const headers = new Headers()
  const session = await getIronSession<Record<string, unknown>>(request, { headers } as Response, {
    password,
    cookieName,
    ...options,
  })
  Object.assign(session, data)
  await session.save()
  return headerOf(headers.getSetCookie(), before)
}

describe('fromIronSession()', () => {
  it('reads what iron-session sealed', async () => {
    const data = { userId: 7, cart: ['ä', '€'], nested: { deep: [1, null] } }
    const session = await read(fromIronSession({ password, cookieName }), await cookieOf(data))
    expect(session).toMatchObject({ data, removed: [cookieName] })
  })

  it('says when a seal was made, by its ttl, and that its cookie outlives the browser', async () => {
    const started = Date.now()
    for (const [options, ttl] of [
      [{}, undefined],
      [{ ttl: 3600 }, 3600],
    ] as const) {
      const importer = fromIronSession({ password, cookieName, ...(ttl && { ttl }) })
      const session = await read(importer, await cookieOf({ n: 1 }, options))
      expect(session?.persistent).toBe(true)
      expect(session?.writtenAt).toBeGreaterThanOrEqual(started)
      expect(session?.writtenAt).toBeLessThanOrEqual(Date.now())
    }
    const endless = await cookieOf({ n: 1 }, { ttl: 0 })
    const importer = fromIronSession({ password, cookieName })
    expect(await read(importer, endless)).toEqual({ data: { n: 1 }, removed: [cookieName] })
  })

  it('converts data and says who is signed in', async () => {
    const importer = fromIronSession<{ theme: string }>({
      password,
      cookieName,
      toSession: ({ userId, theme }) => ({
        data: { theme: String(theme) },
        subject: userId ? String(userId) : null,
      }),
    })
    const header = await cookieOf({ userId: 7, theme: 'dark' })
    expect(await read(importer, header)).toMatchObject({
      data: { theme: 'dark' },
      subject: '7',
      removed: [cookieName],
    })
  })

  it('takes nothing over that toSession refuses', async () => {
    const importer = fromIronSession({ password, cookieName, toSession: async () => null })
    expect(await read(importer, await cookieOf({ userId: 7 }))).toBe(null)
  })

  it('knows the passwords of a rotation by their number', async () => {
    const first = await cookieOf({ n: 1 }, { password: { 1: password } })
    const second = await cookieOf({ n: 2 }, { password: { 1: password, 2: other } })
    const both = fromIronSession({ password: { 1: password, 2: other }, cookieName })
    expect((await read(both, first))?.data).toEqual({ n: 1 })
    expect((await read(both, second))?.data).toEqual({ n: 2 })
    expect(await read(fromIronSession({ password: { 2: other }, cookieName }), first)).toBe(null)
    expect(await read(fromIronSession({ password, cookieName }), second)).toBe(null)
  })

  it('puts chunks together, and removes them all', async () => {
    const data = { text: 'x'.repeat(9000) }
    const header = await cookieOf(data, { chunk: true })
    expect(header.split('; ').length).toBeGreaterThan(2)
    const session = await read(fromIronSession({ password, cookieName }), header)
    expect(session?.data).toEqual(data)
    expect(session?.removed).toEqual(header.split('; ').map((pair) => pair.split('=')[0]))
    // A chunk of a larger session before that nobody removed.
    const small = { text: 'x'.repeat(4000) }
    const stale = `${await cookieOf(small, { chunk: true })}; ${cookieName}.3=stale`
    expect((await read(fromIronSession({ password, cookieName }), stale))?.data).toEqual(small)
    const swapped = header.replace('my-app.0=', 'x=').replace('my-app.1=', 'my-app.0=')
    expect(await read(fromIronSession({ password, cookieName }), swapped)).toBe(null)
  })

  it('puts as many chunks together as iron-session makes', async () => {
    const data = { text: 'x'.repeat(10_000) }
    const seal = await cookieOf(data, { chunk: true })
    const whole = seal.split('; ').map((pair) => pair.slice(pair.indexOf('=') + 1))
    const size = Math.ceil(whole.join('').length / 4)
    const chunks = [0, 1, 2, 3].map(
      (i) => `${cookieName}.${i}=${whole.join('').slice(i * size, (i + 1) * size)}`,
    )
    const importer = fromIronSession({ password, cookieName })
    expect((await read(importer, chunks.join('; ')))?.data).toEqual(data)
  })

  it('refuses a seal from the moment it expires', async () => {
    const before = Date.now()
    const header = await cookieOf({ n: 1 }, { ttl: 3600 })
    const importer = fromIronSession({ password, cookieName })
    expect((await read(importer, header, before + 3_599_000))?.data).toEqual({ n: 1 })
    const end = Number(header.split('*')[5])
    expect((await read(importer, header, end - 1))?.data).toEqual({ n: 1 })
    expect(await read(importer, header, end)).toBe(null)
    expect(await read(importer, header, Date.now() + 3_600_000)).toBe(null)
  })

  it('reads a seal without an end', async () => {
    const header = await cookieOf({ n: 1 }, { ttl: 0 })
    const later = Date.now() + 4e11
    expect((await read(fromIronSession({ password, cookieName }), header, later))?.data).toEqual({
      n: 1,
    })
  })

  it('refuses an end that was moved', async () => {
    const header = await cookieOf({ n: 1 }, { ttl: 3600 })
    const parts = header.split('*')
    const importer = fromIronSession({ password, cookieName })
    for (const expiry of ['', '99999999999999', 'never', 'Infinity', '-1']) {
      const moved = [...parts.slice(0, 5), expiry, ...parts.slice(6)].join('*')
      expect(await read(importer, moved)).toBe(null)
    }
  })

  it('refuses a seal that differs in any character', async () => {
    const header = await cookieOf({ userId: 7 }, { ttl: 3600 })
    const end = header.indexOf('~')
    const importer = fromIronSession({ password, cookieName })
    for (const forged of tampered(header.slice(0, end))) {
      expect([forged, await read(importer, forged)]).toEqual([forged, null])
    }
  })

  it.each([
    '',
    'my-app=',
    'my-app=garbage',
    'my-app=%E0%A4%A',
    'my-app=Fe26.2*1*****',
    'my-app=Fe26.2*1*a*a*a**a*a',
    'my-app=Fe26.2*__proto__*00*AAAAAAAAAAAAAAAAAAAAAA*AAAAAAAAAAAAAAAAAAAAAA**00*AAAA',
    'my-app=Fe26.1*1*00*AAAAAAAAAAAAAAAAAAAAAA*AAAAAAAAAAAAAAAAAAAAAA**00*AAAA~2',
    'other=1; my-app.0=x; my-app.2=y',
  ])('finds nothing in %j', async (header) => {
    expect(await read(fromIronSession({ password, cookieName }), header)).toBe(null)
  })

  it('refuses a seal of another password or another cookie', async () => {
    const header = await cookieOf({ userId: 7 })
    expect(await read(fromIronSession({ password: other, cookieName }), header)).toBe(null)
    expect(await read(fromIronSession({ password, cookieName: 'another' }), header)).toBe(null)
  })

  it('takes no session over that is empty, or none', async () => {
    const importer = fromIronSession({ password, cookieName })
    for (const value of [{}, 'text', null]) {
      const seal = await sealData(value as never, { password })
      expect(await read(importer, `my-app=${seal}`)).toBe(null)
    }
  })

  it('finds the good one among several of its name', async () => {
    const header = await cookieOf({ n: 1 })
    const importer = fromIronSession({ password, cookieName })
    expect((await read(importer, `my-app=a; ${header}; my-app=b`))?.data).toEqual({ n: 1 })
    const value = header.slice(header.indexOf('=') + 1)
    expect((await read(importer, `my-app="${value}"`))?.data).toEqual({ n: 1 })
    for (const odd of [`x${value}"`, `"${value}x`]) {
      expect(await read(importer, `my-app=${odd}`)).toBe(null)
    }
  })

  it('refuses options that are missing, unknown or wrong', () => {
    const make = (options: object) => () => fromIronSession(options as never)
    expect(make({ cookieName })).toThrow('"password"')
    expect(make({ cookieName, password: 'short' })).toThrow('"password"')
    expect(make({ cookieName, password: {} })).toThrow('"password"')
    expect(make({ cookieName, password: { 1: new Uint8Array(32) } })).toThrow('"password"')
    expect(make({ cookieName, password: { 1: 'short' } })).toThrow('"password"')
    expect(make({ cookieName, password: 'short' })).not.toThrow('short')
    expect(make({ password })).toThrow('"cookieName"')
    expect(make({ password, cookieName: 'a b' })).toThrow('"cookieName"')
    expect(make({ password, cookieName, maxAge: 3 })).toThrow('"maxAge"')
    for (const path of ['here', 'here/there', '/a;b']) {
      expect(make({ password, cookieName, path })).toThrow('"path"')
    }
    expect(make({ password, cookieName, domain: 'a;b' })).toThrow('"domain"')
  })
})
