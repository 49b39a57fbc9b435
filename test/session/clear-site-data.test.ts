import { describe, expect, it } from 'vitest'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createFaultyStore } from '../../src/testing/index.ts'
import { createWorld, errorOf } from '../support/sessions.ts'

const HEADER = 'clear-site-data'

describe.each([
  ['in cookies', () => ({ now: Date.now })],
  ['in a store', () => ({ store: createMemoryStore(), now: Date.now })],
])('destroy({ clear }), sessions %s', (_, options) => {
  it('sends Clear-Site-Data with what was asked for, and nothing else', async () => {
    const { visit } = createWorld(options())
    await visit((session) => session.login('ann'))
    const { response, setCookie } = await visit((session) =>
      session.destroy({ clear: ['cache', 'storage'] }),
    )
    expect(response.headers.get(HEADER)).toBe('"cache", "storage"')
    expect(setCookie[0]).toContain('Max-Age=0')
  })

  it('sends no Clear-Site-Data unless asked, nor with an empty list', async () => {
    const { visit } = createWorld(options())
    await visit((session) => session.login('ann'))
    expect((await visit()).response.headers.has(HEADER)).toBe(false)
    const { response } = await visit((session) => session.destroy({ clear: [] }))
    expect(response.headers.has(HEADER)).toBe(false)
    await visit((session) => session.login('ann'))
    expect((await visit((session) => session.destroy())).response.headers.has(HEADER)).toBe(false)
  })

  it('clears cookies only where they are named', async () => {
    const { visit } = createWorld(options())
    const { response } = await visit((session) => session.destroy({ clear: ['cookies'] }))
    expect(response.headers.get(HEADER)).toBe('"cookies"')
  })

  it('sends the header once when handlers are nested, and beside one of the application', async () => {
    const { jar, sessions } = createWorld(options())
    const handler = sessions.handler(
      sessions.handler(async (request) => {
        const session = await sessions.get(request)
        session.destroy({ clear: ['cache'] })
        session.destroy()
        return new Response('bye', { headers: { [HEADER]: '"executionContexts"' } })
      }),
    )
    const response = await jar.fetch(handler, '/')
    expect(response.headers.get(HEADER)).toBe('"executionContexts", "cache"')
  })

  it('survives a response that cannot be changed, and one that brings a cookie of the session', async () => {
    const { jar, sessions, visit } = createWorld(options())
    await visit((session) => session.login('ann'))
    const [cookie = ''] = (await visit((session) => session.regenerate())).setCookie
    const bring = new Response(null, { status: 303, headers: { 'set-cookie': cookie } })
    for (const own of [Response.redirect('https://example.com/', 303), bring]) {
      const handler = sessions.handler(async (request) => {
        ;(await sessions.get(request)).destroy({ clear: ['storage'] })
        return own
      })
      const { headers, status } = await jar.fetch(handler, '/')
      expect([status, headers.get(HEADER)]).toEqual([303, '"storage"'])
      expect(own.headers.has(HEADER)).toBe(false)
    }
  })

  it('clears nothing when the response is an error that saves nothing', async () => {
    const { jar, sessions } = createWorld(options())
    const handler = sessions.handler(async (request) => {
      ;(await sessions.get(request)).destroy({ clear: ['cache'] })
      return new Response('oops', { status: 500 })
    })
    expect((await jar.fetch(handler, '/')).headers.has(HEADER)).toBe(false)
  })

  it('leaves a network error as it is, which nobody can add a header to', async () => {
    const { jar, sessions, visit } = createWorld(options())
    await visit((session) => session.login('ann'))
    const handler = sessions.handler(async (request) => {
      ;(await sessions.get(request)).destroy({ clear: ['cache'] })
      return Response.error()
    })
    const response = await handler(jar.request('/'))
    expect([response.type, response.status]).toEqual(['error', 0])
  })

  it('refuses what is no list of cache, storage and cookies, and ends nothing then', async () => {
    const { visit } = createWorld(options())
    await visit((session) => session.login('ann'))
    for (const clear of ['cache', ['*'], ['Cache'], [1], {}, null] as never[]) {
      const { session } = await visit(async (session) => {
        const error = await errorOf(() => session.destroy({ clear }))
        expect(error).toBeInstanceOf(TypeError)
        expect(error.message).toMatch(/"destroy\.clear" must be a list of cache, storage, cookies/)
      })
      expect([session.status, session.subject]).toEqual(['active', 'ann'])
    }
  })
})

it('destroy({ clear }) clears nothing when the store cannot end the session', async () => {
  const store = createFaultyStore(createMemoryStore())
  const { visit } = createWorld({ store, now: Date.now })
  await visit((session) => session.login('ann'))
  store.down(undefined, 'end')
  const { response } = await visit((session) => session.destroy({ clear: ['cache'] }))
  expect([response.status, response.headers.has(HEADER)]).toEqual([503, false])
})
