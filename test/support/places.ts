import type { SessionsOptions } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createClock, createFaultyStore } from '../../src/testing/index.ts'
import { createWorld } from './sessions.ts'

/** Where sessions live: in cookies (`null`), or in a store with these options. */
export const places: [place: string, options: Partial<SessionsOptions> | null][] = [
  ['in cookies', null],
  ['in a store', {}],
  ['in a store, with snapshots', { snapshot: { maxAge: 60 } }],
  ['sealed by the cookie', { seal: 'cookie' }],
]

/** Sessions of such a place, with one clock for them and their store. */
export function createPlace(
  options: Partial<SessionsOptions> | null,
  more: Partial<SessionsOptions> = {},
) {
  const clock = createClock()
  const store = createFaultyStore(createMemoryStore({ now: clock }))
  const own = options ? { store, ...options } : {}
  return { store, ...createWorld({ ...own, ...more }, clock) }
}
