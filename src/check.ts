/** Checks of what a programmer passes in. Messages name the option and show no text of its value. */

/**
 * The default of an option (`null`: it must be given), what else it may be, in words and in code,
 * and what follows from its type: a number may be out of range, an object has rules of its own.
 */
export type Rule = readonly [
  fallback: unknown,
  expected: string,
  holds: (value: never) => boolean,
  type?: 'number' | Readonly<Record<string, Rule>>,
]

/** Options once their defaults are under them. */
export type Complete<T> = { [K in keyof T]-?: Exclude<T[K], undefined> }

/** Ten years in seconds: the longest timeout. */
export const MAX_TIMEOUT = 315_360_000

/** Names the kind of a value; shows numbers, `true` and `false`, and no text. */
export function kindOf(value: unknown): string {
  if (value === '') return 'an empty text'
  if (Array.isArray(value)) return value.length ? 'a list' : 'an empty list'
  if (value instanceof Promise) return 'a promise: await it'
  return value === null || isPlain(value) ? String(value) : typeof value
}

/** Names the kind of a value that may be data: shows no number either. */
export function argumentKind(value: unknown): string {
  return isPlain(value) ? `a ${typeof value}` : kindOf(value)
}

const isPlain = (value: unknown): boolean => /^(number|boolean)$/.test(typeof value)

/** Tells whether a value is a token (RFC 9110, 5.6.2) of at most 200 characters. */
export function isToken(value: unknown): value is string {
  return typeof value === 'string' && /^[\w!#$%&'*+.^`|~-]{1,200}$/.test(value)
}

const MAX_QUOTED = 80

/**
 * Quotes a text for a message: keys of data and the like, which visitors may have chosen. What could
 * break or hide a line of a log is escaped or replaced, and what is too long is cut.
 */
export function quote(text: string): string {
  const quoted = JSON.stringify(text).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?')
  return quoted.length > MAX_QUOTED ? `${quoted.slice(0, MAX_QUOTED - 2)}…"` : quoted
}

/** Texts with half of a surrogate pair: two of them can become the same bytes. */
export const LONE_SURROGATE: RegExp = /\p{Surrogate}/u

const MAX_SUBJECT = 1024

/** Words for {@link isSubject}. A template would keep it in bundles that do not use it. */
export const SUBJECT_WORDS = 'a string of 1 to 1024 well-formed characters'

/** Tells whether a value can stand for a user. */
export function isSubject(value: unknown): value is string {
  const isText = typeof value === 'string' && !LONE_SURROGATE.test(value)
  return isText && value !== '' && value.length <= MAX_SUBJECT
}

/** Throws unless `subject` can stand for a user: 1 to 1024 characters of well-formed text. */
export function assertSubject(subject: unknown): asserts subject is string {
  expectArgument(isSubject(subject), 'subject', SUBJECT_WORDS, subject)
}

/** Throws, naming the argument of a call, unless `holds`. */
export function expectArgument(
  holds: unknown,
  name: string,
  expected: string,
  value: unknown,
): void {
  if (!holds)
    throw new TypeError(`Argument "${name}" must be ${expected}, got ${argumentKind(value)}`)
}

/** Returns a key of the data as a text. An object, as of several values, would be spelled and taken for one. */
export function keyOf(key: unknown): string {
  expectArgument(/^(string|number)$/.test(typeof key), 'key', 'a string', key)
  return String(key)
}

/** A rule for a text that lists and logs show. */
export const SHORT_TEXT: Rule = [
  undefined,
  'a string of at most 200 characters',
  (value: unknown) => typeof value === 'string' && value.length <= 200,
]

/** Tells whether a value can have properties of its own. */
export function isObject(value: unknown): value is object {
  return Object(value) === value
}

/** Throws unless these are sessions: what `createSessions` returned. */
export function expectSessions(sessions: { readonly get: unknown }): void {
  const holds = typeof sessions?.get === 'function'
  refuseUnless(holds, 'sessions', 'createSessions(...)', sessions)
}

/** A rule for a number. */
export function numberRule(
  fallback: number | null | undefined,
  min: number,
  max: number,
  kind = 'number',
): Rule {
  const holds = (value: unknown): boolean =>
    typeof value === 'number' &&
    value >= min &&
    value <= max &&
    (kind === 'number' || Number.isInteger(value))
  return [fallback, `a ${kind} from ${min} to ${max}`, holds, 'number']
}

/** A rule for a whole number. */
export function integerRule(fallback: number | null | undefined, min: number, max: number): Rule {
  return numberRule(fallback, min, max, 'whole number')
}

/** Tells whether a number of seconds is really one of milliseconds: full minutes or a thousand days, and no full days. */
const looksLikeMs = (value: number): boolean =>
  value >= 900_000 && value % 60_000 === 0 && (value % 86_400 > 0 || value % 86_400_000 === 0)

/** A rule for a timeout in seconds, which refuses what can only be milliseconds. */
export function timeoutRule(min = 1): Rule {
  const [, expected, holds] = numberRule(undefined, min, MAX_TIMEOUT)
  return [
    undefined,
    `${expected}: seconds, not milliseconds`,
    (value) => holds(value) && !looksLikeMs(value),
    'number',
  ]
}

/** A rule for one of some words; a default is the first. */
export function wordRule(fallback: string | null | undefined, ...others: readonly string[]): Rule {
  const words = fallback ? [fallback, ...others] : others
  return [fallback, `one of ${words.join(', ')}`, (value: string) => words.includes(value)]
}

/** A rule for a yes or no. */
export function flagRule(fallback: boolean | undefined): Rule {
  return [fallback, 'true or false', (value: unknown) => typeof value === 'boolean']
}

/** Tells whether a session can have these tags. */
export function isTags(tags: unknown): boolean {
  const isTag = (one: unknown): boolean => isSubject(one) && one.length <= 200
  return Array.isArray(tags) && tags.length < 9 && tags.every(isTag)
}

/** A rule for the tags of a session. */
export const TAGS: Rule = [undefined, 'at most 8 strings of at most 200 characters', isTags]

/** A rule for a callback. */
export function functionRule(fallback?: unknown, expected = 'a function'): Rule {
  return [fallback, expected, (value: unknown) => typeof value === 'function']
}

/** A rule for an object of a platform or a library, by the methods of it that are called: names with spaces between. */
export function methodsRule(fallback: null | undefined, expected: string, methods: string): Rule {
  const holds = (value: unknown): boolean =>
    methods.split(' ').every((name) => typeof Object(value)[name] === 'function')
  return [fallback, expected, holds]
}

/**
 * Tells whether an object can be options. A list is none, and a `Map`, a promise or an instance of a class without
 * properties of its own would be no options without a word.
 */
export function isOptions(given: unknown): given is object {
  const own = Object(given)
  const isPlain = !Object.getPrototypeOf(Object.getPrototypeOf(own) ?? Object.prototype)
  const holds = typeof given === 'object' && !Array.isArray(given)
  return holds && (isPlain || Object.keys(own).length > 0)
}

/** Throws, naming them, unless these can be options, or are not given. */
export function expectOptions(name: string, given: unknown): void {
  refuseUnless(isOptions(given ?? {}), name, 'a plain object', given)
}

/**
 * Puts defaults under what was given.
 *
 * @throws RangeError for a number out of range, TypeError for everything else that breaks a rule.
 */
export function applyRules<T>(
  prefix: string,
  rules: Record<string, Rule>,
  given: object | undefined,
): T {
  expectOptions(prefix.slice(0, -1) || 'options', given)
  const values = Object(given) as Record<string, unknown>
  const result: Record<string, unknown> = {}
  for (const key of Object.keys({ ...rules, ...values })) {
    if (!Object.hasOwn(rules, key)) {
      const names = Object.keys(rules).join(', ')
      throw new TypeError(`Unknown option "${prefix}${key}", expected one of ${names}`)
    }
    const [fallback, expected, holds, type] = rules[key]!
    const { [key]: value = fallback } = values
    result[key] = value
    const Kind = typeof value === type ? RangeError : TypeError
    if (value !== fallback || value === null) {
      refuseUnless(holds(value as never), prefix + key, expected, values[key], Kind)
    }
    if (typeof type === 'object' && isObject(value)) {
      result[key] = applyRules(`${prefix}${key}.`, type, value)
    }
  }
  return result as T
}

/** Throws, naming the option, unless `holds`. */
export function refuseUnless(
  holds: boolean,
  option: string,
  expected: string,
  value: unknown,
  Kind: ErrorConstructor = TypeError,
): void {
  if (holds) return
  throw new Kind(`Option "${option}" must be ${expected}, got ${kindOf(value)}`)
}

/** Throws when a time is over that of another option; what is not set is under any. */
export function assertTime(
  option: string,
  value: number | undefined,
  limitedBy: string,
  limit: number | undefined,
): void {
  if (value! > limit!) {
    throw new RangeError(
      `Option "${option}" must be at most ${limitedBy} (${limit}), got ${value}: the session ends first`,
    )
  }
}
