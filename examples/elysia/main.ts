// SESSION_SECRET=$(openssl rand -base64 32) npx bun examples/elysia/main.ts
import { Elysia, redirect, t } from 'elysia'
import { createSessions } from 'sojourn'
import { requireSession } from 'sojourn/guard'
import { createMemoryStore } from 'sojourn/memory'
import { type Shop, summarize } from '../story/shop.ts'

const secret = Bun.env.SESSION_SECRET
const port = Number(Bun.env.PORT ?? 3000)

const sessions = createSessions<Shop>({ secret, store: createMemoryStore() })
const guard = requireSession(sessions, { onMissing: '/' })

const app = new Elysia()
  .derive(({ request }) => ({ session: () => sessions.get(request) }))
  .get('/', async ({ session }) => summarize(await session()))
  .post(
    '/cart',
    async ({ session, body: { item } }) => {
      const current = await session()
      current.update('cart', (cart = []) => [...cart, item])
      current.flash('notice', `${item} is in your cart`)
      return redirect('/', 303)
    },
    { body: t.Object({ item: t.String() }) },
  )
  .post(
    '/sign-in',
    async ({ session, body: { name } }) => {
      const current = await session()
      current.login(name)
      current.flash('notice', `Welcome, ${name}`)
      return redirect('/account', 303)
    },
    { body: t.Object({ name: t.String() }) },
  )
  .get(
    '/account',
    async ({ request, session }) => (await guard(request)) ?? summarize(await session()),
  )
  .post('/sign-out', async ({ session }) => {
    ;(await session()).destroy()
    return redirect('/', 303)
  })

Bun.serve({ hostname: '127.0.0.1', port, fetch: sessions.handler(app.fetch) })
