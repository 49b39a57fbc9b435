/**
 * An Express application on connect-pg-simple moves to `sojourn/node` and `sojourn/sql`, in the same database, and back
 * again, as docs/guides/from-express-session.md says.
 */
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import express, { type Express } from 'express'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type SessionRequest, session } from '../../src/adapters/node.ts'
import { createSessions } from '../../src/index.ts'
import { fromExpressSession } from '../../src/migrate/index.ts'
import { createSqlStore, sqlSchema } from '../../src/stores/sql.ts'
import { createCookieJar } from '../../src/testing/index.ts'
import { postgresUrl, type SqlServer, startPostgres } from '../support/sql-servers.ts'

const require = createRequire(import.meta.url)
const expressSession = require('express-session') as (options: object) => express.RequestHandler
const PgStore = require('connect-pg-simple')(expressSession) as new (options: object) => object

const EXPRESS_SECRET = 'of the application before'
const ends: (() => unknown)[] = []
let server: SqlServer
let pool: pg.Pool

beforeAll(async () => {
  server = await startPostgres()
  pool = new pg.Pool({ connectionString: postgresUrl(server.port) })
  for (const statement of sqlSchema('postgres')) await pool.query(statement)
})
afterAll(async () => {
  for (const end of ends) await end()
  await pool?.end()
  await server?.stop()
})

async function listen(app: Express): Promise<(path: string, jar: Jar) => Promise<string>> {
  const listening = app.listen(0, '127.0.0.1')
  await new Promise((resolve) => listening.once('listening', resolve))
  ends.push(() => {
    listening.closeAllConnections()
    listening.close()
  })
  const origin = `http://127.0.0.1:${(listening.address() as AddressInfo).port}`
  return async (path, jar) => {
    const cookie = jar.header(path)
    const response = await fetch(origin + path, { headers: cookie ? { cookie } : {} })
    jar.store(response, path)
    return response.text()
  }
}
type Jar = ReturnType<typeof createCookieJar>

/** The application as it was. */
function createBefore(): Express {
  const app = express().set('env', 'test')
  const store = new PgStore({ pool, createTableIfMissing: true, pruneSessionInterval: false })
  app.use(
    expressSession({ store, secret: EXPRESS_SECRET, resave: false, saveUninitialized: false }),
  )
  type Old = { session: { userId?: number; cart?: string[] } }
  app.get('/sign-in', (req, res) => {
    const { session } = req as unknown as Old
    session.userId = 7
    session.cart = ['tent']
    res.send('hello')
  })
  app.get('/', (req, res) => {
    const { userId, cart } = (req as unknown as Old).session
    res.json([userId === undefined ? null : String(userId), cart ?? []])
  })
  return app
}

/** The application after the move. */
function createAfter(): Express {
  const sessions = createSessions<{ cart: string[] }>({
    secret: 'of the application afterwards, long enough for anybody',
    cookie: { name: 'app', secure: false },
    store: createSqlStore({
      dialect: 'postgres',
      query: async (text, params) => {
        const { rows, rowCount } = await pool.query(text, [...params])
        return { rows, affected: rowCount ?? 0 }
      },
    }),
    importFrom: [
      fromExpressSession({
        secret: EXPRESS_SECRET,
        load: async (sid) => {
          const text = 'SELECT sess FROM session WHERE sid = $1 AND expire > now()'
          return (await pool.query(text, [sid])).rows[0]?.sess
        },
        toSession: ({ userId, cart }) => ({
          data: { cart: (cart as string[]) ?? [] },
          subject: userId ? String(userId) : null,
        }),
      }),
    ],
  })
  const app = express().set('env', 'test').use(session(sessions))
  app.get('/', async (req, res) => {
    const current = await (req as unknown as SessionRequest<{ cart: string[] }>).session()
    current.append('cart', 'rope')
    res.json([current.subject, current.get('cart')])
  })
  return app
}

it('an Express application on connect-pg-simple moves, and nobody is signed out', async () => {
  const [before, after] = [await listen(createBefore()), await listen(createAfter())]
  const jar = createCookieJar({ origin: 'http://127.0.0.1' })
  await before('/sign-in', jar)
  expect(JSON.parse(await before('/', jar))).toEqual(['7', ['tent']])
  expect(JSON.parse(await after('/', jar))).toEqual(['7', ['tent', 'rope']])
  expect(jar.header('/')).not.toContain('connect.sid')
  expect(JSON.parse(await after('/', jar))).toEqual(['7', ['tent', 'rope', 'rope']])
  const { rows } = await pool.query('SELECT count(*)::int AS n FROM sojourn_sessions')
  expect(rows).toEqual([{ n: 1 }])

  // Back: whoever has moved signs in again. Forward again: the later sign-in counts.
  expect(JSON.parse(await before('/', jar))).toEqual([null, []])
  await before('/sign-in', jar)
  expect(JSON.parse(await before('/', jar))).toEqual(['7', ['tent']])
  const [user] = JSON.parse(await after('/', jar))
  expect(user).toBe('7')
})
