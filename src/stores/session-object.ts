/**
 * The Durable Object class: one object stores one session (`s:` and its id), another one the index of
 * one key (`u:` and the key). The kind of an object is in its name only.
 */
// @ts-types="./durable-object-base.d.ts"
import { DurableObject } from 'cloudflare:workers'
import { applyWrite } from './apply-write.ts'
import { copyRecord } from './copy.ts'
import {
  alarmTime,
  type EndCall,
  isMark,
  isSaved,
  type Mark,
  NO_BINDING,
  NOT_OURS,
  type SavedRecord,
  type SessionObjectCalls,
  type WriteCall,
} from './session-object-types.ts'
import type { StoredEntry, StoredRecord, WriteResult } from './store.ts'

/** A Durable Object binding whose class is {@link SessionObject}. */
export interface SessionObjectNamespace {
  getByName(name: string): unknown
}

interface OwnNamespace {
  idFromName(name: string): { equals(other: unknown): boolean }
}

const RECORD = 'record'
const MARK = 'mark'
const MEMBER = 'member:'
const OWN_KEY = /^(record$|mark$|member:)/

/**
 * The class to export from the Worker, on SQLite storage. It needs itself as a binding: the one that
 * is given to {@link createDurableObjectStore}, under any name. Its storage is for sessions alone: once no key is left
 * in it, all of it is deleted, with tables that a subclass made.
 */
export class SessionObject
  extends DurableObject<Record<string, unknown>>
  implements SessionObjectCalls
{
  #namespace: SessionObjectNamespace | undefined
  /** Raised by every call that a write under way has to take into account. */
  #changes = 0
  /** Settles when no end of all sessions of this key is under way. */
  #endings: Promise<unknown> = Promise.resolve()
  /** Sessions that joined since it began, for each walk over all sessions of this key. */
  readonly #joined: Set<Set<string>> = new Set()

  /** Returns the record of this session. */
  async read(now: number): Promise<StoredRecord | null> {
    const saved = this.#readable(now)
    return saved ? copyRecord(saved) : null
  }

  /** Writes the record of this session, as `applyWrite` specifies. */
  async write(id: string, record: StoredRecord, call: WriteCall): Promise<WriteResult> {
    const { storage } = this.ctx
    const lasts = record.expiresAt - call.now
    const listedUntil: Record<string, number> = {}
    let [alarm, changes]: [number | null, number] = [null, 0]
    do {
      changes = this.#changes
      const until = Date.now() + lasts
      const saved = this.#readable(call.now)
      const { result, next } = this.#apply(saved, record, call)
      const keys = (!result.current && next?.keys) || []
      // Listed first: an entry without a record does no harm, a record without an entry would.
      // Long enough for the renewals to come. It waits for ends of all, which would not find it.
      await Promise.all(
        keys.map(async (key) => {
          const listed = saved?.listedUntil?.[key] ?? 0
          listedUntil[key] = Math.max(listed, listedUntil[key] ?? 0)
          if (listed > 0 && listedUntil[key] >= until) return
          listedUntil[key] = until + lasts
          await this.#object(`u:${key}`, `s:${id}`).join(id, 2 * lasts)
        }),
      )
      alarm = await storage.getAlarm()
    } while (changes !== this.#changes)
    // Nothing is awaited from here on: all of it is stored, or nothing.
    const saved = this.#readable(call.now)
    const { result, next } = this.#apply(saved, record, call)
    if (!next) return result
    if (result.current && saved) {
      storage.kv.put<SavedRecord>(RECORD, { ...saved, ...next })
      return result
    }
    const removeAt = Date.now() + lasts
    storage.kv.put<SavedRecord>(RECORD, { ...next, removeAt, listedUntil })
    storage.kv.delete(MARK)
    if (alarm === null || alarm > removeAt) await storage.setAlarm(Math.ceil(removeAt))
    return result
  }

  /** Ends this session, and marks its id. */
  async end(id: string, call: EndCall): Promise<boolean> {
    return (await this.#end(id, call)) !== null
  }

  /**
   * Returns the live record of this session if it has the key, and ends it if told to. Something else in its place
   * stays listed, and is ended too: a newer version may know it.
   */
  async look(
    id: string,
    key: string,
    now: number,
    end?: EndCall,
  ): Promise<StoredRecord | typeof NOT_OURS | null> {
    // A write under way joins again, so that it comes after an end of all, and stays listed.
    this.#changes++
    const saved = this.#live(now)
    if (saved !== NOT_OURS && !saved?.keys?.includes(key)) return null
    if (end) await this.#end(id, end, key)
    return saved === NOT_OURS ? saved : copyRecord(saved!)
  }

  /** Notes in the object of an index key that a session has it, for so many milliseconds. */
  async join(id: string, lasts: number): Promise<void> {
    const { storage } = this.ctx
    let [alarm, changes]: [number | null, number] = [null, 0]
    do {
      changes = this.#changes
      await this.#endings
      alarm = await storage.getAlarm()
    } while (changes !== this.#changes)
    const until = Date.now() + lasts
    for (const ids of this.#joined) ids.add(id)
    storage.kv.put(MEMBER + id, until)
    if (alarm === null || alarm > until) await storage.setAlarm(Math.ceil(until))
  }

  /** Takes a session that has ended out of this index key. */
  async leave(id: string): Promise<void> {
    this.ctx.storage.kv.delete(MEMBER + id)
  }

  /** Returns the live sessions of an index key, from the key's object. */
  list(key: string, now: number): Promise<StoredEntry[]> {
    return this.#lookAtAll(key, now)
  }

  /** Ends the live sessions of an index key, from the key's object, and returns how many. */
  async endAll(key: string, except: string, call: EndCall): Promise<number> {
    this.#changes++
    const ending = this.#lookAtAll(key, call.now, call, except)
    this.#endings = Promise.allSettled([this.#endings, ending]).then(() => {})
    return (await ending).length
  }

  /**
   * Removes what has expired; runs at least once, and comes again while anything of ours is left. What another
   * version or somebody else stored stays.
   */
  async alarm(): Promise<void> {
    this.#changes++
    const { storage } = this.ctx
    const now = Date.now()
    let next = Infinity
    for (const [key, value] of [...storage.kv.list()]) {
      if (!OWN_KEY.test(key)) continue
      const removeAt = alarmTime(Object(value).removeAt ?? value)
      if (removeAt <= now) storage.kv.delete(key)
      else next = Math.min(next, removeAt)
    }
    if (next < Infinity) await storage.setAlarm(Math.ceil(next))
    else if (![...storage.kv.list()].length) await storage.deleteAll()
  }

  /** Reads every session of a key, or ends it, and forgets those that do not have it any more. */
  async #lookAtAll(
    key: string,
    now: number,
    end?: EndCall,
    except?: string,
  ): Promise<StoredEntry[]> {
    const joined = new Set<string>()
    this.#joined.add(joined)
    const members = [...this.ctx.storage.kv.list({ prefix: MEMBER })]
    const ids = members.map(([member]) => member.slice(MEMBER.length))
    const looks = ids
      .filter((id) => id !== except)
      .map(async (id): Promise<StoredEntry[]> => {
        const object = this.#object(`s:${id}`, `u:${key}`)
        const found = await object.look(id, key, now, end)
        if ((!found || end) && !joined.has(id)) this.ctx.storage.kv.delete(MEMBER + id)
        return found && found !== NOT_OURS ? [{ id, record: found }] : []
      })
    // All have settled before anybody may go on.
    await Promise.allSettled(looks)
    this.#joined.delete(joined)
    return (await Promise.all(looks)).flat()
  }

  /** Returns the record that was live. `from`: the key whose object asks, and knows by itself. */
  async #end(id: string, { now, markFor }: EndCall, from?: string): Promise<StoredRecord | null> {
    this.#changes++
    const { storage } = this.ctx
    const live = this.#live(now)
    const record = live === NOT_OURS ? null : (live ?? null)
    const lasts = Math.max(markFor, record?.markFor ?? 0) * 1000
    const mark = storage.kv.get(MARK)
    const known = isMark(mark) ? mark : { until: 0, removeAt: 0 }
    const until = Math.max(now + lasts, known.until)
    const removeAt = Math.max(Date.now() + lasts, known.removeAt)
    storage.kv.delete(RECORD)
    try {
      if (lasts > 0) storage.kv.put<Mark>(MARK, { until, removeAt })
    } catch (error) {
      // A storage that is full takes no mark. The session has ended all the same.
      if (record?.markFor !== undefined) throw error
    }
    const alarm = await storage.getAlarm()
    if (lasts > 0 && (alarm === null || alarm > removeAt)) {
      await storage.setAlarm(Math.ceil(removeAt))
    }
    // The index forgets the session sooner than when it is looked for; an id without a mark may
    // be listed again already.
    const keys = record?.keys?.filter((key) => lasts > 0 && key !== from) ?? []
    await Promise.allSettled(keys.map(async (key) => this.#object(`u:${key}`, `s:${id}`).leave(id)))
    return record
  }

  #apply(
    saved: SavedRecord | undefined,
    record: StoredRecord,
    { now, expected, entry }: WriteCall,
  ): ReturnType<typeof applyWrite> {
    const mark = saved ? undefined : this.ctx.storage.kv.get(MARK)
    if (mark !== undefined) {
      if (!isMark(mark)) throw new TypeError(NOT_OURS)
      if (now < mark.until) return { result: { ok: false, current: null }, next: null }
    }
    return applyWrite(saved ?? null, record, expected, entry)
  }

  /** Returns the live record. What is none of ours is a failure, and never "no session". */
  #readable(now: number): SavedRecord | undefined {
    const saved = this.#live(now)
    if (saved === NOT_OURS) throw new TypeError(NOT_OURS)
    return saved
  }

  #live(now: number): SavedRecord | typeof NOT_OURS | undefined {
    const saved = this.ctx.storage.kv.get(RECORD)
    if (saved === undefined) return undefined
    if (!isSaved(saved)) return NOT_OURS
    return now < saved.expiresAt ? saved : undefined
  }

  /** Returns another object of this class. `own`: the name of this one, to find its binding by. */
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
