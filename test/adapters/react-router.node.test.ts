import { createStaticHandler, type MiddlewareFunction, RouterContextProvider } from 'react-router'
import { describe, expect, it } from 'vitest'
import { createSessionMiddleware } from '../../src/adapters/react-router.ts'
import { createSessions } from '../../src/index.ts'
import { SECRET } from '../support/sessions.ts'

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
