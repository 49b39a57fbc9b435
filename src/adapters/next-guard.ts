/** What guards a page or an action of Next itself, whatever its proxy has seen. */
import { refuseUnless } from '../check.ts'
import { SessionError, SessionNotFoundError, StoreUnavailableError } from '../errors.ts'
import { createCheck, type Requirements } from '../guard/guard.ts'
import type { Session, SessionData } from '../session/session.ts'
import type { ReadonlySession } from './next.ts'

/** What a page or an action asks of its session. */
export interface PageRequirements<D extends SessionData = SessionData>
  extends Omit<Requirements<D>, 'onMissing'> {
  /**
   * Who is not signed in, or not lately enough: what throws, such as
   * `() => redirect('/sign-in')` with that of `next/navigation`. (default: {@link SessionNotFoundError})
   */
  onMissing?: () => unknown
}

/** Lets a session through, or throws what sends its user away. */
export async function checkSession<D extends SessionData>(
  session: ReadonlySession<D>,
  { onMissing, ...requirements }: PageRequirements<D>,
): Promise<ReadonlySession<D>> {
  const isKnown = onMissing === undefined || typeof onMissing === 'function'
  refuseUnless(isKnown, 'requireSession.onMissing', 'a function that throws', onMissing)
  // A component does not know its own address, and all that the check would use it for is ours.
  const refusal = await createCheck<D>(requirements)(
    new Request('http://localhost'),
    session as Session<D>,
  )
  if (!refusal) return session
  if (refusal.status === 403) throw new SessionError('`allow` refused this session')
  if (refusal.status === 503) {
    throw new StoreUnavailableError('Cannot tell who is signed in: the store could not be asked')
  }
  await onMissing?.()
  throw new SessionNotFoundError('There is no session: nobody is signed in, or not lately enough')
}
