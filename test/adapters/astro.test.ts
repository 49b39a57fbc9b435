import { describe, expect, it } from 'vitest'
import { type SessionLocals, sessionMiddleware } from '../../src/adapters/astro.ts'
import { createSessions } from '../../src/index.ts'
import { createCookieJar } from '../../src/testing/index.ts'
import { errorOf, SECRET } from '../support/sessions.ts'

interface Data {
  visits: number
}
type Page = (locals: SessionLocals<Data>) => Promise<Response>

const onRequest = sessionMiddleware(createSessions<Data>({ secret: SECRET }))

/** One request through the middleware, to a page that has only `locals`. */
const createApp =
  (page: Page, locals = {}) =>
  (request: Request): Promise<Response> =>
    onRequest({ request, locals }, () => page(locals as SessionLocals<Data>))

const visit: Page = async ({ session }) => {
  const current = await session()
  current.update('visits', (n = 0) => n + 1)
  return new Response(String((await session()).get('visits')))
}
const request = () => new Request('https://example.com/')

describe('sessionMiddleware()', () => {
  it('gives locals one session and commits it', async () => {
    const jar = createCookieJar()
    const app = createApp(visit)
    expect(await (await jar.fetch(app, '/')).text()).toBe('1')
    expect(await (await jar.fetch(app, '/')).text()).toBe('2')
  })

  it('leaves a response alone when nothing used the session', async () => {
    const plain = new Response('static')
    expect(await createApp(async () => plain)(request())).toBe(plain)
    expect(['set-cookie', 'vary'].some((name) => plain.headers.has(name))).toBe(false)
  })

  it('keeps the session through a rewrite, which runs it again with another request', async () => {
    const locals = {}
    const page: Page = async ({ session }) => {
      ;(await session()).set('visits', 41)
      return onRequest({ request: request(), locals }, () => visit(locals as SessionLocals<Data>))
    }
    const response = await createApp(page, locals)(request())
    expect(await response.text()).toBe('42')
    expect(response.headers.getSetCookie()).toHaveLength(1)
  })

  it('saves nothing when a page throws, nor with the error page that Astro renders then', async () => {
    const locals = {}
    const first = request()
    const broken: Page = async ({ session }) => {
      ;(await session()).set('visits', 1)
      throw new Error('boom')
    }
    expect((await errorOf(() => createApp(broken, locals)(first))).message).toBe('boom')
    const errorPage: Page = async ({ session }) =>
      new Response(`${(await session()).status} ${(await session()).get('visits')}`, {
        status: 500,
      })
    const response = await createApp(errorPage, locals)(first)
    expect([await response.text(), response.headers.getSetCookie()]).toEqual(['new undefined', []])
    expect(response.headers.get('vary')).toBe('Cookie')
  })

  it('refuses to open a session in a component after the response has begun', async () => {
    let component: (() => Promise<unknown>) | undefined
    await createApp(async ({ session }) => {
      component = session
      return new Response('ok')
    })(request())
    const error = await errorOf(() => component?.())
    expect(error).toMatchObject({ code: 'ERR_SESSION_COMMITTED' })
    expect(error.message).toContain('src/pages')
  })
})
