/**
 * Writes events to a logger, a level for each type, and few enough that an outage is not a bill.
 *
 * @module
 * @example
 * import { logEvents } from 'sojourn/log'
 */
import {
  applyRules,
  functionRule,
  isObject,
  numberRule,
  type Rule,
  refuseUnless,
  wordRule,
} from '../check.ts'
import type { SessionEvent } from '../events.ts'
import { guarded } from '../guarded.ts'

/** The method of the logger that a line goes to. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** The methods that a logger must have: `console`, pino, winston and others fit. */
export type Logger = { readonly [level in LogLevel]: (...line: never[]) => unknown }

/** Options for {@link logEvents}. */
export interface LogOptions {
  /** Levels other than {@link defaultLevels}; `false` leaves a type out. (default: those) */
  levels?: { readonly [type in SessionEvent['type']]?: LogLevel | false }
  /**
   * Lines per minute of one type with one `by`, `code`, `reason` and `operation`; `Infinity` for all of them. (default: 10)
   */
  limit?: number
  /** Other limits for some types. (default: `limit`) */
  limits?: { readonly [type in SessionEvent['type']]?: number }
  /**
   * The argument that comes first. (default: `'fields'` for a logger that has `child` and `fatal`, as
   * pino and bunyan have, `'message'` for others, as for `console` and winston)
   */
  first?: 'message' | 'fields'
  /** Epoch milliseconds. (default: Date.now) */
  now?: () => number
}

/**
 * The level of each type of event: `error` is what a user noticed and nobody wanted, `warn` what one soon may, and
 * whatever ends or refuses a session is `info` at least. `false`: no line, since there is one for every request.
 */
export const defaultLevels: { readonly [type in SessionEvent['type']]: LogLevel | false } = {
  'session.opened': false,
  'session.saved': false,
  'store.call': false,
  'cache.read': false,
  'session.created': 'debug',
  'session.renewed': 'debug',
  'session.regenerated': 'debug',
  'session.superseded': 'info',
  'session.expired': 'info',
  'session.imported': 'info',
  'session.import-conflict': 'warn',
  'session.ended': 'info',
  'session.login': 'info',
  'session.missing': 'info',
  'session.invalid': 'info',
  'session.binding-mismatch': 'warn',
  'session.reused': 'warn',
  'session.uncommitted': 'warn',
  'session.corrupt': 'error',
  'device.registered': 'info',
  'device.refreshed': 'debug',
  'device.refused': 'warn',
  'device.skipped': 'info',
  'commit.conflict': 'debug',
  'commit.deferred': 'warn',
  'commit.applied': 'info',
  'commit.dropped': 'warn',
  'cookie.too-large': 'error',
  'store.retry': 'warn',
  'store.rolled-back': 'error',
  'store.stale': 'warn',
  'store.degraded': 'warn',
  'store.unavailable': 'error',
  'store.failed': 'error',
  'store.recovered': 'info',
  'key.used': 'info',
  'breaker.open': 'error',
  'breaker.half-open': 'info',
  'breaker.closed': 'info',
  'policy.invalid': 'error',
  'store.emptied': 'error',
}

/** A kind of events: what a line that says how many were left out is about. */
interface Kind extends Partial<Record<'by' | 'code' | 'reason' | 'operation', string>> {
  readonly type: SessionEvent['type']
}

/** The lines of one kind within a minute from the first. */
interface Count {
  readonly about: Kind
  readonly until: number
  readonly level: LogLevel
  lines: number
}

const WINDOW_MS = 60_000
/** Kinds that are counted at once; those of more, as somebody else's store may make them, by their type. */
const MAX_KINDS = 200
const METHODS = ['debug', 'info', 'warn', 'error'] as const

const objectRule: Rule = [{}, 'an object', isObject]

const RULES: Record<keyof LogOptions, Rule> = {
  levels: objectRule,
  limit: numberRule(10, 0, Infinity),
  limits: objectRule,
  first: wordRule(undefined, 'message', 'fields'),
  now: functionRule(() => Date.now()),
}

/** Checks what was given for some types of events, and puts defaults under it. */
function applyByType<T>(
  prefix: string,
  given: object,
  rule: (level: LogLevel | false) => Rule,
): ByType<T> {
  const rules = Object.entries(defaultLevels).map(([type, level]) => [type, rule(level)] as const)
  return applyRules(prefix, Object.fromEntries(rules), given)
}

type ByType<T> = Record<string, T>

/**
 * Makes an `onEvent` that writes each event as one line: a message (`sojourn: store.retry`) and the
 * event itself.
 *
 * Events are counted by type, `by`, `code`, `reason` and `operation`, so that the first of a new failure always has its
 * line, however many came of another one. After such a kind has had its `limit` of lines within a minute, the rest
 * of that minute is counted. The first line after it, of any type, is preceded by one that says how many were left
 * out (`leftOut`). There is no timer, and memory is bounded. What the logger throws does not matter.
 *
 * @throws TypeError or RangeError when the logger lacks a method, or an option is wrong.
 *
 * @example
 * createSessions({ secret, onEvent: logEvents(console, { levels: { 'session.login': false } }) })
 */
export function logEvents(logger: Logger, options: LogOptions = {}): (event: SessionEvent) => void {
  const isLogger = METHODS.every((level) => typeof logger?.[level] === 'function')
  refuseUnless(isLogger, 'logger', `an object with ${METHODS.join(', ')}`, logger)
  const { first, levels, limit, limits, now } = applyRules<Required<LogOptions>>('', RULES, options)
  const levelOf = applyByType<LogLevel | false>('levels.', levels, (level) =>
    wordRule(level as string, ...([...METHODS, false] as string[])),
  )
  const limitRule = numberRule(limit, 0, Infinity)
  const limitOf = applyByType<number>('limits.', limits, () => limitRule)
  const fieldsFirst = first ? first === 'fields' : 'child' in logger && 'fatal' in logger
  const counts = new Map<string, Count>()

  const write = (level: LogLevel, text: string, fields: object): void => {
    const message = `sojourn: ${text}`
    const line = fieldsFirst ? [fields, message] : [message, fields]
    guarded(() => logger[level](...(line as never[])))
  }

  const endWindows = (time: number): void => {
    for (const [key, { about, level, lines, until }] of counts) {
      if (time < until && time >= until - WINDOW_MS) continue
      counts.delete(key)
      const leftOut = lines - (limitOf[about.type] ?? limit)
      if (leftOut > 0)
        write(level, `${about.type}, ${leftOut} more left out`, { ...about, leftOut })
    }
  }

  return (event) => {
    const { type } = event
    const level = levelOf[type] ?? 'info'
    if (!level) return
    const time = now()
    endWindows(time)
    let about = kindOf(event)
    if (counts.size >= MAX_KINDS) about = { type }
    const key = Object.values(about).join(' ')
    const count = counts.get(key) ?? { until: time + WINDOW_MS, about, level, lines: 0 }
    counts.set(key, count)
    if (++count.lines <= (limitOf[type] ?? limit)) write(level, type, { ...event })
  }
}

/** Returns the fields by which events are counted. All have few values. */
function kindOf(event: SessionEvent): Kind {
  const { type, by, code, operation, reason } = event as Kind
  return {
    type,
    ...(code && { code }),
    ...(by && { by }),
    // That of an end is a text of the application's.
    ...(reason && type !== 'session.ended' && { reason }),
    ...(operation && { operation }),
  }
}
