/**
 * Stores sessions in any driver of {@link https://unstorage.unjs.io unstorage}.
 *
 * unstorage has no compare-and-set, whatever the driver. These limits follow:
 *
 * - Overlapping writes of one session: the last one wins, the other one is lost (`atomic: false`).
 * - A sign-out that overlaps another write of the session can be lost too.
 * - Drivers may cache: a session that is not there may only not be there yet, for two minutes.
 * - There is no index: `list` and `revokeAll` are refused.
 *
 * Take `sojourn/upstash`, `sojourn/durable-object` or `sojourn/d1` where that is not enough, and
 * `sojourn/kv` on Cloudflare KV, whose caches it knows.
 *
 * @module
 * @example
 * import { createUnstorageStore } from 'sojourn/unstorage'
 */

import { applyRules, functionRule, type Rule, refuseUnless } from '../check.ts'
import { StoreError, StoreUnavailableError } from '../errors.ts'
import { orAbort } from './abort.ts'
import { type Because, becauseOf, isFinal } from './errors.ts'
import { notShown } from './not-shown.ts'
import {
  MARK_SECONDS,
  type SessionStore,
  type StoreCallOptions,
  type StoredPage,
  type StoredRecord,
} from './store.ts'

/** The methods of a `Storage` of unstorage that the store uses; `useStorage()` of Nitro fits. */
export interface UnstorageStorage {
  getItem(key: string): Promise<unknown>
  setItem(key: string, value: string, options?: { ttl?: number }): Promise<void>
  removeItem(key: string): Promise<void>
  getKeys(base?: string): Promise<string[]>
}

/** Options for {@link createUnstorageStore}. */
export interface UnstorageStoreOptions {
  /** A storage, for example `createStorage({ driver })`. It stays yours to dispose of. */
  storage: UnstorageStorage
  /** The beginning of the store's keys: words between colons. (default: `'sojourn'`) */
  prefix?: string
  /** Epoch milliseconds. (default: Date.now) */
  now?: () => number
}

/** A {@link SessionStore} on unstorage. */
export interface UnstorageStore extends SessionStore {
  page(cursor: string | null, options?: StoreCallOptions): Promise<StoredPage>
  /**
   * Removes expired records and tombstones: for drivers that know no `ttl`, such as memory and fs,
   * which keep them for ever otherwise. Reads every session; call it from a nightly job.
   *
   * @param limit Number of values removed at most. (default: no limit)
   * @returns Number of values removed.
   * @throws {@link StoreUnavailableError}.
   */
  prune(limit?: number): Promise<number>
}

/** Records on a page. */
const PAGE = 100
/** Seconds for which a driver's caches may show what is no longer there. */
const LAG = 120

const methods = ['getItem', 'setItem', 'removeItem', 'getKeys'] as const

const RULES: Record<keyof UnstorageStoreOptions, Rule> = {
  storage: [
    undefined,
    'a Storage of unstorage',
    (value: UnstorageStorage) => methods.every((method) => typeof value[method] === 'function'),
  ],
  prefix: [
    'sojourn',
    'words of letters, digits, "-" and "_", with ":" between them',
    (value) => /^[\w-]+(:[\w-]+)*$/.test(value),
  ],
  now: functionRule(() => Date.now()),
}

/** A value under a session's key that is not ours. */
class ForeignValueError extends StoreError {}

/**
 * Format, expiry, version, epoch, seconds of the mark, index keys and value, each ending its line;
 * a tombstone has its expiry only. No driver takes that for JSON, which `getItem` would parse. What
 * follows is of a longer text that the driver wrote over: fs neither replaces a file at once nor
 * keeps two writers apart.
 */
const VALUE = /^sojourn 1\n(\d+)\n(?:ended\n|(\S+)\n(\S*)\n(\d*)\n([^\n]*)\n(\S+)\n)/

/** A record, or the tombstone of an ended session. */
type Stored = StoredRecord | { endedUntil: number }

function encode({ expiresAt, version, epoch, markFor, keys = [], value }: StoredRecord): string {
  const texts = [version, epoch].map(encodeURIComponent)
  const listed = keys.map(encodeURIComponent).join(' ')
  const lines = [Math.floor(expiresAt), ...texts, markFor ? Math.ceil(markFor) : '', listed, value]
  return `sojourn 1\n${lines.join('\n')}\n`
}

function decode(text: unknown): Stored | null {
  if (text === null) return null
  // Some drivers give an error, or nothing, in place of throwing; fs an empty text while it writes.
  if (text === undefined || text === '' || text instanceof Error)
    throw new StoreUnavailableError('unstorage getItem failed')
  try {
    // No match is `null`, which cannot be taken apart.
    const [, expiry, tag, epoch = '', markFor, keys, value = ''] = VALUE.exec(text as string)!
    if (tag === undefined) return { endedUntil: Number(expiry) }
    const record: StoredRecord = {
      value,
      version: decodeURIComponent(tag),
      epoch: decodeURIComponent(epoch),
      expiresAt: Number(expiry),
    }
    if (keys) record.keys = keys.split(' ').map(decodeURIComponent)
    if (markFor) record.markFor = Number(markFor)
    return record
  } catch {
    throw new ForeignValueError('What is stored in unstorage is no record of ours')
  }
}

/** Skips a value that is not ours: walking through all sessions must not stop at it. */
function skipForeign(error: unknown): null {
  if (error instanceof ForeignValueError) return null
  throw error
}

/** Tells whether trying again will not help. */
function isRefusal(error: unknown, { reason }: Because): boolean {
  const { message, status, statusCode = status } = Object(error)
  const [, told = statusCode] = /^KV [A-Z_]+ failed: (\d+)/.exec(message) ?? []
  return isFinal(reason) || /^4(?!08|25|29)/.test(told)
}

/**
 * Creates a store on unstorage. Read its limits at the top of this module first.
 *
 * A read is one `getItem`, a creation one `setItem`, an update or an end one of each. Expiry is
 * exact; the `ttl` that `setItem` is told only cleans up, where the driver knows it. A value under a
 * session's key that is no record of ours is a failure, and never "no session".
 *
 * An ended session leaves a tombstone for at least two minutes. A read that finds it is `null`; one
 * that finds nothing is `undefined`. A write that finds nothing where it expects a version is
 * {@link StoreUnavailableError}. Entries are never appended.
 *
 * @throws TypeError when an option is missing, unknown or of the wrong type.
 *
 * @example
 * import { createStorage } from 'unstorage'
 * import redisDriver from 'unstorage/drivers/redis'
 *
 * const storage = createStorage({ driver: redisDriver({ url: env.REDIS_URL }) })
 * const sessions = createSessions({ secret: env.SECRET, store: createUnstorageStore({ storage }) })
 */
export function createUnstorageStore(options: UnstorageStoreOptions): UnstorageStore {
  refuseUnless(!!options?.storage, 'storage', 'a Storage of unstorage', options?.storage)
  const { storage, prefix, now } = applyRules<Required<UnstorageStoreOptions>>('', RULES, options)
  const base = `${prefix}:`
  const keyOf = (id: string): string => base + encodeURIComponent(id)

  async function call<T>(
    operation: string,
    signal: AbortSignal | undefined,
    run: () => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted()
    try {
      return await orAbort(run(), signal)
    } catch (error) {
      signal?.throwIfAborted()
      const why = becauseOf(error)
      const Kind = isRefusal(error, why) ? StoreError : StoreUnavailableError
      // Drivers put keys, values and credentials into their messages: none is passed on.
      throw new Kind(`unstorage ${operation} failed`, why)
    }
  }

  const look = async (key: string, signal?: AbortSignal): Promise<Stored | null> =>
    decode(await call('getItem', signal, () => storage.getItem(key)))
  const isLive = (stored: Stored | null): stored is StoredRecord =>
    stored !== null && 'value' in stored && now() < stored.expiresAt
  const remove = (key: string, signal?: AbortSignal): Promise<void> =>
    call('removeItem', signal, () => storage.removeItem(key))
  const put = (key: string, text: string, seconds: number, signal?: AbortSignal): Promise<void> =>
    call('setItem', signal, () =>
      storage.setItem(key, text, { ttl: Math.max(1, Math.ceil(seconds)) }),
    )

  /** Returns the record; `null`: the session has ended; `undefined`: nothing is there, or not yet. */
  async function read(
    id: string,
    { signal }: StoreCallOptions = {},
  ): Promise<StoredRecord | null | undefined> {
    const stored = await look(keyOf(id), signal)
    if (!stored || 'value' in stored) return isLive(stored) ? stored : undefined
    return now() < stored.endedUntil ? null : undefined
  }

  /** Returns the keys after `cursor`, in order. */
  async function keysAfter(cursor: string | null, signal?: AbortSignal): Promise<string[]> {
    const keys = await call('getKeys', signal, () => storage.getKeys(base))
    return keys.filter((key) => cursor === null || key > cursor).sort((a, b) => (a < b ? -1 : 1))
  }

  return {
    name: 'unstorage',
    atomic: false,

    read,

    async write(id, record, expected, { signal } = {}) {
      // A read before a creation would plant "there is nothing" in the caches of some drivers. It is
      // worth it where the record of a session that has ended may be created again.
      const looks = expected !== null || record.markFor !== undefined
      const current = looks ? await read(id, { signal }) : undefined
      if (current === null) return { ok: false, current }
      if (!current && expected !== null) throw notShown()
      if (current?.version === record.version) return { ok: true }
      // No entry is appended: what a cache shows may be older than what the writer read.
      if (current && current.version !== expected) return { ok: false, current }
      await put(keyOf(id), encode(record), (record.expiresAt - now()) / 1000, signal)
      return { ok: true }
    },

    async end(id, { signal, markFor = MARK_SECONDS } = {}) {
      const record = await read(id, { signal }).catch(skipForeign)
      const seconds = Math.max(markFor, record?.markFor ?? 0)
      if (seconds === 0) await remove(keyOf(id), signal)
      else {
        const lasts = Math.max(seconds, LAG)
        const until = Math.ceil(now() + lasts * 1000)
        await put(keyOf(id), `sojourn 1\n${until}\nended\n`, lasts, signal)
      }
      return !!record
    },

    async page(cursor, { signal } = {}) {
      const rest = await keysAfter(cursor, signal)
      const keys = rest.slice(0, PAGE)
      const records = await Promise.all(
        keys.map(async (key) => {
          const id = decodeURIComponent(key.slice(base.length))
          return { id, record: await look(key, signal).catch(skipForeign) }
        }),
      )
      return {
        records: records.flatMap(({ id, record }) => (isLive(record) ? [{ id, record }] : [])),
        cursor: rest.length > PAGE ? keys.at(-1)! : null,
      }
    },

    async health({ signal } = {}) {
      // Not the key of a session: those have no dots of their own.
      await look(`${base}health.`, signal)
    },

    async prune(limit = Number.POSITIVE_INFINITY) {
      let removed = 0
      for (const key of await keysAfter(null)) {
        if (removed >= limit) break
        const stored = await look(key).catch(skipForeign)
        const until = stored && ('value' in stored ? stored.expiresAt : stored.endedUntil)
        if (until === null || now() < until) continue
        await remove(key)
        removed++
      }
      return removed
    },
  }
}
