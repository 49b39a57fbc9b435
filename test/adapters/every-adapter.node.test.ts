import { describe, expect, it } from 'vitest'
import { requireSession } from '../../src/guard/guard.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createCookieJar } from '../../src/testing/index.ts'
import { createWorld } from '../support/sessions.ts'
import { adapters, type Route } from './every-adapter.ts'

const ORIGIN = 'https://example.com'
const ask = (path: string, headers: Record<string, string> = {}) =>
  new Request(ORIGIN + path, { headers })
const nameIn = ({ url }: Request) => new URL(url).searchParams.get('as')
const headersOf = ({ headers }: Response) => JSON.stringify([...headers])

/** Responses that a module makes once, with no body that would be used up. */
const constants: Record<string, () => Response> = {
  'a 204': () => new Response(null, { status: 204 }),
  'a 304': () => new Response(null, { status: 304, headers: { 'content-type': 'text/html' } }),
  'an empty 200': () => new Response(null, { headers: { 'cache-control': 'public, max-age=60' } }),
  'an empty 401': () => new Response(null, { status: 401, headers: { vary: 'Accept' } }),
  'a redirect': () => new Response(null, { status: 303, headers: { location: '/home' } }),
  'a redirect that cannot be changed': () => Response.redirect(`${ORIGIN}/home`, 302),
}

describe.each(adapters)('$name', ({ serve }) => {
  describe.each([
    ['in cookies', {}],
    ['in a store', { store: createMemoryStore() }],
  ])('a response of everybody, sessions %s', (_, options) => {
    it.each(Object.entries(constants))(
      '%s gives each visitor their own cookie',
      async (_, make) => {
        const { sessions } = createWorld({ ...options, now: Date.now })
        const shared = Object.freeze(make())
        const before = headersOf(shared)
        const fetch = serve(sessions, async ({ request, session }) => {
          const current = await session()
          const name = nameIn(request)
          if (name) current.login(name)
          return shared
        })
        for (const name of ['ann', 'bob']) {
          const [cookie = '', ...more] = (await fetch(ask(`/?as=${name}`))).headers.getSetCookie()
          expect(more).toEqual([])
          expect((await sessions.open(cookie.split(';')[0] as string)).subject).toBe(name)
          const stranger = await fetch(ask('/'))
          expect(stranger.headers.getSetCookie()).toEqual([])
          expect(stranger.headers.get('vary')).toMatch(/Cookie$/)
          expect(headersOf(shared)).toBe(before)
        }
      },
    )
  })

  it('a response of everybody does not become private with the first who is signed in', async () => {
    const { sessions } = createWorld()
    const shared = new Response(null, { headers: { 'cache-control': 'public, max-age=60' } })
    const jar = createCookieJar()
    const signIn: Route = async ({ session }) => {
      ;(await session()).login('ann')
      return new Response('hello')
    }
    const read: Route = async ({ session }) => {
      await session()
      return shared
    }
    await jar.fetch(serve(sessions, signIn), '/')
    const fetch = serve(sessions, read)
    const hers = await fetch(jar.request('/'))
    expect(hers.headers.get('cache-control')).toBe('private, max-age=60')
    const theirs = await fetch(ask('/'))
    expect(theirs.headers.get('cache-control')).toBe('public, max-age=60')
  })

  it('a response of everybody that a guard answers with gives nobody a cookie of another', async () => {
    const { sessions } = createWorld()
    const no = new Response(null, { status: 401 })
    const guard = requireSession(sessions, { onMissing: () => no })
    const fetch = serve(sessions, async ({ request, session }) => {
      const current = await session()
      const name = nameIn(request)
      if (name) current.set('cart', [name])
      return no
    })
    const guarded = sessions.handler(async (request) => {
      const name = nameIn(request)
      if (name) (await sessions.get(request)).set('cart', [name])
      return (await guard(request)) ?? new Response('in')
    })
    for (const visit of [fetch, guarded]) {
      expect((await visit(ask('/?as=ann'))).headers.getSetCookie()).toHaveLength(1)
      expect((await visit(ask('/'))).headers.getSetCookie()).toEqual([])
    }
    expect([...no.headers]).toEqual([])
  })
})
