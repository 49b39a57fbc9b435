/** The limit of sessions of one user. Loaded with the option `maxSessions`. */
import type { SessionState } from '../codec/session-record.ts'
import { decodeBase64url } from '../crypto/base64url.ts'
import { tellEnd } from '../emit.ts'
import { endSession, type Persistence } from '../persistence/persistence.ts'
import type { SessionInfo } from '../session/session-list.ts'
import { reportFailure, startCalls } from '../session/store-calls.ts'
import { list } from './subjects.ts'

/**
 * Ends the oldest sessions of a user beyond `maxSessions`, after a sign-in that was written. Of overlapping
 * sign-ins the one that was written last finds them all. Ones that find different sessions agree on the order, so
 * that the newest are spared by all. A store that cannot be asked now undoes no sign-in: the next one makes up for it.
 */
export async function endOldest(p: Persistence, { claims, subject }: SessionState): Promise<void> {
  const { instance } = p
  const { maxSessions } = instance.options
  try {
    const all = await list(instance, subject!)
    // Whoever acts for a user signs them out nowhere, nor they them: each has a limit of their own.
    const own = all.filter(({ actor }) => actor === (claims?.a ?? null))
    const oldest = own.sort(byAge).slice(maxSessions)
    const calls = startCalls(p)
    await Promise.all(
      oldest.map(async ({ actor, id, label }) => {
        if (!(await endSession(p, calls, id))) return
        const claims = { a: actor ?? undefined }
        const about = { key: decodeBase64url(id)!, subject, label: label ?? undefined, claims }
        tellEnd(instance.emit, 'cap', about)
      }),
    )
  } catch (error) {
    reportFailure(p, error, 'store.degraded')
  }
}

/** The latest sign-in first. */
function byAge(a: SessionInfo, b: SessionInfo): number {
  const at = (one: SessionInfo): number => one.authenticatedAt ?? one.createdAt
  return at(b) - at(a) || (a.id < b.id ? 1 : -1)
}
