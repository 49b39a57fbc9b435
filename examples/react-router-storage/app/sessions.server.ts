import { createSessions } from 'sojourn'
import { createMemoryStore } from 'sojourn/memory'
import { createSessionStorage } from 'sojourn/react-router'
import type { Shop } from '../../story/shop.ts'

const secret = process.env.SESSION_SECRET
const sessions = createSessions<Shop>({ secret, store: createMemoryStore() })

// Was: createCookieSessionStorage<Shop, { notice: string }>({ cookie: { ... } })
export const { getSession, commitSession, destroySession } = createSessionStorage<
  Shop,
  { notice: string }
>(sessions)
