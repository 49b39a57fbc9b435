import { createSessions } from 'sojourn'
import { requireSession } from 'sojourn/guard'
import { createMemoryStore } from 'sojourn/memory'
import type { Shop } from '../../../story/shop.ts'

const secret = process.env.SESSION_SECRET

export const sessions = createSessions<Shop>({ secret, store: createMemoryStore() })
export const guard = requireSession(sessions, { onMissing: '/' })
