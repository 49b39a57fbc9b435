/** An instance with its store, which opening, committing and ending share. */
import { idOf, type SessionState } from '../codec/session-record.ts'
import { createKeyedHash, type KeyedHash } from '../crypto/keyed-hash.ts'
import { createKeyRing, type KeyRing } from '../crypto/keyring.ts'
import { type Source, tellEnd } from '../emit.ts'
import { SessionError } from '../errors.ts'
import type { EndedBy } from '../events.ts'
import type { Instance } from '../session/instance.ts'
import { perInstance } from '../session/instances.ts'
import { reportFailure, type StoreCalls } from '../session/store-calls.ts'
import type { SessionStore } from '../stores/store.ts'
import { LatestKnown } from './newest.ts'

export interface Persistence {
  readonly instance: Instance
  readonly store: SessionStore
  /** The keys of records, entries and leases. */
  readonly ring: KeyRing
  /** Index keys of a user, the first secret's first. */
  readonly keysOf: KeyedHash
  /** Index keys of a tag, the first secret's first. */
  readonly tagKeysOf: KeyedHash
  readonly latest: LatestKnown
}

/**
 * Returns the persistence of an instance.
 *
 * @throws {@link SessionError} with code `ERR_STORE_REQUIRED` without a store; TypeError for `maxSessions` with a
 * store that cannot count.
 */
export const persistenceOf: (instance: Instance) => Persistence = perInstance((instance) => {
  const { maxSessions, seal, secrets, store } = instance.options
  if (!store) {
    throw new SessionError(
      'Sessions in cookies cannot be listed, and once() cannot run: both need the option "store". To end them "revocations" is enough',
      { code: 'ERR_STORE_REQUIRED' },
    )
  }
  const canCount = store.index && seal === 'secret'
  if (maxSessions && !canCount) {
    const why = store.index ? 'with seal "cookie"' : `with "${store.name}", which has no index`
    throw new TypeError(`Option "maxSessions" must be left out ${why}`)
  }
  return {
    instance,
    store,
    ring: createKeyRing(secrets, 'store', instance.formerUsed),
    keysOf: createKeyedHash(secrets, 'subject'),
    tagKeysOf: createKeyedHash(secrets, 'tag'),
    latest: new LatestKnown(),
  }
})

/** Ends the session with an id, whoever writes to it meanwhile. Returns whether it was live. */
export async function endSession(
  { latest, store }: Persistence,
  calls: StoreCalls,
  id: string,
): Promise<boolean> {
  const wasLive = await calls.make('end', (call) => store.end(id, call))
  latest.recordEnd(id)
  return wasLive
}

/** Ends a session that is of no use any more, and reports it; that it cannot be ended is told of, and no more. */
export async function tryToEnd(
  p: Persistence,
  calls: StoreCalls,
  by: EndedBy,
  about: Source & Pick<SessionState, 'key'>,
): Promise<void> {
  try {
    const wasLive = await endSession(p, calls, idOf(about))
    tellEnd(p.instance.emit, by, about, undefined, Number(wasLive))
  } catch (error) {
    reportFailure(p, error, 'store.degraded')
  }
}

/** Reports how many writes of a session the store has lost, if any. */
export function tellRollback(p: Persistence, about: Pick<SessionState, 'key'>, lost: number): void {
  if (lost > 0) p.instance.emit({ type: 'store.rolled-back', store: p.store.name, lost }, about)
}

/** Tells whether a record is listed under the index keys of a user. */
export async function isListedFor(
  { keysOf }: Persistence,
  subject: string | null,
  keys: readonly string[] = [],
): Promise<boolean> {
  return subject !== null && (await keysOf(subject)).some((key) => keys.includes(key))
}
