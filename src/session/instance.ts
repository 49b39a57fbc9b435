/** What one call of `createSessions` puts together, once. */

import { type CookieTokens, createCookieTokens } from '../codec/cookie-tokens.ts'
import { createFormat, type DataFormat } from '../codec/data.ts'
import { ID_BYTES } from '../codec/session-record.ts'
import { createEmit, type Emit } from '../events.ts'
import { type ResolvedOptions, resolveOptions, type SessionsOptions } from '../options.ts'
import type { StoredSessions } from '../persistence/stored-sessions.ts'
import { createSessionCookie, type SessionCookie } from '../transport/cookie.ts'
import { createSessionHeader } from '../transport/header.ts'
import type { Draft, SessionContext, SessionData } from './session.ts'

/** What the steps of a request work with. */
export interface Instance {
  readonly options: ResolvedOptions
  readonly cookie: SessionCookie
  readonly tokens: CookieTokens
  readonly format: DataFormat
  readonly emit: Emit
  readonly context: SessionContext
  /** When sessions were first changed that are not saved yet, epoch milliseconds. */
  readonly unsaved: Map<Draft, number>
  /** The part that deals with a store, loaded when it is first needed; `undefined` without one. */
  readonly stored: (() => Promise<StoredSessions>) | undefined
  /** Opens the session of a request once more, as it was before the request, and only to be read. */
  openStored?: (request: Request) => Promise<object>
}

/** How many changed sessions are watched at once; more would hold memory for the sake of an event. */
const MAX_UNSAVED = 100
/** Seconds: the absolute timeout by default. */
const WEEK = 604_800
/** Bytes of a key that only the cookie has. */
const PART_BYTES = 32

export function createInstance<D extends SessionData>(given: SessionsOptions<D>): Instance {
  const options = resolveOptions(given)
  const { store, now } = options
  const seal = store && options.seal
  const { transport } = options
  const cookie =
    transport === 'cookie'
      ? createSessionCookie(options.cookie)
      : createSessionHeader(transport.header)
  const format = createFormat(options)
  const emit = createEmit(options.onEvent, now)
  const unsaved = new Map<Draft, number>()
  const context: SessionContext = {
    changed(draft) {
      if (unsaved.size < MAX_UNSAVED) unsaved.set(draft, now())
    },
    copy: format.copy,
    same: (a, b) => format.stringify(a) === format.stringify(b),
    clock: now,
    now: () => Math.floor(now() / 1000) * 1000,
    newKey: () =>
      crypto.getRandomValues(new Uint8Array(ID_BYTES + (seal === 'cookie' ? PART_BYTES : 0))),
    expiresAt: (times) => {
      const idle = times.idleTimeout ?? options.idleTimeout
      const absolute = times.absoluteTimeout ?? options.absoluteTimeout ?? Math.max(WEEK, idle)
      return Math.min(times.renewedAt + 1000 * idle, times.createdAt + 1000 * absolute)
    },
    absoluteTimeout: options.absoluteTimeout,
    once: async (...call) => (await import('../persistence/lease.ts')).runOnce(instance, ...call),
  }
  store?.subscribe?.(emit)
  const tokens = createCookieTokens(options, cookie.name)
  let stored: StoredSessions | undefined
  const load = async (): Promise<StoredSessions> => {
    const { createStoredSessions } = await import('../persistence/stored-sessions.ts')
    stored ??= createStoredSessions(instance, store!)
    return stored
  }
  const instance: Instance = {
    options,
    cookie,
    tokens,
    format,
    emit,
    context,
    unsaved,
    // Sessions in cookies never load it.
    stored: store && (async () => stored ?? load()),
  }
  return instance
}
