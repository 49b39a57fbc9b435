// npx wrangler hyperdrive create sessions --connection-string=postgres://… --caching-disabled, and its id in wrangler.jsonc
import { Client } from 'pg'
import { createSessions } from 'sojourn'
import { resilient } from 'sojourn/resilience'
import { createSqlStore } from 'sojourn/sql'
import { createShop, type Shop } from '../story/shop.ts'

interface Env {
  SESSION_SECRET: string
  HYPERDRIVE: { connectionString: string }
}

/** One connection for each request that needs one, as Workers allow no sharing; Hyperdrive has the pool. */
async function answer(request: Request, env: Env): Promise<Response> {
  const client = new Client({ connectionString: env.HYPERDRIVE.connectionString })
  let connected: Promise<unknown> | undefined
  const sessions = createSessions<Shop>({
    secret: env.SESSION_SECRET,
    store: resilient(
      createSqlStore({
        dialect: 'postgres',
        async query(text, params) {
          connected ??= client.connect()
          await connected
          const { rows, rowCount } = await client.query(text, [...params])
          return { rows, affected: rowCount ?? 0 }
        },
      }),
    ),
  })
  try {
    return await sessions.handler(createShop(sessions))(request)
  } finally {
    if (connected) await client.end()
  }
}

export default { fetch: answer }
