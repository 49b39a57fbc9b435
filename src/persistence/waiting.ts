/** Writes that could not reach the store: how they come to wait, and how they are taken up. */

import type { SessionState } from '../codec/session-record.ts'
import type { Instance } from '../session/instance.ts'
import type { Draft } from '../session/session.ts'
import { changesBetween } from './changes.ts'
import { applyDeferrals, createDeferralCookies, type Deferral } from './deferrals.ts'
import { newTag } from './tags.ts'

/** Lets writes wait in the browser. */
export interface Waiting {
  /** Takes up what waits in the cookies of a draft. */
  adopt(draft: Draft): Promise<Draft>
  /** The `Set-Cookie` values with which a failed write of a draft waits; `null`: it is too large. */
  defer(draft: Draft, about: Pick<Deferral, 'tags' | 'counter' | 'sent'>): Promise<string[] | null>
  /** Those with which a session remembers the id that it moved away from, and that may be alive. */
  deferBurial(state: SessionState, grave: string): Promise<string[]>
  /** Those that end what was taken up. Throws when such an id cannot be buried yet either. */
  end(draft: Draft): Promise<string[]>
  /** The same, for a session that has ended. */
  remove(draft: Draft): string[]
}

/** `revoke`: buries whatever is under an id. */
export function createWaiting(
  instance: Instance,
  revoke: (id: string) => Promise<unknown>,
): Waiting {
  const { emit, format, options } = instance
  const { now } = options
  const deferrals = createDeferralCookies(instance)
  const remove = ({ deferred }: Draft): string[] => deferrals.remove(deferred?.names ?? [])

  /** What a newer deployment's schema refuses would be refused with every request. */
  const isValid = async (state: SessionState): Promise<boolean> => {
    try {
      await format.check?.(state)
      return true
    } catch {
      return false
    }
  }

  return {
    async adopt(draft) {
      if (!draft.found || draft.readOnly) return draft
      const { all, names } = await deferrals.find(draft.cookies, draft.found.state.key)
      if (!names.length) return draft
      let dropped = 0
      const next = applyDeferrals(instance, all, () => dropped++)(draft.current)
      if (next !== draft.current && !(await isValid(next))) {
        dropped = all.flatMap(({ changes }) => changes).length
      } else if (next !== draft.current) {
        draft.current = next
        draft.operations.push(applyDeferrals(instance, all))
      }
      const deferred = { all, names, base: draft.current, dropped }
      return Object.assign(draft, { deferred, refresh: true })
    },

    async defer({ current, deferred, found, operations }, about) {
      const { all = [], names = [], base = found!.state } = deferred ?? {}
      const changes = changesBetween(format, base, current, operations)
      const before = all.map((one) => ({ ...one, sent: one.sent || about.sent }))
      // What was deferred before is still in its cookies, and need only be told if it was sent now.
      if (!changes.length && all.every(({ sent }) => sent || !about.sent)) return []
      const one: Deferral = { ...about, at: now(), changes }
      const setCookie = await deferrals.write(current.key, [...before, one], names)
      if (setCookie) emit({ type: 'commit.deferred', changes: changes.length }, current)
      return setCookie
    },

    async deferBurial(state, grave) {
      const one = { tags: newTag(), at: now(), changes: [], counter: 0, sent: true, grave }
      emit({ type: 'commit.deferred', changes: 0 }, state)
      return (await deferrals.write(state.key, [one], [])) ?? []
    },

    async end(draft) {
      const { all = [], dropped = 0 } = draft.deferred ?? {}
      for (const { grave } of all) if (grave) await revoke(grave)
      if (dropped) emit({ type: 'commit.dropped', changes: dropped }, draft.current)
      return remove(draft)
    },

    remove,
  }
}
