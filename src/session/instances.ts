/** Knows what is behind the public objects: sessions of an application, and one session. */
import type { Draft } from './draft.ts'
import type { Instance } from './instance.ts'

const instances = new WeakMap<object, Instance>()

let read: ((session: object) => readonly [Draft, Instance] | undefined) | undefined

/** Work that a request has begun and does not wait for, for adapters of runtimes that would end it. */
export const background: WeakMap<Request, Promise<void>> = new WeakMap<Request, Promise<void>>()

/** Notes what is behind sessions. */
export function setInstance(sessions: object, instance: Instance): void {
  instances.set(sessions, instance)
}

/** Returns what is behind sessions; those that wrap others, as in tests, have nothing. */
export function instanceOf(sessions: object): Instance {
  return instances.get(sessions)!
}

/** Returns the cookie name that tells sessions apart; those that wrap others stand for themselves. */
export function nameOf(sessions: object): unknown {
  return instances.get(sessions)?.cookie.name ?? sessions
}

/** Returns the session of a request if somebody has asked for it, for adapters. */
export function openedOf(sessions: object, request: Request): Promise<object> | null | undefined {
  return instances.get(sessions)?.opened.get(request)
}

/** Returns what makes something for an instance when it is first asked for, and gives the same from then on. */
export function perInstance<T>(make: (instance: Instance) => T): (instance: Instance) => T {
  const made = new WeakMap<Instance, T>()
  return (instance) => {
    const one = made.get(instance) ?? make(instance)
    made.set(instance, one)
    return one
  }
}

/** Takes what reads the private fields of sessions: a map of them all would cost each request more. */
export function setReader(reader: NonNullable<typeof read>): void {
  read = reader
}

/** Returns the draft of a session and the instance it belongs to; nothing for what is no session. */
export function draftOf(session: object): readonly [Draft, Instance] | undefined {
  return read!(Object(session))
}

/** Returns the options of those that opened a session; `undefined` where nobody knows, as in tests that wrap it. */
export function optionsOf(session: object): Instance['options'] | undefined {
  return read?.(session)?.[1].options
}

/** Returns the draft of a session of this package. */
export function getDraft(session: object): Draft {
  return read!(session)![0]
}
