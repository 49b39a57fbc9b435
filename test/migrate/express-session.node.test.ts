import { createRequire } from 'node:module'
import { describe, expect, it } from 'vitest'
import { StoreUnavailableError } from '../../src/errors.ts'
import { fromExpressSession } from '../../src/migrate/index.ts'
import { cookiesOf, type Middleware, read, tampered } from './support.ts'

const require = createRequire(import.meta.url)
const session = require('express-session') as {
  (options: object): Middleware
  MemoryStore: new () => { sessions: Record<string, string> }
}
const { sign } = require('cookie-signature') as { sign(text: string, secret: string): string }

const secret = 'keyboard cat'

/** An application of express-session that saved these data, and how to ask its store. */
async function setUp(data: Record<string, unknown>, options: Record<string, unknown> = {}) {
  const store = new session.MemoryStore()
  const middleware = session({
    secret,
    store,
    resave: false,
    saveUninitialized: false,
    ...options,
  })
  const header = await cookiesOf(middleware, (request) => void Object.assign(request.session, data))
  const load = async (sid: string): Promise<unknown> => JSON.parse(store.sessions[sid] ?? 'null')
  return { store, header, load }
}

describe('fromExpressSession()', () => {
  const data = { userId: 7, cart: ['ä', '€'] }

  it('reads what express-session signed and kept', async () => {
    const { header, load } = await setUp(data)
    expect(header).toMatch(/^connect\.sid=s%3A/)
    expect(await read(fromExpressSession({ secret, load }), header)).toMatchObject({
      data,
      removed: ['connect.sid'],
    })
  })

  it('says when the session was last used, and that its cookie outlives the browser', async () => {
    const started = Date.now()
    const { header, load } = await setUp(data, { cookie: { maxAge: 3_600_000 } })
    const found = await read(fromExpressSession({ secret, load }), header)
    expect(found?.persistent).toBe(true)
    expect(found?.writtenAt).toBeGreaterThanOrEqual(started)
    expect(found?.writtenAt).toBeLessThanOrEqual(Date.now())
    const ofBrowser = await setUp(data)
    const importer = fromExpressSession({ secret, load: ofBrowser.load })
    const other = await read(importer, ofBrowser.header)
    expect([other?.persistent, other?.writtenAt]).toEqual([false, undefined])
  })

  it.each([{ expires: false }, { maxAge: false }, { maxAge: null }])(
    'reads sessions that end with the browser, however the application said so: %j',
    async (cookie) => {
      const { header, load } = await setUp(data, { cookie })
      expect(await read(fromExpressSession({ secret, load }), header)).toMatchObject({
        data,
        persistent: false,
      })
    },
  )

  it('reads another name, and converts', async () => {
    const { header, load } = await setUp(data, { name: 'app.sid' })
    const importer = fromExpressSession({
      secret,
      load,
      name: 'app.sid',
      toSession: ({ userId, cart }) => ({ data: { cart }, subject: String(userId) }),
    })
    expect(await read(importer, header)).toMatchObject({
      data: { cart: data.cart },
      subject: '7',
      removed: ['app.sid'],
    })
  })

  it('accepts each secret of a rotation', async () => {
    const { header, load } = await setUp(data, { secret: ['new', 'old'] })
    const older = await setUp(data, { secret: 'old' })
    const importer = fromExpressSession({ secret: ['new', 'old'], load })
    expect((await read(importer, header))?.data).toEqual(data)
    const { load: loadOlder } = older
    const both = fromExpressSession({ secret: ['new', 'old'], load: loadOlder })
    expect((await read(both, older.header))?.data).toEqual(data)
    expect(await read(fromExpressSession({ secret: 'newer', load }), header)).toBe(null)
  })

  it('asks the store for no id that is not signed', async () => {
    const { header } = await setUp(data)
    const asked: string[] = []
    const importer = fromExpressSession({ secret, load: (sid) => void asked.push(sid) })
    for (const forged of tampered(header)) await read(importer, forged)
    for (const one of [
      's:a',
      's:a.',
      's:.',
      'a.b',
      '',
      's%3Aa.%E0%A4%A',
      `s:${sign('a', 'cat')}`,
    ]) {
      expect(await read(importer, `connect.sid=${one}`)).toBe(null)
    }
    expect(asked).toEqual([])
    await read(importer, `connect.sid=s:${sign('a.b', secret)}`)
    expect(asked).toEqual(['a.b'])
  })

  it('finds nothing when the store has nothing any more', async () => {
    const { header, load, store } = await setUp(data)
    store.sessions = {}
    expect(await read(fromExpressSession({ secret, load }), header)).toBe(null)
  })

  it('refuses a session from the moment it expires', async () => {
    const before = Date.now()
    const { header, load } = await setUp(data, { cookie: { maxAge: 3_600_000 } })
    const importer = fromExpressSession({ secret, load })
    expect((await read(importer, header, before + 3_599_999))?.data).toEqual(data)
    expect(await read(importer, header, Date.now() + 3_600_000)).toBe(null)
    const { cookie } = (await load(decodeURIComponent(header).slice(14).split('.')[0]!)) as {
      cookie: { expires: string }
    }
    expect(await read(importer, header, Date.parse(cookie.expires))).toBe(null)
  })

  it('does not take a store that fails for no session, nor repeat what it says', async () => {
    const { header } = await setUp(data)
    const load = async (sid: string): Promise<never> => {
      throw new Error(`canary ${sid}`)
    }
    const error = await read(fromExpressSession({ secret, load }), header).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(StoreUnavailableError)
    expect(`${error} ${(error as Error).cause}`).not.toContain('canary')
  })

  it('says when load returns what nobody parsed', async () => {
    const { header, store } = await setUp(data)
    const importer = fromExpressSession({ secret, load: (sid) => store.sessions[sid] })
    await expect(read(importer, header)).rejects.toThrow(TypeError)
    await expect(read(importer, header)).rejects.toThrow('load must return an object or null')
    const none = fromExpressSession({ secret, load: () => undefined })
    expect(await read(none, header)).toBe(null)
  })

  it('reads a quoted cookie, and tries few of one name', async () => {
    const { header, load } = await setUp(data)
    const [name, value] = header.split('=')
    const importer = fromExpressSession({ secret, load })
    expect((await read(importer, `${name}="${value}"`))?.data).toEqual(data)
    expect((await read(importer, `${name}=x; ${header}`))?.data).toEqual(data)
    expect(await read(importer, `${name}=x; ${name}=y; ${header}`)).toBe(null)
  })

  it('refuses options that are missing, unknown or wrong', () => {
    const load = (): null => null
    const make = (options: object) => () => fromExpressSession(options as never)
    expect(make({ load })).toThrow('"secret"')
    expect(make({ secret: '', load })).toThrow('"secret"')
    expect(make({ secret: [], load })).toThrow('"secret"')
    expect(make({ secret })).toThrow('"load"')
    expect(make({ secret, load, resave: false })).toThrow('"resave"')
  })
})
