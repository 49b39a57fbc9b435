/** Options from environment variables. */
import { integerRule, isOptions, type Rule, timeoutRule, wordRule } from './check.ts'
import { encodeText } from './crypto/text.ts'
import type { Controls, SessionsOptions } from './options.ts'
import { assertServer, MIN_SECRET_BYTES, weaknessOf } from './secret.ts'
import type { ResilientPolicy } from './stores/resilient-policy.ts'
import { COOKIE_RULES, type CookieOptions } from './transport/cookie.ts'

/** The options of `createSessions` that a preset or the environment may set. */
export type SessionPreset = Pick<
  SessionsOptions,
  | 'absoluteTimeout'
  | 'binding'
  | 'cache'
  | 'controls'
  | 'cookie'
  | 'idleTimeout'
  | 'onCorruption'
  | 'onStoreFailure'
  | 'renewAfter'
>

/** A preset with a secret: all that `createSessions` needs. */
export type SessionPresetWithSecret = SessionPreset & { secret: [string, ...string[]] }

/** A secret of that length in base64 or base64url, which know no comma. */
const BASE64_SECRET = /^[\w+/-]{32,}=*$/

/** Variables by name, with the option that each sets, and the values that it may have. */
type Variables<O> = Readonly<Record<string, readonly [option: keyof O, rule: Rule]>>

const TIME_FORM = /^(\d{13}|\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))$/
const TIME: Rule = [
  undefined,
  'epoch milliseconds, or a time with its zone such as 2026-11-28T17:00:00Z',
  (value: string) => TIME_FORM.test(value),
]

const seconds = timeoutRule()
const flag = wordRule(undefined, 'true', 'false')

const OPTIONS: Variables<SessionPreset> = {
  SESSION_IDLE_TIMEOUT: ['idleTimeout', seconds],
  SESSION_ABSOLUTE_TIMEOUT: ['absoluteTimeout', seconds],
  SESSION_RENEW_AFTER: ['renewAfter', timeoutRule(0)],
  SESSION_ON_STORE_FAILURE: ['onStoreFailure', wordRule(undefined, 'degrade', 'throw')],
  SESSION_ON_CORRUPTION: ['onCorruption', wordRule(undefined, 'reset', 'throw')],
}

const COOKIE: Variables<CookieOptions> = {
  SESSION_COOKIE_NAME: ['name', COOKIE_RULES.name],
  SESSION_COOKIE_DOMAIN: ['domain', COOKIE_RULES.domain],
  SESSION_COOKIE_PATH: ['path', COOKIE_RULES.path],
  SESSION_COOKIE_SECURE: ['secure', flag],
  SESSION_COOKIE_MAX_AGE: ['maxAge', COOKIE_RULES.maxAge],
  SESSION_COOKIE_MAX_CHUNKS: ['maxChunks', COOKIE_RULES.maxChunks],
  SESSION_SAME_SITE: ['sameSite', COOKIE_RULES.sameSite],
}

/**
 * Reads options from environment variables: `process.env`, `Deno.env.toObject()`, `Bun.env`, or the
 * `env` of a Worker. What is no string or empty counts as not set; blanks around a value are dropped.
 *
 * | variable | sets | |
 * | --- | --- | --- |
 * | `SESSION_SECRET` | `secret` | required; several are separated by commas: the first seals, all open |
 * | `SESSION_IDLE_TIMEOUT` | `idleTimeout` | seconds |
 * | `SESSION_ABSOLUTE_TIMEOUT` | `absoluteTimeout` | seconds |
 * | `SESSION_RENEW_AFTER` | `renewAfter` | seconds |
 * | `SESSION_ON_STORE_FAILURE` | `onStoreFailure` | `degrade` or `throw` |
 * | `SESSION_ON_CORRUPTION` | `onCorruption` | `reset` or `throw` |
 * | `SESSION_COOKIE_NAME` | `cookie.name` | |
 * | `SESSION_COOKIE_DOMAIN` | `cookie.domain` | |
 * | `SESSION_COOKIE_PATH` | `cookie.path` | |
 * | `SESSION_COOKIE_SECURE` | `cookie.secure` | `true` or `false` |
 * | `SESSION_COOKIE_MAX_AGE` | `cookie.maxAge` | seconds |
 * | `SESSION_COOKIE_MAX_CHUNKS` | `cookie.maxChunks` | 1 to 4 |
 * | `SESSION_SAME_SITE` | `cookie.sameSite` | `strict`, `lax` or `none` |
 * | `SESSION_NOT_BEFORE` | `controls` | a time that is past: everybody who signed in earlier is signed out. `2026-11-28T17:00:00Z`, or epoch milliseconds |
 * | `SESSION_READ_ONLY` | `controls` | `true` or `false`: no changes but signing out |
 *
 * Several secrets have to be base64 or base64url each, as `openssl rand -base64 32` and
 * `generateSecret()` make them: neither has a comma. Other text is one secret, commas and all. What
 * can be guessed, a placeholder ("change-me") or a repeated text, is refused, however long.
 *
 * @param preset What the variables are put over, its cookie options one by one. Spreading instead,
 * `{ ...highSecurity(), ...fromEnv(env) }`, replaces the whole `cookie` when one of its variables
 * is set.
 * @throws TypeError or RangeError that names the variable and shows nothing of its value, or that it is misspelt:
 * `SESSION_IDEL_TIMEOUT` where there is no `SESSION_IDLE_TIMEOUT`. What does not go together (a `__Host-` name and a
 * domain) is refused by `createSessions`.
 *
 * @example
 * createSessions(fromEnv(process.env, highSecurity()))
 */
export function fromEnv(env: object, preset: SessionPreset = {}): SessionPresetWithSecret {
  assertGiven(env, preset, 'preset')
  const [options, cookie] = [readAll(env, OPTIONS), readAll(env, COOKIE)]
  const result: SessionPresetWithSecret = { ...preset, ...options, secret: readSecrets(env) }
  if (Object.keys(cookie).length) result.cookie = { ...preset.cookie, ...cookie }
  // Read again each time, since a process may change its own environment.
  if (Object.keys(readControls(env)).length) result.controls = () => readControls(env)
  return result
}

function readControls(env: object): Controls {
  const controls: Controls = {}
  const notBefore = read(env, 'SESSION_NOT_BEFORE')
  const readOnly = read(env, 'SESSION_READ_ONLY')
  if (notBefore) {
    parse('SESSION_NOT_BEFORE', notBefore, TIME)
    controls.notBefore = /^\d+$/.test(notBefore) ? Number(notBefore) : Date.parse(notBefore)
  }
  if (readOnly) controls.readOnly = parse('SESSION_READ_ONLY', readOnly, flag) as boolean
  return controls
}

const POLICY: Variables<ResilientPolicy> = {
  SESSION_STORE_RETRY: ['enabled', flag],
  SESSION_STORE_ATTEMPTS: ['attempts', integerRule(undefined, 1, 100)],
  SESSION_STORE_ATTEMPT_TIMEOUT_MS: ['attemptTimeoutMs', integerRule(undefined, 1, 600_000)],
  SESSION_STORE_DEADLINE_MS: ['deadlineMs', integerRule(undefined, 1, 600_000)],
}

/**
 * Reads the policy of `resilient` from environment variables, as {@link fromEnv} reads the options of
 * `createSessions`.
 *
 * | variable | sets | |
 * | --- | --- | --- |
 * | `SESSION_STORE_RETRY` | `enabled` | `true` or `false`: one attempt |
 * | `SESSION_STORE_ATTEMPTS` | `attempts` | 1 to 100 |
 * | `SESSION_STORE_ATTEMPT_TIMEOUT_MS` | `attemptTimeoutMs` | milliseconds |
 * | `SESSION_STORE_DEADLINE_MS` | `deadlineMs` | milliseconds |
 * | `SESSION_STORE_BREAKER` | `breaker` | `false`: none. `true`: that of `policy`, or the defaults |
 *
 * @param policy The policy that the variables are put over.
 * @throws as {@link fromEnv}.
 *
 * @example
 * const store = resilient(createUpstashStore({ url, token }), policyFromEnv(process.env))
 */
export function policyFromEnv(env: object, policy: ResilientPolicy = {}): ResilientPolicy {
  assertGiven(env, policy, 'policy')
  const found = readAll(env, POLICY)
  const breaker = read(env, 'SESSION_STORE_BREAKER')
  const isOff = breaker !== '' && parse('SESSION_STORE_BREAKER', breaker, flag) === false
  return { ...policy, ...found, ...(isOff && { breaker: false as const }) }
}

/** Refuses what the variables cannot be put over, such as a preset that was not called, and variables that are misspelt. */
function assertGiven(env: object, base: unknown, name: string): void {
  if (!base || !isOptions(base)) {
    throw new TypeError(`Argument "${name}" must be a plain object: is it called?`)
  }
  const known = [OPTIONS, COOKIE, POLICY].flatMap(Object.keys)
  const given = Object.keys(Object(env)).filter((one) => read(env, one))
  refuseMisspelt(given, [...known, ...OTHERS])
}

/** Variables that are read one by one. */
const OTHERS = [
  'SESSION_SECRET',
  'SESSION_NOT_BEFORE',
  'SESSION_READ_ONLY',
  'SESSION_STORE_BREAKER',
] as const

function readAll<O>(env: object, variables: Variables<O>): Partial<O> {
  const found: Partial<Record<keyof O, unknown>> = {}
  for (const [name, [option, rule]] of Object.entries(variables)) {
    const text = read(env, name)
    if (text) found[option] = parse(name, text, rule)
  }
  return found as Partial<O>
}

function read(env: object, name: string): string {
  const value: unknown = Object(env)[name]
  return typeof value === 'string' ? value.trim() : ''
}

function parse(name: string, text: string, rule: Rule): unknown {
  const [, expected, holds, type] = rule
  const isNumber = type === 'number' && /^\d+(\.\d+)?$/.test(text)
  const value = isNumber ? Number(text) : text
  if (holds(value as never)) return rule === flag ? text === 'true' : value
  throw new (isNumber ? RangeError : TypeError)(`Variable ${name} must be ${expected}`)
}

function readSecrets(env: object): [string, ...string[]] {
  assertServer()
  const text = read(env, 'SESSION_SECRET')
  if (!text) throw new TypeError('Variable SESSION_SECRET is missing or empty')
  const parts = text.split(',').map((part) => part.trim())
  const listed = parts.filter((part) => BASE64_SECRET.test(part))
  const isList = listed.length === parts.length
  const secrets = (isList ? parts : [text]) as [string, ...string[]]
  // With only some of them in base64 it is a list with a mistake in it, not one secret.
  const isOne = !listed.length && encodeText(text).length >= MIN_SECRET_BYTES
  if (!isList && !isOne) {
    throw new RangeError(
      `Variable SESSION_SECRET must be a secret of at least ${MIN_SECRET_BYTES} bytes, or several in base64, separated by commas, first the one that seals; make one with "openssl rand -base64 32"`,
    )
  }
  const weakness = secrets.map(weaknessOf).find(Boolean)
  if (weakness) {
    throw new RangeError(
      `Variable SESSION_SECRET is ${weakness}; make one with "openssl rand -base64 32"`,
    )
  }
  return secrets
}

/**
 * Throws when a variable is spelled almost as one that is known, and that one is not set: letters are swapped, or one of
 * them is wrong. What is spelled otherwise is somebody else's, such as the `SESSION_MANAGER` of desktops and the
 * `SESSIONNAME` of Windows.
 *
 * @param given Names of the variables that are set.
 * @throws TypeError that names both.
 */
function refuseMisspelt(given: readonly string[], known: readonly string[]): void {
  for (const name of given) {
    if (!/^SES\w*_/i.test(name) || known.includes(name)) continue
    const meant = known.find((one) => !given.includes(one) && isClose(name.toUpperCase(), one))
    if (meant) throw new TypeError(`Unknown variable ${JSON.stringify(name)}: ${meant} is meant`)
  }
}

/** Tells whether two names differ in one letter at most, and in their order. Some variables of the cookie leave it out of their name. */
function isClose(one: string, other: string): boolean {
  const [a, b] = [one, other].map((name) => name.replace('_COOKIE', '')) as [string, string]
  return without(a, b).length <= 1 && without(b, a).length <= 1
}

/** Returns the letters of a name that the other one does not have. */
const without = (name: string, other: string): string =>
  [...other].reduce((rest, letter) => rest.replace(letter, ''), name)
