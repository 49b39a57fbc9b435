// npx wrangler dev --config examples/hono/wrangler.toml --var SESSION_SECRET:$(openssl rand -hex 32)
import { Hono } from 'hono'
import { streamSSE } from 'hono/streaming'
import { createSessions, type Sessions } from 'sojourn'
import { session } from 'sojourn/hono'
import { type Shop, summarize } from '../story/shop.ts'

interface Env {
  Bindings: { SESSION_SECRET: string }
}

// Everything lives in the cookie: no store, and so no way to end a copy of it early.
let sessions: Sessions<Shop> | undefined
const sessionsOf = ({ env }: { env: Env['Bindings'] }): Sessions<Shop> => {
  sessions ??= createSessions<Shop>({ secret: env.SESSION_SECRET })
  return sessions
}

const app = new Hono<Env>()
  .use(session(sessionsOf))
  .get('/', async (c) => c.text(summarize(await c.var.session())))
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
  .get('/account', async (c) => {
    const current = await c.var.session()
    return current.subject === null ? c.redirect('/', 303) : c.text(summarize(current))
  })
  // A stream outlives its response: it asks again before each event, and ends with the session.
  .get('/events', async (c) => {
    const { subject } = await c.var.session()
    const header = c.req.header('cookie') ?? null
    return streamSSE(c, async (stream) => {
      while (subject !== null && (await sessionsOf(c).open(header)).subject === subject) {
        await stream.writeSSE({ data: `still ${subject}` })
        await stream.sleep(1000)
      }
    })
  })
  .post('/sign-out', async (c) => {
    ;(await c.var.session()).destroy()
    return c.redirect('/', 303)
  })

export default app
