// npx wrangler dev examples/workers/worker.ts --compatibility-date 2026-10-20 --var SESSION_SECRET:$(openssl rand -hex 32)
import { withSessions } from 'sojourn/workers'

interface Env {
  SESSION_SECRET: string
}

export default withSessions(
  (env: Env) => ({ secret: env.SESSION_SECRET }),
  async (request, _env, _ctx, sessions) => {
    const session = await sessions.get(request)
    session.update('visits', (n = 0) => n + 1)
    return new Response(`visit ${session.get('visits')}`)
  },
)
