/** A connection to Redis through whatever client there is: Bun's own, `ioredis`, `@redis/client` or `redis`. */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import { CommandError, EXIT } from './command.ts'

/** A connection that sends one command at a time. */
export interface RedisConnection {
  readonly send: (command: readonly string[]) => Promise<unknown>
  readonly close: () => Promise<void>
}

type Connect = (url: URL) => Promise<RedisConnection>

const CONNECT_MS = 5000

interface BunClient {
  connect(): Promise<void>
  send(name: string, args: readonly string[]): Promise<unknown>
  close(): void
}

interface IoRedis {
  on(event: 'error', listener: (error: unknown) => void): void
  connect(): Promise<void>
  call(name: string, ...args: readonly string[]): Promise<unknown>
  disconnect(): void
}

interface NodeRedis {
  on(event: 'error', listener: () => void): void
  connect(): Promise<unknown>
  sendCommand(command: readonly string[]): Promise<unknown>
  destroy(): void
}

const throughBun =
  (Client: new (url: string, options: object) => BunClient): Connect =>
  async (url) => {
    const client = new Client(url.href, { connectionTimeout: CONNECT_MS, autoReconnect: false })
    await client.connect()
    return {
      send: ([name = '', ...args]) => client.send(name, args),
      close: async () => client.close(),
    }
  }

const throughIoRedis =
  (Client: new (url: string, options: object) => IoRedis): Connect =>
  async (url) => {
    const client = new Client(url.href, {
      connectTimeout: CONNECT_MS,
      lazyConnect: true,
      maxRetriesPerRequest: 0,
      retryStrategy: () => null,
    })
    let cause: unknown
    client.on('error', (error) => {
      cause = error
    })
    // What it rejects with is that the connection was closed, and not why.
    await client.connect().catch((error) => {
      throw cause ?? error
    })
    return {
      send: ([name = '', ...args]) => client.call(name, ...args),
      close: async () => client.disconnect(),
    }
  }

const throughNodeRedis =
  (createClient: (options: object) => NodeRedis): Connect =>
  async (url) => {
    const socket = { connectTimeout: CONNECT_MS, reconnectStrategy: false }
    const client = createClient({ url: url.href, socket })
    client.on('error', () => {})
    await client.connect()
    return {
      send: (command) => client.sendCommand(command),
      close: async () => client.destroy(),
    }
  }

/**
 * Connects with the first client that is there.
 *
 * @throws CommandError when there is none, or nobody answers.
 */
export async function connectRedis(url: URL): Promise<RedisConnection> {
  const connect = await findClient()
  try {
    return await connect(url)
  } catch (error) {
    throw whyNot(url, error)
  }
}

async function findClient(): Promise<Connect> {
  const { Bun } = globalThis as { Bun?: { RedisClient?: never } }
  if (Bun?.RedisClient) return throughBun(Bun.RedisClient)
  const ioredis = await importInstalled('ioredis')
  if (ioredis) return throughIoRedis((ioredis.Redis ?? ioredis.default) as never)
  const client = (await importInstalled('@redis/client')) ?? (await importInstalled('redis'))
  if (client) return throughNodeRedis(client.createClient as never)
  throw new CommandError(
    'There is no client for Redis here',
    'Install one (npm install ioredis, or @redis/client), run it with Bun, which has its own, or use --config',
  )
}

/** Imports a package that the application has, or that is installed beside this one; `null`: neither. */
export async function importInstalled(name: string): Promise<Record<string, unknown> | null> {
  for (const from of [join(process.cwd(), 'package.json'), import.meta.filename]) {
    const path = resolveFrom(from, name)
    if (path) return (await import(pathToFileURL(path).href)) as Record<string, unknown>
  }
  return null
}

function resolveFrom(from: string, name: string): string | null {
  try {
    return createRequire(from).resolve(name)
  } catch {
    return null
  }
}

/** Words of Redis that say why nobody may come in; the rest of a message may quote. */
const REFUSED = /^(WRONGPASS|NOAUTH|NOPERM|ERR AUTH|ERR invalid password)/

function whyNot(url: URL, error: unknown): CommandError {
  const { code, message } = Object(error) as { code?: unknown; message?: unknown }
  const refusal = REFUSED.exec(String(message))?.[1]
  const at = `${url.protocol}//${url.host}`
  if (refusal) {
    return new CommandError(
      `Redis at ${at} refused the user or the password (${refusal})`,
      'Check what stands before the "@" in SESSION_STORE: redis://user:password@host:6379',
      EXIT.wrong,
      { store: 'redis', reason: 'auth' },
    )
  }
  const word = typeof code === 'string' && /^[A-Z_]+$/.test(code) ? ` (${code})` : ''
  return new CommandError(
    `Redis at ${at} cannot be reached${word}`,
    'Is it running, and is its address reachable from here? With TLS the URL begins with rediss://',
    EXIT.wrong,
    { store: 'redis', reason: 'network' },
  )
}
