/** What stores in Redis have in common, whichever way their commands take. */
import { functionRule, numberRule, type Rule } from '../check.ts'
import { type SessionError, StoreError, StoreTimeoutError } from '../errors.ts'
import { MAX_MS, within } from '../resilience/deadline.ts'
import type { RedisKeys, RunScript } from './redis-index.ts'
import { decode, unusable, WRITE_SHA } from './redis-record.ts'
import type { SessionStore } from './store.ts'

/** What every store in Redis can be told. */
export interface RedisOptions {
  /** Put before every key, to keep apart what shares a database. (default: 'sojourn:') */
  prefix?: string
  /** Time limit of one call, its answer included, in milliseconds. (default: 2000) */
  timeoutMs?: number
  /** Epoch milliseconds. (default: Date.now) */
  now?: () => number
}

/** A store in Redis can find sessions by user, and go through all of them. */
export type RedisSessionStore = SessionStore & Required<Pick<SessionStore, 'index' | 'page'>>

/** Sends one command; what Redis answers is in `result`, what it refuses in `error`. */
export type SendCommand = (command: readonly string[], signal: AbortSignal) => Promise<unknown>

export const REDIS_RULES: Record<keyof RedisOptions, Rule> = {
  prefix: ['sojourn:', 'a string', (value: unknown) => typeof value === 'string'],
  timeoutMs: numberRule(2000, 1, MAX_MS),
  now: functionRule(() => Date.now()),
}

/** Stands for Redis not having a script yet. */
const NO_SCRIPT = Symbol()

/** The word that an error of Redis begins with. Redis 6 quotes that of a script further on. */
const REASON = /^(?:ERR Error running script .* -)?([A-Z]{3,}) /
/** What gateways in front of Redis say, without such a word, when trying again will not help. */
const REFUSED = /[Uu]nauthorized|[Ff]orbidden|max .*exceeded|quota/
/** What Redis says while it cannot serve anybody, or has too many clients. */
const PASSING =
  /^(LOADING|BUSY|TRYAGAIN|CLUSTERDOWN|MASTERDOWN|READONLY|NOREPLICAS|MISCONF|ERR max (number of clients|concurrent) .*)$/

/** What to do about the refusals that a configuration causes. */
const ADVICE: Record<string, string> = {
  CROSSSLOT: ': in a cluster the store needs a prefix with a hash tag, such as "{sojourn}:"',
  MOVED: ': it is part of a cluster, and needs a client for clusters',
}

/** Makes an error of what Redis said, of which only the first word is told: the rest may quote. */
function failure(text: string): SessionError {
  const reason = REASON.exec(text)?.[1]
  const isPassing = PASSING.test(reason ?? '') || PASSING.test(text)
  if (isPassing || !(reason || REFUSED.test(text))) return unusable(undefined, reason)
  const why = reason ? ` (${reason})${ADVICE[reason] ?? ''}` : ''
  return Object.assign(new StoreError(`Redis refused a command${why}`), reason && { reason })
}

/** Patches kept beside one record. */
const PATCHES = 32

/** Makes a store of what sends commands. */
export function createRedisCommands(
  name: string,
  send: SendCommand,
  { prefix, timeoutMs, now }: Required<RedisOptions>,
): RedisSessionStore {
  const recordKey = (id: string): string => `${prefix}s:${id}`

  async function ask(command: readonly string[], signal?: AbortSignal): Promise<unknown> {
    signal?.throwIfAborted()
    const late = (): Error => new StoreTimeoutError('Redis did not answer in time')
    const answer = await within(timeoutMs, signal, late, (inner) => send(command, inner))
    const { result, error } = Object(answer) as { result?: unknown; error?: unknown }
    if (typeof error === 'string' && error) {
      if (/\bNOSCRIPT\b/.test(error)) return NO_SCRIPT
      throw failure(error)
    }
    return result
  }

  const run: RunScript = async (name, sha, args, signal) => {
    const result = await ask(['EVALSHA', sha, ...args], signal)
    if (result !== NO_SCRIPT) return result
    const { scriptOf } = await import('./redis-scripts.ts')
    return await ask(['EVAL', scriptOf(name), ...args], signal)
  }

  const keys: RedisKeys = { records: recordKey(''), users: `${prefix}u:`, now, run }
  const load = () => import('./redis-index.ts')

  return {
    name,
    atomic: true,
    patches: PATCHES,

    async read(id, { signal } = {}) {
      // Unlike GET this answers an absent key with '', so that no failure looks like it.
      const result = await ask(['GETRANGE', recordKey(id), '0', '-1'], signal)
      if (typeof result !== 'string') throw unusable()
      return result === '' ? null : decode(result, now())
    },

    async write(id, record, expected, { signal, patch = '', folded = 0 } = {}) {
      const { version, value, expiresAt, subject = '' } = record
      const time = Math.floor(now())
      const [tag, owner] = [encodeURIComponent(version), encodeURIComponent(subject)]
      const result = await run(
        'WRITE',
        WRITE_SHA,
        [
          // Without an owner too: a cluster that keeps the two apart refuses the first write.
          '2',
          recordKey(id),
          keys.users + owner,
          encodeURIComponent(expected ?? ''),
          tag,
          String(Math.max(1, Math.ceil(expiresAt - time))),
          `${Math.floor(expiresAt)}\n${owner}\n${value}`,
          id,
          String(time),
          patch,
          String(folded),
          String(PATCHES),
        ],
        signal,
      )
      if (result === 1) return { ok: true }
      if (result === 2) return { ok: true, patched: true }
      if (result !== 0 && typeof result !== 'string') throw unusable()
      return { ok: false, current: result === 0 ? null : decode(result, now()) }
    },

    async delete(id, { signal } = {}) {
      if (typeof (await ask(['DEL', recordKey(id)], signal)) !== 'number') throw unusable()
    },

    index: {
      list: async (subject, call) => (await load()).list(keys, subject, call?.signal),
      bury: async (subject, tombstone, call) => (await load()).bury(keys, subject, tombstone, call),
    },
    page: async (cursor, call) => (await load()).page(keys, cursor, call?.signal),

    async health({ signal } = {}) {
      if ((await ask(['PING'], signal)) !== 'PONG') throw unusable()
    },
  }
}
