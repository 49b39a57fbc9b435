import { useSession, useSessionStorage } from '@hono/session'
import { Hono } from 'hono'
import { EncryptJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { encodeBase64url } from '../../src/crypto/base64url.ts'
import { encodeText } from '../../src/crypto/text.ts'
import { StoreUnavailableError } from '../../src/errors.ts'
import { fromHonoSession } from '../../src/migrate/index.ts'
import { headerOf, read, tampered } from './support.ts'

const secret = 'the secret that @hono/session was told'
const HOUR = 3_600_000

type Options = Parameters<typeof useSession>[0]

/** The cookies that @hono/session sets for these data. */
async function cookieOf(
  data: Record<string, unknown>,
  options: Options = {},
  storage?: Map<string, unknown>,
): Promise<string> {
  const app = new Hono()
  if (storage) app.use(useSessionStorage(storage as never) as never)
  app.use(useSession({ secret, ...options }) as never)
  app.get('/', async (c) => {
    const { session } = c.var as { session: { update(data: unknown): Promise<void> } }
    await session.update(data)
    return c.text('ok')
  })
  const response = await app.request('/')
  return headerOf(response.headers.getSetCookie())
}

describe('fromHonoSession()', () => {
  const data = { userId: 7, cart: ['ä', '€'] }

  it('reads what @hono/session sealed, and when it began', async () => {
    const before = Math.floor(Date.now() / 1000) * 1000
    const session = await read(fromHonoSession({ secret }), await cookieOf(data))
    expect(session?.data).toEqual(data)
    expect(session?.removed).toEqual(['sid'])
    expect(session?.createdAt).toBeGreaterThanOrEqual(before)
    expect(session?.createdAt).toBeLessThanOrEqual(Date.now())
  })

  it('says whether its cookie outlives the browser', async () => {
    const importer = fromHonoSession({ secret })
    expect((await read(importer, await cookieOf(data)))?.persistent).toBe(false)
    const lasting = await cookieOf(data, { duration: { absolute: 3600 } })
    expect((await read(importer, lasting))?.persistent).toBe(true)
  })

  it('reads it under each kind of key', async () => {
    const bytes = crypto.getRandomValues(new Uint8Array(32))
    const usages: KeyUsage[] = ['encrypt', 'decrypt']
    const key = await crypto.subtle.importKey('raw', bytes, 'AES-GCM', false, usages)
    for (const one of [bytes, key]) {
      const header = await cookieOf(data, { secret: one })
      expect((await read(fromHonoSession({ secret: one }), header))?.data).toEqual(data)
      expect(await read(fromHonoSession({ secret }), header)).toBe(null)
    }
  })

  it('finds the data of a storage', async () => {
    const storage = new Map<string, unknown>()
    const header = await cookieOf(data, {}, storage)
    expect(storage.size).toBe(1)
    const importer = fromHonoSession({ secret, load: (sid) => storage.get(sid) })
    const session = await read(importer, header)
    expect([session?.data, session?.removed]).toEqual([data, ['sid']])
    storage.clear()
    expect(await read(importer, header)).toBe(null)
  })

  it('does not take a storage that fails for no session, nor repeat what it says', async () => {
    const header = await cookieOf(data, {}, new Map())
    const load = (sid: string): never => {
      throw new Error(`canary ${sid}`)
    }
    const error = await read(fromHonoSession({ secret, load }), header).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(StoreUnavailableError)
    expect(`${error} ${(error as Error).cause}`).not.toContain('canary')
  })

  it('refuses a cookie from the moment it expires', async () => {
    const before = Math.floor(Date.now() / 1000) * 1000
    const header = await cookieOf(data, { duration: { absolute: 3600 } })
    const importer = fromHonoSession({ secret })
    expect((await read(importer, header, before + HOUR - 1))?.data).toEqual(data)
    expect(await read(importer, header, Date.now() + HOUR)).toBe(null)
  })

  it('refuses a cookie that differs in any character', async () => {
    const header = await cookieOf({ userId: 7 })
    const importer = fromHonoSession({ secret })
    for (const forged of tampered(header)) {
      expect([forged, await read(importer, forged)]).toEqual([forged, null])
    }
  })

  it('takes no session over that is empty', async () => {
    expect(await read(fromHonoSession({ secret }), await cookieOf({}))).toBe(null)
  })

  it('refuses tokens of the same key that are no sessions', async () => {
    const bytes = new Uint8Array(32)
    const importer = fromHonoSession({ secret: bytes })
    const seal = (claims: Record<string, unknown>, header: object = {}): Promise<string> =>
      new EncryptJWT(claims)
        .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', ...header })
        .encrypt(bytes)
    expect((await read(importer, `sid=${await seal({ sid: 'a', n: 1 })}`))?.data).toEqual({ n: 1 })
    expect(await read(importer, `sid=${await seal({ n: 1 })}`)).toBe(null)
    expect(await read(importer, `sid=${await seal({ sid: 7, n: 1 })}`)).toBe(null)
    const exp = Math.floor(Date.now() / 1000)
    const ending = `sid=${await seal({ sid: 'a', n: 1, exp })}`
    expect((await read(importer, ending, exp * 1000 - 1))?.data).toEqual({ n: 1 })
    expect(await read(importer, ending, exp * 1000)).toBe(null)
    const other = await seal({ sid: 'a', n: 1 }, { enc: 'A128CBC-HS256' })
    expect(await read(importer, `sid=${other}`)).toBe(null)
  })

  it.each([
    { alg: 'A256KW' },
    { enc: 'A128GCM' },
    { crit: ['exp'] },
    { zip: 'DEF' },
    { alg: undefined, enc: undefined },
  ])('refuses tokens of its key whose header says something else: %j', async (more) => {
    const sid = async (header: object) => {
      const encoded = encodeBase64url(encodeText(JSON.stringify(header)))
      const [iv, additionalData] = [new Uint8Array(12), encodeText(encoded)]
      const key = await crypto.subtle.importKey('raw', new Uint8Array(32), 'AES-GCM', false, [
        'encrypt',
      ])
      const algorithm = { name: 'AES-GCM', iv, additionalData }
      const claims = encodeText('{"sid":"a","n":1}')
      const sealed = new Uint8Array(await crypto.subtle.encrypt(algorithm, key, claims))
      const parts = [iv, sealed.subarray(0, -16), sealed.subarray(-16)].map(encodeBase64url)
      return `sid=${encoded}..${parts.join('.')}`
    }
    const importer = fromHonoSession({ secret: new Uint8Array(32) })
    const header = { alg: 'dir', enc: 'A256GCM' }
    expect((await read(importer, await sid(header)))?.data).toEqual({ n: 1 })
    expect(await read(importer, await sid({ ...header, ...more }))).toBe(null)
  })

  it.each(['', 'sid=', 'sid=a', 'sid=....', 'sid=a.b.c.d.e', 'sid=e30..AAAA.AAAA.AAAA', 'sid=%'])(
    'finds nothing in %j',
    async (header) => {
      expect(await read(fromHonoSession({ secret }), header)).toBe(null)
    },
  )

  it('refuses options that are missing, unknown or wrong', () => {
    const make = (options: object) => () => fromHonoSession(options as never)
    expect(make({})).toThrow('"secret"')
    expect(make({ secret: '' })).toThrow('"secret"')
    expect(make({ secret: new Uint8Array(16) })).toThrow('"secret"')
    expect(make({ secret, load: 'x' })).toThrow('"load"')
    expect(make({ secret, duration: {} })).toThrow('"duration"')
  })
})
