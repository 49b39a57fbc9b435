/** The instance: everything that one call of `createSessions` puts together. */
import { BoundedMap } from '../bounded-map.ts'
import { type CookieTokens, createCookieTokens } from '../codec/cookie-tokens.ts'
import { createFormat, type DataFormat } from '../codec/data.ts'
import { ID_BYTES } from '../codec/session-record.ts'
import { type FormerUsed, spellKey } from '../crypto/keyring.ts'
import { createEmit, type Emit } from '../emit.ts'
import type { Controls, SessionsOptions } from '../options.ts'
import { type ResolvedOptions, resolveOptions } from '../resolve-options.ts'
import type { SessionStore } from '../stores/store.ts'
import { createSessionCookie, type SessionCookie } from '../transport/cookie.ts'
import { createSessionHeader } from '../transport/header.ts'
import type { Carrier } from '../transport/response.ts'
import type { Draft, SessionContext } from './draft.ts'
import type { SessionData } from './session.ts'

/** Options, cookie, tokens and format of one call of `createSessions`. */
export interface Instance {
  readonly options: ResolvedOptions
  /** The store of the sessions, or of their revocations. */
  readonly store: SessionStore | undefined
  readonly cookie: SessionCookie
  /** The headers in which a session comes and goes. */
  readonly carrier: Carrier
  readonly tokens: CookieTokens
  readonly format: DataFormat
  readonly emit: Emit
  /** As `emit`, for the events of every request; `undefined` where nobody listens, so that they are not even made. */
  readonly observe: Emit | undefined
  readonly formerUsed: FormerUsed
  readonly context: SessionContext
  /** Keyed hashes of actors, for events. */
  readonly actors: BoundedMap<string | undefined, string>
  /** Changed sessions that are not saved yet, with the time of the first change, epoch milliseconds. */
  readonly unsaved: Map<Draft, number>
  /** The session of each request; `null`: it was committed without one. */
  readonly opened: WeakMap<object, Promise<object> | null>
  /** The controls in force, once they are known. */
  inForce?: Controls
  /** Epoch milliseconds of the last write to the store, if it failed. */
  writeFailedAt?: number | undefined
  /** Answers requests for paths of the library itself, and `null` for all others. */
  route?: (request: Request) => Promise<Response | null>
  /** Opens the session of a request once more, as it was before the request, and only to be read. */
  reopen?: (request: Request) => Promise<object>
}

/** Actors whose hash is remembered. */
const MAX_ACTORS = 1000
/** Changed sessions that are watched at once, at most: more would cost memory for the sake of an event. */
const MAX_UNSAVED = 100
/** Milliseconds after which a request that changed a session has long been answered. */
export const UNSAVED_MS = 60_000
/** Seconds: the absolute timeout by default. */
const WEEK = 604_800
const SHARE_BYTES = 32
/** Milliseconds between two events about one former secret. */
const MINUTE_MS = 60_000

/** Checks the options, and puts together what follows from them. No I/O. */
export function createInstance<D extends SessionData>(given: SessionsOptions<D>): Instance {
  const options = resolveOptions(given)
  const { revocations, now, transport } = options
  const store = options.store ?? revocations?.store
  const keyBytes = ID_BYTES + (options.store && options.seal === 'cookie' ? SHARE_BYTES : 0)
  const cookie =
    transport === 'cookie'
      ? createSessionCookie(options.cookie)
      : createSessionHeader(transport.header)
  const carrier: Carrier =
    transport === 'cookie' ? ['Cookie', 'set-cookie'] : [transport.header, transport.header]
  const format = createFormat(options)
  const actors: Instance['actors'] = new BoundedMap(MAX_ACTORS)
  const observe = createEmit(options.onEvent, now, store, actors)
  const emit = observe ?? (() => {})
  if (observe) store?.subscribe?.(observe)
  const unsaved = new Map<Draft, number>()
  const context: SessionContext = {
    changed(draft) {
      if (observe && unsaved.size < MAX_UNSAVED) unsaved.set(draft, now())
    },
    same: (a, b) => format.stringify(a) === format.stringify(b),
    now: () => Math.floor(now() / 1000) * 1000,
    newKey: () => crypto.getRandomValues(new Uint8Array(keyBytes)),
    expiresAt: (times) => {
      const idle = times.idleTimeout ?? options.idleTimeout
      const absolute = times.absoluteTimeout ?? options.absoluteTimeout ?? Math.max(WEEK, idle)
      return Math.min(times.renewedAt + 1000 * idle, times.createdAt + 1000 * absolute)
    },
  }
  const formerUsed: FormerUsed = (key, position) => {
    if (Math.abs(now() - (key.toldAt ?? 0)) < MINUTE_MS) return
    key.toldAt = now()
    emit({ type: 'key.used', key: spellKey(key.id), position })
  }
  const tokens = createCookieTokens(options, cookie.name, formerUsed, observe)
  return {
    options,
    store,
    actors,
    cookie,
    carrier,
    tokens,
    format,
    emit,
    observe,
    formerUsed,
    context,
    unsaved,
    opened: new WeakMap<object, Promise<object> | null>(),
  }
}
