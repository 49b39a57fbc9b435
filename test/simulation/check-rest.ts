/** Promises 6, 9 and 10, and `once`: time, lists, leases. */
import {
  accepts,
  destroys,
  endOf,
  type Facts,
  failedToWrite,
  LIMIT,
  LINGER,
  SLACK,
} from './facts.ts'
import { LAST_JAR } from './generate.ts'
import { type Effect, type Exchange, rotates } from './history.ts'
import { isLive, type Lineage } from './lineages.ts'

/** No session outlives its timeouts. */
export function checkTimeouts(facts: Facts, reader: Exchange, { visits, effects }: Lineage): void {
  const { idleTimeout, absoluteTimeout } = facts.config
  const { at } = reader.seen!
  const last = (exchanges: readonly Exchange[]): number =>
    Math.max(...exchanges.filter(({ sent }) => sent < at).map((one) => Math.min(endOf(one), at)))
  const before = visits.filter((one) => one !== reader && one.sent < at)
  if (before.length === 0) return
  const idle = at - last(before)
  if (idle > 1000 * idleTimeout + SLACK) {
    facts.report('6 outlives its timeout', reader, `idle for ${idle / 1000} s`)
  }
  const logins = effects.flatMap(({ use, exchange }) => (use.op === 'login' ? [exchange] : []))
  const age = at - last([before[0]!, ...logins])
  if (age > 1000 * absoluteTimeout + SLACK) {
    facts.report('6 outlives its timeout', reader, `${age / 1000} s old`)
  }
}

/** Every request ends. */
export function checkDeadline(facts: Facts, exchange: Exchange): void {
  const { outcome, done, sent, action, isolate } = exchange
  if (outcome === 'broken' || facts.history.restarted.has(isolate)) return
  const once = action.uses.filter(({ op }) => op === 'once').length * 20_000
  const took = done - sent - action.up - action.think - once
  if (took > LIMIT) facts.report('10 deadline', exchange, `took ${took / 1000} s`)
}

/** Nobody is refused while everything works. */
export function checkRefusals(facts: Facts, exchange: Exchange): void {
  const { outcome, sent, done, activity, code } = exchange
  // KV takes one write a second, and shows a place that lags no data to write on.
  const mayRefuse = facts.config.store === 'kv' || facts.history.hasVersions
  if (outcome !== 'failed' || activity.faults > 0 || mayRefuse || exchange.device) return
  // A network can be slow without a fault, and a commit has a deadline.
  if (done - sent - exchange.action.think > 4000) return
  const { exchanges, troubles } = facts.history
  // What failed a while ago may come late; a breaker that it opened stays so until it is tried.
  const since = facts.config.resilient ? -Infinity : sent - LINGER
  const isTroubled =
    troubles.some(({ from, to }) => from <= done && to >= since) ||
    exchanges.some((one) => one.activity.faults > 0 && one.sent <= done && endOf(one) >= since)
  if (!isTroubled) facts.report('9 refused for no reason', exchange, `it was answered ${code}`)
}

/** A user's tag finds what the user does, and a user has no more sessions than there may be. */
export function checkTagsAndCap(facts: Facts): void {
  const { config, history, problems } = facts
  if (config.store !== 'shared') return
  for (const { user, prints, tagged, isFinal, at } of history.listings) {
    if (!isFinal) continue
    const [byTag, byUser] = [tagged?.byTag, tagged?.byUser].map((all) => all?.toSorted().join(' '))
    if (byTag !== byUser) {
      const text = `the tag of ${user} finds ${byTag}, and the user ${byUser}`
      problems.push({ rule: '9 tags', text, at })
    }
    const { maxSessions = Infinity } = config
    if (prints.length <= maxSessions || !hasSignedInLast(facts, user)) continue
    const text = `${user} has ${prints.length} sessions of at most ${maxSessions}`
    problems.push({ rule: '9 cap', text, at })
  }
}

/** Whether a user signed in at the end, when everything worked. */
function hasSignedInLast({ history }: Facts, user: string): boolean {
  return history.exchanges.some(
    ({ action, jar, outcome }) =>
      jar >= LAST_JAR &&
      outcome === 'ok' &&
      action.uses.some((use) => use.op === 'login' && `u${use.user}` === user),
  )
}

/** A list shows the sessions that somebody has, and no others. */
export function checkGhosts(facts: Facts): void {
  if (facts.config.store === 'kv') return
  for (const { user, prints, isFinal, at } of facts.history.listings) {
    if (!isFinal) continue
    for (const print of prints) {
      if (!isGhost(facts, print)) continue
      const text = `the list of ${user} has a session that nobody got (${print})`
      facts.problems.push({ rule: '9 ghost', text, at })
    }
    for (const lineage of facts.lineages.all) {
      if (!mustBeListed(facts, lineage, user, at)) continue
      if (prints.some((print) => facts.lineages.byPrint(print) === lineage)) continue
      const text = `the list of ${user} lacks the session that began with ${lineage.name}`
      facts.problems.push({ rule: '9 not listed', text, at })
    }
  }
}

/** Whether a session certainly lives, and is certainly this user's. */
function mustBeListed(facts: Facts, lineage: Lineage, user: string, at: number): boolean {
  const { origin } = lineage
  if (facts.mayHaveEnded(lineage, Infinity)) return false
  if (!origin || destroys(origin) || facts.isForgotten(origin.sent, origin.done)) return false
  const logins = lineage.effects.filter(({ use }) => use.op === 'login')
  const isTheirs = logins.every(({ use }) => use.op === 'login' && `u${use.user}` === user)
  // A sign-in that the store forgot is not put back.
  const isKept = ({ acked, exchange: { sent, done } }: Effect): boolean =>
    acked < at && !facts.isForgotten(sent, done)
  if (!isTheirs || !logins.some(isKept)) return false
  const swallows = accepts('an outage swallows a renewal')
  const visits = lineage.visits.filter(
    (one) =>
      one.seen?.status === 'active' &&
      one.outcome === 'ok' &&
      one.fate === 'kept' &&
      facts.sessionOf(one) === lineage &&
      !facts.isForgotten(one.sent, one.done) &&
      !facts.isCopyOfForgotten(one, lineage.visits) &&
      !(swallows && failedToWrite(one)),
  )
  const last = Math.max(...visits.map(({ sent }) => sent))
  const first = Math.min(...lineage.visits.map(({ sent }) => sent))
  const { idleTimeout, absoluteTimeout, renewAfter } = facts.config
  return (
    at < last + 1000 * (idleTimeout - renewAfter) - SLACK &&
    at < first + 1000 * absoluteTimeout - SLACK
  )
}

/**
 * Whether a session is in a list that nobody has: its sign-in was answered 503, and nobody saw it.
 * Excused where its end was tried and did not reach the store, or where a failover lost its end.
 */
function isGhost(facts: Facts, print: string): boolean {
  const maker = facts.history.exchanges.find(({ activity }) => activity.creates.has(print))
  if (!maker) return true
  const { activity, done, outcome, sent } = maker
  const visits = facts.lineages.byPrint(print)?.visits ?? []
  if (outcome !== 'failed' || visits.some((one) => one !== maker)) return false
  const isTried = activity.ends.get(print) === false
  if (isTried && accepts('a session that nobody got stays listed')) return false
  const isForgotten = activity.ends.has(print) && facts.isForgotten(sent, done + LINGER)
  return !(accepts('a failover undoes an end') && isForgotten)
}

/** Of overlapping requests one does the work, and nobody gets the result of somebody else. */
export function checkOnce(facts: Facts): void {
  const { exchanges, onceResults, onceRuns } = facts.history
  for (const { exchange, users } of onceResults) {
    const [user, from] = users
    if (user !== from)
      facts.report('4 result of another user', exchange, `${user} got it from ${from}`)
  }
  if (facts.config.store !== 'shared') return
  for (const [i, run] of onceRuns.entries()) {
    for (const other of onceRuns.slice(0, i)) {
      // A result is one user's: before the first sign-in the work is done for nobody, though the session keeps its id.
      if (run.key !== other.key || run.user !== other.user) continue
      if (!sharesLease(facts, run.exchange, other.exchange)) continue
      // A lease of 5 s ends earlier by what the clock has jumped meanwhile.
      if (run.from > other.to + 9000 || run.from > other.from + 3000) continue
      // So does one that a failover forgets.
      if (facts.isForgotten(other.from, run.from)) continue
      // With a key share a rotation closes the result, and the work is done again.
      const isClosed = exchanges.some(
        (one) => rotates(one) && one.sent < run.from + SLACK && one.done > other.from,
      )
      if (facts.config.seal === 'cookie' && isClosed) continue
      const text = `the work of once ${run.key} ran in request ${other.exchange.id} too`
      facts.report('2 once ran twice', run.exchange, text)
    }
  }
}

function sharesLease({ history }: Facts, a: Exchange, b: Exchange): boolean {
  const isCalm = a.activity.faults + b.activity.faults === 0 && history.troubles.length === 0
  // Who signs in over another user's session does the work for a session of their own.
  const isOne = a.seen?.print === b.seen?.print && a.aims === b.aims
  return isCalm && isOne && a !== b && isLive(a) && isLive(b)
}
