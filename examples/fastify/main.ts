// SESSION_SECRET=$(openssl rand -base64 32) npx node examples/fastify/main.ts
import Fastify from 'fastify'
import { createSessions } from 'sojourn'
import { createMemoryStore } from 'sojourn/memory'
import { requireSessionHook, type SessionRequest, sojourn } from 'sojourn/node'
import { type Shop, summarize } from '../story/shop.ts'

declare module 'fastify' {
  interface FastifyRequest extends SessionRequest<Shop> {}
}

const secret = process.env.SESSION_SECRET
const port = Number(process.env.PORT ?? 3000)

// One process, so sessions can live in its memory: signing out ends them at once.
const sessions = createSessions<Shop>({ secret, store: createMemoryStore() })

const app = Fastify()
app.register(sojourn, { sessions })

// Fastify reads forms with @fastify/formbody; this is all that the shop needs of it.
const form = 'application/x-www-form-urlencoded'
app.addContentTypeParser(form, { parseAs: 'string' }, async (_: unknown, body: string) =>
  Object.fromEntries(new URLSearchParams(body)),
)
type Form = { Body: Record<string, string> }

app.get('/', async (request) => summarize(await request.session()))

app.get('/account', { preHandler: requireSessionHook({ onMissing: '/' }) }, async (request) =>
  summarize(await request.session()),
)

app.post<Form>('/cart', async ({ body, session }, reply) => {
  const current = await session()
  current.append('cart', String(body.item))
  current.flash('notice', `${body.item} is in your cart`)
  return reply.redirect('/', 303)
})

app.post<Form>('/sign-in', async ({ body, session }, reply) => {
  const current = await session()
  current.login(String(body.name))
  current.flash('notice', `Welcome, ${body.name}`)
  return reply.redirect('/account', 303)
})

app.post('/sign-out', async (request, reply) => {
  const current = await request.session()
  current.destroy()
  return reply.redirect('/', 303)
})

await app.listen({ port, host: '127.0.0.1' })
console.log(`Listening on ${port}`)
