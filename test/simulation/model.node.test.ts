import { describe, expect, it } from 'vitest'
import type { SessionEvent } from '../../src/index.ts'
import type { RequestAction, Use } from './actions.ts'
import type { EndAttempt, Exchange, History, Seen } from './history.ts'
import { check } from './invariants.ts'
import { configOf, type RunConfig } from './profiles.ts'

/** A request of a made-up history. Times in seconds; without `seen` it found session `x` of `u0`. */
interface Made {
  readonly at: number
  readonly jar?: number
  readonly isolate?: number
  readonly uses?: readonly Use[]
  readonly seen?: Partial<Seen>
  readonly outcome?: Exchange['outcome']
  /** Requests whose rotations its browser knows of. */
  readonly knows?: readonly number[]
  /** It tried to write to session `x`, or to end it. */
  readonly writes?: boolean
  readonly ends?: boolean
}

const LOGIN: Use = { op: 'login', user: 0 }
const CREATED = { type: 'session.created', session: 'x' } as SessionEvent

function exchangeOf(made: Made, id: number): Exchange {
  const { at, jar = 0, isolate = 0, uses = [], outcome = 'ok', knows = [1] } = made
  const sent = 1000 * at
  const action = { type: 'request', id, at, jar, isolate, uses, up: 0, think: 0, down: 0 }
  const seen: Seen = {
    at: sent,
    status: 'active',
    subject: 'u0',
    rotationId: 'r',
    print: 'x',
    data: {},
    factors: {},
    flash: undefined,
    events: 0,
    ...made.seen,
  }
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
    seen,
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
const begun = (...more: readonly Made[]): Exchange[] =>
  [{ at: 1, uses: [LOGIN], writes: true, seen: { status: 'new', subject: null } }, ...more].map(
    (made, i) => exchangeOf(made, i + 1),
  )

const revokeAt = (at: number, more: Partial<EndAttempt> = {}): EndAttempt => ({
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
function rulesOf(
  profile: string,
  exchanges: Exchange[],
  more: Partial<History> = {},
  config: Partial<RunConfig> = {},
): string[] {
  const history: History = {
    exchanges,
    ends: [],
    listings: [],
    onceRuns: [],
    proofs: [],
    failovers: [],
    thefts: [],
    troubles: [],
    problems: [],
    hasVersions: false,
    ids: new Map(),
    restarted: new Set(),
    ...more,
  }
  const given = { snapshot: false, cached: false, renewAfter: 60, ...config } as const
  return [...new Set(check({ ...configOf(profile, 1), ...given }, history).map(({ rule }) => rule))]
}

const append = (at: number, more: Partial<Made> = {}): Made => ({
  at,
  uses: [{ op: 'append', key: 0 }],
  writes: true,
  ...more,
})
const missing: Partial<Seen> = { status: 'missing', subject: null, print: 'y' }

describe('the model finds what lies outside of an accepted limit:', () => {
  it('a write to KV that is lost long after an end was tried, and not one beside a write elsewhere', () => {
    const lost = begun(append(300, { isolate: 1 }), { at: 500, isolate: 1 })
    expect(rulesOf('kv', lost, { ends: [revokeAt(100)] })).toEqual(['1 lost write'])
    const beside = begun(append(300, { isolate: 1 }), append(310, { jar: 10, isolate: 2 }), {
      at: 500,
      isolate: 1,
      seen: { data: { a0: ['3.0'] } },
    })
    const thefts = [{ thief: 10, jar: 0, at: 200_000 }]
    expect(rulesOf('kv', beside, { thefts })).toEqual([])
  })

  it('an end that KV undoes though nobody wrote, and not one that was written over where it was not seen', () => {
    const ends = [revokeAt(100, { to: 100_010 })]
    expect(rulesOf('kv', begun({ at: 400, isolate: 1 }), { ends })).toEqual([
      '3 ended session is shown',
    ])
    const over = begun(append(110, { isolate: 1 }), {
      at: 400,
      isolate: 1,
      seen: { data: { a0: ['2.0'] } },
    })
    expect(rulesOf('kv', over, { ends })).toEqual([])
  })

  it('rotations on KV that knew of each other sign nobody out', () => {
    const rotate = (knows: number[]): Made => ({
      at: 110,
      isolate: 1,
      uses: [{ op: 'regenerate' }],
      writes: true,
      knows,
    })
    const first: Made = { at: 100, uses: [{ op: 'regenerate' }], writes: true }
    const last: Made = { at: 150, knows: [1, 2, 3], seen: missing }
    expect(rulesOf('kv', begun(first, rotate([1, 2]), last))).toContain('5 signed out')
    expect(rulesOf('kv', begun(first, rotate([1]), last))).toEqual([])
  })

  it('a rotationId from before a rotation, long after an end was tried, and not within the seconds of a snapshot', () => {
    const rotated = (at: number): Exchange[] =>
      begun({ at: 200, uses: [{ op: 'regenerate' }], writes: true }, { at, knows: [1, 2] })
    const snapshot = { snapshot: { maxAge: 10, staleIfError: 60 } }
    const ends = [revokeAt(195)]
    expect(rulesOf('snapshot', rotated(400), { ends }, snapshot)).toEqual(['4 rotationId'])
    expect(rulesOf('snapshot', rotated(205), { ends }, snapshot)).toEqual([])
  })

  it('a sign-out by a failover that lost a rotation or a renewal, and not one that lost the beginning', () => {
    const rotation: Made = { at: 100, uses: [{ op: 'regenerate' }], writes: true }
    const lost = begun(rotation, { at: 110, knows: [1, 2], seen: missing })
    const at = (seconds: number) => ({ failovers: [{ at: 1000 * seconds, loses: 2000 }] })
    expect(rulesOf('failover', lost, at(101))).toEqual(['5 signed out'])
    expect(rulesOf('failover', lost, at(1))).toEqual([])
  })

  it('an end that a failover undoes in the browser that signed out, and not one in a copy', () => {
    const signOut: Made = { at: 100, uses: [{ op: 'destroy' }], ends: true }
    const failovers = [{ at: 101_000, loses: 2000 }]
    const thefts = [{ thief: 10, jar: 0, at: 50_000 }]
    const shownTo = (jar: number): string[] =>
      rulesOf('failover', begun(signOut, { at: 200, jar }), { failovers, thefts })
    expect(shownTo(0)).toEqual(['3 ended session is shown'])
    expect(shownTo(10)).toEqual([])
  })

  it("a sign-out with seal: 'cookie' long after a rotation of unknown outcome, and not the next time", () => {
    const failed: Made = {
      at: 100,
      uses: [{ op: 'regenerate' }],
      writes: true,

      outcome: 'failed',
    }
    const later: Made = { at: 200, knows: [1, 2] }
    expect(rulesOf('seal', begun(failed, later, { ...later, at: 250, seen: missing }))).toEqual([
      '5 signed out',
    ])
    expect(rulesOf('seal', begun(failed, { ...later, at: 110, seen: missing }))).toEqual([])
  })

  it('a session that is over before its idle timeout, and not one after it', () => {
    const seen = { ...missing, status: 'expired' }
    expect(rulesOf('memory', begun({ at: 500, seen }))).toEqual(['5 signed out'])
    expect(rulesOf('memory', begun({ at: 610, seen }))).toEqual([])
  })

  it('a session that is not listed after a failover that lost something else', () => {
    const listing = { user: 'u0', from: 200_000, at: 200_000, prints: [], isFinal: true }
    const at = (seconds: number) => ({
      listings: [listing],
      failovers: [{ at: 1000 * seconds, loses: 500 }],
    })
    expect(rulesOf('failover', begun({ at: 10 }), at(100))).toEqual(['9 not listed'])
    expect(rulesOf('failover', begun({ at: 10 }), at(1.2))).toEqual([])
  })

  it('a session that is not listed after a renewal, and not one whose renewal a failover forgot and a snapshot shows', () => {
    const listing = { user: 'u0', from: 700_000, at: 700_000, prints: [], isFinal: true }
    const history = { listings: [listing], failovers: [{ at: 301_000, loses: 2000 }] }
    const visits = () => begun({ at: 300, writes: true }, { at: 302, writes: true })
    const snapshot = { maxAge: 10, staleIfError: 0 }
    expect(rulesOf('failover', visits(), history, { snapshot })).toEqual([])
    expect(rulesOf('failover', visits(), history)).toEqual(['9 not listed'])
  })

  it('a session that a late response replaced, and not one of two that first requests began at once', () => {
    const told = (exchange: Exchange, type: string, session: string): Exchange => ({
      ...exchange,
      aims: session,
      activity: { ...exchange.activity, events: [{ type, session } as SessionEvent] },
    })
    const histories = [[], [LOGIN]].map((uses) => {
      const subject = uses.length ? 'u0' : null
      const nobody = { status: 'new', subject: null }
      const late = exchangeOf({ at: 1.01, seen: { subject: null } }, 3)
      return [
        told(exchangeOf({ at: 1, seen: nobody }, 1), 'session.created', 'x'),
        told(
          exchangeOf({ at: 1, uses, seen: { ...nobody, print: 'y' } }, 2),
          'session.created',
          'y',
        ),
        told({ ...late, received: 60_000 }, 'session.renewed', 'x'),
        { ...exchangeOf({ at: 10, knows: [2], seen: { subject, print: 'y' } }, 4), aims: 'y' },
        exchangeOf({ at: 100, knows: [2], seen: { subject: null } }, 5),
      ]
    })
    expect(histories.map((exchanges) => rulesOf('memory', exchanges))).toEqual([
      [],
      ['5 signed out'],
    ])
  })

  it('a sign-out by a copy that was rotated long ago, and not by one whose rotation a failover forgot', () => {
    const exchanges = begun(
      { at: 10, jar: 10, uses: [{ op: 'regenerate' }], writes: true },
      { at: 100 },
      { at: 200, seen: { ...missing, status: 'superseded' } },
    )
    const failedAt = (at: number) => ({
      failovers: [{ at, loses: 5000 }],
      thefts: [{ thief: 10, jar: 0, at: 5000 }],
    })
    expect(rulesOf('failover', exchanges, failedAt(60_000))).toEqual(['5 signed out'])
    expect(rulesOf('failover', exchanges, failedAt(12_000))).toEqual([])
  })

  it('a write that is not seen long after a rotation beside it was forgotten, and not within the seconds of a snapshot', () => {
    const rotation: Made = { at: 10, uses: [{ op: 'regenerate' }], writes: true }
    const beside: Made = { at: 10.005, uses: [{ op: 'append', key: 0 }], writes: true }
    const readAt = (at: number) =>
      rulesOf(
        'failover',
        begun(rotation, beside, { at, knows: [1, 2], seen: { rotationId: 'r2' } }),
        { failovers: [{ at: 10_004, loses: 5 }] },
        { snapshot: { maxAge: 10, staleIfError: 0 } },
      )
    expect(readAt(12)).toEqual([])
    expect(readAt(40)).toEqual(['1 lost write'])
  })

  it('a copy of a session that its user ended, and not one that another user has signed in to since', () => {
    const nobody = { subject: null }
    const first = exchangeOf({ at: 1, seen: { ...nobody, status: 'new' } }, 1)
    const end: Made = { at: 30, uses: [{ op: 'destroy' }], knows: [3] }
    const seenBy = (subject: string | null) =>
      rulesOf(
        'cookie',
        [
          first,
          exchangeOf({ at: 10, jar: 3, uses: [{ op: 'login', user: 1 }], seen: nobody }, 2),
          exchangeOf({ at: 20, uses: [LOGIN], seen: nobody }, 3),
          exchangeOf(end, 4),
          exchangeOf({ at: 100, jar: 3, knows: [2, 3], seen: { subject } }, 5),
        ],
        { thefts: [{ thief: 3, jar: 0, at: 5000 }] },
        { store: 'none', revocations: { ttl: 0, onFailure: 'open' } },
      )
    expect(seenBy('u1')).toEqual([])
    expect(seenBy('u0')).toContain('3 ended session is shown')
    expect(seenBy(null)).toContain('3 ended session is shown')
  })
})
