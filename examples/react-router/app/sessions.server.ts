import { createSessions } from 'sojourn'
import { requireSession } from 'sojourn/guard'
import { createMemoryStore } from 'sojourn/memory'
import { createSessionMiddleware } from 'sojourn/react-router'
import type { Shop } from '../../story/shop.ts'

const secret = process.env.SESSION_SECRET
const sessions = createSessions<Shop>({ secret, store: createMemoryStore() })

export const [sessionMiddleware, getSession] = createSessionMiddleware(sessions)

export const guard = requireSession(sessions, { onMissing: '/' })
