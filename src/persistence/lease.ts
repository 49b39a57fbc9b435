/** Work that one of many overlapping requests does for all. Loaded when it is first needed. */
import { BoundedMap } from '../bounded-map.ts'
import { applyRules, numberRule, quote } from '../check.ts'
import { idOf, type SessionState } from '../codec/session-record.ts'
import { openToken, sealToken } from '../crypto/token.ts'
import { StoreTimeoutError } from '../errors.ts'
import type { Instance } from '../session/instance.ts'
import type { OnceOptions } from '../session/session.ts'
import type { SessionStore, StoredRecord } from '../stores/store.ts'
import { guardStore } from './commits.ts'
import { openPart, partOf, sealPart } from './cookie-part.ts'
import { requireStore } from './require-store.ts'
import { newVersion, recordsOf } from './stored-record.ts'
import { pause } from './turns.ts'

const RULES = { lease: numberRule(10, 1, 600), ttl: numberRule(30, 1, 86_400) }
/** Milliseconds between looks at a lease, from and to. */
const FIRST_LOOK_MS = 25
const LAST_LOOK_MS = 250
/** Leases of others that a request sits out. */
const PATIENCE = 3

/** What the last look at a lease found; values only, shared in this isolate. */
interface Look {
  /** Epoch milliseconds. */
  readonly at: number
  /** The result's text, or empty. */
  readonly text: string
  /** Epoch milliseconds until which it is good. */
  readonly until: number
}

const MAX_LOOKS = 1000
const known = new WeakMap<SessionStore, BoundedMap<string, Look>>()

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/**
 * A lease is a record of its own beside the session: created when the work begins, replaced by the
 * result when it is done, gone by itself when whoever holds it dies.
 */
export async function runOnce<T>(
  instance: Instance,
  about: SessionState,
  key: string,
  fn: () => Promise<T>,
  given: OnceOptions = {},
): Promise<T> {
  const { format, options } = instance
  const store = requireStore(instance)
  const { lease, ttl } = applyRules<Required<OnceOptions>>('once.', RULES, given)
  const { now } = options
  const { leaseOf, ring } = recordsOf(instance)
  const [id] = await leaseOf(`${idOf(about)}:${key}`)
  const label = `once:${id}`
  const looks = known.get(store) ?? new BoundedMap<string, Look>(MAX_LOOKS)
  known.set(store, looks)
  const part = partOf(about)
  const seal = async (text: string, seconds: number): Promise<StoredRecord> => {
    const bytes = encoder.encode(text)
    const sealed = text && part.length ? await sealPart(part, bytes) : bytes
    return {
      value: await sealToken(ring, label, sealed, now()),
      version: newVersion(0),
      expiresAt: now() + seconds * 1000,
    }
  }
  /** The result's text, if there is one; an empty text is a lease. */
  const textOf = async (record: StoredRecord): Promise<string> => {
    let bytes = await openToken(ring, label, record.value, now())
    if (bytes?.length && part.length) bytes = await openPart(part, bytes)
    return bytes ? decoder.decode(bytes) : ''
  }
  /** In a list, where nothing has a place too. */
  const resultOf = (text: string): T => (format.parse(text) as T[])[0] as T

  const hold = async (held: StoredRecord): Promise<T> => {
    let text: string
    try {
      const value = await fn()
      text = format.stringify(value === undefined ? [] : [format.copy(value, key)])
    } catch (error) {
      // Over at once, unless it was over before and somebody else holds one.
      const over = await seal('', 0)
      await guardStore(store, () => store.write(id, over, held.version)).catch(() => {})
      throw error
    }
    const done = await seal(text, ttl)
    // The work is done: that others cannot be told is no failure of this request.
    looks.set(id, { at: Date.now(), text, until: done.expiresAt })
    await guardStore(store, () => store.write(id, done, held.version)).catch(() => {})
    return resultOf(text)
  }

  const deadline = now() + PATIENCE * lease * 1000
  for (let delay = FIRST_LOOK_MS; ; delay = Math.min(LAST_LOOK_MS, delay * 2)) {
    const look = looks.get(id)
    if (look?.text && now() < look.until) return resultOf(look.text)
    // One of this isolate looks for all.
    if (!look || Date.now() - look.at >= delay) {
      looks.set(id, { at: Date.now(), text: '', until: 0 })
      const mine = await seal('', lease)
      // A store that is not atomic creates without looking.
      const there = store.atomic ? null : await guardStore(store, () => store.read(id))
      const taken = there
        ? { ok: false as const, current: there }
        : await guardStore(store, () => store.write(id, mine, null))
      if (taken.ok) return await hold(mine)
      const text = taken.current ? await textOf(taken.current) : ''
      looks.set(id, { at: Date.now(), text, until: taken.current?.expiresAt ?? 0 })
      if (text) continue
    }
    if (now() >= deadline) {
      throw new StoreTimeoutError(
        `Others held ${quote(key)} for ${PATIENCE} leases of ${lease} seconds`,
      )
    }
    await pause(delay * (0.5 + Math.random() / 2))
  }
}
