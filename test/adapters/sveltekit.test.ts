import { describe, expect, it } from 'vitest'
import { type SessionLocals, sessionHandle } from '../../src/adapters/sveltekit.ts'
import { createSessions } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createCookieJar, createFaultyStore } from '../../src/testing/index.ts'
import { errorOf, SECRET } from '../support/sessions.ts'

interface Data {
  visits: number
}
type Load = (locals: SessionLocals<Data>) => Promise<Response>

const sessions = createSessions<Data>({ secret: SECRET })
const handle = sessionHandle(sessions)

/** One request through the hook, to code that has only `locals`. */
const createApp =
  (load: Load, hook = handle) =>
  (request: Request): Promise<Response> =>
    hook({
      event: { request, locals: {} },
      resolve: ({ locals }) => load(locals as SessionLocals<Data>),
    })

const visit = createApp(async ({ session }) => {
  const current = await session()
  current.update('visits', (n = 0) => n + 1)
  return new Response(String((await session()).get('visits')))
})
const request = () => new Request('https://example.com/')

describe('sessionHandle()', () => {
  it('gives locals one session and commits it', async () => {
    const jar = createCookieJar()
    expect(await (await jar.fetch(visit, '/')).text()).toBe('1')
    expect(await (await jar.fetch(visit, '/')).text()).toBe('2')
  })

  it('takes sessions that wrap others', async () => {
    const load: Load = async ({ session }) => {
      ;(await session()).set('visits', 1)
      return new Response('ok')
    }
    const app = createApp(load, sessionHandle({ ...sessions }))
    expect((await app(request())).headers.getSetCookie()).toHaveLength(1)
  })

  it('leaves a response alone when nothing used the session', async () => {
    const plain = new Response('static')
    expect(await createApp(async () => plain)(request())).toBe(plain)
    expect(['set-cookie', 'vary'].some((name) => plain.headers.has(name))).toBe(false)
  })

  it('saves nothing with a response of 500 or above', async () => {
    const app = createApp(async ({ session }) => {
      ;(await session()).set('visits', 1)
      return new Response('boom', { status: 500 })
    })
    expect((await app(request())).headers.getSetCookie()).toEqual([])
  })

  it('answers 503 when the store fails the commit', async () => {
    const store = createFaultyStore(createMemoryStore())
    const stored = createSessions<Data>({ secret: SECRET, store, onStoreFailure: 'throw' })
    const load: Load = async ({ session }) => {
      ;(await session()).set('visits', 1)
      store.inject({ type: 'throw-before' }, 'write')
      return new Response('ok')
    }
    expect((await createApp(load, sessionHandle(stored))(request())).status).toBe(503)
  })

  it('names the file to change when there are two hooks', async () => {
    const event = { request: request(), locals: {} }
    const inner = () => handle({ event, resolve: () => new Response('ok') })
    const error = await errorOf(() => handle({ event, resolve: inner }))
    expect(error.message).toContain('src/hooks.server.ts')
  })

  it('refuses to open a session after the response has begun, but not to read it', async () => {
    let late: (() => Promise<unknown>) | undefined
    const keep: Load = async ({ session }) => {
      late = session
      return new Response('ok')
    }
    await createApp(keep)(request())
    const error = await errorOf(() => late?.())
    expect(error).toMatchObject({ code: 'ERR_SESSION_COMMITTED' })
    expect(error.message).toContain('load')
    const open: Load = async ({ session }) => {
      await session()
      return keep({ session })
    }
    await createApp(open)(request())
    expect(await late?.()).toMatchObject({ status: 'new' })
  })
})
