import { describe, expect, it } from 'vitest'
import type { Requirements } from '../../src/guard/guard.ts'
import { createSessions, type Session, type Sessions } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createCookieJar, createFaultyStore } from '../../src/testing/index.ts'
import { SECRET } from '../support/sessions.ts'

/** An application whose every page is guarded; `page` answers what the guard lets through. */
export type CreateGuarded = (
  sessions: Sessions,
  requirements: Requirements,
  page: (request: Request) => Response,
) => (request: Request) => Promise<Response>

const ORIGIN = 'https://example.com'
const HTML = { accept: 'text/html' }

/** Redirects to the one form of an address, as frameworks with `trailingSlash` do. */
const SLASHES: Readonly<Record<string, (path: string) => string>> = {
  always: (path) => (path.endsWith('/') ? path : `${path}/`),
  never: (path) => path.replace(/(.)\/$/, '$1'),
  ignore: (path) => path,
}

/** Shows what a guard promises, in one adapter. */
export function testGuards(adapter: string, create: CreateGuarded): void {
  const setUp = (requirements: Requirements, options = {}) => {
    const sessions = createSessions({ secret: SECRET, ...options })
    const shown: string[] = []
    const fetch = create(sessions, requirements, ({ url }) => {
      shown.push(new URL(url).pathname)
      return new Response('page')
    })
    return { sessions, shown, fetch }
  }

  describe(`guards in ${adapter}`, () => {
    for (const [slash, normalize] of Object.entries(SLASHES)) {
      for (const onMissing of ['/login', '/login/', '/login?from=guard']) {
        it(`lead to the sign-in page ${onMissing} with trailingSlash "${slash}", without a loop`, async () => {
          const { fetch, shown } = setUp({ onMissing })
          let url = `${ORIGIN}/account`
          for (let hops = 0; hops < 4; hops++) {
            const { pathname, search } = new URL(url)
            const location =
              normalize(pathname) !== pathname
                ? normalize(pathname) + search
                : (await fetch(new Request(url, { headers: HTML }))).headers.get('location')
            if (!location) break
            url = new URL(location, ORIGIN).href
          }
          expect(shown).toEqual([normalize(onMissing.split('?')[0]!)])
          expect(new URL(url).searchParams.getAll('returnTo')).toEqual([normalize('/account')])
        })
      }
    }

    it('answer HEAD as GET', async () => {
      const { fetch, shown } = setUp({ onMissing: '/login' })
      for (const headers of [HTML, { accept: '*/*' }]) {
        const [get, head] = await Promise.all(
          ['GET', 'HEAD'].map((method) => fetch(new Request(`${ORIGIN}/a`, { method, headers }))),
        )
        expect(head!.status).toBe(get!.status)
        expect(head!.headers.get('location')).toBe(get!.headers.get('location'))
      }
      expect(shown).toEqual([])
    })

    it('let no preflight through, which anybody could send to a page', async () => {
      const { fetch, shown } = setUp({ onMissing: '/login' })
      const headers = { origin: 'https://a.example', 'access-control-request-method': 'GET' }
      const response = await fetch(new Request(`${ORIGIN}/a`, { method: 'OPTIONS', headers }))
      expect([response.status, shown]).toEqual([401, []])
    })

    it('give a response that onMissing returns to everybody no cookie of one visitor', async () => {
      let sessions: Sessions | undefined
      const shared = new Response(null, { status: 401 })
      const before = JSON.stringify([...shared.headers])
      const guarded = setUp({
        async onMissing(request) {
          const name = new URL(request.url).searchParams.get('as')
          if (name) (await sessions!.get(request)).set('name', name)
          return shared
        },
      })
      sessions = guarded.sessions
      for (const name of ['ann', 'bob']) {
        const mine = await guarded.fetch(new Request(`${ORIGIN}/?as=${name}`))
        const [cookie = '', ...more] = mine.headers.getSetCookie()
        expect(more).toEqual([])
        expect((await sessions.open(cookie.split(';')[0]!)).data).toEqual({ name })
        const stranger = await guarded.fetch(new Request(`${ORIGIN}/`))
        expect(stranger.headers.getSetCookie()).toEqual([])
        expect(JSON.stringify([...shared.headers])).toBe(before)
      }
    })

    it('save what onMissing writes to the session', async () => {
      let sessions: Sessions | undefined
      const guarded = setUp({
        async onMissing(request) {
          ;(await sessions!.get(request)).flash('notice', 'Please sign in')
          return new Response(null, { status: 303, headers: { location: '/login' } })
        },
      })
      sessions = guarded.sessions
      const jar = createCookieJar()
      const refused = await guarded.fetch(jar.request('/account', { headers: HTML }))
      expect(refused.status).toBe(303)
      jar.store(refused)
      const next = await sessions.get(jar.request('/login'))
      expect(next.flash('notice')).toBe('Please sign in')
    })

    it('show a page that only reads, although its session does not fit for its renewal', async () => {
      const { fetch, shown } = setUp({}, { now: () => Date.now() + 60_000, renewAfter: 1 })
      const wide = createSessions({ secret: SECRET, cookie: { maxChunks: 4 } })
      const jar = createCookieJar()
      const signIn = wide.handler(async (request) => {
        const session = await wide.get(request)
        session.login('ann')
        session.set('text', 'x'.repeat(6000))
        return new Response()
      })
      await jar.fetch(signIn, '/')
      const response = await fetch(jar.request('/account', { headers: HTML }))
      expect([response.status, shown]).toEqual([200, ['/account']])
      expect(response.headers.getSetCookie()).toEqual([])
    })

    /** Next's proxy spells addresses in full. */
    const pageOf = ({ headers }: Response) => headers.get('location')?.replace(ORIGIN, '')
    const as = async (sessions: Sessions, use: (session: Session) => void) => {
      const jar = createCookieJar()
      const handler = sessions.handler(async (request) => {
        use(await sessions.get(request))
        return new Response()
      })
      await jar.fetch(handler, '/')
      return jar
    }

    it('ask for factors: browsers on a page, and back; scripts in the words of RFC 9470', async () => {
      const factors = { passkey: 300 }
      const requirements = { factors, onMissing: '/login', onStepUp: '/verify' }
      const { fetch, sessions, shown } = setUp(requirements)
      const signedIn = await as(sessions, (session) => session.login('ann'))
      const browser = await fetch(signedIn.request('/account', { headers: HTML }))
      expect([browser.status, pageOf(browser)]).toEqual([303, '/verify?returnTo=%2Faccount'])
      const script = await fetch(signedIn.request('/account', { headers: { accept: '*/*' } }))
      expect([script.status, script.headers.get('www-authenticate')]).toEqual([
        401,
        expect.stringMatching(
          /"insufficient_user_authentication".*max_age="300", factors="passkey"$/,
        ),
      ])
      const visitor = await fetch(new Request(`${ORIGIN}/verify`, { headers: HTML }))
      expect(pageOf(visitor)).toBe('/login?returnTo=%2Fverify')
      expect(shown).toEqual([])
      expect((await fetch(signedIn.request('/verify', { headers: HTML }))).status).toBe(200)
      const proven = await as(sessions, (session) => {
        session.login('ann')
        session.elevate('passkey')
      })
      expect((await fetch(proven.request('/account', { headers: HTML }))).status).toBe(200)
      expect(shown).toEqual(['/verify', '/account'])
    })

    it('keep out who acts for the user, with actor: false', async () => {
      const { fetch, sessions, shown } = setUp({ actor: false, onMissing: '/login' })
      const acting = await as(sessions, (session) => session.login('ann', { actor: 'support' }))
      expect((await fetch(acting.request('/account', { headers: HTML }))).status).toBe(403)
      const herself = await as(sessions, (session) => session.login('ann'))
      expect((await fetch(herself.request('/account', { headers: HTML }))).status).toBe(200)
      expect(shown).toEqual(['/account'])
    })

    for (const onStoreFailure of ['degrade', 'throw'] as const) {
      const setUpOutage = async (requirements: Requirements) => {
        const store = createFaultyStore(createMemoryStore())
        const guarded = setUp(requirements, { store, onStoreFailure })
        const jar = createCookieJar()
        const signIn = guarded.sessions.handler(async (request) => {
          ;(await guarded.sessions.get(request)).login('ann')
          return new Response()
        })
        await jar.fetch(signIn, '/')
        store.down()
        return () => guarded.fetch(jar.request('/account', { headers: HTML }))
      }

      it(`answer 503 during an outage, with onStoreFailure "${onStoreFailure}"`, async () => {
        const response = await (await setUpOutage({ onMissing: '/login' }))()
        expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1'])
      })

      it(`let onUnavailable answer during an outage, with onStoreFailure "${onStoreFailure}"`, async () => {
        const codes: string[] = []
        const ask = await setUpOutage({
          onMissing: '/login',
          onUnavailable(request, error) {
            codes.push(error.code)
            return new Response(`${new URL(request.url).pathname}: back soon`, { status: 200 })
          },
        })
        expect(await (await ask()).text()).toBe('/account: back soon')
        expect(codes).toEqual([expect.stringMatching(/^ERR_(STORE|CIRCUIT)/)])
      })
    }
  })
}
