/**
 * Alerts from events, where there is no metrics system.
 *
 * @module
 * @example
 * import { alertOn, breakerOpen, errorRate, reusedCookies } from 'sojourn/alerts'
 *
 * const onEvent = alertOn({
 *   rules: [breakerOpen(), errorRate({ threshold: 5 }), reusedCookies()],
 *   notify: ({ rule, state, value }) => fetch(url, { method: 'POST', body: `${rule} ${state}: ${value}` }),
 * })
 */
import { applyRules, functionRule, numberRule, type Rule } from '../check.ts'
import type { SessionEvent } from '../events.ts'
import { guarded } from '../guarded.ts'
import { createWindow } from './window.ts'

/** One condition. It has no state of its own, so that several alerts can use it. */
export interface AlertRule {
  /** Short, for the notification: `error-rate`. */
  readonly name: string
  /** The value from which on it fires. */
  readonly threshold: number
  /** Starts watching. Returns a function that takes an event in, and returns the value after it. */
  watch(): (event: SessionEvent) => number
}

/** A condition that begins to hold, or holds no longer. */
export interface Alert {
  /** Name of the rule. */
  readonly rule: string
  readonly state: 'firing' | 'recovered'
  /** Value of the rule now. */
  readonly value: number
  /** Value from which on the rule fires. */
  readonly threshold: number
  /** Epoch milliseconds of the event that brought it. */
  readonly at: number
  /** Epoch milliseconds at which the condition began to hold. */
  readonly since: number
}

/** Options for {@link alertOn}. */
export interface AlertOptions {
  /** The conditions. */
  rules: readonly AlertRule[]
  /**
   * Is called when a condition begins to hold, and when it holds no longer. Neither its errors nor its
   * result matter. On Workers pass what it sends to `waitUntil` there.
   */
  notify: (alert: Alert) => unknown
  /** Seconds after a notification before the same condition is told of again. (default: 3600) */
  quiet?: number
}

const OPTIONS: Record<keyof AlertOptions, Rule> = {
  rules: [
    null,
    'a list of rules such as errorRate()',
    (value: unknown) =>
      Array.isArray(value) && value.every((one) => typeof one?.watch === 'function'),
  ],
  notify: functionRule(null),
  quiet: numberRule(3600, 0, 604_800),
}

/**
 * Makes an `onEvent` that notifies when a condition begins to hold, and when it holds no longer.
 *
 * There is no timer. Conditions are looked at when an event comes, of whatever type, so that a recovery is
 * told with the first event after it. A condition that begins to hold again within the quiet time is told of
 * after that, if it still holds then. Each isolate counts what happens in it. Its state is bounded.
 *
 * @throws TypeError or RangeError when an option is missing or wrong.
 */
export function alertOn(options: AlertOptions): (event: SessionEvent) => void {
  const { rules, notify, quiet } = applyRules<Required<AlertOptions>>('', OPTIONS, options)
  const all = rules.map((rule) => watchRule(rule, notify, 1000 * quiet))
  return (event) => {
    for (const look of all) look(event)
  }
}

function watchRule(
  { name: rule, threshold, watch }: AlertRule,
  notify: AlertOptions['notify'],
  quietMs: number,
): (event: SessionEvent) => void {
  const valueAfter = watch()
  let since: number | null = null
  let toldAt = -Infinity
  let isTold = false
  return (event) => {
    const { at } = event
    const value = valueAfter(event)
    const holds = value >= threshold
    since = holds ? (since ?? at) : since
    // A clock that went back ends the quiet time too.
    const isQuiet = Math.abs(at - toldAt) < quietMs
    const state = holds && !isTold && !isQuiet ? 'firing' : !holds && isTold ? 'recovered' : null
    if (state) {
      isTold = holds
      if (holds) toldAt = at
      guarded(() => notify({ rule, state, value, threshold, at, since: since ?? at }))
    }
    if (!holds) since = null
  }
}

/** Options for every rule. */
export interface RuleOptions {
  /** Value from which on the rule fires. (default: the one that its rule names) */
  threshold?: number
  /** Seconds that are counted together. (default: 300) */
  window?: number
  /** Events within the window below which the rule does not fire. (default: 20) */
  minimum?: number
}

const RULE_OPTIONS = { window: numberRule(300, 1, 86_400), minimum: numberRule(20, 0, Infinity) }

function settings(
  threshold: number,
  options: RuleOptions,
  ...names: ('window' | 'minimum')[]
): Required<RuleOptions> {
  const rules = names.map((name) => [name, RULE_OPTIONS[name]])
  const known = { threshold: numberRule(threshold, 0, Infinity), ...Object.fromEntries(rules) }
  return applyRules('', known, options)
}

/** Options for {@link countRule}. */
export interface CountOptions {
  /** The name of the alert. */
  name: string
  /** Value from which on the rule fires. */
  threshold: number
  /** Seconds that are counted together. */
  window: number
  /** Returns the number that an event counts for; 0: it does not count. */
  count: (event: SessionEvent) => number
}

const COUNT: Record<keyof CountOptions, Rule> = {
  name: [null, 'a text', (value: unknown) => typeof value === 'string'],
  threshold: numberRule(null, 0, Infinity),
  window: numberRule(null, 1, 86_400),
  count: functionRule(null),
}

/**
 * Makes a rule whose value is the sum of what events count for within the window.
 *
 * @throws TypeError or RangeError when an option is missing or wrong.
 */
export function countRule(options: CountOptions): AlertRule {
  return counting(applyRules('', COUNT, options))
}

function counting({ count, name, threshold, window }: CountOptions, unit = 1): AlertRule {
  return {
    name,
    threshold,
    watch() {
      const counts = createWindow(window)
      return (event) => counts.add(event.at, count(event)) / unit
    },
  }
}

/** Fires when a breaker has been open for so many seconds. (default: 60) */
export function breakerOpen(options: Pick<RuleOptions, 'threshold'> = {}): AlertRule {
  const { threshold } = settings(60, options)
  return {
    name: 'breaker-open',
    threshold,
    watch() {
      // Stores and directions come from the configuration, so there are few.
      const open = new Map<string, number>()
      return (event) => {
        if (event.type === 'breaker.open' || event.type === 'breaker.closed') {
          const { at, direction, store, type } = event
          const breaker = `${direction} ${store}`
          if (type === 'breaker.closed') open.delete(breaker)
          else if (!open.has(breaker)) open.set(breaker, at)
        }
        return open.size ? (event.at - Math.min(...open.values())) / 1000 : -1
      }
    },
  }
}

/** Fires when this share of opened sessions is `degraded`. (default: 0.05) */
export function degradedShare(options: RuleOptions = {}): AlertRule {
  const { threshold, window, minimum } = settings(0.05, options, 'window', 'minimum')
  return {
    name: 'degraded-share',
    threshold,
    watch() {
      const degraded = createWindow(window)
      const opened = createWindow(window)
      return (event) => {
        const isOpened = event.type === 'session.opened'
        const all = opened.add(event.at, Number(isOpened))
        const some = degraded.add(event.at, Number(isOpened && event.status === 'degraded'))
        return all >= Math.max(1, minimum) ? some / all : 0
      }
    },
  }
}

/** The events with which a request gets an error, or a visitor loses a session. */
const ERRORS = new Set<string>(['store.unavailable', 'session.corrupt', 'cookie.too-large'])

/** Fires at so many errors that a visitor noticed, per minute. (default: 10) */
export function errorRate(options: Omit<RuleOptions, 'minimum'> = {}): AlertRule {
  const set = settings(10, options, 'window')
  const count: CountOptions['count'] = ({ type }) => Number(ERRORS.has(type))
  return counting({ ...set, name: 'error-rate', count }, set.window / 60)
}

/** Windows before the present one that say what is normal. */
const NORMAL_WINDOWS = 11

/**
 * Fires when so many times as many cookies do not open as in the hour before: somebody guesses, or a
 * secret is missing. `minimum`: cookies within the window below which it does not fire. (default: 5)
 */
export function invalidCookies(options: RuleOptions = {}): AlertRule {
  const { threshold, window, minimum } = settings(5, options, 'window', 'minimum')
  return {
    name: 'invalid-cookies',
    threshold,
    watch() {
      const recent = createWindow(window)
      const long = createWindow(window * (NORMAL_WINDOWS + 1))
      let first: number | undefined
      return ({ at, type }) => {
        first ??= at
        const isInvalid = Number(type === 'session.invalid')
        const now = recent.add(at, isInvalid)
        const before = long.add(at, isInvalid) - now
        if (now < minimum) return 0
        const windows = (at - first) / (1000 * window) - 1
        const normal = before / Math.min(NORMAL_WINDOWS, Math.max(1, windows))
        return now / Math.max(1, normal)
      }
    },
  }
}

/** Fires at so many replaced cookies that came back: somebody has a copy. (default: 1) */
export function reusedCookies(options: Omit<RuleOptions, 'minimum'> = {}): AlertRule {
  const count: CountOptions['count'] = ({ type }) => Number(type === 'session.reused')
  return counting({ ...settings(1, options, 'window'), name: 'reused-cookies', count })
}

/** Fires when so many more changes wait in cookies than at the start of the window. (default: 100) */
export function deferredGrowth(options: Omit<RuleOptions, 'minimum'> = {}): AlertRule {
  const set = settings(100, options, 'window')
  return counting({ ...set, name: 'deferred-growth', count: waiting })
}

function waiting(event: SessionEvent): number {
  if (event.type === 'commit.deferred') return event.changes
  const isDone =
    event.type === 'commit.applied' || (event.type === 'commit.dropped' && event.deferred)
  return isDone ? -event.changes : 0
}
