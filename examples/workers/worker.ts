// npx wrangler dev --config examples/workers/wrangler.toml --var SESSION_SECRET:$(openssl rand -hex 32)
import { createKVStore, type KVBinding } from 'sojourn/kv'
import { resilient } from 'sojourn/resilience'
import { withSessions } from 'sojourn/workers'
import { createShop, type Shop } from '../story/shop.ts'

interface Env {
  SESSION_SECRET: string
  SESSIONS: KVBinding
}

export default withSessions<Env, Shop>(
  (env) => ({
    secret: env.SESSION_SECRET,
    store: resilient(createKVStore({ namespace: env.SESSIONS })),
  }),
  (request, _env, _ctx, sessions) => createShop(sessions)(request),
)
