// SESSION_SECRET=$(openssl rand -base64 32) npx node examples/node/main.ts
import { serve } from '@hono/node-server'
import { createSessions } from 'sojourn'
import { createMemoryStore } from 'sojourn/memory'
import { createShop, type Shop } from '../story/shop.ts'

const secret = process.env.SESSION_SECRET
const port = Number(process.env.PORT ?? 3000)

// One process, so sessions can live in its memory: signing out ends them at once.
const sessions = createSessions<Shop>({ secret, store: createMemoryStore() })

const fetch = sessions.handler(createShop(sessions))
serve({ fetch, hostname: '127.0.0.1', port }, (info) => console.log(`Listening on ${info.port}`))
