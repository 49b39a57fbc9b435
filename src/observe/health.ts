/** The health of the store: whether it answers, and how it is. */
import { applyRules, flagRule } from '../check.ts'
import { SessionError, StoreTimeoutError, StoreUnavailableError } from '../errors.ts'
import type { Controls } from '../options.ts'
import { within } from '../resilience/deadline.ts'
import { controlsProblem, updateControls } from '../session/controls.ts'
import type { Instance } from '../session/instance.ts'
import { failureOf } from '../stores/errors.ts'
import type {
  SessionStore,
  StoreDetails,
  StoreFailure,
  StoreProblem,
  StoreWarning,
} from '../stores/store.ts'
import { examine } from './examine.ts'

/** Options for `health()`. */
export interface HealthOptions {
  /**
   * Also writes, reads and ends a record, and asks the store about itself: role, memory, replicas,
   * clock, tables. For alerts, not for every request of a load balancer. (default: false)
   */
  deep?: boolean
}

/** The result of `health()`. */
export interface HealthReport {
  /** `true`: the store answers; with `deep`, it also serves sessions as it should. */
  readonly ok: boolean
  /**
   * `true`: sessions can be read and written. `false` also while a circuit breaker is open, and for half a
   * minute after a write that failed. For load balancers; it is no reason to restart anything.
   */
  readonly ready: boolean
  /** `null` in cookie mode, without `revocations`: there is nothing that can fail. */
  readonly store: StoreHealth | null
  /** With the option `controls`: those in force here, and what is wrong with its last answer. */
  readonly controls?: Controls & { readonly problem?: string }
}

/** The health of one store. The failure is told as events tell it, its code as `error`. */
export interface StoreHealth extends Omit<Partial<StoreFailure>, 'code'> {
  readonly name: string
  readonly ok: boolean
  /** Milliseconds until it answered or was given up. */
  readonly latencyMs: number
  /** Code of what went wrong. */
  readonly error?: string
  /** Figures of its wrappers: breaker states, retry budget; with `deep` also its own. */
  readonly details?: StoreDetails
  /** With `deep`: the reasons for which it is not `ok`. */
  readonly problems?: readonly StoreProblem[]
  /** With `deep`: what is well today and may not be tomorrow. */
  readonly warnings?: readonly StoreWarning[]
}

const DEADLINE_MS = 1000
const DEEP_DEADLINE_MS = 4000
/** Milliseconds for which a write that failed counts: without traffic there is no write that succeeds. */
const FAILED_MS = 30_000

/**
 * Asks the store for a sign of life, for at most a second, or for a thorough one, for at most four.
 *
 * @throws TypeError for an option that is unknown or of the wrong type; never for what the store does.
 */
export async function reportHealth(
  instance: Instance,
  options: HealthOptions | undefined,
): Promise<HealthReport> {
  const { deep } = applyRules<Required<HealthOptions>>('', { deep: flagRule(false) }, options)
  const { store } = instance
  const { now } = instance.options
  const controls = await controlsIn(instance)
  if (!store) return { ok: true, ready: true, store: null, ...controls }
  const started = now()
  const { error, figures, ...found } = await ask(instance, store, deep)
  const latencyMs = now() - started
  const isWriteFailed = now() - (instance.writeFailedAt ?? -Infinity) < FAILED_MS
  const lastWrite = isWriteFailed && { lastWrite: 'failed' }
  const details: StoreDetails = { ...detailsOf(store), ...figures, ...lastWrite }
  const ok = error === undefined && !found.problems?.length
  const isOpen = details.readBreaker === 'open' || details.writeBreaker === 'open'
  const about: StoreHealth = {
    name: store.name,
    ok,
    latencyMs,
    ...(error !== undefined && failed(error)),
    ...(Object.keys(details).length && { details }),
    ...found,
  }
  return { ok, ready: ok && !isOpen && !isWriteFailed, store: about, ...controls }
}

async function controlsIn(instance: Instance): Promise<Pick<HealthReport, 'controls'>> {
  if (!instance.options.controls) return {}
  const late = (): Error => new StoreTimeoutError('The controls took too long')
  const update = (): Promise<void> => updateControls(instance)
  await within(DEADLINE_MS, undefined, late, update).catch(() => {})
  const problem = controlsProblem(instance)
  return { controls: { ...instance.inForce, ...(problem !== undefined && { problem }) } }
}

interface Answer extends Pick<StoreHealth, 'problems' | 'warnings'> {
  readonly error?: unknown
  readonly figures?: StoreDetails
}

/** Asks the store, within a time limit; never rejects. */
async function ask(instance: Instance, store: SessionStore, deep: boolean): Promise<Answer> {
  const ms = deep ? DEEP_DEADLINE_MS : DEADLINE_MS
  const late = (): Error => new StoreTimeoutError('Cannot check health: no answer in time')
  const call = async (signal: AbortSignal): Promise<Answer> => {
    if (deep) return await examine(instance, store, signal)
    await store.health?.({ signal })
    return {}
  }
  return await within(ms, undefined, late, call).catch((error: unknown) => ({ error }))
}

function failed(error: unknown): Pick<StoreHealth, 'error' | 'reason' | 'word'> {
  // The words of somebody else's error may quote anything.
  const own = error instanceof SessionError ? error : new StoreUnavailableError('')
  const { code, ...more } = failureOf(own)
  return { error: code, ...more }
}

function detailsOf(store: SessionStore): StoreDetails {
  try {
    return store.details?.() ?? {}
  } catch {
    return {}
  }
}
