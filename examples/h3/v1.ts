// SESSION_SECRET=$(openssl rand -base64 32) npx node examples/h3/v1.ts
// What Nuxt 4 and Nitro 2 run on: there, `export default fromWebHandler(...)` in server/routes/[...].ts.
import { createServer } from 'node:http'
import { createApp, fromWebHandler, toNodeListener } from 'h3-v1'
import { createSessions } from 'sojourn'
import { createMemoryStore } from 'sojourn/memory'
import { createShop, type Shop } from '../story/shop.ts'

const secret = process.env.SESSION_SECRET
const port = Number(process.env.PORT ?? 3000)

const sessions = createSessions<Shop>({ secret, store: createMemoryStore() })

const app = createApp().use(fromWebHandler(sessions.handler(createShop(sessions))))

createServer(toNodeListener(app)).listen(port, '127.0.0.1')
