import { createRequire } from 'node:module'
import { createCookieSessionStorage, createSessionStorage, type SessionStorage } from 'react-router'
import { describe, expect, it } from 'vitest'
import { createSessionStorage as createSojournStorage } from '../../src/adapters/react-router.ts'
import { createSessions } from '../../src/index.ts'
import { fromReactRouter } from '../../src/migrate/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { errorOf, SECRET } from '../support/sessions.ts'
import { read, tampered } from './support.ts'

const { sign } = createRequire(import.meta.url)('cookie-signature') as {
  sign(text: string, secret: string): string
}

const secrets = ['the first secret', 'the second']
const data = { userId: 7, cart: ['ä', '€', '???>>>'] }

/** The cookie that a storage sets for these data. */
async function cookieOf(storage: SessionStorage, more = {}): Promise<string> {
  const session = await storage.getSession()
  for (const [key, value] of Object.entries({ ...data, ...more })) session.set(key, value)
  session.flash('notice', 'hello')
  return (await storage.commitSession(session)).split(';')[0]!
}

const inCookie = (cookie = {}) => createCookieSessionStorage({ cookie: { secrets, ...cookie } })

describe('fromReactRouter()', () => {
  it('reads what createCookieSessionStorage signed, but for flash', async () => {
    const alike = { a__flash_b__: 1, __flash_c__d: 2 }
    const header = await cookieOf(inCookie(), alike)
    const session = { data: { ...data, ...alike }, removed: ['__session'] }
    expect(await read(fromReactRouter({ secrets }), header)).toEqual(session)
    // Data in the cookie are those of a visitor from before there was a storage.
    const load = async () => ({ another: 'visitor' })
    expect(await read(fromReactRouter({ secrets, load }), header)).toEqual(session)
  })

  it('is a session of its own for each visitor with the same data', async () => {
    const importFrom = [fromReactRouter({ secrets })]
    const sessions = createSessions({ secret: SECRET, store: createMemoryStore(), importFrom })
    const header = await cookieOf(inCookie())
    const [first, second] = [await sessions.open(header), await sessions.open(header)]
    expect([second.data, second.id === first.id]).toEqual([first.data, false])
  })

  it('reads another name, and converts', async () => {
    const header = await cookieOf(inCookie({ name: 'app' }))
    const importer = fromReactRouter({
      secrets,
      name: 'app',
      toSession: ({ userId, cart }) => ({ data: { cart }, subject: String(userId) }),
    })
    expect(await read(importer, header)).toEqual({
      data: { cart: data.cart },
      subject: '7',
      removed: ['app'],
    })
    expect(await read(fromReactRouter({ secrets }), header)).toBe(null)
  })

  it('accepts each secret, and none that is gone', async () => {
    const header = await cookieOf(inCookie({ secrets: ['the second'] }))
    expect((await read(fromReactRouter({ secrets }), header))?.data).toEqual(data)
    expect(await read(fromReactRouter({ secrets: ['the first secret'] }), header)).toBe(null)
  })

  it('finds the data of a storage that keeps an id in the cookie', async () => {
    const kept = new Map<string, unknown>()
    const storage = createSessionStorage({
      cookie: { secrets },
      createData: async (value) => {
        kept.set('an-id', value)
        return 'an-id'
      },
      readData: async () => null,
      updateData: async () => {},
      deleteData: async () => {},
    })
    const header = await cookieOf(storage)
    const load = async (id: string) => kept.get(id)
    expect((await read(fromReactRouter({ secrets, load }), header))?.data).toEqual(data)
    expect(await read(fromReactRouter({ secrets }), header)).toBe(null)
    // Its id names one session, which stays ended.
    const importFrom = [fromReactRouter({ secrets, load })]
    const sessions = createSessions({ secret: SECRET, store: createMemoryStore(), importFrom })
    const [first, second] = [await sessions.open(header), await sessions.open(header)]
    expect(second.id).toBe(first.id)
    await sessions.revoke(first.id)
    expect((await sessions.open(header)).status).toBe('missing')
    kept.clear()
    expect(await read(fromReactRouter({ secrets, load }), header)).toBe(null)
    const down = fromReactRouter({ secrets, load: () => Promise.reject(new Error('canary')) })
    const error = await errorOf(() => read(down, header))
    expect([error.code, String(error).includes('canary')]).toEqual(['ERR_STORE_UNAVAILABLE', false])
  })

  it('refuses cookies that differ in any character', async () => {
    const header = await cookieOf(inCookie())
    // The last character of base64 has bits that nobody looks at.
    for (const other of tampered(header).slice(0, -1)) {
      expect(await read(fromReactRouter({ secrets }), other)).toBe(null)
    }
  })

  it('refuses what is not signed, or is no session', async () => {
    const unsigned = await cookieOf(createCookieSessionStorage({ cookie: { secrets: [] } }))
    const notJson = `__session=${sign(btoa('no JSON'), secrets[0]!)}`
    for (const header of [
      unsigned,
      '',
      '__session=',
      '__session=.',
      '__session=e30=.AAAA',
      notJson,
    ]) {
      expect(await read(fromReactRouter({ secrets }), header)).toBe(null)
    }
  })

  it('takes no session over that is empty', async () => {
    const storage = inCookie()
    const header = (await storage.commitSession(await storage.getSession())).split(';')[0]!
    expect(await read(fromReactRouter({ secrets }), header)).toBe(null)
  })

  it('hands over to a SessionStorage under the same name, for good', async () => {
    const toSession = ({ userId }: Record<string, unknown>) => ({
      data: { from: 'old' },
      subject: String(userId),
    })
    const importFrom = [fromReactRouter({ secrets, toSession })]
    const cookie = { name: '__session' }
    const secret = SECRET
    const storage = createSojournStorage(createSessions({ secret, cookie, importFrom }))
    const old = await cookieOf(inCookie())
    const session = await storage.getSession(old)
    expect([session.sojourn.subject, session.get('from')]).toEqual(['7', 'old'])
    const [kept = ''] = (await storage.commitSession(session)).split(';')
    const next = await storage.getSession(kept)
    expect(next.sojourn.subject).toBe('7')
    expect(await storage.destroySession(next)).toMatch(/^__session=; Max-Age=0/)
    // The latter looks like the name of a note.
    for (const cookie of [{}, { name: 'my.notes' }]) {
      const renamed = createSojournStorage(createSessions({ secret, cookie, importFrom }))
      const error = await errorOf(async () => renamed.commitSession(await renamed.getSession(old)))
      expect(error.message).toContain('cookie.name that of the cookie to import')
    }
  })

  it('refuses options that are missing, unknown or wrong', () => {
    for (const [wrong, name] of [
      [{}, 'secrets'],
      [{ secrets: [] }, 'secrets'],
      [{ secrets: 'text' }, 'secrets'],
      [{ secrets, name: 'a b' }, 'name'],
      [{ secrets, load: 1 }, 'load'],
      [{ secrets, secret: 'x' }, 'secret'],
    ] as const) {
      expect(() => fromReactRouter(wrong as never)).toThrow(`"${name}"`)
    }
  })
})
