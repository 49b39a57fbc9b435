import { createSessions, type Session } from 'sojourn'
import { createMemoryStore } from 'sojourn/memory'
import type { Shop } from '../../../story/shop.ts'

type H3Event = Parameters<typeof getHeader>[0]

const secret = process.env.SESSION_SECRET ?? ''
const sessions = createSessions<Shop>({ secret, store: createMemoryStore() })

/** Gives the session of a request to a function, and saves it before anything is sent. */
export async function withSession<T>(
  event: H3Event,
  fn: (session: Session<Shop>) => T | Promise<T>,
): Promise<T> {
  const request = new Request(getRequestURL(event), {
    method: event.method,
    headers: event.headers,
  })
  const session = await sessions.get(request)
  const result = await fn(session)
  const setCookie = await sessions.save(session)
  for (const one of setCookie) appendResponseHeader(event, 'set-cookie', one)
  setResponseHeader(event, 'cache-control', setCookie.length ? 'private, no-store' : 'private')
  appendResponseHeader(event, 'vary', 'Cookie')
  return result
}
