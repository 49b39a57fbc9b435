/**
 * Keeps sessions in Durable Objects: one for each session, and one for each user who signed in.
 *
 * Strongly consistent: compare-and-set happens inside the session's object, one round trip away from
 * every isolate, wherever it is. Records expire by themselves, by alarm.
 *
 * @module
 * @example
 * // wrangler.toml
 * // [[durable_objects.bindings]]
 * // name = "SESSIONS"
 * // class_name = "SessionObject"
 * // [[migrations]]
 * // tag = "v1"
 * // new_sqlite_classes = ["SessionObject"]
 * import { createDurableObjectStore } from 'sojourn/durable-object'
 * export { SessionObject } from 'sojourn/durable-object'
 */
import { DurableObject } from 'cloudflare:workers'
import { applyRules, functionRule, type Rule, refuseUnless } from '../check.ts'
import { type SessionError, StoreError, StoreUnavailableError } from '../errors.ts'
import { orAbort } from './abort.ts'
import { copyRecord } from './copy.ts'
import {
  type SessionStore,
  type StoredEntry,
  type StoredRecord,
  type SubjectIndex,
  TOMBSTONE,
  type WriteResult,
} from './store.ts'

/** A Durable Object binding whose class is {@link SessionObject}. */
export interface SessionObjectNamespace {
  getByName(name: string): unknown
}

interface OwnNamespace {
  idFromName(name: string): { equals(other: unknown): boolean }
}

/** What {@link createDurableObjectStore} can be told. */
export interface DurableObjectStoreOptions {
  /** The binding, for example `env.SESSIONS`. */
  namespace: SessionObjectNamespace
  /** Epoch milliseconds. (default: Date.now) */
  now?: () => number
}

/** A {@link SessionStore} in Durable Objects. */
export interface DurableObjectStore extends SessionStore {
  readonly index: SubjectIndex
}

const PATCHES = 32
/** Versions of a record that are known again. */
const RECENT = 8
const RECORD = 'record'
const MEMBER = 'member:'

/** What a session's object keeps. */
interface Kept extends StoredRecord {
  /** Versions of the last writes that made it what it is. */
  recent: readonly string[]
}

/** What a call carries besides. Plain data: it goes over RPC. */
interface WriteCall {
  readonly now: number
  readonly expected: string | null
  readonly patch: string | undefined
  readonly folded: number
}

/** Whether it is a session's object or a user's is in its name only: `s:` and `u:`. */
interface SessionObjectCalls {
  read(now: number): Promise<StoredRecord | null>
  write(id: string, record: StoredRecord, call: WriteCall): Promise<WriteResult>
  remove(): Promise<void>
  replace(tombstone: StoredRecord, subject: string, now: number): Promise<boolean>
  join(id: string, until: number): Promise<void>
  list(subject: string, now: number): Promise<StoredEntry[]>
  bury(subject: string, tombstone: StoredRecord, except: string, now: number): Promise<number>
}

/**
 * The class to export from the Worker, on SQLite storage. It needs itself as a binding: the one that
 * is given to {@link createDurableObjectStore}, under any name.
 */
export class SessionObject
  extends DurableObject<Record<string, unknown>>
  implements SessionObjectCalls
{
  #namespace: SessionObjectNamespace | undefined

  /** The record of this session. */
  async read(now: number): Promise<StoredRecord | null> {
    const kept = this.#live(now)
    return kept ? copyRecord(kept) : null
  }

  /** Compare-and-set on the record of this session. */
  async write(id: string, record: StoredRecord, call: WriteCall): Promise<WriteResult> {
    const { subject } = record
    // Listed first: an entry without a record does no harm, a record without an entry would.
    if (subject !== undefined && this.#member(subject) < record.expiresAt) {
      const until = 2 * record.expiresAt - call.now
      await this.#object(`u:${subject}`, `s:${id}`).join(id, until)
      this.ctx.storage.kv.put(MEMBER + subject, until)
    }
    // Nothing is awaited between here and the storage: nobody comes in between.
    const result = this.#apply(record, call)
    if (result.ok) await this.#wake(record.expiresAt)
    return result
  }

  /** Forgets this session. */
  async remove(): Promise<void> {
    this.ctx.storage.kv.delete(RECORD)
  }

  /** Puts a tombstone over this session, if it is alive and belongs to `subject`. */
  async replace(tombstone: StoredRecord, subject: string, now: number): Promise<boolean> {
    const kept = this.#live(now)
    if (!kept || kept.value === TOMBSTONE || kept.subject !== subject) return false
    this.#put(tombstone, tombstone.version, kept)
    return true
  }

  /** Notes, in a user's object, that a session is theirs, until epoch milliseconds. */
  async join(id: string, until: number): Promise<void> {
    this.ctx.storage.kv.put(MEMBER + id, until)
    await this.#wake(until)
  }

  /** The live sessions of a user, from the user's object. */
  async list(subject: string, now: number): Promise<StoredEntry[]> {
    const found = await Promise.all(
      this.#ids().map(async (id) => ({
        id,
        record: await this.#object(`s:${id}`, `u:${subject}`).read(now),
      })),
    )
    return found.flatMap(({ id, record }) =>
      record?.subject === subject && record.value !== TOMBSTONE ? [{ id, record }] : [],
    )
  }

  /** Ends the live sessions of a user, from the user's object, and returns how many. */
  async bury(
    subject: string,
    tombstone: StoredRecord,
    except: string,
    now: number,
  ): Promise<number> {
    const ids = this.#ids().filter((id) => id !== except)
    const ended = await Promise.all(
      ids.map((id) => this.#object(`s:${id}`, `u:${subject}`).replace(tombstone, subject, now)),
    )
    return ended.filter(Boolean).length
  }

  /** Removes what has expired; runs at least once, and comes again while anything is left. */
  async alarm(): Promise<void> {
    const { kv } = this.ctx.storage
    const now = Date.now()
    if (!this.#live(now)) kv.delete(RECORD)
    let next = kv.get<Kept>(RECORD)?.expiresAt ?? Infinity
    for (const [key, until] of [...kv.list<number>({ prefix: MEMBER })]) {
      if (until > now) next = Math.min(next, until)
      else kv.delete(key)
    }
    if (next < Infinity) await this.ctx.storage.setAlarm(next)
    else await this.ctx.storage.deleteAll()
  }

  #apply(record: StoredRecord, { now, expected, patch, folded }: WriteCall): WriteResult {
    const current = this.#live(now)
    // Its own write again: the answer to an earlier attempt was lost on the way.
    if (current?.recent.includes(record.version)) return { ok: true }
    const patches = current?.patches ?? []
    if ((current?.version ?? null) === expected) {
      const later = patches.slice(folded)
      if (!later.length || record.value !== TOMBSTONE) {
        this.#put({ ...copyRecord(record), patches: later }, record.version, current)
        return { ok: true }
      }
    } else if (
      current &&
      expected !== null &&
      patch !== undefined &&
      current.value !== TOMBSTONE &&
      patches.length < PATCHES
    ) {
      this.#put({ ...current, patches: [...patches, patch] }, record.version, current)
      return { ok: true, patched: true }
    }
    return { ok: false, current: current ? copyRecord(current) : null }
  }

  #live(now: number): Kept | undefined {
    const kept = this.ctx.storage.kv.get<Kept>(RECORD)
    return kept && now < kept.expiresAt ? kept : undefined
  }

  #put(record: StoredRecord, tag: string, before: Kept | undefined): void {
    const recent = [tag, ...(before?.recent ?? [])].slice(0, RECENT)
    this.ctx.storage.kv.put<Kept>(RECORD, { ...record, recent })
  }

  /** Until when this session is listed for a user. */
  #member(subject: string): number {
    return this.ctx.storage.kv.get<number>(MEMBER + subject) ?? 0
  }

  #ids(): string[] {
    const members = [...this.ctx.storage.kv.list<number>({ prefix: MEMBER })]
    return members.map(([key]) => key.slice(MEMBER.length))
  }

  async #wake(at: number): Promise<void> {
    const alarm = await this.ctx.storage.getAlarm()
    if (alarm === null || alarm > at) await this.ctx.storage.setAlarm(at)
  }

  /** Another object of this class; `own`: the name of this one, by which it knows its binding. */
  #object(name: string, own: string): SessionObjectCalls {
    this.#namespace ??= Object.values(this.env).find((binding) => this.#isOwn(binding, own)) as
      | SessionObjectNamespace
      | undefined
    if (!this.#namespace) throw new TypeError('SessionObject found no binding to itself')
    return this.#namespace.getByName(name) as SessionObjectCalls
  }

  #isOwn(binding: unknown, own: string): boolean {
    // Bindings to services answer to every name, so they are told apart by what they are.
    if (Object(binding).constructor?.name !== 'DurableObjectNamespace') return false
    return (binding as OwnNamespace).idFromName(own).equals(this.ctx.id)
  }
}

const RULES: Record<string, Rule> = {
  namespace: [
    undefined,
    'a Durable Object binding',
    (value: SessionObjectNamespace) => typeof value.getByName === 'function',
  ],
  now: functionRule(() => Date.now()),
}

/**
 * Makes a store on a Durable Object binding.
 *
 * A read, a write, `list` and `bury` are one round trip from the Worker each; the last two fan out
 * from the user's object. The runtime repeats what could not be delivered by itself, so do not stack
 * many attempts on top: `resilient(store, { attempts: 2 })`.
 *
 * @throws TypeError when an option is missing, unknown or of the wrong type.
 *
 * @example
 * const sessions = createSessions({ secret: env.SECRET, store: createDurableObjectStore({ namespace: env.SESSIONS }) })
 */
export function createDurableObjectStore(options: DurableObjectStoreOptions): DurableObjectStore {
  refuseUnless(!!options.namespace, 'namespace', 'a Durable Object binding', options.namespace)
  const { namespace, now } = applyRules<Required<DurableObjectStoreOptions>>('', RULES, options)

  /** A stub is not used again: after an error it stays broken. */
  const call = async <T>(
    name: string,
    signal: AbortSignal | undefined,
    run: (object: SessionObjectCalls) => Promise<T>,
  ): Promise<T> => {
    signal?.throwIfAborted()
    try {
      return await orAbort(run(namespace.getByName(name) as SessionObjectCalls), signal)
    } catch (error) {
      signal?.throwIfAborted()
      throw toStoreError(error)
    }
  }

  return {
    name: 'durable-object',
    atomic: true,
    patches: PATCHES,
    read: (id, { signal } = {}) => call(`s:${id}`, signal, (object) => object.read(now())),
    write: (id, record, expected, { signal, patch, folded = 0 } = {}) =>
      call(`s:${id}`, signal, (object) =>
        object.write(id, copyRecord(record), { now: now(), expected, patch, folded }),
      ),
    delete: (id, { signal } = {}) => call(`s:${id}`, signal, (object) => object.remove()),
    index: {
      list: (subject, { signal } = {}) =>
        call(`u:${subject}`, signal, (object) => object.list(subject, now())),
      bury: (subject, tombstone, { signal, except = '' } = {}) =>
        call(`u:${subject}`, signal, (object) =>
          object.bury(subject, copyRecord(tombstone), except, now()),
        ),
    },
    health: async ({ signal } = {}) => {
      await call('s:health', signal, (object) => object.read(now()))
    },
  }
}

/** What an object throws quotes what it was given, so it is not passed on. */
function toStoreError(error: unknown): SessionError {
  const { overloaded, remote, retryable } = Object(error) as Record<string, unknown>
  if (overloaded) return new StoreError('The Durable Object is overloaded')
  if (remote && !retryable) return new StoreError('The Durable Object failed')
  return new StoreUnavailableError('The Durable Object gave no usable answer')
}
