import { pathToFileURL } from 'node:url'
import { expect, it } from 'vitest'
import type { Sessions } from '../../src/index.ts'
import { createCookieJar } from '../../src/testing/index.ts'
import { root } from '../examples/server.ts'
import { SECRET } from '../support/sessions.ts'
import { writeApp } from './page-app.ts'

/** Arctic, as far as the page uses it, with a provider that knows one code. */
const arctic = `
export class OAuth2RequestError extends Error {}
export class Google {
  createAuthorizationURL(state, verifier) {
    return new URL('https://provider.example/?state=' + state + '&challenge=' + verifier)
  }
  async validateAuthorizationCode(code, verifier) {
    if (code !== 'good for ' + verifier) throw new OAuth2RequestError('invalid_grant')
    return { idToken: () => 'ada' }
  }
}
export const generateState = () => crypto.randomUUID()
export const generateCodeVerifier = () => crypto.randomUUID()
export const decodeIdToken = (sub) => ({ sub })
`

it('docs/guides/sign-in-oauth.md: signs in with a code of its own attempt, once', async () => {
  process.env.SESSION_SECRET = SECRET
  const folder = writeApp('guides/sign-in-oauth.md', {
    'node_modules/arctic/package.json': '{ "type": "module", "exports": "./index.js" }',
    'node_modules/arctic/index.js': arctic,
  })
  type Handler = (request: Request) => Promise<Response>
  const { start, callback, sessions } = (await import(
    pathToFileURL(`${root}${folder}/oauth.ts`).href
  )) as { start: Handler; callback: Handler; sessions: Sessions }
  const jar = createCookieJar()
  const begin = async (): Promise<[state: string, verifier: string]> => {
    const response = await jar.fetch(start, '/sign-in?returnTo=/cart')
    const query = new URL(response.headers.get('location') ?? '').searchParams
    return [query.get('state') ?? '', query.get('challenge') ?? '']
  }
  const comeBack = (state: string, code: string): Promise<Response> =>
    jar.fetch(callback, `/sign-in/callback?${new URLSearchParams({ state, code })}`)
  const user = async (): Promise<string | null> => (await sessions.open(jar.header())).subject

  const [, first] = await begin()
  expect((await comeBack('of somebody else', `good for ${first}`)).status).toBe(400)
  const [state, verifier] = await begin()
  expect((await comeBack(state, 'refused')).status).toBe(400)
  expect((await comeBack(state, `good for ${verifier}`)).status).toBe(400)
  expect(await user()).toBe(null)

  const [again, own] = await begin()
  const response = await comeBack(again, `good for ${own}`)
  expect([response.status, response.headers.get('location')]).toEqual([
    303,
    'https://example.com/cart',
  ])
  expect(await user()).toBe('google:ada')
})
