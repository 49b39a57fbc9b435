/**
 * Has each library make a cookie: `node test/vectors/make-migrate.ts > test/vectors/migrate.json`.
 * Every run makes others, of which any are as good.
 */
import { createRequire } from 'node:module'
import { useSession } from '@hono/session'
import { sealSession as sealVersion2 } from 'h3'
import { sealSession as sealVersion1 } from 'h3-v1'
import { Hono } from 'hono'
import { sealData } from 'iron-session'
import { cookiesOf, headerOf, type Middleware } from '../migrate/support.ts'

const require = createRequire(import.meta.url)
const expressSession = require('express-session') as (options: object) => Middleware
const cookieSession = require('cookie-session') as (options: object) => Middleware

const secret = 'a secret that is public, and frozen'
const createdAt = 1_700_000_000_000
const data = { userId: 7, name: 'Ada ä €' }
const sid = 'frozen-session'

const event = { context: { sessions: { h3: { id: 'frozen', createdAt, data } } } } as never
const fill = ({ session }: { session: object }): void => void Object.assign(session, data)

const app = new Hono()
app.use(useSession({ secret }) as never)
app.get('/', async (c) => {
  const { session } = c.var as { session: { update(data: unknown): Promise<void> } }
  await session.update(data)
  return c.text('ok')
})

const express = { secret, resave: false, saveUninitialized: false, genid: () => sid }
const cookies = {
  iron: `app=${await sealData(data, { password: secret, ttl: 0 })}`,
  h3Version1: `h3=${await sealVersion1(event, { password: secret })}`,
  h3Version2: `h3=${await sealVersion2(event, { password: secret })}`,
  hono: headerOf((await app.request('/')).headers.getSetCookie()),
  express: await cookiesOf(expressSession(express), fill),
  cookie: await cookiesOf(cookieSession({ keys: [secret] }), fill),
}
console.log(JSON.stringify({ secret, createdAt, sid, data, cookies }, null, 2))
