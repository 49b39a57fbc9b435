import { redirect } from 'next/navigation'
import { createSessions, type SessionStore } from 'sojourn'
import { requireSession } from 'sojourn/guard'
import * as next from 'sojourn/next'
import { resilient } from 'sojourn/resilience'
import { createUpstashStore } from 'sojourn/upstash'

export interface Shop {
  cart: string[]
}

const {
  SESSION_SECRET = '',
  UPSTASH_REDIS_REST_URL: url,
  UPSTASH_REDIS_REST_TOKEN: token = '',
} = process.env

// Next evaluates this module for pages, for route handlers, for the proxy, and in development again
// after every change: one store for all of them, with one breaker.
const world = globalThis as { sessionStore?: SessionStore }
if (url) world.sessionStore ??= resilient(createUpstashStore({ url, token }))

export const sessions = createSessions<Shop>({
  secret: SESSION_SECRET,
  // Without a store sessions live in the cookie.
  ...(world.sessionStore && { store: world.sessionStore }),
})

export const getSession = () => next.getSession(sessions)
export const withSession = next.withSession(sessions)
export const handler = next.handler(sessions)
/** For pages that are not for everybody. They ask themselves: a proxy's matcher may miss them. */
export const requireUser = () => next.requireSession(sessions, { onMissing: () => redirect('/') })

const guard = requireSession(sessions, { onMissing: '/' })

/** Keeps strangers out of the account. */
export const proxy = next.sessionProxy(sessions, (request) =>
  request.nextUrl.pathname === '/account' ? guard(request) : null,
)

/** A redirect for the route handlers, whose forms are sent by browsers without scripts. */
export const seeOther = (location: string) =>
  new Response(null, { status: 303, headers: { location } })
