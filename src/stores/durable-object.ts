/**
 * Stores sessions in Durable Objects: one for each session, and one for each index key (user).
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
import { BoundedMap } from '../bounded-map.ts'
import { applyRules, functionRule, methodsRule, type Rule } from '../check.ts'
import { type SessionError, StoreError, StoreUnavailableError } from '../errors.ts'
import { abortable } from './abort.ts'
import { copyRecord } from './copy.ts'
import { because, unavailableForOne } from './errors.ts'
import { MARK_SECONDS, OVER_LIMIT } from './limits.ts'
import type { SessionObjectNamespace } from './session-object.ts'
import { NO_BINDING, NOT_OURS, type SessionObjectCalls } from './session-object-types.ts'
import type { SessionIndex, SessionStore } from './store.ts'

export { SessionObject, type SessionObjectNamespace } from './session-object.ts'

/** Options for {@link createDurableObjectStore}. */
export interface DurableObjectStoreOptions {
  /** The binding, for example `env.SESSIONS`. */
  namespace: SessionObjectNamespace
  /** Epoch milliseconds. (default: Date.now) */
  now?: () => number
}

/** A {@link SessionStore} in Durable Objects. */
export interface DurableObjectStore extends SessionStore {
  readonly index: SessionIndex
}

/** An object that was overloaded is left alone for this long: every call makes it worse. */
const LEFT_ALONE_MS = 5000
const MAX_OVERLOADED = 100

const RULES: Record<keyof DurableObjectStoreOptions, Rule> = {
  namespace: methodsRule(
    null,
    'a Durable Object binding (is it called so in wrangler.jsonc?)',
    'getByName',
  ),
  now: functionRule(() => Date.now()),
}

/**
 * Creates a store on a Durable Object binding.
 *
 * Every call is one round trip from the Worker; `list` and `end` of the index fan out from the object
 * of the index key. The runtime repeats what could not be delivered by itself, so do not stack
 * many attempts on top: `resilient(store, { attempts: 2 })`. An object that is overloaded is not
 * asked again for five seconds; others are.
 *
 * @throws TypeError when an option is missing, unknown or of the wrong type.
 *
 * @example
 * const sessions = createSessions({ secret: env.SECRET, store: createDurableObjectStore({ namespace: env.SESSIONS }) })
 */
export function createDurableObjectStore(options: DurableObjectStoreOptions): DurableObjectStore {
  const { namespace, now } = applyRules<Required<DurableObjectStoreOptions>>('', RULES, options)

  /** Times until which overloaded objects are left alone, by their names. Epoch milliseconds. */
  const overloaded = new BoundedMap<string, number>(MAX_OVERLOADED)

  /** A stub is not used again: after an error it stays broken. */
  const call = async <T>(
    name: string,
    signal: AbortSignal | undefined,
    run: (object: SessionObjectCalls) => Promise<T>,
  ): Promise<T> => {
    signal?.throwIfAborted()
    const wait = (overloaded.get(name) ?? 0) - now()
    // One visitor can overload one object.
    if (wait > 0) throw unavailableForOne(OVERLOADED, { retryAfter: wait / 1000, reason: 'rate' })
    const ask = (): Promise<T> => run(namespace.getByName(name) as SessionObjectCalls)
    return await abortable(signal, ask, (error) => {
      const failure = toStoreError(error)
      if (failure.message === OVERLOADED) overloaded.set(name, now() + LEFT_ALONE_MS)
      return failure
    })
  }

  return {
    name: 'durable-object',
    atomic: true,
    read: (id, { signal } = {}) => call(`s:${id}`, signal, (object) => object.read(now())),
    write: (id, record, expected, { signal, entry } = {}) =>
      call(`s:${id}`, signal, (object) =>
        object.write(id, copyRecord(record), { now: now(), expected, entry }),
      ),
    end: (id, { signal, markFor = MARK_SECONDS } = {}) =>
      call(`s:${id}`, signal, (object) => object.end(id, { now: now(), markFor })),
    index: {
      list: (key, { signal } = {}) => call(`u:${key}`, signal, (object) => object.list(key, now())),
      end: (key, { signal, except = '', markFor = MARK_SECONDS } = {}) =>
        call(`u:${key}`, signal, (object) => object.endAll(key, except, { now: now(), markFor })),
    },
    health: async ({ signal } = {}) => {
      await call('s:health', signal, (object) => object.read(now()))
    },
  }
}

const OVERLOADED = 'The Durable Object is overloaded'
/** Messages about all objects of an account. */
const TOO_MUCH_LOAD = /too much load|back off/
const USED_UP = /xceeded allowed .* free tier/
/**
 * Messages of the platform about objects that start again, or about itself. An error that comes from an object
 * behind the one that was asked has nothing but its text.
 */
const PASSING = /^(internal error|Network connection lost)|\breset\b|code has been updated/

/** Makes an error of our own: those of an object quote their arguments, so they are not passed on. */
function toStoreError(error: unknown): SessionError {
  const { durableObjectReset, message, overloaded, remote, retryable } = Object(error)
  const text = String(message)
  const why = because(undefined, text)
  const own = [NO_BINDING, NOT_OURS].find((one) => text.includes(one))
  if (own) return new StoreError(own)
  if (OVER_LIMIT.test(text)) return new StoreError('Too many subrequests', why)
  if (USED_UP.test(text)) {
    return new StoreError("The day's share of Durable Objects is used up", why)
  }
  if (TOO_MUCH_LOAD.test(text)) {
    return new StoreUnavailableError('Durable Objects get too many calls', {
      retryAfter: 5,
      ...why,
    })
  }
  if (overloaded || /\boverloaded\b/.test(text)) {
    return new StoreUnavailableError(OVERLOADED, { reason: 'rate' })
  }
  if (remote && !retryable && !durableObjectReset && !PASSING.test(text)) {
    return new StoreError('The Durable Object failed', why)
  }
  return new StoreUnavailableError('The Durable Object gave no usable answer', why)
}
