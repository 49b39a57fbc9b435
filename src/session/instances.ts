/** Knows what is behind the public objects: sessions of an application, and one session. */
import type { Draft } from './draft.ts'
import type { Instance } from './instance.ts'

const instances = new WeakMap<object, Instance>()
const drafts = new WeakMap<object, readonly [Draft, Instance]>()

/** Notes what is behind sessions. */
export function setInstance(sessions: object, instance: Instance): void {
  instances.set(sessions, instance)
}

/** Returns what is behind sessions; those that wrap others, as in tests, have nothing. */
export function instanceOf(sessions: object): Instance {
  return instances.get(sessions)!
}

/** Returns the session of a request if somebody has asked for it, for adapters. */
export function openedOf(sessions: object, request: Request): Promise<object> | null | undefined {
  return instances.get(sessions)?.opened.get(request)
}

/** Notes the draft of a session. */
export function setDraft(session: object, draft: Draft, instance: Instance): void {
  drafts.set(session, [draft, instance])
}

/** Returns the draft of a session and the instance it belongs to; nothing for what is no session. */
export function draftOf(session: object): readonly [Draft, Instance] | undefined {
  return drafts.get(session)
}

/** Returns the draft of a session of this package. */
export function getDraft(session: object): Draft {
  return drafts.get(session)![0]
}
