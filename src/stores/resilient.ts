/** Puts retries, limits of time and circuit breakers in front of any store. */
import { refuseUnless } from '../check.ts'
import { ResilientCalls, type StoreBreakers } from './resilient-calls.ts'
import type { ResilientPolicy } from './resilient-policy.ts'
import type { SessionStore } from './store.ts'

/** A store behind retries and breakers. */
export interface ResilientStore extends SessionStore {
  /**
   * The breakers, for operators: `breakers.write?.open()` leaves writes alone from now on, as in an outage,
   * until `breakers.write?.close()`, which asks the store again at once. It concerns this isolate only.
   */
  readonly breakers: StoreBreakers
}

/**
 * Wraps a store so that it fails well: attempts that could not reach it are repeated within
 * limits of time and traffic, and while it is down it is left alone. The policy's defaults are those of
 * {@link createRetry} and {@link createCircuitBreaker}.
 *
 * Retried and counted: {@link StoreUnavailableError}, timeouts, and unknown errors, which become a
 * `StoreUnavailableError` of our own words (a `TypeError` is what `fetch` rejects with when it cannot
 * connect). Never: other session errors, the caller's own abort. A conflict or an unknown id is an answer and no failure, and what is unavailable for one
 * session only (`perKey: true` on the error, as for KV's one write per second) does not count, and
 * its retries are not taken from the budget of the others. Nor is a timeout that was noticed late, by
 * over half its time, because the event loop was blocked.
 * `health` and `inspect` are asked once, with a limit of their own, and do not count either.
 *
 * @param policy Or a function that returns it, asked for every call and checked whenever it changes. When
 * what it returns later is wrong, or it throws, the last policy that was right stays; the event
 * `policy.invalid` and `details()`, and so `health()`, say what is wrong.
 * @throws RangeError when a number in the policy is out of range, TypeError for an option or an operation
 * that it does not know and for what is no store.
 *
 * @example
 * const store = resilient(createUpstashStore({ url, token }), { attempts: 2 })
 */
export function resilient(
  store: SessionStore,
  policy: ResilientPolicy | (() => ResilientPolicy) = {},
): ResilientStore {
  refuseUnless(typeof store?.read === 'function', 'store', 'a session store', store)
  const calls = new ResilientCalls(store, policy)
  const { name, atomic, index } = store
  return {
    name,
    atomic,
    read: (id, options) => calls.call('read', options, (own) => store.read(id, own)),
    write: (id, record, expected, options) =>
      calls.call('write', options, (own) => store.write(id, record, expected, own)),
    end: (id, options) => calls.call('end', options, (own) => store.end(id, own)),
    ...(index && {
      index: {
        list: (key, options) => calls.call('list', options, (own) => index.list(key, own)),
        end: (key, options) => calls.call('endAll', options, (own) => index.end(key, own)),
      },
    }),
    ...(store.page && {
      page: (cursor, options) => calls.call('page', options, (own) => store.page!(cursor, own)),
    }),
    ...(store.prune && { prune: (limit) => store.prune!(limit) }),
    health: (options) =>
      calls.ask('check health', options?.signal, async (inner) => store.health?.(inner)),
    ...(store.inspect && {
      inspect: (options) => calls.ask('inspect', options?.signal, (inner) => store.inspect!(inner)),
    }),
    details: () => ({ ...store.details?.(), ...calls.details() }),
    subscribe(listener) {
      calls.subscribe(listener)
      store.subscribe?.(listener)
    },
    close: async () => await store.close?.(),
    breakers: calls.breakers,
  }
}
