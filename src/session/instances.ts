/** Knows what is behind sessions that `createSessions` made, for adapters. */
import type { Instance } from './instance.ts'

const instances = new WeakMap<object, Instance>()

/** Notes what is behind sessions. */
export function setInstance(sessions: object, instance: Instance): void {
  instances.set(sessions, instance)
}

/** Returns what is behind sessions; those that wrap others, as in tests, have nothing. */
export function instanceOf(sessions: object): Instance {
  return instances.get(sessions)!
}
