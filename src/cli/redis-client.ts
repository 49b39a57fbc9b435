/** A connection to Redis through whatever client there is: Bun's own, `ioredis`, `@redis/client` or `redis`. */
import type { Address } from './address.ts'
import { CommandError, EXIT } from './command.ts'
import { importInstalled } from './installed.ts'

/** A connection that sends one command at a time. */
export interface RedisConnection {
  readonly send: (command: readonly string[]) => Promise<unknown>
  readonly close: () => Promise<void>
}

type Connect = (url: string) => Promise<RedisConnection>

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
    const client = new Client(url, { connectionTimeout: CONNECT_MS, autoReconnect: false })
    await client.connect()
    return {
      send: ([name = '', ...args]) => client.send(name, args),
      close: async () => client.close(),
    }
  }

const throughIoRedis =
  (Client: new (url: string, options: object) => IoRedis): Connect =>
  async (url) => {
    const client = new Client(url, {
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
    const client = createClient({ url, socket })
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
export async function connectRedis(address: Address): Promise<RedisConnection> {
  const connect = await findClient()
  try {
    return await connect(address.text)
  } catch (error) {
    throw whyNot(address.name, error)
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

/** Words of Redis that say why nobody may come in; the rest of a message may quote. */
const REFUSED = /^(WRONGPASS|NOAUTH|NOPERM|ERR AUTH|ERR invalid password)/

function whyNot(at: string, error: unknown): CommandError {
  const { code, message } = Object(error) as { code?: unknown; message?: unknown }
  const refusal = REFUSED.exec(String(message))?.[1]
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
