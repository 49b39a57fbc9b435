/** Promises 5, 7 and 9: whoever is signed in stays so, whatever the store and the network do. */
import { isInCopies } from './check-access.ts'
import { mustBelieve } from './device-facts.ts'
import {
  accepts,
  destroys,
  endOf,
  type Facts,
  failedToWrite,
  rotatesTwiceAtOnce,
  SLACK,
} from './facts.ts'
import { FIRST_THIEF } from './generate.ts'
import { type Exchange, rotates } from './history.ts'
import { changesUser, type Lineage, rotationsOf } from './lineages.ts'

/** Milliseconds for which a request may be under way with a credential that was replaced. */
const GRACE = 30_000

/** A browser whose session lives opens it. */
export function checkSignedIn(facts: Facts, reader: Exchange): void {
  const { jar, seen, outcome } = reader
  if (jar >= FIRST_THIEF || !seen || outcome === 'broken') return
  const lineage = liveSession(facts, reader)
  if (!lineage) return
  // Whoever cannot prove the device is not shown the session.
  if (seen.status === 'unproven' && !mustBelieve(facts, reader, lineage)) return
  const found = facts.lineages.found(reader)
  if (found === lineage || (seen.status === 'degraded' && !found)) return
  if (found ? isBack(facts, found, reader) : isWaitedFor(facts, lineage, reader)) return
  const text = found ? 'it found another session' : `its status is ${seen.status}`
  const base = settledBy(facts, reader)!
  facts.report('5 signed out', reader, `${text}, after request ${base.id} was answered`)
}

/** The session that a browser has to find; `null`: nobody can tell. */
export function liveSession(facts: Facts, reader: Exchange): Lineage | null {
  const base = settledBy(facts, reader)
  const lineage = base && facts.sessionOf(base)
  return lineage && mustLive(facts, lineage, base, reader) ? lineage : null
}

/** Whether a session ended that is in copies still, or is back: a place of KV wrote over it, or a failover undid its end. */
function isBack(facts: Facts, found: Lineage, reader: Exchange): boolean {
  const ends = facts.endsTried(found, reader.sent)
  const isUndone =
    accepts('a failover undoes an end') &&
    ends.some(({ from, done }) => facts.isForgotten(from, done))
  return isUndone || isInCopies(facts, reader, found) || facts.isWrittenOver(found, ends)
}

/** Whether another session of the browser was rotated elsewhere a moment ago: none takes its place meanwhile. */
function isWaitedFor(facts: Facts, lineage: Lineage, { jar, knows, seen }: Exchange): boolean {
  if (seen!.status !== 'superseded') return false
  return facts.lineages.all.some(
    (other) =>
      other !== lineage &&
      other.holders.has(jar) &&
      rotationsOf(other).some(({ id }) => !knows.has(id)) &&
      facts
        .writersOf(other)
        .some(({ sent, done }) => sent < seen!.at && done > seen!.at - GRACE - SLACK),
  )
}

/** The last response that says for certain which session this browser has. */
function settledBy(facts: Facts, reader: Exchange): Exchange | null {
  const { exchanges, thefts } = facts.history
  // What somebody planted in the browser is not its own.
  const since = Math.max(0, ...thefts.map(({ thief, at }) => (thief === reader.jar ? at : 0)))
  const own = exchanges.filter(
    (one) => one.jar === reader.jar && one !== reader && one.sent < reader.sent,
  )
  const answered = own.filter(
    (one) => one.sent > since && one.received < reader.sent && one.outcome === 'ok' && settles(one),
  )
  const base = answered.reduce<Exchange | null>((a, b) => (a && a.sent > b.sent ? a : b), null)
  if (!base) return null
  const lineage = facts.sessionOf(base)
  // A cookie that holds a session goes where the last response puts it, and one that sets none puts it nowhere.
  const isSet = base.activity.events.some(({ type }) => SETS.includes(type))
  const from = isSet ? base.received : base.sent
  const isLast =
    facts.config.store !== 'none' ||
    own.every((one) => one === base || endOf(one) < from || one.sent > base.received)
  const isClear =
    isLast &&
    own.every((one) => one === base || endOf(one) < base.sent || isPlain(facts, one, lineage))
  return isClear ? base : null
}

function settles(one: Exchange): boolean {
  if (one.fate !== 'kept' || destroys(one)) return false
  const isCreated = one.activity.events.some(({ type }) => type === 'session.created')
  return one.seen?.status === 'active' || isCreated || isWritten(one)
}

/** Whether it left the browser with the same session, whatever came of it. */
function isPlain({ lineages }: Facts, one: Exchange, lineage: Lineage | null): boolean {
  if (destroys(one) || changesUser(one)) return false
  if (one.device) return lineages.target(one) === lineage
  if (one.seen === null) return one.outcome === 'failed' && !rotates(one)
  const own = lineages.found(one)
  if (own === lineage) return (lineages.target(one) ?? lineage) === lineage
  // By another clock the session was over already, and another one began.
  const isOverThere = lineage?.origin?.seen?.status === 'expired'
  if (own && lineage && ((isOverThere && isRenewal(one)) || beganTogether(own, lineage)))
    return false
  return (one.effects.length === 0 || WRITES_NOTHING.includes(one.seen.status)) && !rotates(one)
}

const WRITES_NOTHING: readonly string[] = ['superseded', 'unproven']

/** Events of responses that set the cookie. */
const SETS = ['session.created', 'session.login', 'session.regenerated', 'session.renewed']

const isRenewal = ({ activity }: Exchange): boolean =>
  activity.events.some(({ type }) => type === 'session.renewed')

/** Whether overlapping first requests began two sessions, of nobody: the browser has the one whose cookie comes last. */
function beganTogether({ origin: a }: Lineage, { origin: b }: Lineage): boolean {
  if (!a || !b || a.jar !== b.jar || a.sent >= endOf(b) || b.sent >= endOf(a)) return false
  return [a, b].every(
    ({ action, seen }) => seen?.status === 'new' && !action.uses.some(({ op }) => op === 'login'),
  )
}

/** Whether nothing that is allowed can have ended the session for this browser. */
function mustLive(facts: Facts, lineage: Lineage, base: Exchange, reader: Exchange): boolean {
  const { origin, visits } = lineage
  const at = reader.seen!.at
  const until = Math.max(reader.done, at)
  if (facts.mayHaveEnded(lineage, until) || !isWithinTimes(facts, visits, base.sent, at))
    return false
  if (!origin || isSwallowed(facts, lineage, base, reader)) return false
  const forgives = accepts('a failover forgets a sign-in or a beginning')
  if (forgives && facts.isForgotten(origin.sent, origin.done)) return false
  const { seal, store } = facts.config
  const tried = rotationsOf(lineage).filter(
    (one) => one !== reader && one.sent < until && !facts.isSettled(one, base),
  )
  const rotations = tried.filter(
    (one) =>
      // An isolate that is writing to KV goes by what it writes, though KV may yet refuse it.
      one.fate !== 'dropped' ||
      (store === 'kv' && facts.overlapOnKV(one, reader)) ||
      // The first of several attempts was applied, and the last one met an end.
      (one.activity.faults > 0 && one.done > reader.sent),
  )
  if (rotations.some(({ id }) => !reader.knows.has(id))) return false
  if (tried.some((one) => isForked(facts, one, tried))) return false
  // A cookie names two generations that it replaced.
  const isUnmade = (one: Exchange): boolean =>
    one.outcome !== 'ok' || facts.isForgotten(one.sent, one.done) || facts.isOverwritten(one)
  if (rotations.filter(isUnmade).length > 2) return false
  if (rotations.some((one) => facts.isLeftToCopies(one, reader))) return false
  const isSealed = seal === 'cookie' && accepts("seal: 'cookie' and a rotation of unknown outcome")
  if (isSealed && rotations.some(({ outcome }) => outcome !== 'ok')) return false
  if (store !== 'kv' || !accepts('two places of KV rotate one session')) return true
  return !rotatesTwiceAtOnce(tried)
}

/** Whether a failover forgot a rotation, and not one beside it: of states that forked the record's wins. */
function isForked(facts: Facts, { done, sent }: Exchange, tried: readonly Exchange[]): boolean {
  const isBeside = (one: Exchange): boolean => one.sent < done && one.done > sent
  return facts.isForgotten(sent, done) && tried.filter(isBeside).length > 1
}

/** Whether it is over since the store took no renewal of the last requests. */
function isSwallowed(facts: Facts, lineage: Lineage, base: Exchange, reader: Exchange): boolean {
  const { seen } = reader
  const { visits } = lineage
  const forgives = accepts('a failover forgets a sign-in or a beginning')
  // A cookie knows of the renewal that the store forgot or never took: to it the record is missing.
  const isAhead = visits.some(
    (one) =>
      (rotates(one) && one.outcome === 'failed') ||
      (forgives && facts.isForgotten(one.sent, one.done)),
  )
  if (seen!.status !== 'expired' && !(seen!.status === 'missing' && isAhead)) return false
  if (!accepts('an outage swallows a renewal')) return false
  const written = visits.filter(
    (one) =>
      one.sent <= base.sent &&
      renews(one) &&
      !(facts.config.store === 'kv' && facts.overlapOnKV(one, reader)) &&
      !facts.isOverwritten(one, (other) => !renews(other)) &&
      !(forgives && facts.isCopyOfForgotten(one, visits)),
  )
  const last = Math.max(...written.map(({ sent }) => sent))
  return last < base.sent && !isWithinTimes(facts, visits, last, seen!.at)
}

/** Whether a request renewed its session if that was due: what only reads a copy, or finds data of a newer version, renews nothing. */
const renews = (one: Exchange): boolean =>
  one.outcome === 'ok' && (one.seen?.status !== 'degraded' || isWritten(one)) && !failedToWrite(one)

/** Whether its own changes were written, in its own place. */
const isWritten = ({ activity, effects, fate }: Exchange): boolean =>
  fate === 'kept' && effects.length > 0 && activity.writes.size > 0

function isWithinTimes(
  { config }: Facts,
  visits: readonly Exchange[],
  usedAt: number,
  at: number,
): boolean {
  const { idleTimeout, absoluteTimeout, renewAfter } = config
  const idle = 1000 * idleTimeout - 1000 * renewAfter - SLACK
  const began = Math.min(...visits.map(({ sent }) => sent))
  return at <= usedAt + idle && at <= began + 1000 * absoluteTimeout - SLACK
}
