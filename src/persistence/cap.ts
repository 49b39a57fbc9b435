/** The limit of sessions of one user. Loaded with the option `maxSessions`. */
import type { SessionState } from '../codec/session-record.ts'
import { endSession, type Persistence, reportFailure, startCalls } from './persistence.ts'
import { list, type SessionInfo } from './subjects.ts'

/**
 * Ends the oldest sessions of a user beyond `maxSessions`, after a sign-in that was written. Of overlapping
 * sign-ins the one that was written last finds them all. Ones that find different sessions agree on the order, so
 * that the newest are spared by all. A store that cannot be asked now undoes no sign-in: the next one makes up for it.
 */
export async function endOldest(p: Persistence, { subject }: SessionState): Promise<void> {
  const { instance } = p
  const { maxSessions } = instance.options
  let count = 0
  try {
    const all = await list(instance, subject!)
    const oldest = all.sort(byAge).slice(maxSessions)
    const calls = startCalls(p)
    const ended = await Promise.all(oldest.map(({ id }) => endSession(p, calls, id)))
    count = ended.filter((wasLive) => wasLive).length
  } catch (error) {
    reportFailure(p, error, 'store.degraded')
  }
  if (count) instance.emit({ type: 'session.revoked', by: 'cap', count })
}

/** The latest sign-in first. */
function byAge(a: SessionInfo, b: SessionInfo): number {
  return (b.authenticatedAt ?? 0) - (a.authenticatedAt ?? 0) || (a.id < b.id ? 1 : -1)
}
