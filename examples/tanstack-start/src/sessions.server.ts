import { createSessions } from 'sojourn'
import { createMemoryStore } from 'sojourn/memory'
import type { Shop } from '../../story/shop.ts'

/** In a file of its own, `*.server.ts`: beside the middleware it would be in the bundle of browsers. */
export const sessions = createSessions<Shop>({
  secret: process.env.SESSION_SECRET,
  store: createMemoryStore(),
})
