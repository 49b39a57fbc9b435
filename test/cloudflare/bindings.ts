/** Cloudflare's own types fit, which clash with the DOM's and are therefore checked apart. */
import { createSessions } from 'sojourn'
import { createD1Store } from 'sojourn/d1'
import { createDurableObjectStore, SessionObject } from 'sojourn/durable-object'
import { createKVStore } from 'sojourn/kv'
import { withSessions } from 'sojourn/workers'

interface Env {
  SESSION_SECRET: string
  KV: KVNamespace
  KV_OF_FEW_KEYS: KVNamespace<'a' | 'b'>
  DB: D1Database
  OBJECTS: DurableObjectNamespace<SessionObject>
  UNTYPED_OBJECTS: DurableObjectNamespace
}

export const storesOf = (env: Env): unknown[] => [
  createKVStore({ namespace: env.KV }),
  createKVStore({ namespace: env.KV_OF_FEW_KEYS }),
  createD1Store({ database: env.DB }),
  createDurableObjectStore({ namespace: env.OBJECTS }),
  createDurableObjectStore({ namespace: env.UNTYPED_OBJECTS }),
]

export const byHand: ExportedHandler<Env> = {
  async fetch(request, env): Promise<Response> {
    const sessions = createSessions<{ visits: number }>({ secret: env.SESSION_SECRET })
    const session = await sessions.get(request)
    session.update('visits', (n = 0) => n + 1)
    return await sessions.commit(request, new Response('ok'))
  },
}

export const wrapped: ExportedHandler<Env> = withSessions(
  (env: Env) => ({ secret: env.SESSION_SECRET, store: createKVStore({ namespace: env.KV }) }),
  async (request, _env, _ctx, sessions) => new Response((await sessions.get(request)).status),
)

// @ts-expect-error: a database is no KV namespace.
export const wrong = (env: Env): unknown => createKVStore({ namespace: env.DB })

export { SessionObject }
