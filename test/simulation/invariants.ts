/** What must hold, checked against what happened. */
import {
  checkCredential,
  checkEnded,
  checkOwner,
  checkProofs,
  checkRotationId,
} from './check-access.ts'
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
    if (exchange.seen!.status === 'active') checkWrites(facts, exchange, lineage)
  }
  checkFlash(facts)
  checkGhosts(facts)
  checkTagsAndCap(facts)
  checkOnce(facts)
  return facts.problems.sort((a, b) => a.at - b.at)
}
