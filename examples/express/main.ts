// SESSION_SECRET=$(openssl rand -base64 32) npx node examples/express/main.ts
import express from 'express'
import { createSessions } from 'sojourn'
import { createMemoryStore } from 'sojourn/memory'
import { requireSession, type SessionRequest, session } from 'sojourn/node'
import { type Shop, summarize } from '../story/shop.ts'

declare global {
  namespace Express {
    interface Request extends SessionRequest<Shop> {}
  }
}

const secret = process.env.SESSION_SECRET
const port = Number(process.env.PORT ?? 3000)

// One process, so sessions can live in its memory: signing out ends them at once.
const sessions = createSessions<Shop>({ secret, store: createMemoryStore() })

const app = express()
app.use(express.urlencoded({ extended: false }), session(sessions))

app.get('/', async (req, res) => {
  res.type('text').send(summarize(await req.session()))
})

app.get('/account', requireSession({ onMissing: '/' }), async (req, res) => {
  res.type('text').send(summarize(await req.session()))
})

app.post('/cart', async (req, res) => {
  const current = await req.session()
  current.append('cart', String(req.body.item))
  current.flash('notice', `${req.body.item} is in your cart`)
  res.redirect(303, '/')
})

app.post('/sign-in', async (req, res) => {
  const current = await req.session()
  current.login(String(req.body.name))
  current.flash('notice', `Welcome, ${req.body.name}`)
  res.redirect(303, '/account')
})

app.post('/sign-out', async (req, res) => {
  const current = await req.session()
  current.destroy()
  res.redirect(303, '/')
})

app.listen(port, '127.0.0.1', () => console.log(`Listening on ${port}`))
