// SESSION_SECRET=$(openssl rand -base64 32) npx node examples/error-handling/main.ts
// deno run --allow-net --allow-env examples/error-handling/main.ts
// bun examples/error-handling/main.ts
import process from 'node:process'
import { createShop } from './app.ts'

const fetch = createShop(process.env.SESSION_SECRET ?? '')
const port = Number(process.env.PORT ?? 3000)
const hostname = '127.0.0.1'

if ('Deno' in globalThis) Deno.serve({ hostname, port }, fetch)
else if ('Bun' in globalThis) Bun.serve({ hostname, port, fetch })
else (await import('@hono/node-server')).serve({ fetch, hostname, port })
