// SESSION_SECRET=$(openssl rand -base64 32) npx bun examples/bun/main.ts
import { createSessions } from 'sojourn'
import { createMemoryStore } from 'sojourn/memory'
import { createShop, type Shop } from '../story/shop.ts'

const secret = Bun.env.SESSION_SECRET
const port = Number(Bun.env.PORT ?? 3000)

const sessions = createSessions<Shop>({ secret, store: createMemoryStore() })

const fetch = sessions.handler(createShop(sessions))
const server = Bun.serve({ hostname: '127.0.0.1', port, fetch })
console.log(`Listening on ${server.url}`)
