/**
 * Stores sessions in Redis or Valkey, through whatever client the application has.
 *
 * Needs a runtime with TCP; over HTTP see `sojourn/upstash`. One command per call. Compare-and-set, expiry
 * and index are one Lua script, so overlapping requests cannot lose each other's writes. It makes one
 * attempt: wrap it in `resilient`.
 *
 * @module
 * @example
 * import { createRedisStore } from 'sojourn/redis'
 * import { resilient } from 'sojourn/resilience'
 *
 * // node-redis
 * createRedisStore({
 *   send: (command, { signal }) => client.sendCommand(command, { abortSignal: signal }),
 * })
 * // ioredis
 * createRedisStore({ send: ([name, ...args]) => client.call(name, ...args) })
 * // Bun
 * createRedisStore({ send: ([name, ...args]) => Bun.redis.send(name, args) })
 */
import { applyRules, functionRule } from '../check.ts'
import { becauseOf } from './errors.ts'
import {
  createRedisCommands,
  REDIS_RULES,
  type RedisOptions,
  type RedisSessionStore,
} from './redis-commands.ts'
import { noUsableReply } from './redis-record.ts'

/** Options for {@link createRedisStore}. */
export interface RedisStoreOptions extends RedisOptions {
  /**
   * Sends one command and resolves with what Redis answers: strings as strings, integers as numbers.
   * Rejects when Redis refuses it and when it cannot be reached.
   *
   * @param call.signal Aborted when nobody waits for the answer any more: a client that queues
   * commands while it reconnects can then leave this one out.
   */
  send: (
    command: [name: string, ...args: string[]],
    call: { signal: AbortSignal },
  ) => Promise<unknown>
}

/** Errors of Redis itself begin with a word in capitals; so do the names of system errors. */
const REPLY = /^(?!E[A-Z]+ )[A-Z]{3,} |^ERR /

/**
 * Creates a store in Redis (6 or newer) or Valkey.
 *
 * Sign-outs and `revokeAll` work when Redis is full. A Redis that evicts can lose sessions, and users'
 * indexes with them: reads and writes keep an index as recent as its sessions and put it back, so that
 * `revokeAll` finds the sessions in use. `maxmemory-policy noeviction` loses none.
 *
 * In a cluster all keys must be in one slot: give it a `prefix` with a hash tag, `'{sojourn}:'`;
 * without one the first write is refused (`CROSSSLOT`). A client that queues commands while it
 * reconnects sends those late that it cannot leave out; they change nothing then that others have
 * changed meanwhile.
 *
 * @throws TypeError or RangeError when an option is missing, unknown or wrong.
 *
 * @example
 * const store = resilient(
 *   createRedisStore({
 *     send: (command, { signal }) => client.sendCommand(command, { abortSignal: signal }),
 *   }),
 * )
 */
export function createRedisStore(options: RedisStoreOptions): RedisSessionStore {
  const rules = { ...REDIS_RULES, send: functionRule(null, 'a function that sends a command') }
  const { send, ...settings } = applyRules<Required<RedisStoreOptions>>('', rules, options)
  return createRedisCommands(
    'redis',
    async (command, signal) => {
      try {
        return { result: await send(command as [string, ...string[]], { signal }) }
      } catch (cause) {
        // A client's own words may quote commands: only what kind of failure it was may leave.
        const text = String(Object(cause).message)
        if (REPLY.test(text)) return { error: text }
        throw noUsableReply(undefined, becauseOf(cause))
      }
    },
    settings,
  )
}
