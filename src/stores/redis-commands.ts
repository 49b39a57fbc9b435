/** The code that stores in Redis share, whichever way their commands take. */
import { functionRule, numberRule, type Rule } from '../check.ts'
import { type SessionError, StoreError, StoreTimeoutError } from '../errors.ts'
import { MAX_MS, within } from '../resilience/deadline.ts'
import { because, isFinal } from './errors.ts'
import { MARK_SECONDS, MAX_ENTRIES, MAX_ENTRIES_LENGTH } from './limits.ts'
import type { RedisKeys, RunScript } from './redis-index.ts'
import { decode, encode, encodeKeys, noUsableReply, READ_SHA, WRITE_SHA } from './redis-record.ts'
import type { SessionStore, WriteResult } from './store.ts'

/** Options for every store in Redis. */
export interface RedisOptions {
  /** Put before every key, to separate what shares a database; begins with no other store's. (default: 'sojourn:') */
  prefix?: string
  /** Time limit of one call, its answer included, in milliseconds. (default: 2000) */
  timeoutMs?: number
  /** Epoch milliseconds. (default: Date.now) */
  now?: () => number
}

/** A store in Redis, which can find sessions by index key, and go through all of them. */
export type RedisSessionStore = SessionStore & Required<Pick<SessionStore, 'index' | 'page'>>

/** Sends one command. Redis' answer is in `result`, its refusal in `error`. */
export type SendCommand = (command: readonly string[], signal: AbortSignal) => Promise<unknown>

export const REDIS_RULES: Record<keyof RedisOptions, Rule> = {
  prefix: ['sojourn:', 'a string', (value: unknown) => typeof value === 'string'],
  timeoutMs: numberRule(2000, 1, MAX_MS),
  now: functionRule(() => Date.now()),
}

/** Stands for Redis not having a script yet. */
const NO_SCRIPT = Symbol()

/** The word that an error of Redis begins with. Redis 6 quotes that of a script further on. */
const WORD = /^(?:ERR Error running script .* -)?([A-Z]{3,}) /
/** Refusals whose class says nothing of it; a client for one node is wrong for a cluster. */
const REFUSED = /^(unknown|cluster|network|timeout) (?!undefined|TRYAGAIN|.*DOWN)/

/** Advice about the refusals that a configuration causes. */
const ADVICE: Record<string, string> = {
  CROSSSLOT: ': in a cluster the store needs a prefix with a hash tag, such as "{sojourn}:"',
  MOVED: ': it is part of a cluster, and needs a client for clusters',
}

/** Makes an error of what Redis said, of which only the first word is told: the rest may quote. */
function failure(text: string): SessionError {
  const said = WORD.exec(text)?.[1]
  const why = because(said, text)
  const { reason, word } = why
  if (!isFinal(reason) && !REFUSED.test(`${reason} ${word}`)) return noUsableReply(undefined, why)
  const told = word ? ` (${word})${ADVICE[word] ?? ''}` : ''
  return new StoreError(`Redis refused a command${told}`, why)
}

/** Sends a command, for the settings' time at most. */
function createAsk(send: SendCommand, timeoutMs: number): RedisKeys['ask'] {
  return async (command, signal) => {
    signal?.throwIfAborted()
    const late = (): Error => new StoreTimeoutError('Redis did not answer in time')
    const answer = await within(timeoutMs, signal, late, (inner) => send(command, inner))
    const { result, error } = Object(answer) as { result?: unknown; error?: unknown }
    if (typeof error !== 'string' || !error) return result
    if (/\bNOSCRIPT\b/.test(error)) return NO_SCRIPT
    throw failure(error)
  }
}

/** Runs a script by its hash, and sends its text where Redis does not have it. */
function createRun(ask: RedisKeys['ask']): RunScript {
  return async (name, sha, args, signal) => {
    const result = sha === null ? NO_SCRIPT : await ask(['EVALSHA', sha, ...args], signal)
    if (result !== NO_SCRIPT) return result
    const { scriptOf } = await import('./redis-scripts.ts')
    return await ask(['EVAL', scriptOf(name), ...args], signal)
  }
}

/**
 * Creates a store from a function that sends commands. With `fromReplicas` reads may be answered by a replica that
 * lags, unless they are `fresh`; they touch no index then.
 */
export function createRedisCommands(
  name: string,
  send: SendCommand,
  { prefix, timeoutMs, now }: Required<RedisOptions>,
  { fromReplicas = false }: { fromReplicas?: boolean } = {},
): RedisSessionStore {
  const records = `${prefix}s:`
  const index = `${prefix}u:`
  const time = (): string => String(Math.floor(now()))

  const ask = createAsk(send, timeoutMs)
  const run = createRun(ask)
  const keys: RedisKeys = { records, index, now, run, ask }
  const rare = async () => (await import('./redis-index.ts')).rareCalls(keys)

  return {
    name,
    atomic: true,

    async read(id, { signal, fresh } = {}) {
      const key = records + id
      const isCopy = fromReplicas && !fresh
      // Unlike GET, both answer an absent key with '', so that no failure is taken for it.
      const result = isCopy
        ? await ask(['GETRANGE', key, '0', '-1'], signal)
        : await run('READ', READ_SHA, ['2', key, index, id], signal)
      if (typeof result !== 'string') throw noUsableReply()
      const record = result === '' ? null : decode(result, now())
      return isCopy && record ? { ...record, copied: true } : record
    },

    async write(id, record, expected, { signal, entry = '' } = {}) {
      const ms = Math.max(1, Math.ceil(record.expiresAt - Math.floor(now())))
      const [version, before] = [record.version, expected ?? ''].map(encodeURIComponent)
      // Both keys without index keys too: a cluster that keeps them apart refuses the first write.
      const args = ['2', records + id, index, before!, version!]
      args.push(encodeURIComponent(record.epoch), String(ms), encode(record), id, time(), entry)
      args.push(String(MAX_ENTRIES), String(MAX_ENTRIES_LENGTH), encodeKeys(record.keys))
      return resultOf(await run('WRITE', WRITE_SHA, args, signal), now())
    },

    async end(id, { signal, markFor = MARK_SECONDS } = {}) {
      const ms = String(Math.ceil(markFor * 1000))
      const args = ['2', records + id, index, id, time(), ms]
      const count = await run('END', null, args, signal)
      if (typeof count !== 'number') throw noUsableReply()
      return count === 1
    },

    index: {
      list: async (key, call) => (await rare()).list(key, call),
      end: async (key, call) => (await rare()).end(key, call),
    },
    page: async (cursor, call) => (await rare()).page(cursor, call),
    health: async (call) => (await rare()).health(call),
    inspect: async (call) => (await rare()).inspect(call),
  }
}

function resultOf(result: unknown, now: number): WriteResult {
  if (result === 1) return { ok: true }
  if (result === 0) return { ok: false, current: null }
  if (typeof result === 'string') return { ok: false, current: decode(result, now) }
  if (!Array.isArray(result) || result[0] !== 1) throw noUsableReply()
  const current = decode(result[1], now)
  return current ? { ok: true, current } : { ok: true }
}
