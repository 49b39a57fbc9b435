/** Work that one of many overlapping requests does for all. Loaded when it is first needed. */
import { BoundedMap } from '../bounded-map.ts'
import {
  applyRules,
  type Complete,
  expectArgument,
  LONE_SURROGATE,
  numberRule,
  quote,
} from '../check.ts'
import { idOf, type SessionState } from '../codec/session-record.ts'
import { openShared, sealShared } from '../crypto/key-share.ts'
import { plainHash } from '../crypto/keyed-hash.ts'
import { decodeText, encodeText } from '../crypto/text.ts'
import { openToken, sealToken, versionOf } from '../crypto/token.ts'
import { StoreTimeoutError } from '../errors.ts'
import { type Persistence, persistenceOf } from '../persistence/persistence.ts'
import { pause } from '../resilience/deadline.ts'
import type { SessionStore, StoredRecord } from '../stores/store.ts'
import type { Draft } from './draft.ts'
import type { Instance } from './instance.ts'
import type { OnceOptions } from './session.ts'
import { startCalls } from './store-calls.ts'

const RULES = { lease: numberRule(10, 1, 600), ttl: numberRule(30, 1, 86_400) }
/** Milliseconds between polls of a lease, from and to. */
const FIRST_POLL_MS = 25
const LAST_POLL_MS = 250
/** Leases of others that a request waits for. */
const MAX_LEASES = 3
/** A lease is no session: no entry is ever appended to it. */
const EPOCH = 'once'

/** The outcome of the last poll of a lease; values only, shared in this isolate. */
interface Poll {
  /** Epoch milliseconds. */
  readonly at: number
  /** The result's text, or empty. */
  readonly text: string
  /** Epoch milliseconds until which it is good. */
  readonly until: number
}

const MAX_POLLS = 1000
/** Longer results are read from the store by each request. */
const MAX_TEXT = 8192
const known = new WeakMap<SessionStore, BoundedMap<string, Poll>>()

/** The lease of one key of one session. */
interface Lease {
  readonly p: Persistence
  readonly id: string
  /** Whose result it is, and its name here: a session has one id before its user signs in and after. */
  readonly owner: string
  readonly name: string
  readonly key: string
  /** The session, whose key share seals the result. */
  readonly about: SessionState
  /** Seconds. */
  readonly lease: number
  readonly ttl: number
  readonly polls: BoundedMap<string, Poll>
}

/**
 * Runs `fn` unless another request of the session runs it or has just done so.
 *
 * A lease is a record of its own beside the session: created when the work begins, replaced by the
 * result when it is done, expired when the request that acquired it dies. Its id is a plain hash, so that
 * deployments with secrets in two orders share it.
 */
export async function runOnce<T>(
  instance: Instance,
  { found, readOnly, refused }: Draft,
  about: SessionState,
  key: string,
  fn: () => Promise<T>,
  given: OnceOptions = {},
): Promise<T> {
  const isKey = typeof key === 'string' && key && !LONE_SURROGATE.test(key)
  expectArgument(isKey, 'key', 'a well-formed text', key)
  expectArgument(typeof fn === 'function', 'fn', 'a function', fn)
  if (refused) throw refused
  // Nothing is known of the session: others would run it under another id.
  if (readOnly && !found) throw readOnly
  const p = persistenceOf(instance)
  const { now } = instance.options
  const { lease, ttl } = applyRules<Complete<OnceOptions>>('once.', RULES, given)
  const id = await plainHash('once', `${idOf(about)}:${key}`)
  const polls = known.get(p.store) ?? new BoundedMap<string, Poll>(MAX_POLLS)
  known.set(p.store, polls)
  const owner = `${JSON.stringify([about.subject, about.claims?.a])}\n`
  const name = id + owner
  const one: Lease = { p, id, owner, name, key, about, lease, ttl, polls }
  const deadline = now() + MAX_LEASES * lease * 1000
  let closed: string | null = null
  for (let delay = FIRST_POLL_MS; ; delay = Math.min(LAST_POLL_MS, delay * 2)) {
    const poll = polls.get(name)
    if (poll?.text && now() < poll.until) return resultOf<T>(one, poll.text)
    // One request of this isolate polls for all. A request has paused for a quarter of its delay at least.
    if (!poll || Date.now() - poll.at >= delay / 4) {
      remember(one, '', 0)
      const mine = await seal(one, '', lease)
      const there = await acquire(one, mine, closed)
      if (there === mine) return run(one, mine, fn)
      const text = there ? await textOf(one, there, mine) : ''
      closed = text === null ? there!.version : null
      // Another clock may be ahead of this one.
      remember(one, text ?? '', Math.min(there?.expiresAt ?? 0, now() + ttl * 1000))
      if (text) return resultOf<T>(one, text)
    }
    if (now() >= deadline) {
      throw new StoreTimeoutError(
        `Others held ${quote(key)} for ${MAX_LEASES} leases of ${lease} seconds`,
      )
    }
    await pause((delay * (1 + Math.random())) / 2)
  }
}

/**
 * Creates the lease, and returns what is there: `mine`, or the record of the request that has it.
 *
 * @param closed The version of a result that does not open, which the lease replaces.
 */
async function acquire(
  { id, p }: Lease,
  mine: StoredRecord,
  closed: string | null,
): Promise<StoredRecord | null> {
  const { store } = p
  const calls = startCalls(p)
  let expected = closed
  if (!store.atomic) {
    // It may create without looking. A cache would go on showing the lease when there is a result.
    const fresh = { fresh: true }
    const there = await calls.make('read', (call) => store.read(id, Object.assign(call, fresh)))
    if (there && there.version !== closed) return there
    expected = there?.version ?? null
  }
  const result = await calls.make('write', (call) => store.write(id, mine, expected, call))
  return result.ok ? mine : result.current
}

/** Runs the work under a lease, and leaves its result. */
async function run<T>(one: Lease, held: StoredRecord, fn: () => Promise<T>): Promise<T> {
  const { id, key, p, ttl } = one
  const { format } = p.instance
  let text = ''
  try {
    const value = await fn()
    text = format.stringify(value === undefined ? [] : [format.copy(value, key)])
  } finally {
    // After an error the lease ends at once, unless it expired before and another request has acquired one.
    const next = await seal(one, text, text ? ttl : 0)
    if (text) remember(one, text, next.expiresAt)
    // The work is done: that others cannot be told is no failure of this request.
    const calls = startCalls(p)
    await calls.make('write', (call) => p.store.write(id, next, held.version, call)).catch(() => {})
  }
  return resultOf(one, text)
}

function remember({ name, polls }: Lease, text: string, until: number): void {
  const isLong = text.length > MAX_TEXT
  polls.set(name, { at: isLong ? 0 : Date.now(), text: isLong ? '' : text, until })
}

async function seal(one: Lease, text: string, seconds: number): Promise<StoredRecord> {
  const { about, id, owner, p } = one
  const { now } = p.instance.options
  const bytes = encodeText(text && owner + text)
  const sealed = text ? await sealShared(about, bytes) : bytes
  const value = await sealToken(p.ring, `once:${id}`, sealed, now())
  return { value, version: versionOf(value), epoch: EPOCH, expiresAt: now() + seconds * 1000 }
}

/**
 * Returns the result's text; empty: a lease; `null`: a result that does not open, of before a sign-in or after one, of
 * another credential with `seal: 'cookie'`, or sealed under a secret that this deployment does not have.
 *
 * @param empty A lease. Leases hold nothing, so all are equally long and results are longer.
 */
async function textOf(
  { about, id, owner, p }: Lease,
  { value }: StoredRecord,
  empty: StoredRecord,
): Promise<string | null> {
  const sealed = await openToken(p.ring, `once:${id}`, value, p.instance.options.now())
  if (!sealed) return value.length > empty.value.length ? null : ''
  // It is sealed by the secret alone: requests of every credential see it.
  if (!sealed.length) return ''
  const bytes = await openShared(about, sealed)
  const text = bytes ? decodeText(bytes) : ''
  return text.startsWith(owner) ? text.slice(owner.length) : null
}

/** Reads a result. It is stored in a list, because JSON has no `undefined`. */
function resultOf<T>({ p }: Lease, text: string): T {
  return (p.instance.format.parse(text) as T[])[0] as T
}
