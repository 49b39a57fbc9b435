/**
 * Stores sessions in Cloudflare KV.
 *
 * KV is eventually consistent and has no compare-and-set. These limits follow:
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
import { applyRules, functionRule, methodsRule, type Rule } from '../check.ts'
import { copyRecord } from './copy.ts'
import { EndedIds } from './ended-ids.ts'
import { notShown, skipForeign } from './errors.ts'
import { callKV, type KVBinding, listPage, listSuffixes } from './kv-call.ts'
import { KnownStates, refuseOverlap, UNKNOWN } from './kv-known.ts'
import { decodeValue, encodeRecord, encodeTombstone, type KVRecord } from './kv-value.ts'
import { LAG_SECONDS, MARK_SECONDS } from './limits.ts'
import type {
  SessionIndex,
  SessionStore,
  StoreCallOptions,
  StoredEntry,
  StoredPage,
  StoredRecord,
} from './store.ts'

export type { KVBinding } from './kv-call.ts'

/** Options for {@link createKVStore}. */
export interface KVStoreOptions {
  /** The binding, for example `env.SESSIONS`. */
  namespace: KVBinding
  /** The beginning of the store's keys, up to 128 characters; begins with no other store's. (default: `'sojourn:'`) */
  prefix?: string
  /** Epoch milliseconds. (default: Date.now) */
  now?: () => number
}

const RULES: Record<keyof KVStoreOptions, Rule> = {
  namespace: methodsRule(
    null,
    'a KV namespace binding (is it called so in wrangler.jsonc?)',
    'get put delete list',
  ),
  prefix: [
    'sojourn:',
    'a string of at most 128 characters',
    (value: unknown) => typeof value === 'string' && value.length <= 128,
  ],
  now: functionRule(() => Date.now()),
}

/** The record that KV has; `'ended'`: a tombstone; `null`: nothing, or not yet. */
type Found = KVRecord | 'ended' | null

/** Seconds; KV refuses to store anything for less. */
const MIN_TTL = 60
/** Greatest age of a read that a write relies on. */
const RECENT_MS = 1000

/** Records on a page: as many reads, of which Workers allow 1,000 in a request. */
const PAGE = 100
const MAX_MARKS = 10_000

/** Its methods are properties of their own, so that a store can be spread and they can be passed around. */
class KVStore implements SessionStore {
  readonly name = 'kv'
  readonly atomic = false
  readonly #kv: KVBinding
  readonly #prefix: string
  readonly #now: () => number
  readonly #known: KnownStates
  readonly #ended: EndedIds

  constructor({ namespace, prefix, now }: Required<KVStoreOptions>) {
    this.#kv = namespace
    this.#prefix = prefix
    this.#now = now
    this.#known = new KnownStates(now)
    this.#ended = new EndedIds(MAX_MARKS, now)
  }

  readonly read: SessionStore['read'] = async (id, options) => {
    const found = await this.#look(id, 0, options)
    return found === 'ended' ? null : found ? copyRecord(found) : undefined
  }

  readonly write: SessionStore['write'] = async (id, record, expected, options) => {
    options?.signal?.throwIfAborted()
    if (this.#ended.has(id)) return { ok: false, current: null }
    // A read before a creation would plant "there is nothing" in KV's caches for a minute. It is
    // worth it where the record of a session that has ended may be created again.
    const looks = expected !== null || record.markFor !== undefined
    const found = looks ? await this.#look(id, RECENT_MS, options) : null
    if (found === 'ended') return { ok: false, current: null }
    const known = this.#known.get(id)
    const current = known === UNKNOWN ? found : this.#live(known.record)
    if (!current && expected !== null) throw notShown()
    const isRepeated = current?.version === record.version
    if (!isRepeated && (current?.version ?? null) !== expected) {
      // No entry is appended: what KV shows may be older than what the writer read.
      return { ok: false, current: current && copyRecord(current) }
    }
    refuseOverlap(known)
    if (!isRepeated) await this.#put(id, copyRecord(record), current, options?.signal)
    return { ok: true }
  }

  readonly end: SessionStore['end'] = async (id, { signal, markFor = MARK_SECONDS } = {}) => {
    const found = await this.#look(id, RECENT_MS, { signal }).catch(skipForeign)
    const known = this.#known.get(id)
    refuseOverlap(known)
    const record = found === 'ended' ? null : (this.#live(known.record) ?? found)
    const seconds = Math.max(markFor, record?.markFor ?? 0)
    const lasts = seconds && Math.max(seconds, LAG_SECONDS)
    const value = encodeTombstone({ endedUntil: this.#now() + lasts * 1000 })
    await this.#known.change(id, null, record, () =>
      lasts
        ? this.#store(this.#key(id), value, lasts, signal)
        : callKV('delete', () => this.#kv.delete(this.#key(id)), signal),
    )
    this.#ended.add(id, lasts)
    // The list leaves ended sessions out by itself, so that their entries may as well stay.
    const entries = (record?.keys ?? []).map((key) => this.#indexKey(key, id))
    await Promise.allSettled(
      entries.map((entry) => callKV('delete', () => this.#kv.delete(entry), signal)),
    )
    return record !== null
  }

  readonly index: SessionIndex = {
    list: async (key, options) => {
      const ids = await listSuffixes(this.#kv, this.#indexKey(key, ''), options?.signal)
      const found = await this.#present(ids, options)
      return found.filter(({ record }) => record.keys?.includes(key))
    },
    // It ends what it can, and rejects afterwards if that was not all. What cannot be read is ended too: it may be a
    // session of this user that a newer version wrote.
    end: async (key, { except, ...options } = {}) => {
      const ids = await listSuffixes(this.#kv, this.#indexKey(key, ''), options.signal)
      const found = await this.#lookAtAll(ids, options)
      const owned = found.filter(({ record }) => !record || record.keys?.includes(key))
      const ends = owned.filter(({ id }) => id !== except).map(({ id }) => this.end(id, options))
      await Promise.allSettled(ends)
      return (await Promise.all(ends)).filter(Boolean).length
    },
  }

  readonly page = async (
    cursor: string | null,
    options?: StoreCallOptions,
  ): Promise<StoredPage> => {
    const prefix = this.#key('')
    const from = { prefix, limit: PAGE, ...(cursor !== null && { cursor }) }
    const { suffixes, cursor: next } = await listPage(this.#kv, from, options?.signal)
    return { records: await this.#present(suffixes, options), cursor: next }
  }

  readonly health = async (options?: StoreCallOptions): Promise<void> => {
    await callKV('get', () => this.#kv.get(`${this.#prefix}health`), options?.signal)
  }

  #key(id: string): string {
    return `${this.#prefix}r:${id}`
  }

  #indexKey(key: string, id: string): string {
    return `${this.#prefix}s:${key}:${id}`
  }

  #live(record: KVRecord | null): KVRecord | null {
    return record && this.#now() < record.expiresAt ? record : null
  }

  /** Returns what is there now, asked for unless this isolate knew less than `maxAgeMs` ago. */
  async #look(id: string, maxAgeMs: number, options?: StoreCallOptions): Promise<Found> {
    options?.signal?.throwIfAborted()
    if (this.#ended.has(id)) return 'ended'
    const at = this.#now()
    const before = this.#known.get(id)
    // What this isolate deleted does not come back from KV's caches.
    const isDeleted = !before.record && before.replaced.length > 0
    if (Math.abs(at - before.at) < (isDeleted ? LAG_SECONDS * 1000 : maxAgeMs)) {
      return this.#live(before.record)
    }
    const text = await callKV('get', () => this.#kv.get(this.#key(id)), options?.signal)
    const found = this.#decode(id, text)
    if (found === 'ended') return found
    const known = this.#known.get(id)
    if (this.#known.isOld(found, known, known !== before)) return this.#live(known.record)
    this.#known.read(id, found, at)
    return found
  }

  #decode(id: string, text: string | null): Found {
    const value = decodeValue(text)
    if (!value || !('endedUntil' in value)) return this.#live(value)
    const left = value.endedUntil - this.#now()
    if (left <= 0) return null
    this.#ended.add(id, left / 1000)
    return 'ended'
  }

  async #put(
    id: string,
    record: StoredRecord,
    current: KVRecord | null,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { expiresAt, keys = [] } = record
    const now = this.#now()
    const listed = current?.keys ?? []
    const isListed = current !== null && current.indexedUntil >= expiresAt
    const due = keys.filter((key) => !isListed || !listed.includes(key))
    // Twice as long as needed now, so that few renewals have to write it again.
    const indexedUntil = due.length ? 2 * expiresAt - now : (current?.indexedUntil ?? 0)
    const saved: KVRecord = { ...record, indexedUntil }
    const secondsTo = (time: number): number => Math.ceil((time - now) / 1000)
    const [lasts, listedFor] = [secondsTo(expiresAt), secondsTo(indexedUntil)]
    await this.#known.change(id, saved, current, () =>
      Promise.all([
        this.#store(this.#key(id), encodeRecord(saved), lasts, signal),
        ...due.map((key) => this.#store(this.#indexKey(key, id), '', listedFor, signal)),
      ]),
    )
  }

  async #store(key: string, value: string, seconds: number, signal?: AbortSignal): Promise<void> {
    const expirationTtl = Math.max(MIN_TTL, Math.ceil(seconds))
    await callKV('put', () => this.#kv.put(key, value, { expirationTtl }), signal)
  }

  async #present(ids: readonly string[], options?: StoreCallOptions): Promise<StoredEntry[]> {
    const found = await this.#lookAtAll(ids, options)
    return found.flatMap(({ id, record }) => (record ? [{ id, record: copyRecord(record) }] : []))
  }

  /** Returns the live records of these ids; `null` stands for what is no record of ours. */
  async #lookAtAll(
    ids: readonly string[],
    options?: StoreCallOptions,
  ): Promise<{ id: string; record: KVRecord | null }[]> {
    const all = ids.map(async (id) => {
      const found = await this.#look(id, 0, options).then((one) => one ?? 'ended', skipForeign)
      return found === 'ended' ? [] : [{ id, record: found }]
    })
    return (await Promise.all(all)).flat()
  }
}

/**
 * Creates a store on a Cloudflare KV namespace. Read the limits at the top of this module first.
 *
 * A read is one `get`. A write is one `put`, plus one `get` when this isolate has not read the
 * session within the last second, plus one small `put` per index key with the first write of a
 * signed-in session and rarely after. An end is the same, with one `delete` per index key. Creating
 * does not read, except for imported sessions: two sessions with the same 128-bit id are less likely
 * than a broken disk. Expiry is exact; KV's own, at least 60 seconds, only cleans up.
 *
 * An ended session leaves a tombstone for at least two minutes. A read that finds it is `null`; one
 * that finds nothing is `undefined`, because KV's answers lag for as long. A write that finds
 * nothing where it expects a version is {@link StoreUnavailableError}. Entries are never appended.
 *
 * @throws TypeError when an option is missing, unknown or of the wrong type.
 *
 * @example
 * const sessions = createSessions({ secret: env.SECRET, store: createKVStore({ namespace: env.SESSIONS }) })
 */
export function createKVStore(options: KVStoreOptions): SessionStore {
  return new KVStore(applyRules('', RULES, options))
}
