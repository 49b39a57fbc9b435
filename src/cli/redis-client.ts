/** A connection to Redis through whatever client there is: Bun's own, `ioredis`, `@redis/client` or `redis`. */
import type { Address } from './address.ts'
import { CommandError } from './command.ts'
import { connectionError } from './errors.ts'
import { importInstalled } from './installed.ts'

/** A connection that sends one command at a time. */
export interface RedisConnection {
  readonly send: (command: readonly string[]) => Promise<unknown>
  readonly close: () => Promise<void>
}

const CONNECT_MS = 5000
/** Words of Redis that say why nobody may come in; the rest of a message may quote. */
const REFUSED = /^(WRONGPASS|NOAUTH|NOPERM|ERR AUTH|ERR invalid password)/

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

async function throughBun(
  url: string,
  Client: new (url: string, options: object) => BunClient,
): Promise<RedisConnection> {
  const client = new Client(url, { connectionTimeout: CONNECT_MS, autoReconnect: false })
  await client.connect()
  return {
    send: ([name = '', ...args]) => client.send(name, args),
    close: async () => client.close(),
  }
}

async function throughIoRedis(
  url: string,
  Client: new (url: string, options: object) => IoRedis,
): Promise<RedisConnection> {
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

async function throughNodeRedis(
  url: string,
  createClient: (options: object) => NodeRedis,
): Promise<RedisConnection> {
  const socket = { connectTimeout: CONNECT_MS, reconnectStrategy: false }
  const client = createClient({ url, socket })
  client.on('error', () => {})
  await client.connect()
  return { send: (command) => client.sendCommand(command), close: async () => client.destroy() }
}

/**
 * Connects with the first client that is there.
 *
 * @throws CommandError when there is none, or nobody answers.
 */
export async function connectRedis({ name, text }: Address): Promise<RedisConnection> {
  try {
    return await connect(text)
  } catch (error) {
    const hint = 'With TLS the URL begins with rediss://'
    throw connectionError(error, `Redis at ${name}`, 'redis', REFUSED, hint)
  }
}

async function connect(url: string): Promise<RedisConnection> {
  const { Bun } = globalThis as { Bun?: { RedisClient?: never } }
  if (Bun?.RedisClient) return await throughBun(url, Bun.RedisClient)
  const ioredis = await importInstalled('ioredis')
  if (ioredis) return await throughIoRedis(url, (ioredis.Redis ?? ioredis.default) as never)
  const client = (await importInstalled('@redis/client')) ?? (await importInstalled('redis'))
  if (client) return await throughNodeRedis(url, client.createClient as never)
  throw new CommandError(
    'There is no client for Redis here',
    'Install one (npm install ioredis, or @redis/client), run it with Bun, which has its own, or use --config',
  )
}
