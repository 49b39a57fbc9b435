// npx wrangler dev examples/hono/app.ts --compatibility-date 2026-10-20 --var SESSION_SECRET:$(openssl rand -hex 32)
import { Hono } from 'hono'
import { createSessions } from 'sojourn'
import { session } from 'sojourn/hono'

interface Env {
  Bindings: { SESSION_SECRET: string }
}

const app = new Hono<Env>()
  .use(session((c) => createSessions<{ visits: number }>({ secret: c.env.SESSION_SECRET })))
  .get('/', async (c) => {
    const current = await c.var.session()
    current.update('visits', (n = 0) => n + 1)
    return c.text(`visit ${current.get('visits')}`)
  })
  .post('/sign-in', async (c) => {
    const { name } = await c.req.parseBody()
    const current = await c.var.session()
    current.login(String(name))
    current.flash('notice', `Welcome, ${name}`)
    return c.redirect('/me', 303)
  })
  .get('/me', async (c) => {
    const current = await c.var.session()
    if (current.subject === null) return c.text('Sign in first', 401)
    return c.text(`${current.flash('notice') ?? `Hello again, ${current.subject}`}`)
  })
  .post('/sign-out', async (c) => {
    ;(await c.var.session()).destroy()
    return c.redirect('/', 303)
  })

export default app
