// SESSION_SECRET=$(openssl rand -base64 32) bun examples/bun/main.ts
import { createSessions } from 'sojourn'

const secret = Bun.env.SESSION_SECRET ?? ''
const port = Number(Bun.env.PORT ?? 3000)

const sessions = createSessions<{ visits: number }>({ secret })

const server = Bun.serve({
  hostname: '127.0.0.1',
  port,
  fetch: sessions.handler(async (request) => {
    const session = await sessions.get(request)
    session.update('visits', (n = 0) => n + 1)
    return new Response(`visit ${session.get('visits')}`)
  }),
})
console.log(`Listening on ${server.url}`)
