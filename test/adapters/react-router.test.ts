import type { RouterContextProvider, SessionStorage } from 'react-router'
import { describe, expect, it } from 'vitest'
import { createSessionMiddleware, createSessionStorage } from '../../src/adapters/react-router.ts'
import { requireSession } from '../../src/guard/guard.ts'
import { createSessions, type Sessions, StoreUnavailableError } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createCookieJar, createFaultyStore } from '../../src/testing/index.ts'
import { errorOf, SECRET } from '../support/sessions.ts'

const sessions = createSessions<Data>({ secret: SECRET })

interface Data {
  visits: number
  name: string
}

type Context = Readonly<RouterContextProvider>
type GetSession = ReturnType<typeof createSessionMiddleware<Data>>[1]

/** One document request through the middleware, to a handler that has only the context. */
const createApp = (
  handler: (getSession: GetSession, context: Context) => Promise<Response>,
  sessions: Sessions<Data> = createSessions<Data>({ secret: SECRET }),
) => {
  const [middleware, getSession] = createSessionMiddleware(sessions)
  return async (request: Request): Promise<Response> => {
    const context = {} as Context
    const url = new URL(request.url)
    const args = { request, context, url, pattern: '/', params: {} }
    return (await middleware(args, () => handler(getSession, context))) as Response
  }
}

describe('createSessionMiddleware()', () => {
  it('shares one session between actions and loaders, and commits it', async () => {
    const jar = createCookieJar()
    const app = createApp(async (getSession, context) => {
      const action = await getSession(context)
      action.update('visits', (n = 0) => n + 1)
      const loader = await getSession(context)
      return new Response(String(loader.get('visits')))
    })
    expect(await (await jar.fetch(app, '/')).text()).toBe('1')
    expect(await (await jar.fetch(app, '/')).text()).toBe('2')
  })

  it('leaves a response alone when nothing used the session', async () => {
    const plain = new Response('static')
    const app = createApp(async () => plain)
    expect(await app(new Request('https://example.com/'))).toBe(plain)
    expect(['set-cookie', 'vary'].some((name) => plain.headers.has(name))).toBe(false)
  })

  it('has guards in loaders, which get another Request than the middleware', async () => {
    const jar = createCookieJar()
    const app = createApp(async (getSession, context) => {
      const guard = requireSession<Data>(
        { get: () => getSession(context) },
        {
          async onMissing() {
            ;(await getSession(context)).flash('notice', 'Please sign in')
            return new Response(null, { status: 303, headers: { location: '/login' } })
          },
        },
      )
      const forLoader = new Request('https://example.com/account')
      return (await guard(forLoader)) ?? new Response('account')
    }, sessions)
    const form = jar.request('/account', { method: 'POST' })
    const refused = await app(form)
    expect(refused.status).toBe(303)
    jar.store(refused)
    expect((await sessions.get(jar.request('/login'))).flash('notice')).toBe('Please sign in')
  })

  it('saves nothing with a response of 500 or above', async () => {
    const app = createApp(async (getSession, context) => {
      ;(await getSession(context)).set('visits', 1)
      return new Response('boom', { status: 500 })
    })
    const response = await app(new Request('https://example.com/'))
    expect(response.headers.getSetCookie()).toEqual([])
  })

  it('answers 503 when the store fails the commit', async () => {
    const store = createFaultyStore(createMemoryStore())
    const sessions = createSessions<Data>({ secret: SECRET, store, onStoreFailure: 'throw' })
    const app = createApp(async (getSession, context) => {
      ;(await getSession(context)).set('visits', 1)
      store.inject({ type: 'throw-before' }, 'write')
      return new Response('ok')
    }, sessions)
    expect((await app(new Request('https://example.com/'))).status).toBe(503)
  })

  it('says which file to change when the middleware did not run', async () => {
    const [, getSession] = createSessionMiddleware(createSessions({ secret: SECRET }))
    const error = await errorOf(() => getSession({} as Context))
    expect(error.message).toContain('app/root.tsx')
  })

  it('refuses to run twice on one request', async () => {
    const [middleware] = createSessionMiddleware(createSessions({ secret: SECRET }))
    const request = new Request('https://example.com/')
    const url = new URL(request.url)
    const args = { request, context: {} as Context, url, pattern: '/', params: {} }
    const inner = () => middleware(args, async () => new Response('ok')) as Promise<Response>
    expect((await errorOf(() => middleware(args, inner))).message).toContain('runs twice')
  })

  it('refuses to open a session after the response has begun', async () => {
    let late: (() => Promise<unknown>) | undefined
    const app = createApp(async (getSession, context) => {
      late = () => getSession(context)
      return new Response('ok')
    })
    await app(new Request('https://example.com/'))
    expect(await errorOf(() => late?.())).toMatchObject({ code: 'ERR_SESSION_COMMITTED' })
  })
})

describe('createSessionStorage()', () => {
  const sessions = createSessions<Data>({ secret: SECRET })

  it('is a SessionStorage, flash values included', async () => {
    const storage: SessionStorage<Data, { notice: string }> = createSessionStorage<
      Data,
      { notice: string }
    >(sessions)
    const session = await storage.getSession(null)
    session.set('visits', 1)
    session.flash('notice', 'hello')
    const [cookie = ''] = (await storage.commitSession(session)).split(';')
    const next = await storage.getSession(cookie)
    expect(next.id).toBe(session.id)
    expect(next.data).toEqual({ visits: 1 })
    expect([next.has('visits'), next.has('notice'), next.has('name')]).toEqual([true, true, false])
    expect([next.get('visits'), next.get('notice')]).toEqual([1, 'hello'])
    expect([next.has('notice'), next.get('notice')]).toEqual([false, undefined])
    next.unset('visits')
    expect(next.has('visits')).toBe(false)
    const [after = ''] = (await storage.commitSession(next)).split(';')
    expect((await storage.getSession(after)).get('notice')).toBeUndefined()
  })

  it('has everything else on `sojourn`', async () => {
    const storage = createSessionStorage(sessions)
    const session = await storage.getSession()
    const before = session.id
    session.sojourn.login('Ada')
    const [cookie] = (await storage.commitSession(session)).split(';')
    const next = await storage.getSession(cookie)
    expect(next.sojourn.subject).toBe('Ada')
    expect(next.id).toBe(before)
    expect(next.id).toBe(next.sojourn.id)
  })

  it('has nothing to say when nothing changed', async () => {
    const storage = createSessionStorage(sessions)
    expect(await storage.commitSession(await storage.getSession())).toBe('')
  })

  it('destroys', async () => {
    const storage = createSessionStorage(sessions)
    const session = await storage.getSession()
    session.set('visits', 1)
    const [cookie] = (await storage.commitSession(session)).split(';')
    const value = await storage.destroySession(await storage.getSession(cookie))
    expect(value).toContain('Max-Age=0')
  })

  it('refuses cookie options, sessions of others, and more cookies than a string can hold', async () => {
    const wide = createSessions<Data>({ secret: SECRET, cookie: { maxChunks: 4 } })
    const storage = createSessionStorage(wide)
    const session = await storage.getSession()
    const maxAge = await errorOf(() => storage.commitSession(session, { maxAge: 60 }))
    expect(maxAge).toBeInstanceOf(TypeError)
    expect(maxAge.message).toContain('createSessions')
    session.set('name', 'x'.repeat(6000))
    const chunks = await errorOf(() => storage.commitSession(session))
    expect(chunks).toBeInstanceOf(RangeError)
    expect(chunks.message).toContain('cookie.maxChunks')
    const foreign = { id: '', data: {} } as typeof session
    expect(await errorOf(() => storage.commitSession(foreign))).toBeInstanceOf(TypeError)
  })

  it('goes on after an outage, and through a sign-in', async () => {
    const store = createFaultyStore(createMemoryStore())
    const snapshot = { maxAge: 60, staleIfError: 60 }
    const sessions = createSessions({ secret: SECRET, store, snapshot })
    const { getSession, commitSession } = createSessionStorage(sessions)
    let header = ''
    const visit = async (change: string) => {
      const session = await getSession(header)
      session.set(change, true)
      if (change === 'first') session.sojourn.login('ann')
      const [pair = ''] = (await commitSession(session)).split(';')
      return pair
    }
    header = await visit('none')
    header = await visit('first')
    store.down()
    const deferral = await visit('second')
    store.up()
    header = `${header}; ${deferral}`
    header = `${await visit('third')}; ${deferral}`
    header = `${await visit('fourth')}; ${deferral}`
    const { data, sojourn } = await getSession(header)
    expect(data).toEqual({ none: true, first: true, second: true, third: true, fourth: true })
    expect(sojourn.subject).toBe('ann')
  })

  it('passes failures of the store on', async () => {
    const store = createFaultyStore(createMemoryStore())
    const stored = createSessions<Data>({ secret: SECRET, store, onStoreFailure: 'throw' })
    const storage = createSessionStorage(stored)
    const session = await storage.getSession()
    session.set('visits', 1)
    store.inject({ type: 'throw-before' }, 'write')
    expect(await errorOf(() => storage.commitSession(session))).toBeInstanceOf(
      StoreUnavailableError,
    )
  })
})
