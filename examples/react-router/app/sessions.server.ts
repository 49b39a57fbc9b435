import { createSessions } from 'sojourn'
import { createMemoryStore } from 'sojourn/memory'
import { createSessionMiddleware } from 'sojourn/react-router'
import type { Shop } from '../../story/shop.ts'

const secret = process.env.SESSION_SECRET ?? ''
const sessions = createSessions<Shop>({ secret, store: createMemoryStore() })

export const [sessionMiddleware, getSession] = createSessionMiddleware(sessions)
