/** Work that one of many overlapping requests does for all. Loaded when it is first needed. */
import { applyRules, numberRule } from '../check.ts'
import { createKeyedHash } from '../crypto/keyed-hash.ts'
import { createKeyRing } from '../crypto/keyring.ts'
import { openToken, sealToken } from '../crypto/token.ts'
import { StoreTimeoutError } from '../errors.ts'
import type { Instance } from '../instance.ts'
import { idOf, type SessionState } from '../record.ts'
import type { OnceOptions } from '../session.ts'
import type { StoredRecord } from '../stores/store.ts'
import { newVersion } from './records.ts'
import { requireStore } from './require-store.ts'
import { guardStore } from './sessions.ts'
import { pause } from './turns.ts'

const RULES = { lease: numberRule(10, 1, 600), ttl: numberRule(30, 1, 86_400) }
/** Milliseconds between looks at a lease, from and to. */
const FIRST_LOOK_MS = 25
const LAST_LOOK_MS = 250
/** Leases of others that a request sits out. */
const PATIENCE = 3

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
  const ring = createKeyRing(options.secrets, 'store')
  const [id] = await createKeyedHash(options.secrets, 'once')(`${idOf(about)}:${key}`)
  const label = `once:${id}`
  const seal = async (text: string, seconds: number): Promise<StoredRecord> => ({
    value: await sealToken(ring, label, encoder.encode(text), now()),
    version: newVersion(0),
    expiresAt: now() + seconds * 1000,
  })
  /** The result, if there is one; an empty text is a lease. */
  const resultOf = async (record: StoredRecord): Promise<{ value: T } | null> => {
    const bytes = await openToken(ring, label, record.value, now())
    const text = bytes && decoder.decode(bytes)
    return text ? { value: format.parse(text) as T } : null
  }

  const hold = async (held: StoredRecord): Promise<T> => {
    let value: T
    try {
      value = await fn()
    } catch (error) {
      await guardStore(store, () => store.delete(id)).catch(() => {})
      throw error
    }
    const text = format.stringify(value) ?? 'null'
    const done = await seal(text, ttl)
    // The work is done: that others cannot be told is no failure of this request.
    await guardStore(store, () => store.write(id, done, held.version)).catch(() => {})
    return value
  }

  const deadline = now() + PATIENCE * lease * 1000
  for (let delay = FIRST_LOOK_MS; ; delay = Math.min(LAST_LOOK_MS, delay * 2)) {
    const mine = await seal('', lease)
    // A store that is not atomic creates without looking.
    const there = store.atomic ? null : await guardStore(store, () => store.read(id))
    const taken = there
      ? { ok: false as const, current: there }
      : await guardStore(store, () => store.write(id, mine, null))
    if (taken.ok) return await hold(mine)
    const result = taken.current && (await resultOf(taken.current))
    if (result) return result.value
    if (now() >= deadline) {
      throw new StoreTimeoutError(`Others held "${key}" for ${PATIENCE} leases of ${lease} seconds`)
    }
    await pause(delay * (0.5 + Math.random() / 2))
  }
}
