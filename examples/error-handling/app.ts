/** A small shop in which everything that can go wrong with a session does, when asked to. */
import { createSessions, type SessionStore } from 'sojourn'
import { SessionError, StoreError, StoreUnavailableError } from 'sojourn/errors'
import { logEvents } from 'sojourn/log'
import { createMemoryStore } from 'sojourn/memory'
import { resilient } from 'sojourn/resilience'
import { createFaultyStore } from 'sojourn/testing'
import { z } from 'zod'
import { answer } from './answer.ts'

/** Makes the shop's fetch handler. */
export function createShop(secret: string): (request: Request) => Promise<Response> {
  const { store, break: breakStore } = createBreakableStore()
  const onEvent = logEvents(console)

  const sessions = createSessions({
    secret,
    store,
    schema: z.object({ cart: z.array(z.string().max(20, 'a name of over 20 characters')) }),
    version: 2,
    // Its mistake: a basket that nothing was put into was never written.
    migrate: (data) => ({ cart: (data as { basket: string }).basket.split(',') }),
    binding: { userAgent: true },
    // This shop tells its visitors the truth; by default they would get an empty session.
    onStoreFailure: 'throw',
    onCorruption: 'throw',
    onEvent,
  })
  /** The same sessions as an older deployment of this shop wrote them. */
  const before = createSessions<{ basket?: string; seen: boolean }>({ secret, store })
  /** Sessions in a cookie of their own, which has 4096 bytes. */
  const themes = createSessions<{ theme: string }>({ secret, cookie: { name: '__Host-theme' } })

  const routes: Record<string, (request: Request) => Promise<Response>> = {
    'GET /': async () => Response.json(Object.keys(routes)),

    'POST /sign-in': async (request) => {
      const session = await sessions.get(request)
      const seconds = Number(new URL(request.url).searchParams.get('for') ?? 3600)
      session.login('ada', { idleTimeout: seconds })
      session.set('cart', [])
      return new Response('Hello')
    },
    // SessionNotFoundError, SessionExpiredError, SessionEncryptionError or SessionBindingError.
    'GET /account': async (request) => {
      const session = await sessions.require(request)
      return new Response(`You are ${session.subject}, with ${session.get('cart')?.length} books`)
    },
    // SessionValidationError, when the response is committed.
    'POST /cart': async (request) => {
      const session = await sessions.get(request)
      const book = await request.text()
      session.update('cart', (cart = []) => [...cart, book])
      return new Response('In your cart')
    },
    // CookieTooLargeError, when the response is committed.
    'POST /theme': async (request) => {
      const session = await themes.get(request)
      session.set('theme', await request.text())
      return themes.commit(request, new Response('Kept'))
    },
    // StoreUnavailableError, StoreTimeoutError, CircuitOpenError, StoreError, SessionConflictError,
    // from everything that needs the store.
    'POST /break': async (request) => {
      breakStore(await request.text())
      return new Response('Broken, or mended')
    },
    // Leaves a session that `migrate` cannot read: SessionCorruptionError.
    'POST /older': async (request) => {
      const session = await before.get(request)
      session.set('seen', true)
      return before.commit(request, new Response('Yesterday'))
    },

    'GET /mistakes/map': async (request) => {
      const session = await sessions.get(request)
      // SessionSerializationError: JSON has no Map. `path` says that it is "cart[0]".
      session.set('cart', [new Map() as unknown as string])
      return new Response()
    },
    'GET /mistakes/late': async (request) => {
      const session = await sessions.get(request)
      const response = await sessions.commit(request, new Response('Done'))
      // SessionCommittedError: the headers have been made, the change could not be kept.
      session.set('cart', [])
      return response
    },
    'GET /mistakes/after-the-end': async (request) => {
      const session = await sessions.get(request)
      session.destroy()
      // SessionError with code ERR_SESSION_DESTROYED.
      session.set('cart', [])
      return new Response()
    },
  }

  return async (request) => {
    const { pathname } = new URL(request.url)
    const route = routes[`${request.method} ${pathname}`]
    if (!route) return new Response('Not found', { status: 404 })
    try {
      // `sessions.handler` does this too, and answers 503 by itself. Here it is done by hand, so
      // that the answer can be in the shop's own words.
      return await sessions.commit(request, await route(request))
    } catch (error) {
      return answer(error, ({ name, message }) => console.error(`${name}: ${message}`))
    }
  }
}

/** A store in memory that fails on demand, behind `resilient`, which says how. */
function createBreakableStore(): { store: SessionStore; break: (how: string) => void } {
  const faulty = createFaultyStore(createMemoryStore())
  let isCrowded = false
  const crowded: SessionStore = {
    ...faulty,
    name: 'breakable',
    read: (id, options) => faulty.read(id, options),
    end: (id, options) => faulty.end(id, options),
    // Somebody else has always just written.
    async write(id, record, expected, options) {
      const current = isCrowded && expected !== null ? await faulty.read(id) : null
      if (current) return { ok: false, current: { ...current, version: `${Date.now()}.other` } }
      return faulty.write(id, record, expected, options)
    },
  }
  const store = resilient(crowded, {
    attempts: 1,
    attemptTimeoutMs: 200,
    breaker: { consecutiveFailures: 3, openMs: 500 },
  })
  const ways: Record<string, () => void> = {
    off: () => faulty.up(),
    down: () => {
      const error = new StoreUnavailableError('Connection refused', { retryAfter: 2 })
      faulty.down({ type: 'throw-before', error })
    },
    slow: () => faulty.down({ type: 'hang' }),
    refused: () => faulty.down({ type: 'throw-before', error: new StoreError('No room') }, 'write'),
    crowded: () => {},
  }
  return {
    store,
    break(how) {
      const way = ways[how]
      if (!way) throw new SessionError(`There is no way "${how}" to break the store`)
      isCrowded = how === 'crowded'
      way()
    },
  }
}
