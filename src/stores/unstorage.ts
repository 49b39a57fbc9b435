/**
 * Keeps sessions in any driver of {@link https://unstorage.unjs.io unstorage}.
 *
 * unstorage has no compare-and-set, whatever the driver. What that means here:
 *
 * - Overlapping writes of one session: the last one wins, the other one is lost (`atomic: false`).
 * - A sign-out that overlaps another write of the session can be lost too.
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
import {
  type SessionStore,
  type StoreCallOptions,
  type StoredPage,
  type StoredRecord,
  TOMBSTONE,
} from './store.ts'

/** The part of a `Storage` of unstorage that the store uses; `useStorage()` of Nitro fits. */
export interface UnstorageStorage {
  getItem(key: string): Promise<unknown>
  setItem(key: string, value: string, options?: { ttl?: number }): Promise<void>
  removeItem(key: string): Promise<void>
  getKeys(base?: string): Promise<string[]>
}

/** What {@link createUnstorageStore} can be told. */
export interface UnstorageStoreOptions {
  /** For example `createStorage({ driver })`. It stays yours to dispose of. */
  storage: UnstorageStorage
  /** What the store's keys begin with: parts between colons. (default: `'sojourn'`) */
  prefix?: string
  /** Epoch milliseconds. (default: Date.now) */
  now?: () => number
}

/** A {@link SessionStore} on unstorage. */
export interface UnstorageStore extends SessionStore {
  page(cursor: string | null, options?: StoreCallOptions): Promise<StoredPage>
  /**
   * Removes what has expired: for drivers that know no `ttl`, such as memory and fs, which keep it
   * for ever otherwise. Reads every session; call it from a nightly job.
   *
   * @returns How many it removed.
   * @throws {@link StoreUnavailableError}.
   */
  cleanupExpired(): Promise<number>
}

/** Records on a page. */
const PAGE = 100

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

/** What the driver has under a key is not ours. */
class ForeignValueError extends StoreError {}

/**
 * Format, expiry, version, subject and value, each ending its line. No driver takes that for JSON,
 * which `getItem` would parse. What follows is of a longer text that the driver wrote over: fs
 * neither replaces a file at once nor keeps two writers apart.
 */
const RECORD = /^sojourn 1\n(\d+)\n(\S+)\n(\S*)\n(\S+)\n/

function encode({ expiresAt, version, subject = '', value }: StoredRecord): string {
  const names = [version, subject].map(encodeURIComponent)
  return `sojourn 1\n${Math.floor(expiresAt)}\n${names.join('\n')}\n${value}\n`
}

function decode(text: unknown): StoredRecord | null {
  if (text === null) return null
  // Some drivers give an error, or nothing, in place of throwing; fs an empty text while it writes.
  if (text === undefined || text === '' || text instanceof Error) throw unavailable('getItem')
  try {
    // No match is `null`, which cannot be taken apart.
    const fields = RECORD.exec(text as string) as string[]
    const [, expiry, tag = '', owner = '', value = ''] = fields
    const [version, subject] = [decodeURIComponent(tag), decodeURIComponent(owner)]
    return { value, version, expiresAt: Number(expiry), ...(subject && { subject }) }
  } catch {
    throw new ForeignValueError('What is stored in unstorage is no record of ours')
  }
}

/** Nobody can use it any more, so walking through all sessions must not stop at it. */
function skipForeign(error: unknown): null {
  if (error instanceof ForeignValueError) return null
  throw error
}

/** Drivers put keys, values and credentials into their messages: none is passed on. */
function unavailable(operation: string): StoreUnavailableError {
  return new StoreUnavailableError(`unstorage ${operation} failed`)
}

/**
 * Makes a store on unstorage. Read its limits at the top of this module first.
 *
 * A read is one `getItem`, a creation one `setItem`, an update one of each. Expiry is exact; the
 * `ttl` that `setItem` is told only cleans up, where the driver knows it. What the driver has under
 * a session's key and is no record of ours is a failure, and never "no session".
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
    } catch {
      signal?.throwIfAborted()
      throw unavailable(operation)
    }
  }

  const look = async (key: string, signal?: AbortSignal): Promise<StoredRecord | null> =>
    decode(await call('getItem', signal, () => storage.getItem(key)))
  const isLive = (record: StoredRecord | null): record is StoredRecord =>
    record !== null && now() < record.expiresAt
  const remove = (key: string, signal?: AbortSignal): Promise<void> =>
    call('removeItem', signal, () => storage.removeItem(key))

  async function read(id: string, { signal }: StoreCallOptions = {}): Promise<StoredRecord | null> {
    const record = await look(keyOf(id), signal)
    return isLive(record) ? record : null
  }

  /** The keys after `cursor`, in order. */
  async function keysAfter(cursor: string | null, signal?: AbortSignal): Promise<string[]> {
    const keys = await call('getKeys', signal, () => storage.getKeys(base))
    return keys.filter((key) => cursor === null || key > cursor).sort((a, b) => (a < b ? -1 : 1))
  }

  return {
    name: 'unstorage',
    atomic: false,

    read,

    async write(id, record, expected, { signal } = {}) {
      // A read before a creation would plant "there is nothing" in the caches of some drivers.
      if (expected !== null) {
        const current = await read(id, { signal })
        if (current?.version === record.version) return { ok: true }
        if (current?.version !== expected) return { ok: false, current }
      }
      const ttl = Math.max(1, Math.ceil((record.expiresAt - now()) / 1000))
      await call('setItem', signal, () => storage.setItem(keyOf(id), encode(record), { ttl }))
      return { ok: true }
    },

    delete: (id, { signal } = {}) => remove(keyOf(id), signal),

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
        records: records.flatMap(({ id, record }) =>
          isLive(record) && record.value !== TOMBSTONE ? [{ id, record }] : [],
        ),
        cursor: rest.length > PAGE ? keys.at(-1)! : null,
      }
    },

    async health({ signal } = {}) {
      // Not a session's key, which have no dots of their own.
      await look(`${base}health.`, signal)
    },

    async cleanupExpired() {
      let removed = 0
      for (const key of await keysAfter(null)) {
        const record = await look(key).catch(skipForeign)
        if (!record || isLive(record)) continue
        await remove(key)
        removed++
      }
      return removed
    },
  }
}
