import type { Handle } from '@sveltejs/kit/hooks'
import { createSessions } from 'sojourn'
import { createMemoryStore } from 'sojourn/memory'
import { sessionHandle } from 'sojourn/sveltekit'
import type { Shop } from '../../story/shop.ts'

const secret = process.env.SESSION_SECRET ?? ''
const sessions = createSessions<Shop>({ secret, store: createMemoryStore() })

export const handle: Handle = sessionHandle(sessions)
