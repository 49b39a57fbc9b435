/** Real PostgreSQL and MariaDB servers on free loopback ports, for tests. Neither runs as root. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import mysql from 'mysql2/promise'
import pg from 'pg'
import { freePort } from './free-port.ts'

// Debian has servers there, and not every shell looks for programs in it.
process.env.PATH += ':/usr/sbin'

export interface SqlServer {
  readonly port: number
  /** Starts it again on the same port, with the same data. */
  start(): Promise<void>
  /** Ends it at once, as a crash does. */
  kill(): Promise<void>
  /** Ends it and removes its data. */
  stop(): Promise<void>
}

const POSTGRES = '/usr/lib/postgresql'

/** Folder of the newest PostgreSQL's programs, if there is one. */
export function postgresFolder(): string | undefined {
  const versions = existsSync(POSTGRES) ? readdirSync(POSTGRES) : []
  const folders = versions.sort((a, b) => Number(b) - Number(a)).map((v) => `${POSTGRES}/${v}/bin`)
  return folders.find((folder) => existsSync(`${folder}/initdb`))
}

interface Owner {
  uid?: number
  gid?: number
}

/** The user under whom a server runs, where the tests run as root. */
function ownerOf(user: string): Owner {
  if (process.getuid?.() !== 0) return {}
  const id = (flag: string): number =>
    Number(execFileSync('id', [flag, user], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

function newFolder(name: string, { uid, gid }: Owner): string {
  const folder = mkdtempSync(join(tmpdir(), `sojourn-${name}-`))
  if (uid !== undefined && gid !== undefined) chownSync(folder, uid, gid)
  return folder
}

/** Keeps one server running; `ask` resolves when it answers. */
async function serve(
  folder: string,
  port: number,
  launch: () => ChildProcess,
  ask: () => Promise<unknown>,
): Promise<SqlServer> {
  let child: ChildProcess
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }
  const start = async (): Promise<void> => {
    child = launch()
    for (let tries = 0; tries < 1800; tries++) {
      try {
        await ask()
        return
      } catch {
        await sleep(50)
      }
    }
    await kill()
    throw new Error(`The server in ${folder} does not answer`)
  }
  await start()
  return {
    port,
    start,
    kill,
    async stop() {
      await kill()
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

export async function startPostgres(): Promise<SqlServer> {
  const programs = postgresFolder()
  if (!programs) throw new Error('PostgreSQL is missing')
  const owner = ownerOf('postgres')
  const folder = newFolder('postgres', owner)
  const data = join(folder, 'data')
  const options = ['-A', 'trust', '-U', 'postgres', '-E', 'UTF8', '--no-locale', '-N']
  execFileSync(`${programs}/initdb`, ['-D', data, ...options], {
    ...owner,
    cwd: folder,
    stdio: 'ignore',
  })
  const port = await freePort()
  const settings = [
    'listen_addresses=127.0.0.1',
    `unix_socket_directories=${folder}`,
    'fsync=off',
    'max_connections=60',
  ].flatMap((setting) => ['-c', setting])
  const launch = (): ChildProcess =>
    spawn(`${programs}/postgres`, ['-D', data, '-p', String(port), ...settings], {
      ...owner,
      cwd: folder,
      stdio: 'ignore',
    })
  return await serve(folder, port, launch, () => askPostgres(port))
}

async function askPostgres(port: number): Promise<void> {
  const client = new pg.Client(postgresUrl(port))
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query('SELECT 1')
  } finally {
    await client.end().catch(() => {})
  }
}

export const postgresUrl = (port: number): string =>
  `postgres://postgres@127.0.0.1:${port}/postgres`

export type Pooler = Pick<SqlServer, 'port' | 'stop'>

/** pgbouncer in transaction mode, with two connections to the server behind it. */
export async function startPgbouncer(serverPort: number): Promise<Pooler> {
  const owner = ownerOf('postgres')
  const folder = newFolder('pgbouncer', owner)
  const port = await freePort()
  const file = join(folder, 'pgbouncer.ini')
  const settings = [
    '[databases]',
    `* = host=127.0.0.1 port=${serverPort} user=postgres`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'auth_type = any',
    'pool_mode = transaction',
    'default_pool_size = 2',
    'ignore_startup_parameters = extra_float_digits',
  ]
  writeFileSync(file, settings.join('\n'))
  const launch = (): ChildProcess =>
    spawn('pgbouncer', ['-q', file], { ...owner, cwd: folder, stdio: 'ignore' })
  return await serve(folder, port, launch, () => askPostgres(port))
}

export async function startMariadb(): Promise<SqlServer> {
  const owner = ownerOf('mysql')
  const folder = newFolder('mariadb', owner)
  const data = join(folder, 'data')
  const install = [`--datadir=${data}`, '--auth-root-authentication-method=normal']
  const user = owner.uid === undefined ? [] : ['--user=mysql']
  execFileSync('mariadb-install-db', [...user, ...install, '--skip-test-db'], { stdio: 'ignore' })
  const port = await freePort()
  const args = [
    '--no-defaults',
    `--datadir=${data}`,
    `--socket=${join(folder, 's')}`,
    `--port=${port}`,
    '--bind-address=127.0.0.1',
    `--pid-file=${join(folder, 'pid')}`,
    '--innodb-flush-log-at-trx-commit=2',
  ]
  const launch = (): ChildProcess =>
    spawn('mariadbd', args, { ...owner, cwd: folder, stdio: 'ignore' })
  return await serve(folder, port, launch, async () => {
    const client = await mysql.createConnection({ ...mariadbAccess(port), database: 'mysql' })
    await client.query('CREATE DATABASE IF NOT EXISTS sojourn')
    await client.end()
  })
}

export const mariadbAccess = (
  port: number,
): { host: string; port: number; user: string; database: string } => ({
  host: '127.0.0.1',
  port,
  user: 'root',
  database: 'sojourn',
})
