import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { createClient } from '@redis/client'
import { afterEach, describe, expect, it } from 'vitest'
import { type StoreError, StoreUnavailableError } from '../../src/errors.ts'
import { createSessions, type Session, type SessionEvent } from '../../src/index.ts'
import { createRedisStore } from '../../src/stores/redis.ts'
import { resilient } from '../../src/stores/resilient.ts'
import { createCookieJar } from '../../src/testing/index.ts'
import { freePort } from '../support/free-port.ts'
import { startRedis } from '../support/redis.ts'
import { errorOf, SECRET } from '../support/sessions.ts'

const open: (() => unknown)[] = []
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})

async function startServer(...more: string[]) {
  const server = await startRedis(...more)
  open.push(() => server.stop())
  return server
}

interface Login {
  readonly username?: string
  readonly password?: string
}

/** A client that connects when it is first needed, as serverless applications do. */
async function clientOf(port: number, login: Login = {}) {
  const socket = { port, host: '127.0.0.1', reconnectStrategy: false as const }
  const client = createClient({ socket, ...login })
  client.on('error', () => {})
  open.push(() => client.destroy())
  await client.connect()
  return client
}

/** Sends each command over a connection of its own, so that a change of the server is met at once. */
function sessionsOf(
  port: number,
  login: () => Login = () => ({}),
  timeoutMs = 20_000,
  jar = createCookieJar(),
) {
  const events: SessionEvent[] = []
  const raw = createRedisStore({
    timeoutMs,
    async send(command) {
      const socket = { port, host: '127.0.0.1', reconnectStrategy: false as const }
      const client = createClient({ socket, ...login() })
      client.on('error', () => {})
      try {
        await client.connect()
        return await client.sendCommand(command)
      } finally {
        if (client.isOpen) client.destroy()
      }
    },
  })
  const times = { attemptTimeoutMs: timeoutMs, deadlineMs: 2 * timeoutMs }
  const store = resilient(raw, { attempts: 1, breaker: false, ...times })
  const onEvent = (event: SessionEvent): void => void events.push(event)
  const sessions = createSessions({ secret: SECRET, store, storeTimeout: 60, onEvent })
  const visit = (run: (session: Session) => void): Promise<Response | Error> => {
    const handler = sessions.handler(async (request) => {
      run(await sessions.get(request))
      return new Response('done')
    })
    return jar.fetch(handler).catch((error: unknown) => error as Error)
  }
  /** Reasons and words of the events of a kind, without repetitions. */
  const told = (type: SessionEvent['type']): string[] => {
    const those = events.filter((event) => event.type === type) as Partial<StoreError>[]
    return [...new Set(those.map(({ reason, word = '-' }) => `${reason} ${word}`))]
  }
  return { store: raw, sessions, jar, visit, told, events }
}

const signIn = (session: Session): void => session.login('ann')
const change = (session: Session): void => session.set('n', 1)
const signOut = (session: Session): void => session.destroy()

describe('the reasons of a real Redis', () => {
  it('full: OOM, and signing out goes on', async () => {
    const { port } = await startServer('--maxmemory', '3mb', '--maxmemory-policy', 'noeviction')
    const { told, visit } = sessionsOf(port)
    expect(await visit(signIn)).toMatchObject({ status: 200 })
    const client = await clientOf(port)
    const fill = async (size: number): Promise<void> => {
      for (let i = 0; ; i++) {
        if (await client.set(`f-${size}-${i}`, 'x'.repeat(size)).catch(() => null)) continue
        return
      }
    }
    await fill(10_000)
    await fill(100)
    const error = await visit((session) => session.set('n', 'x'.repeat(3000)))
    expect(error).toMatchObject({ code: 'ERR_STORE', reason: 'full', word: 'OOM' })
    expect(told('store.failed')).toEqual(['full OOM'])
    expect(told('store.unavailable')).toEqual(['full OOM'])
    expect(await visit(signOut)).toMatchObject({ status: 200 })
  })

  it('auth: NOAUTH without a password, WRONGPASS with a wrong one, NOPERM without a right', async () => {
    const { port } = await startServer()
    await (await clientOf(port)).configSet('requirepass', 'right')
    expect(await errorOf(() => sessionsOf(port).store.read('id'))).toMatchObject({
      code: 'ERR_STORE',
      reason: 'auth',
      word: 'NOAUTH',
    })
    const wrong = sessionsOf(port, () => ({ password: 'CANARY' }))
    const refused = await errorOf(() => wrong.store.read('id'))
    expect(refused).toMatchObject({ code: 'ERR_STORE', reason: 'auth', word: 'WRONGPASS' })
    expect(inspect(refused, { depth: 9 })).not.toContain('CANARY')
    const client = await clientOf(port, { password: 'right' })
    await client.sendCommand(['ACL', 'SETUSER', 'app', 'on', '>other', '~*', '+ping', '+hello'])
    const lesser = sessionsOf(port, () => ({ username: 'app', password: 'other' }))
    expect(await errorOf(() => lesser.store.read('id'))).toMatchObject({
      reason: 'auth',
      word: 'NOPERM',
    })
  })

  it('auth: a password that was changed refuses sign-in and sign-out alike', async () => {
    const { port } = await startServer()
    await (await clientOf(port)).configSet('requirepass', 'old')
    const { told, visit } = sessionsOf(port, () => ({ password: 'old' }))
    expect(await visit(signIn)).toMatchObject({ status: 200 })
    const client = await clientOf(port, { password: 'old' })
    await client.configSet('requirepass', 'new')
    const refusal = { code: 'ERR_STORE', reason: 'auth', word: 'WRONGPASS' }
    for (const act of [signIn, change, signOut]) expect(await visit(act)).toMatchObject(refusal)
    expect(told('store.degraded')).toEqual(['auth WRONGPASS'])
    // A page that only reads is shown.
    expect(await visit(({ status }) => expect(status).toBe('degraded'))).toMatchObject({
      status: 200,
    })
  })

  it('read-only: READONLY of a replica, which goes on to be read', async () => {
    const { port } = await startServer()
    const { visit, told } = sessionsOf(port)
    expect(await visit(signIn)).toMatchObject({ status: 200 })
    const client = await clientOf(port)
    await client.sendCommand(['REPLICAOF', '127.0.0.1', String(await freePort())])
    expect(await visit(({ subject }) => expect(subject).toBe('ann'))).toMatchObject({ status: 200 })
    expect(await visit(change)).toMatchObject({ status: 503 })
    expect(told('store.unavailable')).toEqual(['read-only READONLY'])
  })

  it('read-only: MISCONF where Redis cannot save', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'redis-misconf-'))
    const { port } = await startServer('--dir', dir, '--save', '3600 1')
    const { store } = sessionsOf(port)
    const client = await clientOf(port)
    rmSync(dir, { recursive: true })
    await client.sendCommand(['BGSAVE'])
    for (let info = ''; !info.includes('rdb_last_bgsave_status:err'); ) {
      info = await client.info('persistence')
    }
    const record = { value: 'v', version: '1', epoch: '1', expiresAt: Date.now() + 60_000 }
    const error = await errorOf(() => store.write('id', record, null))
    expect(error).toMatchObject({
      code: 'ERR_STORE_UNAVAILABLE',
      reason: 'read-only',
      word: 'MISCONF',
    })
  })

  it('loading: LOADING while it reads its data', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'redis-loading-'))
    open.push(() => rmSync(dir, { recursive: true }))
    const { port } = await startServer(
      ...[
        '--dir',
        dir,
        '--enable-debug-command',
        'yes',
        '--loading-process-events-interval-bytes',
        '1024',
      ],
    )
    const { store } = sessionsOf(port)
    const [client, other] = [await clientOf(port), await clientOf(port)]
    for (let i = 0; i < 200; i++) await client.set(`key-${i}`, randomBytes(2000).toString('hex'))
    // So many microseconds for each key.
    await client.configSet('key-load-delay', '20000')
    const reload = client.sendCommand(['DEBUG', 'RELOAD'])
    reload.catch(() => {})
    let error: unknown
    for (let tries = 0; tries < 10_000 && (error as StoreError)?.word !== 'LOADING'; tries++) {
      error = await errorOf(() => store.read('id')).catch(() => undefined)
    }
    expect(error).toBeInstanceOf(StoreUnavailableError)
    expect(error).toMatchObject({ reason: 'loading', word: 'LOADING' })
    await other.configSet('key-load-delay', '0')
    await reload
  })

  it('timeout: it hangs; network: it is gone', async () => {
    const server = await startServer()
    const { jar, told, visit } = sessionsOf(server.port)
    expect(await visit(signIn)).toMatchObject({ status: 200 })
    server.signal('SIGSTOP')
    const hasty = sessionsOf(server.port, undefined, 500, jar)
    expect(await hasty.visit(change)).toMatchObject({ status: 503 })
    expect(hasty.told('store.degraded')).toEqual(['timeout -'])
    server.signal('SIGCONT')
    await server.stop()
    expect(await visit(change)).toMatchObject({ status: 503 })
    expect(told('store.degraded')).toEqual(['network ECONNREFUSED'])
  })
})
