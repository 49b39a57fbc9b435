/** Goes on with the session of another library. Loaded when its cookie comes. */

import { decodeBase64url } from '../crypto/base64url.ts'
import { createKeyedHash } from '../crypto/keyed-hash.ts'
import { SessionError, StoreUnavailableError } from '../errors.ts'
import type { Instance } from '../session/instance.ts'
import { emptyDraft, isOver } from '../session/open.ts'
import type { Operation } from '../session/operations.ts'
import { checkAge } from '../session/restrictions.ts'
import type { Draft } from '../session/session.ts'
import { importSession } from './import.ts'
import type { CookieImporter } from './importer.ts'

/**
 * Puts the session that an old cookie stands for in place of an empty one. It is kept, and the old
 * cookie removed, with the response.
 */
export async function adoptSession(
  instance: Instance,
  draft: Draft,
  header: string,
  importers: readonly CookieImporter[],
): Promise<Draft> {
  const { cookie, emit, format, options } = instance
  const { current, status } = draft
  // A cookie of ours that opens says more, also about a session that is over or out of reach.
  if (status !== 'new' && status !== 'invalid') return draft
  let asked = 'importFrom'
  try {
    const found = await importSession(importers, header, options.now(), cookie.name)
    if (!found) return draft
    const { createdAt = current.createdAt, subject = null, removals } = found
    const times = { ...current, createdAt: createdAt - (createdAt % 1000) }
    if (isOver(instance, times)) return draft
    const version = options.version
    const text = format.stringify(found.data)
    const { data } = await format.read({ ...times, version, text, hasFlash: false })
    const operation: Operation = (state) => ({
      ...state,
      createdAt: times.createdAt,
      subject,
      data,
    })
    operation.isAutomatic = true
    // Before it is in the store, where lists would show it. One of unknown age is older than any limit.
    const asOld = { ...operation(current), createdAt: found.createdAt ?? 0 }
    const outdated = await checkAge(instance, { ...draft, current: asOld })
    if (outdated) return outdated
    if (instance.stored && options.store?.atomic && options.seal !== 'cookie') {
      // Overlapping requests with the old cookie go on with one session.
      asked = options.store.name
      const [hash] = await createKeyedHash(options.secrets, 'import')(found.origin)
      const first = { ...operation(current), key: decodeBase64url(hash)!, counter: 1 }
      const started = await (await instance.stored()).start(draft.cookies, first, () => {
        emit({ type: 'session.imported' }, first)
        emit({ type: 'session.created' }, first)
      })
      return started.found || started.ended ? { ...started, removals } : started
    }
    emit({ type: 'session.imported' }, current)
    return {
      ...draft,
      status: 'active',
      reason: null,
      current: operation(current),
      operations: [operation],
      removals,
    }
  } catch (error) {
    if (!(error instanceof SessionError)) throw error
    if (!(error instanceof StoreUnavailableError)) {
      emit({ type: 'session.corrupt', code: error.code }, current)
      if (options.onCorruption === 'throw') throw error
      return draft
    }
    const isThrown = options.onStoreFailure === 'throw'
    const type = isThrown ? 'store.unavailable' : 'store.degraded'
    emit({ type, store: asked, code: error.code }, current)
    if (isThrown) throw error
    return emptyDraft(instance, draft.cookies, {
      status: 'degraded',
      reason: () => error,
      readOnly: error,
    })
  }
}
