import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import mysql from 'mysql2/promise'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  applySqlSchema,
  createSqlStore,
  type SqlDialectName,
  type SqlQuery,
} from '../../src/stores/sql.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import {
  mariadbAccess,
  postgresUrl,
  type SqlServer,
  startMariadb,
  startPostgres,
} from '../support/sql-servers.ts'
import { byText, createOne, patientStore, putTag, storm, tagsOf } from '../support/sql-storm.ts'
import { newId, newRecord } from '../support/sql-suite.ts'

/* Overlapping writers on real databases, and faults of those databases in the middle. */

/** One database, and its ways to fail. */
interface Place {
  readonly dialect: SqlDialectName
  /** Opens a pool of so many connections. */
  open(connections: number): SqlQuery
  /** Ends all connections of the pools. */
  cut?(): Promise<void>
  restart?(): Promise<void>
  setReadOnly?(on: boolean): Promise<void>
  close(): Promise<void>
}

async function postgresPlace(): Promise<Place> {
  const server: SqlServer = await startPostgres()
  const pools: pg.Pool[] = []
  const url = postgresUrl(server.port)
  const admin = async (text: string): Promise<void> => {
    const client = new pg.Client(url)
    client.on('error', () => {})
    await client.connect()
    await client.query(text).finally(() => client.end())
  }
  return {
    dialect: 'postgres',
    open(max) {
      const pool = new pg.Pool({ connectionString: url, max })
      pool.on('error', () => {})
      pools.push(pool)
      return async (text, params) => {
        const { rows, rowCount } = await pool.query(text, params)
        return { rows, affected: rowCount }
      }
    },
    cut: () =>
      admin(
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname IS NOT NULL',
      ),
    async restart() {
      await server.kill()
      await server.start()
    },
    async setReadOnly(on) {
      await admin(`ALTER SYSTEM SET default_transaction_read_only = ${on ? 'on' : 'off'}`)
      await admin('SELECT pg_reload_conf()')
    },
    async close() {
      await Promise.all(pools.map((pool) => pool.end()))
      await server.stop()
    },
  }
}

async function mariadbPlace(): Promise<Place> {
  const server: SqlServer = await startMariadb()
  const pools: mysql.Pool[] = []
  const access = mariadbAccess(server.port)
  const admin = async (...statements: string[]): Promise<mysql.RowDataPacket[]> => {
    const client = await mysql.createConnection(access)
    try {
      let rows: unknown
      for (const text of statements) [rows] = await client.query(text)
      return rows as mysql.RowDataPacket[]
    } finally {
      await client.end()
    }
  }
  // A user whom a read-only server refuses: root may write.
  await admin(
    "CREATE USER app@'127.0.0.1' IDENTIFIED BY ''",
    "GRANT ALL ON sojourn.* TO app@'127.0.0.1'",
  )
  return {
    dialect: 'mysql',
    open(connectionLimit) {
      const pool = mysql.createPool({ ...access, user: 'app', connectionLimit })
      pools.push(pool)
      return async (text, params) => {
        const [result] = await pool.query<mysql.RowDataPacket[] | mysql.ResultSetHeader>(
          text,
          params,
        )
        if (Array.isArray(result)) return { rows: result, affected: 0 }
        return { rows: [], affected: result.affectedRows }
      }
    },
    async cut() {
      const rows = await admin("SELECT id FROM information_schema.processlist WHERE user = 'app'")
      for (const { id } of rows) await admin(`KILL ${id}`).catch(() => {})
    },
    async restart() {
      await server.kill()
      await server.start()
    },
    async setReadOnly(on) {
      await admin(`SET GLOBAL read_only = ${on ? 1 : 0}`)
    },
    async close() {
      await Promise.all(pools.map((pool) => pool.end()))
      await server.stop()
    },
  }
}

async function sqlitePlace(): Promise<Place> {
  const folder = mkdtempSync(join(tmpdir(), 'sojourn-sqlite-'))
  const open: DatabaseSync[] = []
  return {
    dialect: 'sqlite',
    open() {
      const db = new DatabaseSync(join(folder, 'sessions.db'), { timeout: 5000 })
      db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL')
      open.push(db)
      return async (text, params) => {
        const statement = db.prepare(text)
        if (statement.columns().length) return { rows: statement.all(...params), affected: 0 }
        return { rows: [], affected: statement.run(...params).changes }
      }
    },
    async close() {
      for (const db of open) db.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

const PLACES: [name: string, make: () => Promise<Place>][] = [
  ['PostgreSQL', postgresPlace],
  ['MariaDB', mariadbPlace],
  ['SQLite', sqlitePlace],
]

describe.each(PLACES)('sessions in %s', (name, make) => {
  let place: Place
  /** Two stores with pools of their own, which make one attempt. */
  let stores: SessionStore[]
  const storeOn = (query: SqlQuery): SessionStore =>
    createSqlStore({ dialect: place.dialect, query, autoPrune: 0.05 })

  beforeAll(async () => {
    place = await make()
    const queries = [place.open(10), place.open(10)] as const
    await applySqlSchema({ dialect: place.dialect, query: queries[0] })
    stores = queries.map(storeOn)
  })

  afterAll(() => place.close())

  it.each([false, true])(
    'lose no write of twenty writers (appended entries: %s)',
    async (appends) => {
      const id = await createOne(stores[0]!)
      const { written, failed } = await storm(stores, id, { appends })
      expect(failed).toEqual([])
      expect(written.length).toBe(400)
      const record = await stores[0]!.read(id)
      expect(tagsOf(record!)).toEqual([...written].sort(byText))
    },
  )

  it('keep two hundred sessions apart on two connections', async () => {
    const store = storeOn(place.open(2))
    const ids = await Promise.all(Array.from({ length: 200 }, () => createOne(store)))
    const put = async (id: string, i: number): Promise<void> => {
      for (let n = 0; n < 3; n++) expect(await putTag(store, id, `${i}-${n}`, n === 1)).toBe(true)
    }
    await Promise.all(ids.map(put))
    const records = await Promise.all(ids.map((id) => store.read(id)))
    const tags = records.map((record) => tagsOf(record!))
    expect(tags).toEqual(ids.map((_, i) => [0, 1, 2].map((n) => `${i}-${n}`)))
  })

  it('stay ended, whoever writes meanwhile', async () => {
    for (let round = 0; round < 10; round++) {
      const id = await createOne(stores[0]!)
      let isEnded = false
      const late: string[] = []
      const writers = Array.from({ length: 20 }, async (_, writer) => {
        for (let i = 0; i < 10; i++) {
          const wasEnded = isEnded
          const isWritten = await putTag(stores[writer % 2]!, id, `${writer}-${i}`, i % 2 === 0)
          if (wasEnded && isWritten) late.push(`${writer}-${i}`)
          await sleep(0)
        }
      })
      await sleep(5)
      expect(await stores[0]!.end(id)).toBe(true)
      isEnded = true
      const created = await stores[1]!.write(id, newRecord(), null)
      await Promise.all(writers)
      expect([late, created, await stores[1]!.read(id)]).toEqual([
        [],
        { ok: false, current: null },
        null,
      ])
    }
  })

  it('end once, of twenty overlapping ends', async () => {
    for (let round = 0; round < 10; round++) {
      const id = await createOne(stores[0]!)
      const ends = Array.from({ length: 20 }, (_, i) => stores[i % 2]!.end(id))
      expect((await Promise.all(ends)).filter((was) => was).length).toBe(1)
    }
  })

  it('meet no deadlock when users are signed out, listed and pruned among writers', async () => {
    const key = newId()
    const failed: unknown[] = []
    const work = async (worker: number): Promise<void> => {
      const store = stores[worker % 2]!
      for (let i = 0; i < 15; i++) {
        const id = await createOne(store, [key, `${key}-${i % 3}`])
        await putTag(store, id, 'x', worker % 3 === 0)
        if (i % 5 === worker % 5) await store.index?.end(i % 2 ? key : `${key}-${i % 3}`)
        if (i % 5 === 0) await store.index?.list(key)
        if (worker === 0) await store.prune?.(1000)
      }
    }
    const all = Array.from({ length: 20 }, (_, worker) =>
      work(worker).catch((error) => failed.push(error)),
    )
    await Promise.all(all)
    expect(failed).toEqual([])
    await stores[0]!.index?.end(key)
    expect(await stores[1]!.index?.list(key)).toEqual([])
  })

  const faults: [string, (place: Place) => Promise<void>][] = [
    ['killed connections', (on) => on.cut!()],
    ['a restart', (on) => on.restart!()],
    [
      'a while of read-only',
      async (on) => {
        await on.setReadOnly!(true)
        await sleep(500)
        await on.setReadOnly!(false)
      },
    ],
  ]

  // There is no server of SQLite that could fail.
  it.each(name === 'SQLite' ? [] : faults)('lose no write in %s', async (_, fault) => {
    const patient = [place.open(10), place.open(10)].map((query) =>
      patientStore(place.dialect, query),
    )
    let retries = 0
    for (const store of patient) {
      store.subscribe?.(({ type }) => void (type === 'store.retry' && retries++))
    }
    const [id, ended] = [await createOne(patient[0]!), await createOne(patient[0]!)]
    const writing = storm(patient, id, { times: 60, appends: true })
    await sleep(100)
    await patient[1]!.end(ended)
    await fault(place)
    await fault(place)
    const { written, failed } = await writing
    expect(failed).toEqual([])
    expect(retries).toBeGreaterThan(0)
    expect(written.length).toBe(1200)
    expect(tagsOf((await patient[0]!.read(id))!)).toEqual([...written].sort(byText))
    expect((await patient[1]!.write(ended, newRecord(), null)).ok).toBe(false)
  })
})
