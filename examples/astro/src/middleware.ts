import type { MiddlewareHandler } from 'astro'
import { createSessions } from 'sojourn'
import { sessionMiddleware } from 'sojourn/astro'
import { createMemoryStore } from 'sojourn/memory'
import type { Shop } from '../../story/shop.ts'

const secret = process.env.SESSION_SECRET ?? ''
const sessions = createSessions<Shop>({ secret, store: createMemoryStore() })

export const onRequest: MiddlewareHandler = sessionMiddleware(sessions)
