// SESSION_SECRET=$(openssl rand -base64 32) npx node examples/h3/main.ts
import { H3, redirect, serve, toResponse } from 'h3'
import { createSessions } from 'sojourn'
import { requireSession } from 'sojourn/guard'
import { createMemoryStore } from 'sojourn/memory'
import { type Shop, summarize } from '../story/shop.ts'

const secret = process.env.SESSION_SECRET
const port = Number(process.env.PORT ?? 3000)

const sessions = createSessions<Shop>({ secret, store: createMemoryStore() })
const guard = requireSession(sessions, { onMissing: '/' })

const app = new H3()
  .use((event, next) => sessions.handler(async () => toResponse(await next(), event))(event.req))
  .get('/', async ({ req }) => summarize(await sessions.get(req)))
  .post('/cart', async ({ req }) => {
    const session = await sessions.get(req)
    const item = String((await req.formData()).get('item'))
    session.update('cart', (cart = []) => [...cart, item])
    session.flash('notice', `${item} is in your cart`)
    return redirect('/', 303)
  })
  .post('/sign-in', async ({ req }) => {
    const session = await sessions.get(req)
    const name = String((await req.formData()).get('name'))
    session.login(name)
    session.flash('notice', `Welcome, ${name}`)
    return redirect('/account', 303)
  })
  .get('/account', async ({ req }) => (await guard(req)) ?? summarize(await sessions.get(req)))
  .post('/sign-out', async ({ req }) => {
    ;(await sessions.get(req)).destroy()
    return redirect('/', 303)
  })

serve(app, { hostname: '127.0.0.1', port })
