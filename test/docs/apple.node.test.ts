import { pathToFileURL } from 'node:url'
import { expect, it } from 'vitest'
import type { Sessions } from '../../src/index.ts'
import { createCookieJar } from '../../src/testing/index.ts'
import { root } from '../examples/server.ts'
import { SECRET } from '../support/sessions.ts'
import { writeApp } from './page-app.ts'

it('docs/guides/apple-and-strict.md: signs in by a form that comes without the Lax cookie', async () => {
  Object.assign(globalThis, {
    env: { SESSION_SECRET: SECRET },
    apple: {
      createAuthorizationURL: (state: string) => new URL(`https://apple.example/?state=${state}`),
      userOf: async (code: string) => code,
    },
  })
  const file = `${root}${writeApp('guides/apple-and-strict.md')}/apple.ts`
  type Handler = (request: Request) => Promise<Response>
  const { start, callback, sessions } = (await import(pathToFileURL(file).href)) as {
    start: Handler
    callback: Handler
    sessions: Sessions
  }
  const jar = createCookieJar()
  const lax = sessions.handler(async (request) => {
    const session = await sessions.get(request)
    session.set('cart', ['tent'])
    return new Response()
  })
  await jar.fetch(lax)
  const begin = async (): Promise<string> => {
    const response = await jar.fetch(start)
    return new URL(response.headers.get('location') ?? '').searchParams.get('state') ?? ''
  }
  /** The form of Apple's page: the browser sends cookies of `SameSite=None` with it, and no others. */
  const post = (state: string): Promise<Response> => {
    const own = jar.cookies().filter(({ sameSite }) => sameSite === 'none')
    const headers = { cookie: own.map(({ name, value }) => `${name}=${value}`).join('; ') }
    const body = new URLSearchParams({ state, code: '42' })
    return jar.fetch(callback, '/sign-in/apple/callback', { method: 'POST', headers, body })
  }
  await begin()
  expect((await post('of somebody else')).status).toBe(400)
  const state = await begin()
  expect((await post(state)).status).toBe(200)
  expect((await sessions.open(jar.header())).subject).toBe('apple:42')
  expect((await post(state)).status).toBe(400)
})
