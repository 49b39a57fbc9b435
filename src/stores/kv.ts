/**
 * Keeps sessions in Cloudflare KV.
 *
 * KV is eventually consistent and has no compare-and-set. What that means here:
 *
 * - Changes, sign-outs included, reach other locations after up to 60 seconds, and 60 more where
 *   the old state was cached. A copied cookie that is used elsewhere within that time can undo a
 *   sign-out: there the tombstone is not seen, and a renewal overwrites it.
 * - Overlapping writes from different isolates: the last one wins, the other one is lost
 *   (`atomic: false`). In one isolate they are told apart.
 * - One write per second and session; more are {@link StoreUnavailableError} with `retryAfter: 1`.
 * - A user's list of sessions can miss those of the last minute.
 *
 * Take a Durable Object or Redis where that is not enough.
 *
 * @module
 * @example
 * import { createKVStore } from 'sojourn/kv'
 */

import { BoundedMap } from '../bounded-map.ts'
import { applyRules, functionRule, type Rule, refuseUnless } from '../check.ts'
import { copyRecord } from './copy.ts'
import { callKV, throttled } from './kv-call.ts'
import { decodeRecord, encodeRecord, ForeignValueError, type KVRecord } from './kv-value.ts'
import {
  type BuryOptions,
  type SessionStore,
  type StoreCallOptions,
  type StoredEntry,
  type StoredPage,
  type StoredRecord,
  type SubjectIndex,
  TOMBSTONE,
  type WriteResult,
} from './store.ts'

/** The part of a KV namespace binding that the store uses; `env.SESSIONS` of a Worker fits. */
export interface KVBinding {
  get(key: string): Promise<string | null>
  put(key: string, value: string, options?: { expirationTtl?: number }): Promise<void>
  delete(key: string): Promise<void>
  list(options?: {
    prefix?: string
    cursor?: string
    limit?: number
  }): Promise<{ keys: readonly { name: string }[]; list_complete: boolean; cursor?: string }>
}

/** What {@link createKVStore} can be told. */
export interface KVStoreOptions {
  /** The binding, for example `env.SESSIONS`. */
  namespace: KVBinding
  /** What the store's keys begin with, up to 128 characters. (default: `'sojourn:'`) */
  prefix?: string
  /** Epoch milliseconds. (default: Date.now) */
  now?: () => number
}

/** What this isolate last read or wrote under an id. */
interface Seen {
  readonly record: KVRecord | null
  readonly at: number
  /** Versions (`null`: nothing) that this isolate replaced: an answer with one of them is old. */
  readonly replaced: readonly (string | null)[]
  /** Whether the write is still under way. */
  pending: boolean
}

/** KV refuses to keep anything for less. */
const MIN_TTL = 60
/** For how long other locations, and KV's caches, may show what is no longer there. */
const LAG_MS = 120_000
/** How old a read may be that a write relies on. */
const RECENT_MS = 1000
/** For how long a write counts as under way; its request may have been cancelled. */
const PENDING_MS = 5000

/** Records on a page: as many reads, of which Workers allow 1,000 in a request. */
const PAGE = 100
/** Sessions whose latest state this isolate remembers. */
const SEEN = 500
/** Nothing is known: it was never seen, or a write of it failed. */
const UNKNOWN: Seen = { record: null, at: -Infinity, replaced: [], pending: false }

const methods = ['get', 'put', 'delete', 'list'] as const

const RULES: Record<keyof KVStoreOptions, Rule> = {
  namespace: [
    undefined,
    'a KV namespace binding',
    (value: KVBinding) => methods.every((method) => typeof value[method] === 'function'),
  ],
  prefix: [
    'sojourn:',
    'a string of at most 128 characters',
    (value: unknown) => typeof value === 'string' && value.length <= 128,
  ],
  now: functionRule(() => Date.now()),
}

class KVStore {
  readonly name: string = 'kv'
  readonly atomic: boolean = false
  readonly index: SubjectIndex = {
    list: (subject, options) => this.#list(subject, options),
    bury: (subject, tombstone, options) => this.#bury(subject, tombstone, options),
  }
  readonly #kv: KVBinding
  readonly #prefix: string
  readonly #now: () => number
  readonly #seen: BoundedMap<string, Seen> = new BoundedMap(SEEN)

  constructor({ namespace, prefix, now }: Required<KVStoreOptions>) {
    this.#kv = namespace
    this.#prefix = prefix
    this.#now = now
  }

  async read(id: string, options?: StoreCallOptions): Promise<StoredRecord | null> {
    return copyOf(await this.#look(id, 0, options))
  }

  async write(
    id: string,
    record: StoredRecord,
    expected: string | null,
    options?: StoreCallOptions,
  ): Promise<WriteResult> {
    options?.signal?.throwIfAborted()
    // A read before a create would plant "there is nothing" in KV's caches for a minute.
    const found = expected === null ? null : await this.#look(id, RECENT_MS, options)
    const known = this.#known(id)
    const current = known === UNKNOWN ? found : this.#live(known.record)
    const repeated = current?.version === record.version
    if (!repeated && (current?.version ?? null) !== expected) {
      return { ok: false, current: copyOf(current) }
    }
    refuseOverlap(known)
    if (!repeated) await this.#put(id, copyRecord(record), current, options?.signal)
    return { ok: true }
  }

  async delete(id: string, options?: StoreCallOptions): Promise<void> {
    options?.signal?.throwIfAborted()
    refuseOverlap(this.#known(id))
    await this.#change(id, null, null, () =>
      callKV('delete', () => this.#kv.delete(this.#key(id)), options?.signal),
    )
  }

  async health(options?: StoreCallOptions): Promise<void> {
    await callKV('get', () => this.#kv.get(`${this.#prefix}health`), options?.signal)
  }

  #key(id: string): string {
    return `${this.#prefix}r:${id}`
  }

  #indexKey(subject: string, id: string): string {
    return `${this.#prefix}s:${subject}:${id}`
  }

  #live(record: KVRecord | null): KVRecord | null {
    return record && this.#now() < record.expiresAt ? record : null
  }

  #known(id: string): Seen {
    const seen = this.#seen.get(id) ?? UNKNOWN
    return seen.pending && this.#now() - seen.at >= PENDING_MS ? UNKNOWN : seen
  }

  /** What is there now, asked for unless this isolate knew less than `maxAgeMs` ago. */
  async #look(id: string, maxAgeMs: number, options?: StoreCallOptions): Promise<KVRecord | null> {
    options?.signal?.throwIfAborted()
    const at = this.#now()
    const before = this.#known(id)
    if (Math.abs(at - before.at) < (isDead(before) ? LAG_MS : maxAgeMs)) {
      return this.#live(before.record)
    }
    const text = await callKV('get', () => this.#kv.get(this.#key(id)), options?.signal)
    const record = this.#live(decodeRecord(text))
    const known = this.#known(id)
    if (this.#isOld(record, known, known !== before)) return this.#live(known.record)
    const replaced = record ? known.replaced : []
    this.#seen.set(id, { record, at, replaced, pending: false })
    return record
  }

  /** Whether this isolate wrote something newer than what KV answers. */
  #isOld(found: KVRecord | null, { at, replaced }: Seen, meanwhile: boolean): boolean {
    if (replaced.length === 0 || this.#now() - at >= LAG_MS) return false
    return meanwhile || replaced.includes(found?.version ?? null)
  }

  async #put(
    id: string,
    record: StoredRecord,
    current: KVRecord | null,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { subject } = record
    const now = this.#now()
    const dead = record.value === TOMBSTONE
    const expiresAt = dead ? Math.max(record.expiresAt, now + LAG_MS) : record.expiresAt
    const indexed = current?.subject === subject ? (current?.indexedUntil ?? 0) : 0
    const isDue = subject !== undefined && !dead && indexed < expiresAt
    // Twice as long as needed now, so that few renewals have to write it again.
    const indexedUntil = isDue ? 2 * expiresAt - now : indexed
    const kept: KVRecord = { ...record, expiresAt, indexedUntil }
    const put = (key: string, value: string, until: number): Promise<void> => {
      const expirationTtl = Math.max(MIN_TTL, Math.ceil((until - now) / 1000))
      return callKV('put', () => this.#kv.put(key, value, { expirationTtl }), signal)
    }
    await this.#change(id, kept, current, () =>
      Promise.all([
        put(this.#key(id), encodeRecord(kept), expiresAt),
        isDue && put(this.#indexKey(subject, id), '', indexedUntil),
      ]),
    )
  }

  /** Makes a change known in this isolate while it is under way; forgets it when it fails. */
  async #change(
    id: string,
    record: KVRecord | null,
    current: KVRecord | null,
    write: () => Promise<unknown>,
  ): Promise<void> {
    const replaced = [current?.version ?? null, ...this.#known(id).replaced].slice(0, 8)
    const seen: Seen = { record, at: this.#now(), replaced, pending: true }
    this.#seen.set(id, seen)
    try {
      await write()
    } catch (error) {
      if (this.#seen.get(id) === seen) this.#seen.set(id, UNKNOWN)
      throw error
    }
    seen.pending = false
  }

  async #list(subject: string, options?: StoreCallOptions): Promise<StoredEntry[]> {
    const ids = await this.#ids(this.#indexKey(subject, ''), options)
    const found = await this.#present(ids, options)
    return found.filter(({ record }) => record.subject === subject)
  }

  async #bury(
    subject: string,
    tombstone: StoredRecord,
    { signal, except }: BuryOptions = {},
  ): Promise<number> {
    const entries = await this.#list(subject, { signal })
    const doomed = entries.filter(({ id }) => id !== except)
    await Promise.all(
      doomed.map(({ id }) => {
        const known = this.#known(id)
        refuseOverlap(known)
        return this.#put(id, copyRecord(tombstone), known.record, signal)
      }),
    )
    return doomed.length
  }

  async page(cursor: string | null, options?: StoreCallOptions): Promise<StoredPage> {
    const prefix = this.#key('')
    const from = { prefix, limit: PAGE, ...(cursor !== null && { cursor }) }
    const page = await callKV('list', () => this.#kv.list(from), options?.signal)
    const ids = page.keys.map(({ name }) => name.slice(prefix.length))
    const records = await this.#present(ids, options)
    return { records, cursor: (!page.list_complete && page.cursor) || null }
  }

  async #present(ids: readonly string[], options?: StoreCallOptions): Promise<StoredEntry[]> {
    const found = await Promise.all(
      ids.map(async (id) => ({ id, record: await this.#look(id, 0, options).catch(skipForeign) })),
    )
    return found.flatMap(({ id, record }) =>
      record && record.value !== TOMBSTONE ? [{ id, record: copyRecord(record) }] : [],
    )
  }

  async #ids(prefix: string, options?: StoreCallOptions): Promise<string[]> {
    const ids: string[] = []
    for (let cursor: string | undefined; ; ) {
      const from = cursor === undefined ? { prefix } : { prefix, cursor }
      const page = await callKV('list', () => this.#kv.list(from), options?.signal)
      for (const { name } of page.keys) ids.push(name.slice(prefix.length))
      if (page.list_complete || !page.cursor) return ids
      cursor = page.cursor
    }
  }
}

const copyOf = (record: KVRecord | null): StoredRecord | null => record && copyRecord(record)

/** Two writes of one key at once may land in either order; KV would refuse the second anyway. */
function refuseOverlap({ pending }: Seen): void {
  if (pending) throw throttled('KV takes one write per second and key')
}

/** A tombstone, or what this isolate deleted: neither comes back. */
function isDead({ record, replaced }: Seen): boolean {
  return record ? record.value === TOMBSTONE : replaced.length > 0
}

/** Nobody can use it any more, so signing a user out everywhere must not stop at it. */
function skipForeign(error: unknown): null {
  if (error instanceof ForeignValueError) return null
  throw error
}

/**
 * Makes a store on a Cloudflare KV namespace. Read the limits at the top of this module first.
 *
 * A read is one `get`. A write is one `put`, plus one `get` when this isolate has not read the
 * session within the last second, plus one small `put` for the subject index with the first write of
 * a signed-in session and rarely after. Creating never reads: two sessions with the same 128-bit id
 * are less likely than a broken disk. Expiry is exact; KV's own, at least 60 seconds, only cleans
 * up. A dead session leaves its tombstone for at least two minutes.
 *
 * @throws TypeError when an option is missing, unknown or of the wrong type.
 *
 * @example
 * const sessions = createSessions({ secret: env.SECRET, store: createKVStore({ namespace: env.SESSIONS }) })
 */
export function createKVStore(options: KVStoreOptions): SessionStore {
  refuseUnless(
    !!options?.namespace,
    'namespace',
    'a KV namespace binding (is it called so in wrangler.jsonc?)',
    options?.namespace,
  )
  const kv = new KVStore(applyRules('', RULES, options))
  // A plain object, so that it can be spread and its methods passed around.
  return {
    name: kv.name,
    atomic: kv.atomic,
    index: kv.index,
    read: (id, call) => kv.read(id, call),
    write: (id, record, expected, call) => kv.write(id, record, expected, call),
    delete: (id, call) => kv.delete(id, call),
    page: (cursor, call) => kv.page(cursor, call),
    health: (call) => kv.health(call),
  }
}
