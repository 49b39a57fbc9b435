/** Which requests had to do with the same session. */
import { type Effect, type Exchange, type History, rotates } from './history.ts'

/** One session from its beginning to its end. */
export interface Lineage {
  readonly name: string
  /** The request that began it; `null`: nobody knows. */
  readonly origin: Exchange | null
  /** Browsers that had to do with it, and copies of theirs. */
  readonly holders: Set<number>
  /** Everything that may have been done to it, by time. */
  readonly effects: Effect[]
  /** Requests that found it, or may have written to it, by time. */
  readonly visits: Exchange[]
}

export interface Lineages {
  readonly all: readonly Lineage[]
  /** The session that a request found; `null`: none. */
  found(exchange: Exchange): Lineage | null
  /** The session that a request wrote to, as far as can be told. */
  target(exchange: Exchange): Lineage | null
  byPrint(print: string): Lineage | undefined
}

/** The session that a request, as it ended, wrote to by its own events; `null`: they tell of none. */
export function writtenBy(exchange: Exchange): string | null {
  return printsIn(exchange, TELLING)[0] ?? null
}

/** Events that say which session a request has written to. */
const TELLING = [
  'session.created',
  'session.login',
  'session.regenerated',
  'device.registered',
  'device.refreshed',
]
const LIVE = ['active', 'degraded']

/** Whether the handler saw a session. */
export function isLive({ seen }: Exchange): boolean {
  if (!seen || !LIVE.includes(seen.status)) return false
  return seen.status === 'active' || seen.subject !== null || Object.keys(seen.data).length > 0
}

/** Whether it signs in over somebody else's session. */
export function changesUser({ action, seen }: Exchange): boolean {
  const subject = seen?.subject ?? null
  return action.uses.some(
    (use) => use.op === 'login' && subject !== null && `u${use.user}` !== subject,
  )
}

const printsIn = ({ activity }: Exchange, types: readonly string[]): string[] =>
  activity.events.flatMap((event) =>
    types.includes(event.type) && 'session' in event && event.session ? [event.session] : [],
  )

export function trace(history: History): Lineages {
  const byPrint = new Map<string, Lineage>()
  const all: Lineage[] = []
  const targets = new Map<Exchange, Lineage>()

  const begin = (print: string, origin: Exchange | null, jar: number): Lineage => {
    const lineage: Lineage = {
      name: print,
      origin,
      holders: new Set([jar]),
      effects: [],
      visits: [],
    }
    all.push(lineage)
    byPrint.set(print, lineage)
    return lineage
  }

  const found = (exchange: Exchange): Lineage | null =>
    isLive(exchange) ? (byPrint.get(exchange.seen!.print) ?? null) : null

  /** What a request, as it ended, says of the session that it wrote to. */
  const learn = (exchange: Exchange): void => {
    const own = found(exchange)
    const prints = printsIn(exchange, TELLING)
    const { aims } = exchange
    for (const print of [...prints, ...(aims && exchange.effects.length ? [aims] : [])]) {
      if (!byPrint.has(print)) begin(print, exchange, exchange.jar)
    }
    const print = prints[0] ?? aims
    const target = (print && byPrint.get(print)) || own
    if (target) targets.set(exchange, target)
  }

  const pending = [...history.exchanges].sort((a, b) => endOf(a) - endOf(b))
  for (const exchange of [...history.exchanges].sort((a, b) => seenAt(a) - seenAt(b))) {
    if (!isLive(exchange)) continue
    while (pending.length && endOf(pending[0]!) <= seenAt(exchange)) learn(pending.shift()!)
    if (byPrint.has(exchange.seen!.print)) continue
    // Begun by a request of unknown outcome, perhaps by one that is still under way.
    const maker = history.exchanges.find(
      (one) => one.aims === exchange.seen!.print && one.sent <= seenAt(exchange),
    )
    if (maker) learn(maker)
    if (!byPrint.has(exchange.seen!.print)) begin(exchange.seen!.print, null, exchange.jar)
  }
  for (const exchange of pending) learn(exchange)

  for (const { thief, jar } of history.thefts) {
    for (const { holders } of all) if (holders.has(jar)) holders.add(thief)
  }

  for (const exchange of history.exchanges) {
    const own = found(exchange)
    const target = targets.get(exchange) ?? own
    for (const lineage of new Set([own, target])) lineage?.visits.push(exchange)
    const isUnknown = exchange.outcome !== 'ok'
    // A sign-in by a replaced credential may have gone on with any session of its browser.
    const isReplaced =
      (isUnknown || exchange.fate === 'dropped') && exchange.seen?.status === 'superseded'
    const possible = isReplaced ? all.filter(({ holders }) => holders.has(exchange.jar)) : []
    const isAnywhere = isUnknown || isReplaced
    for (const lineage of isAnywhere ? new Set([own, target, ...possible]) : [target]) {
      lineage?.effects.push(...exchange.effects)
    }
  }
  return {
    all,
    found,
    target: (exchange) => targets.get(exchange) ?? null,
    byPrint: (print) => byPrint.get(print),
  }
}

const endOf = ({ done }: Exchange): number => done
const seenAt = ({ seen }: Exchange): number => seen?.at ?? Infinity

/** The requests that replaced, or may have replaced, a session's credential. */
export function rotationsOf({ visits }: Lineage): Exchange[] {
  return visits.filter((exchange) => rotates(exchange) && exchange.effects.length > 0)
}
