/**
 * The Durable Object class: one object keeps one session (`s:` and its id), another one the list of
 * a user's sessions (`u:` and the subject). What an object is, is in its name only.
 */
// @ts-types="./durable-object-base.d.ts"
import { DurableObject } from 'cloudflare:workers'
import { copyRecord } from './copy.ts'
import { type StoredEntry, type StoredRecord, TOMBSTONE, type WriteResult } from './store.ts'

/** A Durable Object binding whose class is {@link SessionObject}. */
export interface SessionObjectNamespace {
  getByName(name: string): unknown
}

interface OwnNamespace {
  idFromName(name: string): { equals(other: unknown): boolean }
}

/** What a session's object keeps. Times are its own clock's, so that no other one moves alarms. */
interface Kept extends StoredRecord {
  /** Versions of the last writes that made it what it is. */
  recent: readonly string[]
  /** When it may be removed. */
  until: number
  /** Until when it is in the list of its subject, at least. */
  listed: number
}

/** What a write carries besides. Plain data: it goes over RPC. */
export interface WriteCall {
  readonly now: number
  readonly expected: string | null
  readonly patch: string | undefined
  readonly folded: number
}

/** What the store calls, and the objects of each other. */
export interface SessionObjectCalls {
  read(now: number): Promise<StoredRecord | null>
  write(id: string, record: StoredRecord, call: WriteCall): Promise<WriteResult>
  remove(): Promise<void>
  list(subject: string, now: number): Promise<StoredEntry[]>
  bury(subject: string, tombstone: StoredRecord, except: string, now: number): Promise<number>
  join(id: string, lasts: number): Promise<void>
  look(subject: string, now: number, tombstone?: StoredRecord): Promise<StoredRecord | null>
}

/** Patches kept beside one record. */
export const PATCHES = 32
/** What an object throws when it cannot reach others. */
export const NO_BINDING = 'The Worker that exports SessionObject needs a binding to it'

/** Characters of a record and the patches beside it: a row holds 2 MB. */
const PATCHED_SIZE = 1_000_000
/** Versions of a record that are known again. */
const RECENT = 8
const RECORD = 'record'
const MEMBER = 'member:'

/**
 * The class to export from the Worker, on SQLite storage. It needs itself as a binding: the one that
 * is given to {@link createDurableObjectStore}, under any name.
 */
export class SessionObject
  extends DurableObject<Record<string, unknown>>
  implements SessionObjectCalls
{
  #namespace: SessionObjectNamespace | undefined
  /** Changes with all that a write under way has to know of before it is made. */
  #epoch = 0
  /** Ends when no burial of this user is under way. */
  #burials: Promise<unknown> = Promise.resolve()
  /** For each look at all sessions of this user: those that joined since it began. */
  readonly #joined: Set<Set<string>> = new Set()

  /** The record of this session. */
  async read(now: number): Promise<StoredRecord | null> {
    const kept = this.#live(now)
    return kept ? copyRecord(kept) : null
  }

  /** Compare-and-set on the record of this session. */
  async write(id: string, record: StoredRecord, call: WriteCall): Promise<WriteResult> {
    const { subject } = record
    const { storage } = this.ctx
    const lasts = record.expiresAt - call.now
    let [alarm, epoch, listed]: [number | null, number, number] = [null, 0, 0]
    do {
      epoch = this.#epoch
      const until = Date.now() + lasts
      const kept = this.#live(call.now)
      if (kept?.subject === subject) listed = Math.max(listed, kept?.listed ?? 0)
      // Listed first: an entry without a record does no harm, a record without an entry would.
      // Long enough for the renewals to come. It waits for burials, which would not find the record.
      if (subject !== undefined && (listed < until || kept?.subject !== subject)) {
        listed = until + lasts
        await this.#object(`u:${subject}`, `s:${id}`).join(id, 2 * lasts)
      }
      alarm = await storage.getAlarm()
    } while (epoch !== this.#epoch)
    // Nothing is awaited from here on: all of it is stored, or nothing.
    const until = Date.now() + lasts
    const result = this.#apply(record, call, until, listed)
    if (result.ok && (alarm === null || alarm > until)) await storage.setAlarm(Math.ceil(until))
    return result
  }

  /** Forgets this session. */
  async remove(): Promise<void> {
    this.ctx.storage.kv.delete(RECORD)
  }

  /** The live record of this session if it belongs to `subject`; a tombstone takes its place. */
  async look(subject: string, now: number, tombstone?: StoredRecord): Promise<StoredRecord | null> {
    // A write under way joins again, so that it comes after the burial, and stays listed.
    this.#epoch++
    const kept = this.#live(now)
    if (kept?.subject !== subject || kept.value === TOMBSTONE) return null
    if (!tombstone) return copyRecord(kept)
    const { recent, until, listed } = kept
    this.#put({ ...tombstone, recent, until, listed }, tombstone.version)
    return tombstone
  }

  /** Notes in a user's object that a session is theirs, for so many milliseconds. */
  async join(id: string, lasts: number): Promise<void> {
    const { storage } = this.ctx
    let [alarm, epoch]: [number | null, number] = [null, 0]
    do {
      epoch = this.#epoch
      await this.#burials
      alarm = await storage.getAlarm()
    } while (epoch !== this.#epoch)
    const until = Date.now() + lasts
    for (const ids of this.#joined) ids.add(id)
    storage.kv.put(MEMBER + id, until)
    if (alarm === null || alarm > until) await storage.setAlarm(Math.ceil(until))
  }

  /** The live sessions of a user, from the user's object. */
  list(subject: string, now: number): Promise<StoredEntry[]> {
    return this.#lookAtAll(subject, now)
  }

  /** Ends the live sessions of a user, from the user's object, and returns how many. */
  async bury(
    subject: string,
    tombstone: StoredRecord,
    except: string,
    now: number,
  ): Promise<number> {
    this.#epoch++
    const burial = this.#lookAtAll(subject, now, tombstone, except)
    this.#burials = Promise.allSettled([this.#burials, burial]).then(() => {})
    return (await burial).length
  }

  /** Removes what has expired; runs at least once, and comes again while anything is left. */
  async alarm(): Promise<void> {
    this.#epoch++
    const { storage } = this.ctx
    const now = Date.now()
    let next = storage.kv.get<Kept>(RECORD)?.until ?? 0
    for (const [key, until] of this.#members()) {
      if (until <= now) storage.kv.delete(key)
      else if (next <= now || next > until) next = until
    }
    if (next > now) await storage.setAlarm(Math.ceil(next))
    else await storage.deleteAll()
  }

  /** Looks at every session of a user, or buries it, and forgets those that are not theirs any more. */
  async #lookAtAll(
    subject: string,
    now: number,
    tombstone?: StoredRecord,
    except?: string,
  ): Promise<StoredEntry[]> {
    const joined = new Set<string>()
    this.#joined.add(joined)
    const ids = this.#members().map(([key]) => key.slice(MEMBER.length))
    const looks = ids
      .filter((id) => id !== except)
      .map(async (id): Promise<StoredEntry[]> => {
        const object = this.#object(`s:${id}`, `u:${subject}`)
        const record = await object.look(subject, now, tombstone)
        if ((!record || tombstone) && !joined.has(id)) this.ctx.storage.kv.delete(MEMBER + id)
        return record ? [{ id, record }] : []
      })
    // All have ended, well or not, before anybody may go on.
    await Promise.allSettled(looks)
    this.#joined.delete(joined)
    return (await Promise.all(looks)).flat()
  }

  #apply(record: StoredRecord, call: WriteCall, until: number, listed: number): WriteResult {
    const { now, expected, patch, folded } = call
    const current = this.#live(now)
    // Its own write again: the answer to an earlier attempt was lost on the way.
    if (current?.recent.includes(record.version)) return { ok: true }
    const { patches = [], recent = [] } = current ?? {}
    if ((current?.version ?? null) === expected) {
      const later = patches.slice(folded)
      if (!later.length || record.value !== TOMBSTONE) {
        this.#put({ ...record, patches: later, recent, until, listed }, record.version)
        return { ok: true }
      }
    } else if (current && expected !== null && patch !== undefined) {
      const patched: WriteResult = { ok: true, patched: true }
      if (patches.includes(patch)) return patched
      const all = [...patches, patch]
      const size = [current.value, ...all].join('').length
      if (current.value !== TOMBSTONE && all.length <= PATCHES && size <= PATCHED_SIZE) {
        this.#put({ ...current, patches: all }, record.version)
        return patched
      }
    }
    return { ok: false, current: current ? copyRecord(current) : null }
  }

  #live(now: number): Kept | undefined {
    const kept = this.ctx.storage.kv.get<Kept>(RECORD)
    return kept && now < kept.expiresAt ? kept : undefined
  }

  #put(kept: Kept, tag: string): void {
    const recent = [tag, ...kept.recent].slice(0, RECENT)
    this.ctx.storage.kv.put<Kept>(RECORD, { ...kept, recent })
  }

  /** The keys of a user's sessions, and until when they are listed. */
  #members(): [string, number][] {
    return [...this.ctx.storage.kv.list<number>({ prefix: MEMBER })]
  }

  /** Another object of this class; `own`: the name of this one, by which it knows its binding. */
  #object(name: string, own: string): SessionObjectCalls {
    this.#namespace ??= Object.values(this.env).find((binding) => this.#isOwn(binding, own)) as
      | SessionObjectNamespace
      | undefined
    if (!this.#namespace) throw new TypeError(NO_BINDING)
    return this.#namespace.getByName(name) as SessionObjectCalls
  }

  #isOwn(binding: unknown, own: string): boolean {
    // Bindings to services answer to every name, so they are told apart by what they are.
    if (Object(binding).constructor?.name !== 'DurableObjectNamespace') return false
    return (binding as OwnNamespace).idFromName(own).equals(this.ctx.id)
  }
}
