/** What a run and its settings say, for all checks: who was told what, and how late it may be seen. */
import { type EndAttempt, type Exchange, type History, type Problem, rotates } from './history.ts'
import { changesUser, type Lineage, type Lineages, trace } from './lineages.ts'
import type { RunConfig } from './profiles.ts'

/** KV shows an old state elsewhere for up to a minute, and its caches half of one more. */
export const KV_LAG = 95_000
/** Milliseconds that clocks may differ by, and that whole seconds may hide. */
export const SLACK = 5000
/** Milliseconds within which a request has to end: opening, committing and ending have 5 s each. */
export const LIMIT = 16_000

/** Milliseconds for which a note of a rotation is good. */
const NOTE = 3_600_000
/** Milliseconds for which a fault may still have consequences. */
export const LINGER = 65_000

/** The limits that ARCHITECTURE.md accepts, by name. Each can be counted like a violation, to know how often it happens. */
export const LIMITS = [
  'a failover undoes an end',
  'a failover forgets a sign-in or a beginning',
  'a session that nobody got stays listed',
  'an outage swallows a renewal',
  'KV keeps the last of overlapping writes',
  'two places of KV rotate one session',
  'a place of KV writes over an end',
  "seal: 'cookie' and a rotation of unknown outcome",
] as const

export type Limit = (typeof LIMITS)[number]

/** The limit that is counted. */
export const counted: { limit: string | undefined } = { limit: undefined }

/** Whether a limit excuses what it does. */
export const accepts = (limit: Limit): boolean => counted.limit !== limit

export class Facts {
  readonly config: RunConfig
  readonly history: History
  readonly lineages: Lineages
  readonly problems: Problem[]

  constructor(config: RunConfig, history: History) {
    this.config = config
    this.history = history
    this.lineages = trace(history)
    this.problems = [...history.problems]
  }

  report(rule: string, { id, seen, sent }: Exchange, text: string): void {
    this.problems.push({ rule, text: `request ${id}: ${text}`, at: seen?.at ?? sent })
  }

  /** Milliseconds after the acknowledgement for which a reader may still see an older state. */
  lateness(writer: Exchange, reader: Exchange): number {
    const { cached, snapshot, lagMs, store } = this.config
    if (store === 'none') return 0
    const isOwn =
      writer.jar === reader.jar &&
      !this.isMixedUp(writer, reader) &&
      !this.#isOvertaken(writer, reader)
    const copies = isOwn || !snapshot ? 0 : 1000 * snapshot.maxAge + SLACK
    const cache = !cached || writer.isolate === reader.isolate ? 0 : 1000 * cached.ttl + SLACK
    if (store === 'kv') return copies + (isOwn ? 0 : KV_LAG)
    return copies + cache + (lagMs ? lagMs + SLACK : 0)
  }

  /**
   * Whether a response reached the browser after the writer's that does not know of the write: an older one, or
   * that of another session, whose cookie takes the place of this one's.
   */
  isMixedUp(writer: Exchange, reader: Exchange): boolean {
    const own = this.sessionOf(writer)
    return this.history.exchanges.some(
      (other) =>
        other !== writer &&
        other.jar === writer.jar &&
        other.received >= writer.received &&
        other.received <= reader.sent &&
        (other.sent <= writer.received || (this.sessionOf(other) ?? own) !== own),
    )
  }

  /** Whether a request that found a session live did so after all that a rotation of it could do. */
  isSettled(rotation: Exchange, { sent }: Exchange): boolean {
    const { cached, lagMs, seal, snapshot, store } = this.config
    const copies = 1000 * ((snapshot ? snapshot.maxAge : 0) + (cached ? cached.ttl : 0)) + lagMs
    const isOk = rotation.outcome === 'ok'
    // On KV a cookie may be ahead for two minutes.
    const late = store === 'kv' ? 2 * KV_LAG : isOk ? 0 : LINGER
    // With the cookie of a rotation that the store does not have it may be made at any time; `seal: 'cookie'` has none.
    return (
      (isOk || seal === 'cookie') &&
      !this.isOverwritten(rotation) &&
      // What a failover forgot is made by whoever has its cookie, when that comes back.
      !this.isForgotten(rotation.sent, rotation.done) &&
      rotation.done + copies + late + SLACK < sent
    )
  }

  /**
   * Whether a rotation of unknown outcome is made by whoever copied its cookie, when this browser has lost that:
   * a late response took its place, and the note is over.
   */
  isLeftToCopies(rotation: Exchange, reader: Exchange): boolean {
    const isCopied = this.history.exchanges.some(
      ({ jar, knows, sent }) => jar !== reader.jar && knows.has(rotation.id) && sent < reader.done,
    )
    const isOver = reader.sent > rotation.received + NOTE - SLACK
    return rotation.outcome !== 'ok' && isCopied && isOver && this.isMixedUp(rotation, reader)
  }

  /** The session that a request left its browser with, as far as can be told. */
  sessionOf(exchange: Exchange): Lineage | null {
    return this.lineages.target(exchange) ?? this.lineages.found(exchange)
  }

  /** Whether a write at a place of KV that could not see this one may have replaced it; `by`: only such writes. */
  isOverwritten(one: Exchange, by: (other: Exchange) => boolean = () => true): boolean {
    const session = this.sessionOf(one)
    if (this.config.store !== 'kv' || !session) return false
    if (!accepts('KV keeps the last of overlapping writes')) return false
    return this.writersOf(session).some(
      (other) => other !== one && this.overlapOnKV(one, other) && by(other),
    )
  }

  /** The requests that tried to write to a session in a store. */
  writersOf({ name }: Lineage): Exchange[] {
    return this.history.exchanges.filter(({ activity }) => activity.writes.has(name))
  }

  /**
   * Whether an end overtook the writer, whose response sets no cookie then, or a rotation, whose own
   * response is not there yet, got lost, or tells of what a failover forgot.
   */
  #isOvertaken(writer: Exchange, { knows }: Exchange): boolean {
    const overlaps = ({ from, done }: { from: number; done: number }): boolean =>
      from < writer.done && done > writer.sent
    const isRotated = this.history.exchanges.some(
      (other) =>
        other !== writer &&
        rotates(other) &&
        (!knows.has(other.id) || this.isForgotten(other.sent, other.done)) &&
        other.seen?.print === writer.seen?.print &&
        overlaps({ from: other.sent, done: other.done }),
    )
    const session = this.sessionOf(writer)
    return isRotated || (!!session && this.endsTried(session).some(overlaps))
  }

  /** Whether neither of two requests can see on KV what the other wrote. */
  overlapOnKV(a: Exchange, b: Exchange): boolean {
    const [first, then] = a.sent < b.sent ? [a, b] : [b, a]
    const isAtOnce = then.sent <= endOf(first)
    if (isAtOnce || a.action.isolate === b.action.isolate) return isAtOnce
    // A browser's cookie says how new a state it has seen, once it has got it.
    const isOwn = a.jar === b.jar && !this.isMixedUp(first, then)
    const isTold = isOwn && first.outcome === 'ok' && !failedToWrite(first)
    return !(isTold && first.received < then.sent) && then.sent < endOf(first) + KV_LAG
  }

  /** Whether a failover may have lost what was done between two times. */
  isForgotten(from: number, to: number): boolean {
    return this.history.failovers.some(({ at, loses }) => from <= at && to >= at - loses)
  }

  /** Whether a copy answered a request that shows a renewal which a failover forgot, so that it renewed nothing. */
  isCopyOfForgotten({ sent }: Exchange, visits: readonly Exchange[]): boolean {
    const { cached, snapshot } = this.config
    const copies = 1000 * ((snapshot ? snapshot.maxAge : 0) + (cached ? cached.ttl : 0))
    return visits.some(
      (one) => this.isForgotten(one.sent, one.done) && one.sent <= sent && sent < one.done + copies,
    )
  }

  /** Whether anything that ends a session was tried. */
  mayHaveEnded(lineage: Lineage, until: number): boolean {
    return this.endsTried(lineage, until).length > 0
  }

  /** Every attempt to end a session before a time, whatever came of it. */
  endsTried(lineage: Lineage, until: number = Infinity): EndTried[] {
    const { ends, exchanges } = this.history
    const byRequest = exchanges.filter((one) =>
      this.config.store === 'none'
        ? lineage.holders.has(one.jar) && (destroys(one) || changesUser(one) || tellsEnd(one))
        : one.activity.ends.has(lineage.name),
    )
    const byOthers = ends.filter(({ kind, print, user }) =>
      kind === 'revoke'
        ? print === lineage.name
        : lineage.effects.some(({ use }) => use.op === 'login' && `u${use.user}` === user),
    )
    const all = byRequest.map(({ sent, done, action }): EndTried => {
      return { from: sent, done, place: action.isolate }
    })
    return [...all, ...byOthers].filter(({ from }) => from < until)
  }

  /** Whether a place of KV that could not see one of these ends may have written to the session after it. */
  isWrittenOver(lineage: Lineage, ends: readonly EndTried[]): boolean {
    if (this.config.store !== 'kv' || !accepts('a place of KV writes over an end')) return false
    const writers = this.writersOf(lineage)
    return ends.some((end) => writers.some((one) => cannotSee(one, end)))
  }
}

/** One attempt to end a session, at a place, of that time. */
export type EndTried = Pick<EndAttempt, 'from' | 'done' | 'place'>

/** Whether a request at a place of KV may have begun to write before it could see an end. */
export function cannotSee({ sent, done, action }: Exchange, end: EndTried): boolean {
  const isOver = end.done < sent && action.isolate === end.place
  return !isOver && sent < Math.min(end.done, end.from + LIMIT) + KV_LAG && done > end.from
}

export function destroys({ action }: Exchange): boolean {
  return action.uses.some(({ op }) => op === 'destroy')
}

/** Whether it said that a session ended, as a sign-in over data of a newer version does. */
function tellsEnd({ activity }: Exchange): boolean {
  return activity.events.some(({ type }) => type === 'session.ended')
}

export function signsIn({ action }: Exchange): boolean {
  return action.uses.some(({ op }) => op === 'login')
}

/** When the browser, or else the server, was done with it. */
export function endOf({ outcome, received, done }: Exchange): number {
  if (outcome === 'pending' || outcome === 'broken') return Infinity
  return received < Infinity ? received : done
}

/** Whether a store took no renewal of a request: that of its commit failed. */
export function failedToWrite({ activity, seen }: Exchange): boolean {
  const since = activity.events.slice(seen?.events ?? 0)
  return since.some(({ type }) => UNWRITTEN.includes(type))
}

const UNWRITTEN: readonly string[] = ['store.degraded', 'store.unavailable', 'commit.deferred']

/**
 * Whether two rotations on KV are made of one credential, because neither knew of the other: at two places, or by
 * answers 503, whose cookies make the rotation wherever they come.
 */
export function rotatesTwiceAtOnce(rotations: readonly Exchange[]): boolean {
  const isOk = ({ outcome }: Exchange): boolean => outcome === 'ok'
  const until = (one: Exchange): number => (isOk(one) ? endOf(one) + KV_LAG : Infinity)
  return rotations.some((a) =>
    rotations.some(
      (b) =>
        a !== b &&
        !a.knows.has(b.id) &&
        !b.knows.has(a.id) &&
        a.sent < until(b) &&
        b.sent < until(a) &&
        (a.action.isolate !== b.action.isolate || !isOk(a) || !isOk(b)),
    ),
  )
}
