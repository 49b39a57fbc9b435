/** What a run and its settings say, for all checks: who was told what, and how late it may be seen. */
import { type Exchange, type History, type Problem, rotates } from './history.ts'
import { changesUser, type Lineage, type Lineages, trace } from './lineages.ts'
import type { RunConfig } from './profiles.ts'

/** KV shows an old state elsewhere for up to a minute, and its caches half of one more. */
export const KV_LAG = 95_000
/** Milliseconds that clocks may differ by, and that whole seconds may hide. */
export const SLACK = 5000
/** Milliseconds within which a request has to end: opening, committing and ending have 5 s each. */
export const LIMIT = 16_000

/** What CORE accepts, by name. Each can be counted like a violation, to know how often it happens. */
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
      !this.#isMixedUp(writer, reader) &&
      !this.#isOvertaken(writer, reader)
    const copies = isOwn || !snapshot ? 0 : 1000 * snapshot.maxAge + SLACK
    const cache = !cached || writer.isolate === reader.isolate ? 0 : 1000 * cached.ttl + SLACK
    if (store === 'kv') return copies + (isOwn ? 0 : KV_LAG)
    return copies + cache + (lagMs ? lagMs + SLACK : 0)
  }

  /** Whether an older response reached the browser after the writer's. */
  #isMixedUp(writer: Exchange, reader: Exchange): boolean {
    return this.history.exchanges.some(
      (other) =>
        other !== writer &&
        other.jar === writer.jar &&
        other.sent < writer.received &&
        other.received >= writer.received &&
        other.received < reader.sent,
    )
  }

  /**
   * Whether a rotation overtook the writer, whose response sets no cookie then, and its own response
   * is not there yet, or got lost.
   */
  #isOvertaken(writer: Exchange, { knows }: Exchange): boolean {
    return this.history.exchanges.some(
      (other) =>
        other !== writer &&
        rotates(other) &&
        !knows.has(other.id) &&
        other.seen?.print === writer.seen?.print &&
        other.sent < writer.done &&
        other.done > writer.sent,
    )
  }

  /** Whether neither of two requests can see on KV what the other wrote. */
  overlapOnKV(a: Exchange, b: Exchange): boolean {
    const [first, then] = a.sent < b.sent ? [a, b] : [b, a]
    const isAtOnce = then.sent <= endOf(first)
    if (isAtOnce || a.action.isolate === b.action.isolate) return isAtOnce
    // A browser's cookie says how new a state it has seen, once it has got it.
    const isOwn = a.jar === b.jar && !this.#isMixedUp(first, then)
    const isTold = isOwn && first.outcome === 'ok' && !failedToWrite(first)
    return !(isTold && first.received < then.sent) && then.sent < endOf(first) + KV_LAG
  }

  /** Whether a failover may have lost what was done between two times. */
  isForgotten(from: number, to: number): boolean {
    return this.history.failovers.some(({ at, loses }) => from <= at && to >= at - loses)
  }

  /** Whether anything that ends a session was tried. */
  mayHaveEnded(lineage: Lineage, until: number): boolean {
    const byRequest = this.history.exchanges.some(
      (one) => one.sent < until && lineage.holders.has(one.jar) && this.#mayEnd(one, lineage),
    )
    const byOthers = this.history.ends.some(({ kind, from, print, user }) => {
      if (from >= until) return false
      if (kind === 'revoke') return this.lineages.byPrint(print!) === lineage
      return lineage.effects.some(({ use }) => use.op === 'login' && `u${use.user}` === user)
    })
    return byRequest || byOthers
  }

  /** Signing out ends all sessions that the cookies open; a sign-in may begin another one instead. */
  #mayEnd(one: Exchange, lineage: Lineage): boolean {
    if (destroys(one)) return true
    if (!signsIn(one) || one.seen?.status === 'new') return false
    return changesUser(one) || this.history.hasVersions || this.lineages.target(one) !== lineage
  }
}

export function destroys({ action }: Exchange): boolean {
  return action.uses.some(({ op }) => op === 'destroy')
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

/** On KV the places where a session is rotated may not see each other. */
export function rotatesTwiceAtOnce(rotations: readonly Exchange[]): boolean {
  return rotations.some((a) =>
    rotations.some((b) => a !== b && a.sent < endOf(b) + KV_LAG && endOf(a) > b.sent - KV_LAG),
  )
}
