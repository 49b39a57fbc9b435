/** The guard of a page or an action of Next itself, whatever its proxy has seen. */
import { expectOptions, refuseUnless } from '../check.ts'
import { SessionError, SessionNotFoundError, type StoreUnavailableError } from '../errors.ts'
import { createCheck, type Requirements } from '../guard/requirements.ts'
import type { Session, SessionData } from '../session/session.ts'
import type { ReadonlySession } from './next-request.ts'

/** Requirements of a page or an action on its session. */
export interface PageRequirements<D extends SessionData = SessionData>
  extends Omit<Requirements<D>, 'onMissing' | 'onStepUp' | 'onUnavailable'> {
  /**
   * Called for a visitor who is not signed in, or not lately enough. It throws, as
   * `() => redirect('/sign-in')` of `next/navigation` does. (default: {@link SessionNotFoundError})
   */
  onMissing?: () => unknown
  /**
   * Called for a user who is signed in and has not proven the `factors` lately enough, with the names of those that are
   * missing. It throws, as `() => redirect('/verify')` does. (default: `onMissing`)
   */
  onStepUp?: (missing: string[]) => unknown
  /**
   * Called while the store is down and nobody can tell who is signed in. It throws, as
   * `() => redirect('/back-soon')` does. (default: {@link StoreUnavailableError})
   */
  onUnavailable?: (error: StoreUnavailableError) => unknown
}

/**
 * Lets a session through, or throws what sends its user away.
 *
 * @param factors The option of the sessions.
 */
export async function checkSession<D extends SessionData, Data extends object>(
  open: () => Promise<ReadonlySession<D, Data>>,
  given: PageRequirements<D>,
  factors: readonly string[] | undefined,
): Promise<ReadonlySession<D, Data>> {
  expectOptions('requireSession', given)
  const { onMissing, onStepUp, onUnavailable, ...requirements } = Object(given) as typeof given
  const isCallback = (value: unknown): boolean => value === undefined || typeof value === 'function'
  for (const [name, value] of Object.entries({ onMissing, onStepUp, onUnavailable })) {
    refuseUnless(isCallback(value), `requireSession.${name}`, 'a function that throws', value)
  }
  const more: Requirements<D> = {
    ...requirements,
    ...(onStepUp && {
      onStepUp: async (_, missing) => {
        await onStepUp(missing)
        throw new SessionNotFoundError('The user has not proven the factors lately enough')
      },
    }),
    onUnavailable: async (_, error) => {
      await onUnavailable?.(error)
      throw error
    },
  }
  const check = createCheck(more, factors)
  const opened = open()
  // A component does not know its own address, and all that the check would use it for is ours.
  const refusal = await check(
    new Request('http://localhost'),
    () => opened as Promise<unknown> as Promise<Session<D>>,
  )
  if (!refusal) return await opened
  if (refusal.status === 403) throw new SessionError('`allow` or `actor` refused this session')
  await onMissing?.()
  throw new SessionNotFoundError('There is no session: nobody is signed in, or not lately enough')
}
