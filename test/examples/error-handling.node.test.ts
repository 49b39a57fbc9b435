import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as errors from '../../src/errors.ts'
import { type CookieJar, createCookieJar } from '../../src/testing/index.ts'
import { type Server, startProgram } from './server.ts'

const main = 'examples/error-handling/main.ts'
const runtimes: Record<string, () => Promise<Server>> = {
  node: () => startProgram('.', 'node', main),
  deno: () => startProgram('.', 'deno', 'run', '--allow-net', '--allow-env', main),
  bun: () => startProgram('.', 'bun', main),
}

/** What a visitor does, as `METHOD /path body`, and the answer to the last of it. */
const cases: Record<string, [steps: string[], status: number, retryAfter?: string]> = {
  ERR_SESSION_NOT_FOUND: [['GET /account'], 401],
  ERR_SESSION_EXPIRED: [['POST /sign-in?for=1', 'wait', 'GET /account'], 401],
  ERR_SESSION_ENCRYPTION: [['forge', 'GET /account'], 401],
  ERR_SESSION_BINDING: [['POST /sign-in', 'elsewhere GET /account'], 401],
  ERR_SESSION_VALIDATION: [['POST /cart The Life and Opinions of Tristram Shandy'], 422],
  ERR_COOKIE_TOO_LARGE: [[`POST /theme ${'x'.repeat(4096)}`], 413],
  ERR_SESSION_CONFLICT: [['POST /sign-in', 'POST /break crowded', 'POST /cart Emma'], 409, '1'],
  ERR_STORE_UNAVAILABLE: [['POST /sign-in', 'POST /break down', 'GET /account'], 503, '2'],
  ERR_STORE_TIMEOUT: [['POST /sign-in', 'POST /break slow', 'POST /cart Emma'], 503, '1'],
  ERR_CIRCUIT_OPEN: [
    ['POST /sign-in', 'POST /break slow', ...Array(4).fill('GET /account')],
    503,
    '1',
  ],
  ERR_STORE: [['POST /sign-in', 'POST /break refused', 'POST /cart Emma'], 500],
  ERR_SESSION_CORRUPT: [['POST /older', 'GET /account'], 500],
  ERR_SESSION_SERIALIZATION: [['GET /mistakes/map'], 500],
  ERR_SESSION_COMMITTED: [['POST /sign-in', 'GET /mistakes/late'], 500],
  ERR_SESSION_DESTROYED: [['POST /sign-in', 'GET /mistakes/after-the-end'], 500],
  ERR_SESSION: [['POST /break by-no-way'], 500],
}

/** Takes the steps with the browser of this jar; returns the last answer. */
async function walk(origin: string, jar: CookieJar, steps: string[]): Promise<Response> {
  let last = new Response()
  for (const step of steps) {
    const [, elsewhere, method = '', path = '', body] =
      /^(elsewhere )?(\S+) ?(\S*) ?(.*)$/.exec(step) ?? []
    if (step === 'wait') await new Promise((resolve) => setTimeout(resolve, 2100))
    else if (step === 'forge') {
      const headers = { 'set-cookie': '__Host-session=forged; Secure; Path=/' }
      jar.store(new Response(null, { headers }))
    } else {
      const send = ({ headers }: Request): Promise<Response> =>
        fetch(origin + path, { method, headers, body: method === 'POST' ? (body ?? '') : null })
      const headers = { 'user-agent': elsewhere ? 'Chromium' : 'Firefox' }
      last = await jar.fetch(send, path, { headers })
    }
  }
  return last
}

/** Mends the store, and waits until both of its breakers have seen that. */
async function mend(origin: string): Promise<void> {
  await walk(origin, createCookieJar(), ['POST /break off'])
  for (let tries = 0; tries < 100; tries++) {
    if ((await walk(origin, createCookieJar(), ['POST /sign-in', 'GET /account'])).ok) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

for (const [runtime, start] of Object.entries(runtimes)) {
  describe(`examples/error-handling in ${runtime}`, () => {
    let server: Server
    beforeAll(async () => {
      server = await start()
    })
    afterAll(() => server?.stop())

    it.each(Object.entries(cases))('answers %s', async (code, [steps, status, retryAfter]) => {
      const jar = createCookieJar()
      const before = await walk(server.origin, jar, steps.slice(0, -1)).then(() => jar.header())
      const answer = async () => {
        const response = await walk(server.origin, jar, steps.slice(-1))
        return [response, (await response.json()) as Record<string, string>] as const
      }
      let [response, { code: answered, message }] = await answer()
      // A breaker does not count time limits that a busy machine notices late.
      for (
        let tries = 0;
        answered === 'ERR_STORE_TIMEOUT' && code !== answered && tries < 20;
        tries++
      )
        [response, { code: answered, message }] = await answer()
      await mend(server.origin)
      expect([answered, response.status]).toEqual([code, status])
      expect(response.headers.get('retry-after')).toBe(retryAfter ?? null)
      expect(response.headers.get('cache-control')).toBe('no-store')
      expect(message).toMatch(/^[A-Z][^{}]+$/)
      // No error takes a cookie away.
      expect(jar.header()).toBe(before)
    })
  })
}

it('shows every class of error', () => {
  const classes = Object.values(errors) as (new (...given: never[]) => errors.SessionError)[]
  const codes = classes.map((Class) => new Class(...(['', [], 0] as never[])).code)
  expect(codes.filter((code) => !cases[code])).toEqual([])
})
