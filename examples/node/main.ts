// SESSION_SECRET=$(openssl rand -base64 32) node examples/node/main.ts
import { serve } from '@hono/node-server'
import { createSessions } from 'sojourn'
import { createMemoryStore } from 'sojourn/memory'

const secret = process.env.SESSION_SECRET ?? ''
const port = Number(process.env.PORT ?? 3000)

// One process, so sessions can live in its memory: signing out ends them at once.
const sessions = createSessions<{ visits: number }>({ secret, store: createMemoryStore() })

const fetch = sessions.handler(async (request) => {
  const session = await sessions.get(request)
  session.update('visits', (n = 0) => n + 1)
  return new Response(`visit ${session.get('visits')}`)
})

serve({ fetch, hostname: '127.0.0.1', port }, (info) => console.log(`Listening on ${info.port}`))
