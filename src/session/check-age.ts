/** Checks whether a session is older than the controls, or the option `notBefore`, allow. */
import { refuseUnless } from '../check.ts'
import { SessionExpiredError, StoreUnavailableError } from '../errors.ts'
import { within } from '../resilience/deadline.ts'
import { YEAR_2001 } from './controls.ts'
import type { Draft } from './draft.ts'
import type { Instance } from './instance.ts'
import { emptyDraft } from './open.ts'
import { expiryOf } from './reasons.ts'
import { unansweredDraft } from './unanswered.ts'

/** A draft of nothing when the controls or `notBefore` say that the session is over, or the latter cannot say. */
export async function checkAge(
  instance: Instance,
  draft: Draft,
  signal?: AbortSignal,
): Promise<Draft | null> {
  const { notBefore, storeTimeout } = instance.options
  const { subject, authenticatedAt, createdAt } = draft.current
  const since = authenticatedAt ?? createdAt
  if (since < (instance.inForce?.notBefore ?? -Infinity)) {
    return await overDraft(instance, draft, 'everybody was signed out')
  }
  if (!notBefore || subject === null) return null
  let limit: number | null
  try {
    const late = (): Error => new StoreUnavailableError('notBefore took too long')
    const ask = async (): Promise<number | null> => await notBefore(subject)
    limit = await within(1000 * storeTimeout, signal, late, ask)
  } catch {
    // Nobody waits for the answer any more, which says nothing about whoever was asked.
    if (signal?.aborted) throw signal.reason
    const reason = new StoreUnavailableError('Cannot read session: notBefore failed')
    return await unansweredDraft(instance, 'notBefore', draft, reason)
  }
  // Epoch seconds are before any sign-in, so that they would end nothing.
  const isTime = typeof limit === 'number' && (limit === 0 || limit >= YEAR_2001)
  const expected = 'a function that returns epoch milliseconds, or null'
  refuseUnless(isTime || (limit ?? null) === null, 'notBefore', expected, limit)
  if (since >= (limit ?? 0)) return null
  return await overDraft(instance, draft, 'its user signed out everywhere')
}

async function overDraft(instance: Instance, draft: Draft, why: string): Promise<Draft> {
  const { timeout: _, ...expiry } = expiryOf(instance, draft.current)
  instance.emit({ type: 'session.expired', ...expiry, reason: 'not-before' }, draft.current)
  const noSession = () =>
    new SessionExpiredError(`The session is over: ${why}`, { reason: 'not-before' })
  return await emptyDraft(instance, draft.cookies, { status: 'expired', noSession })
}
