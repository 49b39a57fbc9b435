/** A session of which nobody can be asked whether it goes on. Loaded with whatever asks. */
import type { StoreError, StoreUnavailableError } from '../errors.ts'
import { failureOf } from '../stores/errors.ts'
import type { Draft } from './draft.ts'
import type { Instance } from './instance.ts'
import { emptyDraft } from './open.ts'

/**
 * Reports that there was no answer, and goes on with an empty, read-only session, or throws as `onStoreFailure` says.
 *
 * @param asked Name of the option or the store that was asked.
 */
export async function unansweredDraft(
  instance: Instance,
  asked: string,
  { cookies, current }: Draft,
  error: StoreError | StoreUnavailableError,
): Promise<Draft> {
  const isThrown = instance.options.onStoreFailure === 'throw'
  const type = isThrown ? 'store.unavailable' : 'store.degraded'
  instance.emit({ type, store: asked, ...failureOf(error) }, current)
  if (isThrown) throw error
  const noSession = () => error
  return emptyDraft(instance, cookies, { status: 'degraded', noSession, readOnly: error })
}
