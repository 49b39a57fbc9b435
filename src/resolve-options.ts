/** The checks of options that `createSessions` makes once, and their defaults. */
import {
  applyRules,
  assertTime,
  type Complete,
  flagRule,
  functionRule,
  integerRule,
  isObject,
  isToken,
  MAX_TIMEOUT,
  methodsRule,
  numberRule,
  type Rule,
  refuseUnless,
  timeoutRule,
  wordRule,
} from './check.ts'
import type { SessionEventListener } from './events.ts'
import type { DeviceBoundOptions, SessionsOptions } from './options.ts'
import { resolveSecrets } from './secret.ts'
import type { SessionData } from './session/session.ts'
import type { StandardSchemaV1 } from './standard-schema.ts'
import type { SessionStore } from './stores/store.ts'

/** The option `revocations` with its defaults. */
export interface ResolvedRevocations {
  readonly store: SessionStore
  /** Seconds. */
  readonly ttl: number
  readonly onFailure: 'open' | 'closed'
  /** Seconds; `undefined`: the lifetime that is configured. */
  readonly maxLifetime: number | undefined
}

type Defaulted =
  | 'compress'
  | 'controlsTtl'
  | 'cookie'
  | 'idleTimeout'
  | 'now'
  | 'onCorruption'
  | 'onReuse'
  | 'onRollback'
  | 'onStoreFailure'
  | 'seal'
  | 'storeTimeout'
  | 'transport'
  | 'version'

/** Options that the application spells otherwise. */
type Respelled = 'secret' | 'snapshot' | 'revocations' | 'cache' | 'onEvent'

/**
 * The options with every default in place. An `absoluteTimeout` of `undefined` is a week, or the idle timeout of the
 * session where that is longer.
 */
export interface ResolvedOptions
  extends Required<Omit<SessionsOptions, Defaulted | Respelled>>,
    Complete<Pick<SessionsOptions, Defaulted>> {
  readonly secrets: readonly string[]
  readonly snapshot: false | { maxAge: number; staleIfError: number }
  readonly revocations: ResolvedRevocations | undefined
  readonly cache: { maxEntries: number; ttl: number }
  readonly onEvent: readonly SessionEventListener[]
}

/** A day in seconds. */
const DEFAULT_IDLE = 86_400

const HEADER: Rule = [
  null,
  'a header for itself, not that of cookies',
  (value) => isToken(value) && !/^(set-)?cookie$/i.test(value as string),
]

const storeRule = (fallback?: null): Rule =>
  methodsRule(fallback, 'a SessionStore such as createMemoryStore()', 'read write end')

const RULES: Record<string, Rule> = {
  secret: [undefined, 'a string or a list of strings', () => true],
  store: storeRule(),
  maxSessions: integerRule(undefined, 1, 10_000),
  schema: [
    undefined,
    'a Standard Schema',
    (value: Partial<StandardSchemaV1> | null) =>
      typeof value?.['~standard']?.validate === 'function',
  ],
  version: integerRule(1, 1, 1e9),
  migrate: functionRule(),
  codec: methodsRule(undefined, 'an object with stringify and parse', 'stringify parse'),
  cookie: [{}, 'an object', isObject],
  factors: [
    undefined,
    'a list of tokens (RFC 9110, 5.6.2)',
    (value: unknown) => Array.isArray(value) && value.every(isToken),
  ],
  idleTimeout: timeoutRule(),
  absoluteTimeout: timeoutRule(),
  renewAfter: timeoutRule(0),
  onStoreFailure: wordRule('degrade', 'throw'),
  onCorruption: wordRule('reset', 'throw'),
  snapshot: [
    false,
    'false or { maxAge, staleIfError }, not both 0',
    (value: { maxAge?: number; staleIfError?: number }) =>
      isObject(value) && (value.maxAge !== 0 || !!value.staleIfError),
    { maxAge: numberRule(null, 0, MAX_TIMEOUT), staleIfError: numberRule(0, 0, MAX_TIMEOUT) },
  ],
  binding: [
    undefined,
    'an object',
    isObject,
    { userAgent: flagRule(false), ip: functionRule(), onMismatch: wordRule('refuse', 'step-down') },
  ],
  // The rest of its rules are checked where it is loaded, which sessions without it do not pay for.
  deviceBound: [
    undefined,
    'true or an object, with a maxAge from 300',
    (value: unknown) =>
      value === true || (isObject(value) && !((value as DeviceBoundOptions).maxAge! < 300)),
  ],
  notBefore: functionRule(),
  revocations: [
    undefined,
    'an object',
    isObject,
    {
      store: storeRule(null),
      ttl: numberRule(5, 0, 86_400),
      onFailure: wordRule('open', 'closed'),
      maxLifetime: timeoutRule(),
    },
  ],
  controls: functionRule(),
  controlsTtl: numberRule(5, 0, 86_400),
  onReuse: wordRule('report', 'revoke'),
  onRollback: wordRule('heal', 'refuse'),
  storeTimeout: numberRule(5, 0.001, 600),
  seal: wordRule('secret', 'cookie'),
  compress: [false, 'false or { above }', isObject, { above: numberRule(null, 0, Infinity) }],
  transport: ['cookie', '"cookie" or { header }', isObject, { header: HEADER }],
  importFrom: [
    undefined,
    'a list of importers',
    (value: unknown) =>
      Array.isArray(value) && value.every((one) => typeof one?.read === 'function'),
  ],
  cache: [
    {},
    'false or an object',
    (value) => value === false || isObject(value),
    { maxEntries: integerRule(1000, 0, 1e6), ttl: numberRule(300, 0, MAX_TIMEOUT) },
  ],
  onEvent: [
    [],
    'a function or a list of functions',
    (value: unknown) => [value].flat().every((one) => typeof one === 'function'),
  ],
  now: functionRule(() => Date.now()),
}

/**
 * Checks the options.
 *
 * @throws TypeError or RangeError naming the option, the kind of value and the rule.
 */
export function resolveOptions<D extends SessionData>(
  options: SessionsOptions<D>,
): ResolvedOptions {
  const { secret, cache, ...rest } = applyRules<SessionsOptions & ResolvedOptions>(
    '',
    RULES,
    options,
  )
  const secrets = resolveSecrets(secret)
  const { idleTimeout = DEFAULT_IDLE, absoluteTimeout, renewAfter } = rest
  assertTime('idleTimeout', rest.idleTimeout, 'absoluteTimeout', absoluteTimeout)
  assertTime('cookie.maxAge', rest.cookie.maxAge, 'idleTimeout', idleTimeout)
  assertTime('renewAfter', renewAfter, 'idleTimeout - 1', idleTimeout - 1)
  const { cookie, deviceBound, importFrom, store, transport } = rest
  const misfit = store ? 'revocations' : 'maxSessions'
  const where = store ? 'with' : 'without'
  refuseUnless(!rest[misfit], misfit, `left out ${where} a store`, rest[misfit])
  const misplaced =
    (!store && 'without a store') ||
    (transport !== 'cookie' && 'with transport { header }') ||
    (cookie.partitioned && 'with cookie.partitioned')
  refuseUnless(!deviceBound || !misplaced, 'deviceBound', `left out ${misplaced}`, deviceBound)
  const isReadable = transport === 'cookie' || !importFrom?.length
  const rule = 'left out with transport { header }: importers read and remove cookies'
  refuseUnless(isReadable, 'importFrom', rule, importFrom)
  return {
    ...rest,
    secrets,
    idleTimeout,
    cache: cache || { maxEntries: 0, ttl: 0 },
    onEvent: [rest.onEvent].flat(),
  }
}
