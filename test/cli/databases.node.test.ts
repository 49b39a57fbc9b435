import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cp, mkdir, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import mysql from 'mysql2/promise'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { generateSecret } from '../../src/secret.ts'
import {
  applySqlSchema,
  createSqlStore,
  type SqlDialectName,
  type SqlQuery,
} from '../../src/stores/sql.ts'
import { freePort } from '../support/free-port.ts'
import { openSqlite } from '../support/open-sqlite.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import {
  mariadbAccess,
  postgresUrl,
  type SqlServer,
  startMariadb,
  startPostgres,
} from '../support/sql-servers.ts'
import { begin, createSessions, forbid, RUNTIMES, sojourn } from './support.ts'

const secret = generateSecret()
const DATA = 'data-canary-3b9e'
const PASSWORD = 'password-canary-41cd'
forbid(secret, DATA, PASSWORD)

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'sojourn-cli-sql-'))
let redis: RedisServer
let postgres: SqlServer
let mariadb: SqlServer

beforeAll(async () => {
  redis = await startRedis()
  postgres = await startPostgres()
  mariadb = await startMariadb()
})

afterAll(async () => {
  await redis.stop()
  await postgres.stop()
  await mariadb.stop()
  rmSync(folder, { recursive: true, force: true })
})

interface Database {
  dialect: SqlDialectName
  query: SqlQuery
  url: string
  close(): Promise<void>
}

const databases: Record<string, () => Promise<Database>> = {
  'file:': async () => {
    const path = join(folder, 'sessions.db')
    return {
      dialect: 'sqlite',
      query: openSqlite(path),
      url: `file:${path}`,
      close: async () => {},
    }
  },
  'postgres://': async () => {
    const url = postgresUrl(postgres.port)
    const pool = new pg.Pool({ connectionString: url, max: 4 })
    pool.on('error', () => {})
    const query: SqlQuery = async (text, params) => {
      const { rowCount, rows } = await pool.query(text, params)
      return { rows, affected: rowCount }
    }
    return { dialect: 'postgres', query, url, close: () => pool.end() }
  },
  'mysql://': async () => {
    const { port } = mariadb
    const pool = mysql.createPool(mariadbAccess(port))
    const query: SqlQuery = async (text, params) => {
      const [result] = await pool.query<mysql.RowDataPacket[] | mysql.ResultSetHeader>(text, params)
      if (Array.isArray(result)) return { rows: result, affected: 0 }
      return { rows: [], affected: result.affectedRows }
    }
    const url = `mysql://root@127.0.0.1:${port}/sojourn`
    return { dialect: 'mysql', query, url, close: () => pool.end() }
  },
}

describe.each(Object.entries(databases))('the store of a command, by %s', (scheme, open) => {
  let database: Database

  beforeAll(async () => {
    database = await open()
    const { dialect, query } = database
    await applySqlSchema({ dialect, query })
  })

  afterAll(() => database.close())

  it('gets its tables from migrate', async () => {
    const env = { SESSION_STORE: database.url }
    const run = (...args: string[]) =>
      sojourn(['migrate', '--table', 'visits', ...args, '--json'], { env })
    const check = async (): Promise<unknown[]> => {
      const { code, json } = await run('--check')
      return [code, json.version, json.expected]
    }
    expect(await check()).toEqual([1, 0, 1])
    expect((await run('--apply')).json).toMatchObject({ ok: true, applied: [1] })
    expect((await run('--apply')).json).toMatchObject({ ok: true, applied: [] })
    expect(await check()).toEqual([0, 1, 1])
    const { dialect, query } = database
    const store = createSqlStore({ dialect, query, table: 'visits' })
    expect(await store.read('a')).toBe(null)
  })

  it('lists, counts, explains, prunes and ends', async () => {
    const { dialect, query, url } = database
    const sessions = createSessions({ secret, store: createSqlStore({ dialect, query }) })
    const cookie = await begin(sessions, 'user-1', { note: DATA })
    for (const subject of ['user-1', 'user-2']) await begin(sessions, subject)
    const env = { SESSION_SECRET: secret, SESSION_STORE: url }
    const run = async (...args: string[]): Promise<Record<string, unknown>> =>
      (await sojourn([...args, '--json'], { env, input: cookie })).json
    expect(await run('stats')).toMatchObject({ ok: true, sessions: 3, signedIn: 3 })
    expect(await run('explain')).toMatchObject({ ok: true, reason: 'active' })
    const { sessions: listed } = (await run('list', 'user-1')) as { sessions: { id: string }[] }
    expect(listed).toHaveLength(2)
    expect(await run('revoke', listed[0]!.id, '--yes')).toMatchObject({ ended: 1 })
    expect(await run('revoke-all', 'user-1', '--yes')).toMatchObject({ ended: 1 })
    expect(await run('sign-everybody-out', '--yes')).toMatchObject({ ended: 1 })
    expect(await run('prune')).toMatchObject({ ok: true, removed: expect.any(Number) })
    expect((await run('stats')).sessions).toBe(0)
  })

  it.skipIf(scheme === 'mysql://')('runs on every runtime', async () => {
    for (const runtime of Object.keys(RUNTIMES) as (keyof typeof RUNTIMES)[]) {
      const { code, all } = await sojourn(['stats'], {
        runtime,
        env: { SESSION_STORE: database.url },
      })
      expect([runtime, code, all]).toEqual([runtime, 0, expect.stringContaining('0 sessions')])
    }
  })
})

describe('the store of a command, by the address of a database', () => {
  it('says of one that is not there what to do', async () => {
    const port = await freePort()
    for (const [url, sentence] of [
      [
        `postgres://ann:${PASSWORD}@127.0.0.1:${port}/app`,
        `postgres://127.0.0.1:${port} cannot be reached (ECONNREFUSED)`,
      ],
      [
        `mysql://ann:${PASSWORD}@127.0.0.1:${port}/app`,
        `mysql://127.0.0.1:${port} cannot be reached (ECONNREFUSED)`,
      ],
      [`postgres://postgres@127.0.0.1:${postgres.port}/nothing`, 'cannot be reached (3D000)'],
      [
        `mysql://ann:${PASSWORD}@127.0.0.1:${mariadb.port}/sojourn`,
        'refused the user or the password',
      ],
      ['file:nowhere.db', 'no database file'],
    ]) {
      const { code, stderr } = await sojourn(['stats'], { env: { SESSION_STORE: url! } })
      expect([code, stderr]).toEqual([1, expect.stringContaining(sentence!)])
      expect(stderr.trim().split('\n')).toHaveLength(2)
    }
  })

  it('says of a database without the table what to do', async () => {
    const path = join(folder, 'empty.db')
    writeFileSync(path, '')
    const env = { SESSION_SECRET: secret, SESSION_STORE: `file:${path}` }
    for (const args of [['list', 'user-1'], ['stats'], ['sign-everybody-out', '--yes']]) {
      const { code, stderr } = await sojourn(args, { env })
      expect([code, stderr]).toEqual([1, expect.stringContaining('migrate')])
    }
  })

  it('takes the driver that is installed, and says which to install', async () => {
    const urls = {
      '@redis/client': `redis://127.0.0.1:${redis.port}`,
      postgres: postgresUrl(postgres.port),
      mariadb: `mysql://root@127.0.0.1:${mariadb.port}/sojourn`,
    }
    for (const [driver, url] of Object.entries(urls)) {
      // A copy of the source, with that one package beside it.
      const app = mkdtempSync(join(folder, 'app-'))
      await cp(join(root, 'src'), join(app, 'src'), { recursive: true })
      await cp(join(root, 'package.json'), join(app, 'package.json'))
      const run = async (): Promise<string> => {
        const args = [join(app, 'src/cli/main.ts'), 'stats']
        const options = { cwd: app, env: { SESSION_STORE: url } }
        const { stdout } = await promisify(execFile)(process.execPath, args, options).catch(
          ({ stderr }) => ({ stdout: String(stderr) }),
        )
        return stdout
      }
      expect(await run()).toContain(`, or ${driver})`)
      await mkdir(dirname(join(app, 'node_modules', driver)), { recursive: true })
      await symlink(join(root, 'node_modules', driver), join(app, 'node_modules', driver))
      expect([driver, await run()]).toEqual([
        driver,
        expect.stringMatching(/answers in \d+ ms|sojourn migrate/),
      ])
    }
  })
})

describe('migrate', () => {
  it('prints the statements of a dialect, or of the store', async () => {
    const files = ['postgres', 'mysql', 'sqlite'].map((dialect) => ['--dialect', dialect])
    for (const args of [...files, ['--store', 'file:nowhere.db']]) {
      const { code, stdout } = await sojourn(['migrate', '--print', ...args])
      expect([code, stdout]).toEqual([
        0,
        expect.stringMatching(/^CREATE TABLE IF NOT EXISTS sojourn_sessions [\s\S]*;\n$/),
      ])
    }
  })

  it('refuses what is unclear, before it connects', async () => {
    const cases: [string[], string][] = [
      [[], 'needs one of --print, --check and --apply'],
      [['--print', '--apply'], 'needs one of'],
      [['--print'], '--dialect must be one of'],
      [['--print', '--dialect', 'oracle'], '--dialect must be one of'],
      [['--print', '--dialect', 'mysql', '--table', 'a"b'], '"table" must be a name'],
      [['--apply'], 'There is no SQL database'],
      [['--apply', '--store', 'redis://127.0.0.1'], 'There is no SQL database'],
      [['--apply', '--store', 'file:nowhere.db', '--table', 'a"b'], '"table" must be a name'],
    ]
    for (const [args, sentence] of cases) {
      const { code, stderr } = await sojourn(['migrate', ...args])
      expect([code, stderr]).toEqual([2, expect.stringContaining(sentence)])
    }
  })

  it('leaves a table of that name alone which is another one', async () => {
    const path = join(folder, 'other.db')
    const query = openSqlite(path)
    const create = 'CREATE TABLE sojourn_sessions (sid TEXT, sess TEXT, expires_at INTEGER)'
    await query(create, [], { signal: undefined })
    const { code, stderr } = await sojourn(['migrate', '--apply', '--store', `file:${path}`])
    expect([code, stderr]).toEqual([1, expect.stringContaining('is not as Sojourn made it')])
  })
})
