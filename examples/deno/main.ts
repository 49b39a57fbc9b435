// SESSION_SECRET=$(openssl rand -base64 32) deno run --allow-net --allow-env examples/deno/main.ts
import { createSessions } from 'sojourn'

const secret = Deno.env.get('SESSION_SECRET') ?? ''
const port = Number(Deno.env.get('PORT') ?? 8000)

const sessions = createSessions<{ visits: number }>({ secret })

Deno.serve(
  { hostname: '127.0.0.1', port },
  sessions.handler(async (request) => {
    const session = await sessions.get(request)
    session.update('visits', (n = 0) => n + 1)
    return new Response(`visit ${session.get('visits')}`)
  }),
)
