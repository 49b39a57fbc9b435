import { sequence } from 'astro:middleware'
import type { MiddlewareHandler } from 'astro'
import { createSessions } from 'sojourn'
import { sessionMiddleware } from 'sojourn/astro'
import { requireSession } from 'sojourn/guard'
import { createMemoryStore } from 'sojourn/memory'
import type { Shop } from '../../story/shop.ts'

const secret = process.env.SESSION_SECRET
const sessions = createSessions<Shop>({ secret, store: createMemoryStore() })
const guard = requireSession(sessions, { onMissing: '/' })

/** Keeps strangers out of the account. Not by the address: `/account/` is this page too. */
const guardAccount: MiddlewareHandler = async ({ request, routePattern }, next) =>
  (routePattern === '/account' ? await guard(request) : null) ?? next()

export const onRequest: MiddlewareHandler = sequence(sessionMiddleware(sessions), guardAccount)
