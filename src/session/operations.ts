/**
 * Changes to a session, recorded so that they can be made again on a newer state of it.
 *
 * Every operation takes a state and returns the next one. A commit that finds that somebody else
 * was faster makes them all again on what is there now.
 */
import type { SessionState } from '../codec/session-record.ts'

/** One recorded change. */
export interface Operation {
  (state: SessionState): SessionState
  /** The key whose value depends on what is there, so that it cannot be sent as it is. */
  updates?: string
  /** The key whose value does not. */
  sets?: string
  /** Made by the library and not by the application, so that going without it breaks no promise. */
  isAutomatic?: true
}

type Values = Readonly<Record<string, unknown>>

/** Makes every operation on `state`, in order. */
export function applyAll(operations: readonly Operation[], state: SessionState): SessionState {
  return operations.reduce((current, operation) => operation(current), state)
}

/** Keeps `value`, already copied, under `key`. */
export function setValue(key: string, value: unknown): Operation {
  const operation: Operation = (state) => ({
    ...state,
    data: withValue(state.data, key, value),
  })
  operation.sets = key
  return operation
}

/** Keeps what `fn` makes of the value that is there at that moment. */
export function updateValue(key: string, fn: (current: unknown) => unknown): Operation {
  const operation: Operation = (state) => ({
    ...state,
    data: withValue(state.data, key, fn(ownValue(state.data, key))),
  })
  operation.updates = key
  return operation
}

/** Leaves `value` for the next request. */
export function addFlash(key: string, value: unknown): Operation {
  return (state) => ({ ...state, flash: withValue(state.flash, key, value) })
}

/** Drops the flash values this request could read, and none that others added since. */
export function sweepFlash(seen: Values, same: (a: unknown, b: unknown) => boolean): Operation {
  const operation: Operation = (state) => {
    const left = Object.entries(state.flash).filter(
      ([key, value]) => !(Object.hasOwn(seen, key) && same(value, seen[key])),
    )
    return { ...state, flash: Object.fromEntries(left) }
  }
  operation.isAutomatic = true
  return operation
}

/** Moves the session to a new id. */
export function changeId(key: SessionState['key']): Operation {
  return (state) => ({ ...state, key })
}

/** What a sign-in decides. */
export interface Login {
  readonly subject: string
  readonly persistent: boolean
  /** Seconds; `undefined`: as configured. */
  readonly idleTimeout: number | undefined
  /** Seconds; `undefined`: as configured. */
  readonly absoluteTimeout: number | undefined
  /** What the application calls this sign-in. */
  readonly label: string | undefined
}

/**
 * Signs a user in at `now` (epoch milliseconds, the timeouts in whole seconds): the timeouts start afresh. The data of another
 * user are dropped; those of an anonymous visitor stay.
 */
export function signIn(login: Login, now: number): Operation {
  return (state) => ({
    ...state,
    ...login,
    createdAt: now - (now % 1000),
    renewedAt: now - (now % 1000),
    authenticatedAt: now,
    binding: undefined,
    data: state.subject === null || state.subject === login.subject ? state.data : {},
  })
}

/** The value under an own key. */
export function ownValue(values: Values, key: PropertyKey): unknown {
  return Object.hasOwn(values, key) ? values[key as string] : undefined
}

/** The same values but for one key; `undefined` removes it. */
export function withValue(values: Values, key: string, value: unknown): Values {
  if (value !== undefined) return { ...values, [key]: value }
  const { [key]: _, ...rest } = values
  return rest
}
