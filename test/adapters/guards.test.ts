import { Hono } from 'hono'
import * as hono from '../../src/adapters/hono.ts'
import { requireSession } from '../../src/guard/guard.ts'
import { testGuards } from './guarded.ts'

testGuards('sessions.handler', (sessions, requirements, page) => {
  const guard = requireSession(sessions, requirements)
  return sessions.handler(async (request) => (await guard(request)) ?? page(request))
})

testGuards('Hono, with its own requireSession', (sessions, requirements, page) => {
  const app = new Hono()
    .use(hono.session(sessions))
    .use(hono.requireSession(requirements))
    .all('*', (c) => page(c.req.raw))
  return async (request) => app.fetch(request)
})
