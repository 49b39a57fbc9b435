/** What guards a page or an action of Next itself, whatever its proxy has seen. */
import { redirect } from 'next/navigation.js'
import { SessionError, SessionNotFoundError, StoreUnavailableError } from '../errors.ts'
import { createCheck, type Requirements } from '../guard.ts'
import type { Session, SessionData } from '../session.ts'
import type { ReadonlySession } from './next.ts'

/** What a page or an action asks of its session. */
export interface PageRequirements<D extends SessionData = SessionData>
  extends Omit<Requirements<D>, 'onMissing'> {
  /** The path of the page to sign in on. (default: {@link SessionNotFoundError}) */
  onMissing?: string
}

/** Stands for the page, whose path a component does not know. */
const SOMEWHERE = 'http://localhost/.page'

/** Lets a session through, or throws what sends its user away. */
export async function checkSession<D extends SessionData>(
  session: ReadonlySession<D>,
  requirements: PageRequirements<D>,
): Promise<ReadonlySession<D>> {
  const check = createCheck<D>(requirements)
  const page = new Request(SOMEWHERE, { headers: { accept: 'text/html' } })
  const refusal = await check(page, session as Session<D>)
  switch (refusal?.status) {
    case undefined:
      return session
    case 303:
      return redirect(requirements.onMissing as string)
    case 403:
      throw new SessionError('There is no way for this session: `allow` refused it')
    case 503:
      throw new StoreUnavailableError('Cannot tell who is signed in: the store could not be asked')
    default:
      throw new SessionNotFoundError(
        'There is no session: nobody is signed in, or not lately enough',
      )
  }
}
