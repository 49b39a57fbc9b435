/** What a run is made with, by profile and seed. */
import { FAULTS, type Fault } from './network.ts'
import { streamOf } from './world.ts'

export interface IsolateConfig {
  /** Which secret comes first. */
  readonly order: 0 | 1
  /** Of the data. */
  readonly version: 1 | 2
  /** Milliseconds by which its clock is wrong. */
  readonly drift: number
}

/** How sessions are bound to devices. */
export interface BoundConfig {
  readonly options: {
    readonly enforce: 'guard' | 'writes' | 'always'
    /** Seconds. */
    readonly maxAge: number
  }
  /** Browsers without keys. */
  readonly keyless: readonly number[]
  /** Requests of one browser wait for one refresh, instead of refreshing all at once. */
  readonly sharesRefresh: boolean
}

export interface RunConfig {
  readonly profile: string
  readonly seed: number
  readonly store: 'none' | 'shared' | 'kv'
  /** With sessions in cookies: what marks their ends. */
  readonly revocations?: false | { readonly ttl: number; readonly onFailure: 'open' | 'closed' }
  /** Sessions of one user, at most. */
  readonly maxSessions?: number | undefined
  readonly deviceBound?: false | BoundConfig
  readonly isolates: readonly IsolateConfig[]
  readonly snapshot: false | { readonly maxAge: number; readonly staleIfError: number }
  readonly cached: false | { readonly ttl: number; readonly staleIfError: number }
  readonly resilient: boolean
  readonly onStoreFailure: 'degrade' | 'throw'
  readonly seal: 'secret' | 'cookie'
  readonly lagMs: number
  readonly faultRate: number
  readonly faults: readonly Fault[]
  readonly latency: readonly [number, number]
  readonly idleTimeout: number
  readonly absoluteTimeout: number
  readonly renewAfter: number
  /** Weights of what happens beside requests. */
  readonly rates: Readonly<Record<string, number>>
}

export const PROFILES = [
  'cookie',
  'memory',
  'cached',
  'snapshot',
  'replica',
  'outage',
  'failover',
  'kv',
  'seal',
  'bound',
] as const

export type Profile = (typeof PROFILES)[number]

const QUICK: readonly Fault[] = ['refused', 'lost', 'twice', 'late', 'garbage']

/** Everything about a run that does not happen in it. */
export function configOf(profile: string, seed: number): RunConfig {
  const config = baseOf(profile, seed)
  // Numbers of their own, so that the others stay as they were.
  const random = streamOf(seed, `ends ${profile}`)
  if (profile === 'cookie' && random() < 0.6) {
    const ttl = random() < 0.5 ? 0 : 5
    const onFailure = random() < 0.7 ? 'open' : 'closed'
    const rates = { ...config.rates, revoke: 4, revokeAll: 5 }
    return { ...config, revocations: { ttl, onFailure }, rates }
  }
  const canCount = config.store === 'shared' && config.seal === 'secret'
  return canCount && random() < 0.3 ? { ...config, maxSessions: random() < 0.5 ? 1 : 2 } : config
}

function baseOf(profile: string, seed: number): RunConfig {
  const random = streamOf(seed, `config ${profile}`)
  const pick = <T>(...list: T[]): T => list[Math.floor(random() * list.length)]!
  const chance = (percent: number): boolean => random() * 100 < percent
  const count = 1 + Math.floor(random() * 3)
  const isDrifting = chance(50)
  const isMixed = chance(30)
  const isolates = Array.from(
    { length: count },
    (_, i): IsolateConfig => ({
      order: isMixed && i % 2 ? 1 : 0,
      version: 1,
      drift: isDrifting ? Math.round((random() - 0.5) * 3000) : 0,
    }),
  )
  const withFaults = chance(60)
  const base: RunConfig = {
    profile,
    seed,
    store: 'shared',
    isolates,
    snapshot: false,
    cached: false,
    resilient: chance(40),
    onStoreFailure: chance(80) ? 'degrade' : 'throw',
    seal: 'secret',
    lagMs: 0,
    faultRate: withFaults ? pick(2, 5, 15) : 0,
    faults: QUICK,
    latency: pick([1, 5], [5, 60], [20, 200]),
    idleTimeout: 600,
    absoluteTimeout: 3600,
    renewAfter: pick(1, 20, 60),
    rates: { steal: 3, revoke: 2, revokeAll: 2, list: 2, restart: 2, jump: isDrifting ? 2 : 0 },
  }
  const snapshot = { maxAge: pick(2, 10), staleIfError: pick(60, 300) }
  const hangs = { faults: FAULTS }
  switch (profile) {
    case 'cookie':
      return { ...base, store: 'none', resilient: false, rates: { steal: 3, restart: 2, jump: 2 } }
    case 'cached':
      return { ...base, cached: { ttl: pick(1, 5), staleIfError: pick(0, 300) } }
    case 'snapshot':
      return { ...base, snapshot, cached: chance(25) && { ttl: 3, staleIfError: 60 } }
    case 'replica':
      return { ...base, lagMs: pick(200, 2000, 10_000), snapshot: chance(40) && snapshot }
    case 'outage':
      return {
        ...base,
        ...hangs,
        snapshot: chance(80) && snapshot,
        cached: chance(25) && { ttl: 3, staleIfError: 60 },
        rates: { ...base.rates, trouble: 12 },
      }
    case 'failover':
      return {
        ...base,
        ...hangs,
        snapshot: chance(60) && snapshot,
        rates: { ...base.rates, failover: 5, trouble: 2 },
      }
    case 'kv':
      return {
        ...base,
        store: 'kv',
        snapshot: chance(60) && snapshot,
        faults: ['refused', 'lost', 'garbage'],
        faultRate: withFaults ? 3 : 0,
      }
    case 'seal':
      return { ...base, seal: 'cookie', snapshot: chance(40) && snapshot }
    case 'bound':
      return {
        ...base,
        ...(chance(40) && hangs),
        ...boundWith(pick, chance),
        snapshot: chance(40) && snapshot,
        cached: chance(20) && { ttl: pick(1, 5), staleIfError: pick(0, 300) },
        lagMs: chance(15) ? pick(200, 2000) : 0,
      }
    case 'memory':
      return { ...base, ...(chance(30) && { ...hangs, faultRate: 5 }) }
    default:
      throw new Error(`There is no profile "${profile}", only ${PROFILES.join(', ')}`)
  }
}

/** Sessions that are bound to devices live longer, and more goes on around them. */
function boundWith(
  pick: <T>(...list: T[]) => T,
  chance: (percent: number) => boolean,
): Pick<RunConfig, 'deviceBound' | 'idleTimeout' | 'absoluteTimeout' | 'rates'> {
  const enforce = pick<BoundConfig['options']['enforce']>(
    ...(['guard', 'guard', 'writes', 'always', 'always'] as const),
  )
  const keyless = pick<number[]>([], [], [1], [0])
  const deviceBound = { options: { enforce, maxAge: 300 }, keyless, sharesRefresh: chance(60) }
  const trouble = chance(30) ? 6 : 0
  const failover = chance(15) ? 4 : 0
  const rates = { revoke: 2, revokeAll: 2, list: 1, restart: 2, jump: 2, trouble, failover }
  return { deviceBound, idleTimeout: 1800, absoluteTimeout: 7200, rates }
}
