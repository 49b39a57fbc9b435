// Express 5 with sojourn/node beside express-session, over real sockets on 127.0.0.1, in one run: microseconds per
// request as ratios to Express alone, those of this process (the client is in it, the database is not), and how often each asks its store. 16 of 500 browsers at once, each with a
// session of its own. With PostgreSQL where Debian's package is installed; then also what one browser waits for when each query takes a
// millisecond longer, as from another machine. Build this project first.
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import connectPgSimple from 'connect-pg-simple'
import express from 'express'
import expressSession from 'express-session'
import pg from 'pg'
import { session } from '../dist/adapters/node.js'
import { createSessions } from '../dist/index.js'
import { createMemoryStore } from '../dist/stores/memory.js'
import { createSqlStore, sqlSchema } from '../dist/stores/sql.js'
import { postgresFolder, postgresUrl, startPostgres } from '../test/support/sql-servers.ts'
import { SECRET } from './lib/common.mjs'
import { fmt, interleave, table } from './lib/measure.mjs'

const WIDTH = 16
const BROWSERS = 500
const agent = new Agent({ keepAlive: true, maxSockets: WIDTH })

/** Counts the calls of some methods of an object. */
function counted(target, names, calls) {
  for (const name of names) {
    const original = target[name]
    target[name] = function (...args) {
      calls.n++
      return original.apply(this, args)
    }
  }
  return target
}

const start = (app) =>
  new Promise((resolve) => {
    const server = app.listen(0, '127.0.0.1', () => resolve(server.address().port))
  })

/** One request of a browser, which stores the cookie that it gets. */
function ask(port, path, browser) {
  return new Promise((resolve, reject) => {
    const headers = browser.cookie ? { cookie: browser.cookie } : {}
    request({ port, host: '127.0.0.1', path, headers, agent }, (message) => {
      const [cookie] = message.headers['set-cookie'] ?? []
      if (cookie) browser.cookie = cookie.split(';')[0]
      message.resume()
      message.on('end', () => resolve(message))
    })
      .on('error', reject)
      .end()
  })
}

const app = () => express().set('env', 'test').disable('x-powered-by').disable('etag')

function withExpressSession(inner = new expressSession.MemoryStore()) {
  const calls = { n: 0 }
  const store = counted(inner, ['get', 'set', 'touch'], calls)
  const one = app().use(expressSession({ secret: SECRET, store, resave: false, saveUninitialized: false }))
  one.get('/unused', (_, res) => res.send('ok'))
  one.get('/read', (req, res) => res.send(String(req.session.count)))
  one.get('/write', (req, res) => {
    req.session.count = (req.session.count ?? 0) + 1
    res.send(String(req.session.count))
  })
  return { app: one, calls }
}

function withSojourn(options, inner = createMemoryStore()) {
  const calls = { n: 0 }
  const store = counted(inner, ['read', 'write', 'end'], calls)
  const cookie = { name: 's', secure: false }
  const sessions = createSessions({ secret: SECRET, cookie, ...options(store) })
  const one = app().use(session(sessions))
  one.get('/unused', (_, res) => res.send('ok'))
  one.get('/read', async (req, res) => res.send(String((await req.session()).get('count'))))
  one.get('/write', async (req, res) => {
    const current = await req.session()
    current.increment('count')
    res.send(String(current.get('count')))
  })
  return { app: one, calls }
}

function bare() {
  const one = app()
  for (const path of ['/unused', '/read', '/write']) one.get(path, (_, res) => res.send('1'))
  return { app: one, calls: { n: 0 } }
}

/** Candidates with PostgreSQL; `query` is that of a pool. */
function withPostgres(query) {
  const pool = { query }
  const ask = async (name, text, values) => {
    const { rows, rowCount } = await query({ name, text, values })
    return { rows, affected: rowCount }
  }
  const unnamed = (text, values) => ask(undefined, text, values)
  const named = (text, values, { name }) => ask(name, text, values)
  const storeOf = (query) => createSqlStore({ dialect: 'postgres', query })
  const PgStore = connectPgSimple(expressSession)
  const options = { pool, createTableIfMissing: true, pruneSessionInterval: false }
  const snapshot = { maxAge: 10 }
  return {
    'express-session, connect-pg-simple': withExpressSession(new PgStore(options)),
    'Sojourn, PostgreSQL': withSojourn((store) => ({ store }), storeOf(unnamed)),
    'Sojourn, PostgreSQL by name': withSojourn((store) => ({ store }), storeOf(named)),
    'Sojourn, PostgreSQL by name, snapshot of 10 s': withSojourn((store) => ({ store, snapshot }), storeOf(named)),
  }
}

/** Compares candidates, with `width` requests at a time. */
async function compare(paths, candidates, width, ref) {
  const rows = []
  for (const one of Object.values(candidates)) {
    one.port = await start(one.app)
    one.browsers = Array.from({ length: BROWSERS }, () => ({ cookie: '' }))
    for (const browser of one.browsers) await ask(one.port, '/write', browser)
  }
  for (const path of paths) {
    const tasks = Object.entries(candidates).map(([id, { port, browsers }]) => {
      let i = 0
      return { id, f: () => ask(port, path, browsers[i++ % BROWSERS]) }
    })
    const result = await interleave(tasks, { rounds: 15, slowRounds: 15, chunkMs: 60, width, ref })
    for (const [id, { browsers, calls, port }] of Object.entries(candidates)) {
      calls.n = 0
      for (const browser of browsers) await ask(port, path, browser)
      const { cpu, med, ratio } = result[id]
      const asked = calls.n / BROWSERS
      rows.push({ request: path.slice(1), candidate: id, us: fmt(med), [`x ${ref}`]: fmt(ratio), 'us of processor': fmt(cpu), 'store calls': fmt(asked) })
    }
  }
  console.log(`\n${table(rows, Object.keys(rows[0]))}`)
}

const candidates = {
  'Express alone': bare(),
  'express-session, memory': withExpressSession(),
  'Sojourn, memory': withSojourn((store) => ({ store })),
  'Sojourn, memory, snapshot of 10 s': withSojourn((store) => ({ store, snapshot: { maxAge: 10 } })),
  'Sojourn, in the cookie': withSojourn(() => ({})),
}
let server
let pool
if (postgresFolder()) {
  server = await startPostgres()
  pool = new pg.Pool({ connectionString: postgresUrl(server.port), max: WIDTH })
  for (const statement of sqlSchema('postgres')) await pool.query(statement)
  Object.assign(candidates, withPostgres((...args) => pool.query(...args)))
}
await compare(['/unused', '/read', '/write'], candidates, WIDTH, 'Express alone')
if (pool) {
  const away = async (...args) => {
    await sleep(1)
    return pool.query(...args)
  }
  const { 'Sojourn, PostgreSQL': _, ...others } = withPostgres(away)
  console.log('\nOne browser at a time, each query a millisecond longer:')
  await compare(['/read', '/write'], others, 1, 'express-session, connect-pg-simple')
}
await pool?.end()
await server?.stop()
process.exit(0)
