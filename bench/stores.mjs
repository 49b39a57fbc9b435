// Stores of express-session beside ours, in one run: operations per second against the same server or file, 16 at a
// time, 500 sessions of some 300 bytes. `read`: get | read. `write`: set | a write that replaces what was read. Servers
// where Debian's packages are installed. Stores alone: no encryption, no HTTP (for those: express.mjs). Build this project first.
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import sqliteStoreOf from 'better-sqlite3-session-store'
import connectPgSimple from 'connect-pg-simple'
import mysqlStoreOf from 'express-mysql-session'
import expressSession from 'express-session'
import memorystoreOf from 'memorystore'
import mysql from 'mysql2/promise'
import pg from 'pg'
import { createMemoryStore } from '../dist/stores/memory.js'
import { applySqlSchema, createSqlStore } from '../dist/stores/sql.js'
import { mariadbAccess, postgresFolder, postgresUrl, startMariadb, startPostgres } from '../test/support/sql-servers.ts'
import { interleave, table } from './lib/measure.mjs'

const WIDTH = 16
const SESSIONS = 500
const HOUR = 3_600_000
const sess = () => ({ cookie: { originalMaxAge: HOUR, expires: new Date(Date.now() + HOUR), httpOnly: true, path: '/' }, text: 'x'.repeat(200) })
const idOf = (i) => `session-${i % SESSIONS}`

/** Operations on a store of express-session. */
async function theirs(store) {
  const call = (name, ...given) => new Promise((resolve, reject) => store[name](...given, (error, value) => (error ? reject(error) : resolve(value))))
  for (let i = 0; i < SESSIONS; i++) await call('set', idOf(i), sess())
  let i = 0
  return { read: () => call('get', idOf(i++)), write: () => call('set', idOf(i++), sess()) }
}

/** The same on one of ours. */
async function ours(store) {
  let n = 0
  const record = () => ({ value: 'x'.repeat(300), version: `v${n++}`, epoch: '1..0.1', expiresAt: Date.now() + HOUR })
  const versions = []
  for (let i = 0; i < SESSIONS; i++) {
    const one = record()
    await store.write(idOf(i), one, null)
    versions[i] = one.version
  }
  let i = 0
  return {
    read: () => store.read(idOf(i++)),
    async write() {
      const at = i++ % SESSIONS
      const one = record()
      const { ok } = await store.write(idOf(at), one, versions[at], { entry: 'e'.repeat(120) })
      if (!ok) throw new Error('refused')
      versions[at] = one.version
    },
  }
}

const groups = []
const cleanUp = []

async function compare(backend, candidates) {
  const made = {}
  for (const [name, make] of Object.entries(candidates)) made[name] = await make()
  for (const operation of ['read', 'write']) {
    const tasks = Object.entries(made).map(([id, one]) => ({ id, f: one[operation] }))
    const result = await interleave(tasks, { rounds: 15, chunkMs: 60, width: WIDTH, ref: tasks[0].id })
    for (const { id } of tasks) {
      const { err, med, ratio } = result[id]
      groups.push({ backend, operation, store: id, 'per second': err ?? Math.round(1e6 / med), 'x first': ratio && (1 / ratio).toFixed(2) })
    }
  }
}

const Memorystore = memorystoreOf(expressSession)
await compare('memory', {
  memorystore: () => theirs(new Memorystore({ checkPeriod: 0 })),
  Sojourn: () => ours(createMemoryStore()),
})

const folder = mkdtempSync(join(tmpdir(), 'sojourn-bench-'))
cleanUp.push(() => rmSync(folder, { recursive: true }))
const open = (name) => {
  const db = new Sqlite(join(folder, name))
  db.pragma('journal_mode = WAL')
  db.pragma('synchronous = NORMAL')
  return db
}
await compare('SQLite', {
  'better-sqlite3-session-store': () => theirs(new (sqliteStoreOf(expressSession))({ client: open('theirs.db'), expired: { clear: false } })),
  async Sojourn() {
    const db = open('ours.db')
    const prepared = new Map()
    const query = async (text, params) => {
      const known = prepared.get(text) ?? db.prepare(text)
      prepared.set(text, known)
      return known.reader ? { rows: known.all(...params), affected: 0 } : { rows: [], affected: known.run(...params).changes }
    }
    await applySqlSchema({ dialect: 'sqlite', query })
    return ours(createSqlStore({ dialect: 'sqlite', query }))
  },
})

if (postgresFolder()) {
  const server = await startPostgres()
  const pool = new pg.Pool({ connectionString: postgresUrl(server.port), max: WIDTH })
  cleanUp.push(() => pool.end(), () => server.stop())
  const plain = async (text, values) => pool.query(text, values).then(({ rows, rowCount }) => ({ rows, affected: rowCount }))
  const named = async (text, values, { name }) => pool.query({ name, text, values }).then(({ rows, rowCount }) => ({ rows, affected: rowCount }))
  await applySqlSchema({ dialect: 'postgres', query: plain })
  await applySqlSchema({ dialect: 'postgres', query: plain, table: 'prepared' })
  const PgStore = connectPgSimple(expressSession)
  await compare('PostgreSQL', {
    'connect-pg-simple': () => theirs(new PgStore({ pool, createTableIfMissing: true, pruneSessionInterval: false })),
    Sojourn: () => ours(createSqlStore({ dialect: 'postgres', query: plain })),
    'Sojourn, prepared by name': () => ours(createSqlStore({ dialect: 'postgres', query: named, table: 'prepared' })),
  })
}

if (existsSync('/usr/sbin/mariadbd')) {
  const server = await startMariadb()
  const pool = mysql.createPool({ ...mariadbAccess(server.port), connectionLimit: WIDTH })
  cleanUp.push(() => pool.end(), () => server.stop())
  const answerOf = ([result]) => (Array.isArray(result) ? { rows: result, affected: 0 } : { rows: [], affected: result.affectedRows })
  const plain = async (text, params) => answerOf(await pool.query(text, params))
  const prepared = async (text, params) => answerOf(await pool.execute(text, params))
  await applySqlSchema({ dialect: 'mysql', query: plain })
  await applySqlSchema({ dialect: 'mysql', query: plain, table: 'prepared' })
  const MysqlStore = mysqlStoreOf(expressSession)
  const store = new MysqlStore({ clearExpired: false }, pool)
  await store.onReady()
  await compare('MariaDB', {
    'express-mysql-session': () => theirs(store),
    Sojourn: () => ours(createSqlStore({ dialect: 'mysql', query: plain })),
    'Sojourn, execute': () => ours(createSqlStore({ dialect: 'mysql', query: prepared, table: 'prepared' })),
  })
}

console.log(table(groups, Object.keys(groups[0])))
for (const end of cleanUp) await end()
process.exit(0)
