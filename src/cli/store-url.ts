/** Stores by address, and Upstash by its variables. */
import process from 'node:process'
import { resilient } from '../stores/resilient.ts'
import type { SessionStore } from '../stores/store.ts'
import { type Address, addressFromEnv, SCHEMES } from './address.ts'
import { CommandError } from './command.ts'

const UPSTASH = ['UPSTASH_REDIS_REST_URL', 'UPSTASH_REDIS_REST_TOKEN'] as const

/**
 * Makes the store of `--store`, of `SESSION_STORE`, or of the two variables of Upstash; `undefined`: none is named.
 *
 * @throws CommandError when the address is wrong, has a password where it must not, or nobody answers there.
 */
export async function storeFromEnv(given: string | undefined): Promise<SessionStore | undefined> {
  const address = addressFromEnv(given)
  if (address) return storeOf(address)
  const { env } = process
  const [url, token] = UPSTASH.map((name) => env[name])
  if (!url && !token) return undefined
  if (!url || !token) {
    const [set, missing] = url ? UPSTASH : [...UPSTASH].reverse()
    throw new CommandError(`${set} is set and ${missing} is not`, 'Set both, or none')
  }
  const { createUpstashStore } = await import('../stores/upstash.ts')
  return resilient(createUpstashStore({ url, token }))
}

async function storeOf(address: Address): Promise<SessionStore> {
  const { dialect, protocol } = address
  if (/^rediss?:$/.test(protocol)) {
    const { createRedisStore } = await import('../stores/redis.ts')
    const { connectRedis } = await import('./redis-client.ts')
    const { close, send } = await connectRedis(address)
    return resilient({ ...createRedisStore({ send }), close })
  }
  if (dialect) {
    const { createSqlStore } = await import('../stores/sql.ts')
    const { connectSql } = await import('./sql-client.ts')
    const { close, query } = await connectSql(address)
    return resilient({ ...createSqlStore({ dialect, query }), close })
  }
  throw new CommandError(
    `There is no store for addresses that begin with "${protocol}"`,
    `Use ${SCHEMES}, the variables ${UPSTASH.join(' and ')}, or --config with a module that makes the store`,
  )
}
