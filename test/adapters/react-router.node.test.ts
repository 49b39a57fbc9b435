import { createStaticHandler, type MiddlewareFunction, RouterContextProvider } from 'react-router'
import { describe, expect, it } from 'vitest'
import { createSessionMiddleware } from '../../src/adapters/react-router.ts'
import { createSessions, type Sessions } from '../../src/index.ts'
import { errorOf, SECRET } from '../support/sessions.ts'

describe('createSessionMiddleware(), in the real router', () => {
  it('shows a loader what the action of the same request did', async () => {
    const sessions = createSessions<{ visits: number }>({ secret: SECRET })
    const [sessionMiddleware, getSession] = createSessionMiddleware(sessions)
    const requests: Request[] = []
    let seen: number | undefined
    const router = createStaticHandler([
      {
        path: '/',
        middleware: [sessionMiddleware as MiddlewareFunction],
        action: async ({ request, context }) => {
          requests.push(request)
          ;(await getSession(context)).set('visits', 7)
          return null
        },
        loader: async ({ request, context }) => {
          requests.push(request)
          seen = (await getSession(context)).get('visits')
          return null
        },
      },
    ])
    const request = new Request('https://example.com/', { method: 'POST' })
    const response = (await router.query(request, {
      requestContext: new RouterContextProvider(),
      generateMiddlewareResponse: async (query) => {
        await query(request)
        return new Response('page')
      },
    })) as Response
    expect(seen).toBe(7)
    expect(requests[0]).not.toBe(requests[1])
    expect(response.headers.getSetCookie()).toHaveLength(1)
  })
})

describe('two adapters of one cookie name', () => {
  it('are refused on one request, in whatever framework', async () => {
    const create = (name?: string) =>
      createSessions({ secret: SECRET, ...(name && { cookie: { name } }) })
    const answer = (first: Sessions, second: Sessions) => {
      const middleware = [first, second].map((one) => createSessionMiddleware(one)[0])
      const request = new Request('https://example.com/')
      const url = new URL(request.url)
      const args = { request, context: new RouterContextProvider(), url, pattern: '/', params: {} }
      const inner = async () => new Response('ok')
      return middleware[0]!(args, () => middleware[1]!(args, inner) as Promise<Response>)
    }
    expect(await errorOf(() => answer(create(), create()))).toBeInstanceOf(TypeError)
    const response = (await answer(create(), create('__Host-other'))) as Response
    expect(await response.text()).toBe('ok')
  })
})
