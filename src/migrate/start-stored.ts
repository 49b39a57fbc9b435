/** The first write of an imported session to the store. Loaded when there is one. */
import { credentialOf } from '../codec/generation.ts'
import { idOf, type SessionState } from '../codec/session-record.ts'
import { relate } from '../persistence/newest.ts'
import { replacedDraft } from '../persistence/open.ts'
import { persistenceOf } from '../persistence/persistence.ts'
import { openRecord, sealRecord } from '../persistence/stored-record.ts'
import type { Draft } from '../session/draft.ts'
import type { Instance } from '../session/instance.ts'
import { goneDraft, liveDraft } from '../session/open.ts'
import { startCalls } from '../session/store-calls.ts'
import type { CookieFound } from '../transport/cookie.ts'

/**
 * Creates a session with the key of that state, or goes on with the one that another request created.
 *
 * @param isNew Is called when it did not exist.
 */
export async function startStored(
  instance: Instance,
  cookies: CookieFound,
  first: SessionState,
  isNew: () => void,
): Promise<Draft> {
  const p = persistenceOf(instance)
  const id = idOf(first)
  const record = await sealRecord(p, first)
  const result = await startCalls(p).make('write', (call) => p.store.write(id, record, null, call))
  if (result.ok) isNew()
  const there = result.ok ? (result.current ?? record) : result.current
  // Nothing is there and nothing can be created: it ended, and its mark outlives the old cookie.
  const found = there ? await openRecord(p, id, there, []) : null
  if (!there || !found) return goneDraft(instance, cookies, first, 'missing')
  // An old cookie is a credential of the first generation, and a sign-in replaces it.
  if (relate(first.generation, credentialOf(there)) !== 'same')
    return replacedDraft(p, cookies, first, there, found)
  p.latest.record(found.state)
  return { ...liveDraft(instance, cookies, found), refresh: true }
}
