/** Stores by address: `redis://`, `rediss://`, and Upstash by its variables. */
import process from 'node:process'
import { resilient } from '../stores/resilient.ts'
import type { SessionStore } from '../stores/store.ts'
import { CommandError, usageError } from './command.ts'
import { connectRedis } from './redis-client.ts'

const SCHEMES = 'redis:// or rediss://'
const UPSTASH = ['UPSTASH_REDIS_REST_URL', 'UPSTASH_REDIS_REST_TOKEN'] as const

/**
 * Makes the store of `--store`, of `SESSION_STORE`, or of the two variables of Upstash; `undefined`: none is named.
 *
 * @throws CommandError when the address is wrong, has a password where it must not, or nobody answers there.
 */
export async function storeFromEnv(given: string | undefined): Promise<SessionStore | undefined> {
  const { env } = process
  if (given !== undefined) return storeOf(parseAddress(given, '--store'))
  if (env.SESSION_STORE) return storeOf(parseAddress(env.SESSION_STORE, 'SESSION_STORE'))
  const [url, token] = UPSTASH.map((name) => env[name])
  if (!url && !token) return undefined
  if (!url || !token) {
    const [set, missing] = url ? UPSTASH : [...UPSTASH].reverse()
    throw new CommandError(`${set} is set and ${missing} is not`, 'Set both, or none')
  }
  const { createUpstashStore } = await import('../stores/upstash.ts')
  return resilient(createUpstashStore({ url, token }))
}

function parseAddress(text: string, name: string): URL {
  const url = URL.canParse(text.trim()) ? new URL(text.trim()) : null
  if (!url) throw new CommandError(`${name} is no URL`, `It begins with ${SCHEMES}`)
  const hasPassword = url.password || /pass|token|secret|key/i.test(url.search)
  if (name.startsWith('-') && hasPassword) {
    throw usageError(
      `The URL of ${name} has a password in it`,
      'Arguments can be read by every process of the machine: put the URL into the variable SESSION_STORE',
    )
  }
  return url
}

async function storeOf(url: URL): Promise<SessionStore> {
  const { protocol } = url
  if (protocol === 'redis:' || protocol === 'rediss:') {
    const { createRedisStore } = await import('../stores/redis.ts')
    const { close, send } = await connectRedis(url)
    return resilient({ ...createRedisStore({ send }), close })
  }
  throw new CommandError(
    `There is no store for addresses that begin with "${protocol}"`,
    `Use ${SCHEMES}, the variables ${UPSTASH.join(' and ')}, or --config with a module that makes the store`,
  )
}
