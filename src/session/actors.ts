/** Names of actors for events. Loaded when somebody acts for a user, and somebody listens. */
import type { SessionState } from '../codec/session-record.ts'
import { createKeyedHash } from '../crypto/keyed-hash.ts'
import type { Instance } from './instance.ts'
import { perInstance } from './instances.ts'

const hashOf = perInstance(({ options }) => createKeyedHash(options.secrets, 'actor'))
/** Characters of a name: 42 bits, enough to tell actors apart. */
const LENGTH = 7

/**
 * Makes the names of the actors of some sessions known to `emit`. Ids of staff can be guessed, so that a plain hash would tell
 * them: this one is keyed.
 */
export async function nameActors(
  instance: Instance,
  states: readonly Pick<SessionState, 'claims'>[],
): Promise<void> {
  const { actors } = instance
  for (const { claims } of states) {
    if (claims?.a === undefined || actors.get(claims.a)) continue
    const [name] = await hashOf(instance)(claims.a)
    actors.set(claims.a, name.slice(0, LENGTH))
  }
}
