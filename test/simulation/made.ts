/** Histories made by hand, to show what the model takes for a violation. */
import type { SessionEvent } from '../../src/index.ts'
import type { RequestAction, Use } from './actions.ts'
import {
  type DeviceAsk,
  type EndAttempt,
  type Exchange,
  emptyHistory,
  type History,
  type Seen,
} from './history.ts'
import { check } from './invariants.ts'
import { configOf, type RunConfig } from './profiles.ts'

/** A request of a made-up history. Times in seconds; without `seen` it found session `x` of `u0`. */
export interface Made {
  readonly at: number
  readonly jar?: number
  readonly isolate?: number
  readonly uses?: readonly Use[]
  readonly seen?: Partial<Seen> | null
  readonly outcome?: Exchange['outcome']
  /** Requests whose rotations its browser knows of. */
  readonly knows?: readonly number[]
  /** It tried to write to session `x`, or to end it. */
  readonly writes?: boolean
  readonly ends?: boolean
  /** The number of the request that it has the bound cookie of. */
  readonly holds?: number
  /** What it asks for with a key. */
  readonly device?: DeviceAsk
}

export const LOGIN: Use = { op: 'login', user: 0 }
const CREATED = { type: 'session.created', session: 'x' } as SessionEvent

function seenOf(sent: number, seen: Partial<Seen> = {}): Seen {
  return {
    at: sent,
    status: 'active',
    subject: 'u0',
    rotationId: 'r',
    print: 'x',
    data: {},
    factors: {},
    flash: undefined,
    bound: null,
    key: null,
    events: 0,
    ...seen,
  }
}

/** Makes a request. `before`: those whose bound cookies it may have. */
export function exchangeOf(made: Made, id: number, before: readonly Exchange[] = []): Exchange {
  const { at, jar = 0, isolate = 0, uses = [], outcome = 'ok', knows = [1] } = made
  const sent = 1000 * at
  const action = { type: 'request', id, at, jar, isolate, uses, up: 0, think: 0, down: 0 }
  const exchange: Exchange = {
    id,
    action: { ...action, lost: false } as RequestAction,
    jar,
    isolate,
    activity: {
      name: '',
      random: Math.random,
      faults: outcome === 'ok' ? 0 : 1,
      events: id === 1 ? [CREATED] : [],
      creates: new Set(),
      writes: new Set(made.writes ? ['x'] : []),
      ends: new Map(made.ends ? [['x', false]] : []),
    },
    sent,
    knows: new Set(knows),
    waits: [],
    holds: before.find((one) => one.id === made.holds) ?? null,
    device: made.device ?? null,
    seen: made.seen === null ? null : seenOf(sent, made.seen),
    effects: [],
    aims: 'x',
    outcome,
    code: outcome === 'ok' ? null : '503',
    done: sent + 10,
    received: sent + 20,
    fate: outcome === 'ok' ? 'kept' : 'unknown',
  }
  for (const [i, use] of uses.entries()) {
    const acked = outcome === 'ok' ? exchange.received : Infinity
    exchange.effects.push({ token: `${id}.${i}`, use, exchange, acked, isLeft: false })
  }
  return exchange
}

/** A sign-in, whose session is `x`, and what came after it. */
export function begun(...more: readonly Made[]): Exchange[] {
  const first: Made = { at: 1, uses: [LOGIN], writes: true, seen: { status: 'new', subject: null } }
  const exchanges: Exchange[] = []
  for (const [i, made] of [first, ...more].entries()) {
    exchanges.push(exchangeOf(made, i + 1, exchanges))
  }
  return exchanges
}

export const revokeAt = (at: number, more: Partial<EndAttempt> = {}): EndAttempt => ({
  kind: 'revoke',
  from: 1000 * at,
  to: Infinity,
  done: 1000 * at + 10,
  print: 'x',
  user: null,
  except: null,
  place: 0,
  ...more,
})

/** The rules that a made-up history violates. */
export function rulesOf(
  profile: string,
  exchanges: Exchange[],
  more: Partial<History> = {},
  config: Partial<RunConfig> = {},
): string[] {
  const history: History = { ...emptyHistory(), exchanges, ...more }
  const given = { snapshot: false, cached: false, renewAfter: 60, ...config } as const
  return [...new Set(check({ ...configOf(profile, 1), ...given }, history).map(({ rule }) => rule))]
}

export const append = (at: number, more: Partial<Made> = {}): Made => ({
  at,
  uses: [{ op: 'append', key: 0 }],
  writes: true,
  ...more,
})
export const missing: Partial<Seen> = { status: 'missing', subject: null, print: 'y' }
