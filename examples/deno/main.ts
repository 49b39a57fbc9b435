// SESSION_SECRET=$(openssl rand -base64 32) npx deno run --allow-net --allow-env examples/deno/main.ts
import { createSessions } from 'sojourn'
import { createMemoryStore } from 'sojourn/memory'
import { createShop, type Shop } from '../story/shop.ts'

const secret = Deno.env.get('SESSION_SECRET')
const port = Number(Deno.env.get('PORT') ?? 8000)

const sessions = createSessions<Shop>({ secret, store: createMemoryStore() })

Deno.serve({ hostname: '127.0.0.1', port }, sessions.handler(createShop(sessions)))
