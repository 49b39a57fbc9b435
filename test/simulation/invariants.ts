/**
 * The invariants, checked against what happened:
 *
 * 1. An acknowledged write is in every later read, within the seconds of copies, caches and replicas.
 * 2. A counter is the number of acknowledged increments, and none counts twice. `once` runs its work once.
 * 3. After an acknowledged end no cookie of the session shows it.
 * 4. Nobody sees a session of somebody else or gets a result of their `once`, and no credential from before a sign-in opens what came after.
 * 5. A store that fails, lags or loses its last writes signs nobody out whose session was not among these.
 * 6. No session outlives its timeouts.
 * 7. A late response neither signs in nor out, nor brings a replaced credential back.
 * 8. A deferred write is applied once, or dropped with an event.
 * 9. A sign-in that was answered 503 can be repeated at once, and leaves no session in a list that nobody has.
 * 10. Every request ends within its deadline, and no rejection is left unhandled.
 * 11. A bound session is proven to nobody without its device, and keeps its key until a sign-in or the device itself replaces it.
 * 12. A proof is applied once, by a key that was registered, and its challenge is good for its time and generation alone.
 * 13. A device that has the key is believed, and not told to give it up.
 */
import {
  checkCredential,
  checkEnded,
  checkOwner,
  checkProofs,
  checkRotationId,
} from './check-access.ts'
import { checkBound, checkDevices } from './check-bound.ts'
import {
  checkDeadline,
  checkGhosts,
  checkOnce,
  checkRefusals,
  checkTagsAndCap,
  checkTimeouts,
} from './check-rest.ts'
import { checkSignedIn } from './check-signed-in.ts'
import { checkDoubles, checkFlash, checkWrites } from './check-writes.ts'
import { Facts } from './facts.ts'
import type { History, Problem } from './history.ts'
import type { RunConfig } from './profiles.ts'

/** Every violation, the earliest first. */
export function check(config: RunConfig, history: History): Problem[] {
  const facts = new Facts(config, history)
  for (const exchange of history.exchanges) {
    checkDeadline(facts, exchange)
    checkRefusals(facts, exchange)
    checkSignedIn(facts, exchange)
    const lineage = facts.lineages.found(exchange)
    if (!lineage) continue
    checkOwner(facts, exchange, lineage)
    checkProofs(facts, exchange, lineage)
    checkDoubles(facts, exchange, lineage)
    checkCredential(facts, exchange, lineage)
    checkRotationId(facts, exchange, lineage)
    checkEnded(facts, exchange, lineage)
    checkTimeouts(facts, exchange, lineage)
    checkBound(facts, exchange, lineage)
    if (exchange.seen!.status === 'active') checkWrites(facts, exchange, lineage)
  }
  checkFlash(facts)
  checkGhosts(facts)
  checkTagsAndCap(facts)
  checkOnce(facts)
  checkDevices(facts)
  return facts.problems.sort((a, b) => a.at - b.at)
}
