import { type Handle, sequence } from '@sveltejs/kit/hooks'
import { createSessions } from 'sojourn'
import { requireSession } from 'sojourn/guard'
import { createMemoryStore } from 'sojourn/memory'
import { sessionHandle } from 'sojourn/sveltekit'
import type { Shop } from '../../story/shop.ts'

const secret = process.env.SESSION_SECRET
const sessions = createSessions<Shop>({ secret, store: createMemoryStore() })
const guard = requireSession(sessions, { onMissing: '/' })

export const handle: Handle = sequence(sessionHandle(sessions), async ({ event, resolve }) => {
  // Not by the address: `/%61ccount` is this page too.
  const refusal = event.route.id === '/account' ? await guard(event.request) : null
  return refusal ?? resolve(event)
})
