// npx wrangler dev --config examples/hono/wrangler.toml --var SESSION_SECRET:$(openssl rand -hex 32)
import { type Context, Hono } from 'hono'
import { upgradeWebSocket } from 'hono/cloudflare-workers'
import { streamSSE } from 'hono/streaming'
import { createSessions, type Sessions } from 'sojourn'
import { createDurableObjectStore, type SessionObjectNamespace } from 'sojourn/durable-object'
import { requireSession, session } from 'sojourn/hono'
import { resilient } from 'sojourn/resilience'
import { type Shop, summarize } from '../story/shop.ts'

export { SessionObject } from 'sojourn/durable-object'

interface Env {
  Bindings: { SESSION_SECRET: string; SESSION_OBJECTS: SessionObjectNamespace }
}

let sessions: Sessions<Shop> | undefined
const sessionsOf = ({ env }: Pick<Context<Env>, 'env'>): Sessions<Shop> => {
  sessions ??= createSessions<Shop>({
    secret: env.SESSION_SECRET,
    store: resilient(createDurableObjectStore({ namespace: env.SESSION_OBJECTS }), { attempts: 2 }),
  })
  return sessions
}

/** Asks again and again whether who opened a long-lived connection is still signed in. */
async function watch(c: Pick<Context<Env>, 'env' | 'req'>): Promise<() => Promise<boolean>> {
  const { subject } = await sessionsOf(c).get(c.req.raw)
  const header = c.req.header('cookie') ?? null
  return async () => subject !== null && (await sessionsOf(c).open(header)).subject === subject
}

const app = new Hono<Env>()
  .use(session(sessionsOf))
  .use('/account', requireSession({ onMissing: '/' }))
  .get('/', async (c) => c.text(summarize(await c.var.session())))
  .get('/account', async (c) => c.text(summarize(await c.var.session())))
  .post('/cart', async (c) => {
    const current = await c.var.session()
    const { item } = await c.req.parseBody()
    current.update('cart', (cart = []) => [...cart, String(item)])
    current.flash('notice', `${item} is in your cart`)
    return c.redirect('/', 303)
  })
  .post('/sign-in', async (c) => {
    const { name } = await c.req.parseBody()
    const current = await c.var.session()
    current.login(String(name))
    current.flash('notice', `Welcome, ${name}`)
    return c.redirect('/account', 303)
  })
  .post('/sign-out', async (c) => {
    ;(await c.var.session()).destroy()
    return c.redirect('/', 303)
  })
  // Both end at the next check after a sign-out, wherever that happens.
  .get('/events', async (c) => {
    const isSignedIn = await watch(c)
    return streamSSE(c, async (stream) => {
      while (await isSignedIn()) {
        await stream.writeSSE({ data: 'still here' })
        await stream.sleep(1000)
      }
    })
  })
  .get(
    '/socket',
    upgradeWebSocket(async (c) => {
      const isSignedIn = await watch(c)
      return {
        async onMessage({ data }, socket) {
          if (await isSignedIn()) socket.send(`You said ${data}`)
          else socket.close(4401, 'signed out')
        },
      }
    }),
  )

export default app
