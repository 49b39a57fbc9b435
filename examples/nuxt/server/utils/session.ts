import { createSessions } from 'sojourn'
import { createMemoryStore } from 'sojourn/memory'
import { type SessionRequest, session } from 'sojourn/node'
import type { Shop } from '../../../story/shop.ts'

declare module 'http' {
  interface IncomingMessage extends SessionRequest<Shop> {}
}

const secret = process.env.SESSION_SECRET
const sessions = createSessions<Shop>({ secret, store: createMemoryStore() })

/** Gives a request of Node its `session()`, which is saved before the head of the response leaves. */
export const attachSession = session(sessions)
