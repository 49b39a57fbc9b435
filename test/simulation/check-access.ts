/** Promises 3, 4 and 7: who sees a session, by which credential, and until when. */
import { tokensIn } from './check-writes.ts'
import {
  accepts,
  destroys,
  type EndTried,
  endOf,
  type Facts,
  KV_LAG,
  LIMIT,
  SLACK,
  signsIn,
} from './facts.ts'
import { FIRST_THIEF } from './generate.ts'
import type { Effect, Exchange } from './history.ts'
import { changesUser, type Lineage, rotationsOf } from './lineages.ts'

/** Milliseconds for which a sign-in may go on with one that it overlaps. */
const GRACE = 30_000

/** Only browsers that began a session, and thieves of theirs, open it. */
export function checkOwner(facts: Facts, reader: Exchange, { holders, origin }: Lineage): void {
  if (origin === null || holders.has(reader.jar)) return
  facts.report('4 session of another browser', reader, `it is that of browser ${[...holders]}`)
}

/** A factor was proven by the user who is signed in, in this session or one that it was copied from. */
export function checkProofs(facts: Facts, reader: Exchange, { holders }: Lineage): void {
  const { factors, subject } = reader.seen!
  for (const at of Object.values(factors)) {
    const isOwn = facts.history.proofs.some(
      (one) => one.user === subject && one.at === at && holders.has(one.jar),
    )
    if (!isOwn)
      facts.report('4 proof of somebody else', reader, `${subject} proved nothing at ${at}`)
  }
}

/** A credential from before a rotation does not open what came after it. */
export function checkCredential(facts: Facts, reader: Exchange, lineage: Lineage): void {
  const unknown = rotationsOf(lineage).filter((one) => isUnknown(facts, one, reader, lineage))
  if (unknown.length === 0) return
  const { subject } = reader.seen!
  const shown = new Set(tokensIn(reader).flatMap(([, tokens]) => tokens))
  const needs = ({ exchange: writer }: Effect): Exchange | undefined =>
    unknown.find((one) => one === writer || writer.knows.has(one.id))
  for (const effect of lineage.effects) {
    const need = shown.has(effect.token) && needs(effect)
    if (!need) continue
    const text = `sees ${effect.token}, which came after the rotation by ${need.id}`
    facts.report('4 old credential', reader, text)
  }
  const logins = lineage.effects.filter(
    ({ use }) => use.op === 'login' && `u${use.user}` === subject,
  )
  if (logins.length === 0 || !logins.every(needs)) return
  facts.report('4 old credential', reader, `is ${subject}, who signed in after it`)
}

/** `rotationId` is another one after a rotation, and the same one without. */
export function checkRotationId(facts: Facts, reader: Exchange, lineage: Lineage): void {
  if (facts.config.store !== 'shared') return
  const { rotationId } = reader.seen!
  const rotations = rotationsOf(lineage)
  const before = lineage.visits.filter((one) => one.seen && one.seen.at < reader.seen!.at)
  const other = before.find(
    (one) => facts.lineages.found(one) === lineage && one.seen!.rotationId !== rotationId,
  )
  if (other && rotations.length === 0) {
    const text = `rotationId was another one in request ${other.id}, without a rotation`
    facts.report('4 rotationId', reader, text)
  }
  // A snapshot of a session that ended elsewhere is shown for its seconds, by a late response too.
  if (facts.config.snapshot && isInCopies(facts, reader, lineage)) return
  // One that an end overtakes sends no cookie, and a replica shows what was there before for the seconds of its lag.
  const isUnsent = (one: Exchange): boolean =>
    reader.sent < one.done + facts.config.lagMs &&
    facts.endsTried(lineage).some(({ done, from }) => from <= one.done && done >= one.sent)
  const kept = rotations.find(
    (one) =>
      reader.knows.has(one.id) &&
      one.fate === 'kept' &&
      !isUnsent(one) &&
      facts.lineages.found(one) === lineage &&
      one.seen!.rotationId === rotationId &&
      !facts.isForgotten(one.sent, one.done),
  )
  if (!kept) return
  facts.report('4 rotationId', reader, `rotationId is that of before the rotation by ${kept.id}`)
}

/** Whether copies of a session that was ended, or that somebody tried to end, may still be shown. */
export function isInCopies(facts: Facts, reader: Exchange, lineage: Lineage): boolean {
  return facts.endsTried(lineage, reader.sent).some(({ from, done }) => {
    const at = Math.min(done, from + LIMIT)
    return reader.sent <= at + latenessOfEnd(facts, reader, { isolate: null, jar: -1 })
  })
}

/** Whether a rotation happened for certain, and the reader's credential is from before. */
function isUnknown(facts: Facts, one: Exchange, reader: Exchange, lineage: Lineage): boolean {
  if (one === reader || reader.knows.has(one.id) || one.outcome !== 'ok') return false
  if (one.fate === 'dropped' || one.seen?.status === 'superseded') return false
  if (facts.isForgotten(one.sent, one.done)) return false
  if (facts.isOverwritten(one)) return false
  // Overlapping sign-ins may end up with one credential, and one by a replaced credential does.
  return !rotationsOf(lineage).some(
    (other) =>
      other !== one &&
      (reader.knows.has(other.id) || other === reader) &&
      endOf(other) > one.sent &&
      (other.sent < one.done || other.seen?.status === 'superseded' || sharesSignIn(other, one)),
  )
}

/** Whether a sign-in may go on with one that its browser did not know of: a copy showed it the session from before. */
const sharesSignIn = (other: Exchange, one: Exchange): boolean =>
  [one, other].every(signsIn) && !other.knows.has(one.id) && other.sent < one.done + GRACE

/** After an acknowledged end nobody sees the session. */
export function checkEnded(facts: Facts, reader: Exchange, lineage: Lineage): void {
  for (const end of endsOf(facts, lineage)) {
    if (isForgottenEnd(facts, end, reader) || isOfOtherCopy(facts, end, reader)) continue
    if (isOfLostSignIn(facts, end, reader, lineage)) continue
    if (!(reader.sent > end.at + latenessOfEnd(facts, reader, end))) continue
    facts.report('3 ended session is shown', reader, `${end.by} was acknowledged before`)
    return
  }
}

/**
 * Whether copies of one cookie are of different users, or at different sides of a sign-in: an end of one user's session
 * ends that and the one of nobody, and no other user's.
 */
function isOfOtherCopy({ config }: Facts, { by, of }: End, { seen }: Exchange): boolean {
  if (!config.revocations || by === 'revoke') return false
  return seen!.subject !== of && (by === 'revokeAll' || seen!.subject !== null)
}

/**
 * Whether KV lost the sign-in by which `revokeAll` would have found the session: another write replaced it, and whoever has
 * the session since is not that user, unless by signing in again.
 */
function isOfLostSignIn(
  facts: Facts,
  { by, of, tried }: End,
  { seen }: Exchange,
  { effects }: Lineage,
): boolean {
  const logins = effects.filter(({ use }) => use.op === 'login')
  const isAgain = logins.some(({ exchange }) => exchange.sent >= tried.from)
  if (by !== 'revokeAll' || (seen?.subject === of && !isAgain)) return false
  return logins.every(({ acked, exchange }) => acked > tried.from || facts.isOverwritten(exchange))
}

interface End {
  /** The user whose session it ended; `null`: nobody's, or nobody knows. */
  readonly of: string | null

  /** When it was acknowledged. */
  readonly at: number
  readonly by: string
  readonly isolate: number | null
  readonly jar: number
  readonly tried: EndTried
}

function latenessOfEnd(
  facts: Facts,
  reader: Exchange,
  { isolate, jar }: Pick<End, 'isolate' | 'jar'>,
): number {
  const { cached, revocations, snapshot, lagMs, store } = facts.config
  // The browser that signed out has nothing left to show.
  if ((store === 'none' && !revocations) || jar === reader.jar) return 0
  const isStale = reader.seen?.status === 'degraded'
  // Where the marks cannot be asked for, the session goes on.
  if (revocations) return isStale ? Infinity : 1000 * revocations.ttl + SLACK
  const seconds = (fresh: number, stale: number): number =>
    1000 * (fresh + (isStale ? stale : 0)) + SLACK
  const copies = snapshot ? seconds(snapshot.maxAge, snapshot.staleIfError) : 0
  const isElsewhere = isolate !== reader.isolate || isStale
  const cache = cached && isElsewhere ? seconds(cached.ttl, cached.staleIfError) : 0
  return copies + cache + (store === 'kv' ? KV_LAG : 0) + (lagMs && lagMs + SLACK)
}

/** Everything that certainly ended a session. */
function endsOf(facts: Facts, lineage: Lineage): End[] {
  const ends: End[] = []
  for (const one of lineage.visits) {
    if (one.outcome !== 'ok' || facts.lineages.found(one) !== lineage) continue
    const isLeft = changesUser(one) && facts.lineages.target(one) !== lineage
    if (!destroys(one) && !isLeft) continue
    const endsCopies = facts.config.store !== 'none' || facts.config.revocations
    if (!endsCopies && !isOnlyCopy(facts, one)) continue
    const by = `${destroys(one) ? 'destroy' : 'the sign-in of somebody else'} by request ${one.id}`
    ends.push(endBy(one, by))
  }
  for (const one of facts.history.exchanges) {
    if (one.outcome !== 'ok' || !destroys(one) || !endsReplaced(facts, one, lineage)) continue
    const by = `destroy, by a replaced credential, by request ${one.id}`
    ends.push(endBy(one, by))
  }
  for (const tried of facts.history.ends) {
    const { byPrint } = facts.lineages
    const { kind, to, from, print, user, except } = tried
    const isMeant =
      kind === 'revoke'
        ? byPrint(print!) === lineage
        : belongsTo(facts, lineage, user!, from) && (!except || byPrint(except) !== lineage)
    if (isMeant) ends.push({ at: to, by: kind, of: user, isolate: null, jar: -1, tried })
  }
  return ends.filter(({ at, by, tried }) => {
    // A session that was written over its end is in no list, nor is one of whose end only a part was done.
    const isMissed = by === 'revokeAll' ? facts.endsTried(lineage, at) : [tried]
    return !facts.isWrittenOver(lineage, isMissed)
  })
}

function endBy(one: Exchange, by: string): End {
  const { action, done, isolate, jar, received, sent } = one
  const tried = { from: sent, done, place: action.isolate }
  return { at: received, by, of: one.seen?.subject ?? null, isolate, jar, tried }
}

/** Whether a credential that was replaced moments ago is for certain one of this session. */
function endsReplaced(facts: Facts, one: Exchange, lineage: Lineage): boolean {
  if (one.seen?.status !== 'superseded' || facts.config.store !== 'shared') return false
  const { exchanges, thefts } = facts.history
  // What a copied jar holds comes from the requests of the jar that it was copied from, too.
  const isCopied = ({ jar, sent }: Exchange): boolean =>
    thefts.some((theft) => theft.thief === one.jar && theft.jar === jar && sent < theft.at)
  const before = exchanges.filter(
    (other) => (other.jar === one.jar && other.sent < one.sent) || isCopied(other),
  )
  if (before.some((other) => other.effects.length && endOf(other) >= one.sent)) return false
  const lineages = before.map(
    (other) => facts.lineages.target(other) ?? facts.lineages.found(other),
  )
  const isOnly =
    lineages.includes(lineage) && lineages.every((other) => !other || other === lineage)
  return isOnly && rotationsOf(lineage).every(({ sent }) => sent > one.sent - 20_000)
}

/** The browser that signed out has no cookie, and a note that calls the session ended. */
function isForgottenEnd(facts: Facts, { jar, tried }: End, reader: Exchange): boolean {
  const isLimit = accepts('a failover undoes an end') && jar !== reader.jar
  return isLimit && facts.isForgotten(tried.from, tried.done)
}

/** A session in a cookie ends in the browser that ends it, and only there. */
function isOnlyCopy({ history }: Facts, { jar }: Exchange): boolean {
  return jar < FIRST_THIEF && !history.thefts.some((theft) => theft.jar === jar)
}

/** Whether it was certainly this user's before. */
function belongsTo(
  facts: Facts,
  { effects, visits }: Lineage,
  user: string,
  from: number,
): boolean {
  const { revocations, store } = facts.config
  const lag = store === 'kv' ? KV_LAG : 0
  const logins = effects.filter(
    ({ use, exchange }) => use.op === 'login' && !facts.isForgotten(exchange.sent, exchange.done),
  )
  const isOther = logins.some(({ use }) => use.op === 'login' && `u${use.user}` !== user)
  // A record that was sealed anew, with another of several secrets, is listed under another key.
  const isListedAnew = visits.some(
    (one) =>
      one.activity.events.some(({ type }) => type === 'key.used') &&
      one.sent <= from &&
      from < endOf(one) + lag,
  )
  const isTheirs = !isOther && logins.length > 0
  // A mark in time ends those that signed in before it, by clocks that differ.
  if (revocations) return isTheirs && logins.every(({ acked }) => acked + SLACK <= from)
  return !isOther && !isListedAnew && logins.some(({ acked }) => acked + lag <= from)
}
