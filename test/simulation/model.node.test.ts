import { describe, expect, it } from 'vitest'
import type { SessionEvent } from '../../src/index.ts'
import type { Use } from './actions.ts'
import type { Exchange } from './history.ts'
import { append, begun, exchangeOf, LOGIN, type Made, missing, revokeAt, rulesOf } from './made.ts'

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

  it('a session that revokeAll misses on KV, and not one whose sign-in another place wrote over, while nobody is signed in', () => {
    const thefts = [{ thief: 10, jar: 0, at: 5000 }]
    const to = { kind: 'revokeAll', print: null, user: 'u0', to: 200_010 } as const
    const shown = (isolate: number, ...more: readonly Made[]): string[] => {
      const over = append(20, { jar: 10, isolate })
      return rulesOf('kv', begun(over, ...more), { ends: [revokeAt(200, to)], thefts })
    }
    const data = { a0: ['2.0'] }
    const nobody: Made = { at: 400, seen: { subject: null, data } }
    const user: Made = { at: 450, knows: [1, 4], seen: { data } }
    const again: Made = { ...nobody, at: 420, uses: [LOGIN], writes: true }
    expect(shown(1, nobody)).toEqual([])
    expect(shown(1, nobody, again, user)).toEqual([])
    expect(shown(1, user)).toEqual(['3 ended session is shown'])
    expect(shown(0, nobody)).toContain('3 ended session is shown')
  })

  it('a sign-out by two rotations that a place of KV wrote over, and not by three, since a cookie names two', () => {
    const rotateAt = (at: number): Made => ({
      at,
      isolate: 1,
      uses: [{ op: 'regenerate' }],
      writes: true,
    })
    const thefts = [{ thief: 10, jar: 0, at: 5000 }]
    const rulesAfter = (isolate: number, ...times: readonly number[]): string[] => {
      const over: Made = { at: 115, jar: 10, isolate, writes: true }
      const knows = [1, ...times.map((_, i) => i + 2)]
      const last: Made = { at: 400, isolate: 1, knows, seen: missing }
      return rulesOf('kv', begun(...times.map(rotateAt), over, last), { thefts })
    }
    expect(rulesAfter(0, 100, 105, 110)).toEqual([])
    expect(rulesAfter(0, 105, 110)).toEqual(['5 signed out'])
    expect(rulesAfter(1, 100, 105, 110)).toEqual(['5 signed out'])
  })

  it('a renewal that is lost beside a write on KV, and not beside a deferred one that is written on a stale copy', () => {
    const rulesBeside = (status: string, more: Partial<Made> = {}): string[] => {
      const over = append(300.005, { jar: 10, isolate: 1, seen: { status }, ...more })
      const last: Made = { at: 610, seen: { ...missing, status: 'expired' } }
      const thefts = [{ thief: 10, jar: 0, at: 5000 }]
      return rulesOf('kv', begun({ at: 300, writes: true }, over, last), { thefts })
    }
    expect(rulesBeside('degraded', { uses: [] })).toEqual([])
    expect(rulesBeside('degraded')).toEqual(['5 signed out'])
    expect(rulesBeside('active')).toEqual(['5 signed out'])
  })

  it('a sign-out after writes on a stale copy, and not after reads of one', () => {
    const rulesAfter = (more: Partial<Made>): string[] => {
      const used: Made = { at: 300, seen: { status: 'degraded' }, ...more }
      const last: Made = { at: 610, seen: { ...missing, status: 'expired' } }
      return rulesOf('outage', begun(used, last))
    }
    expect(rulesAfter({})).toEqual([])
    expect(rulesAfter(append(300, { seen: { status: 'degraded' } }))).toEqual(['5 signed out'])
  })

  it('an old credential, and not that of a sign-in which goes on with one that its browser did not know of', () => {
    const rulesAfter = (at: number, more: Partial<Made> = {}): string[] => {
      const first: Made = { at: 100, uses: [LOGIN], writes: true }
      const write = append(200, { knows: [1, 2, 3], seen: { rotationId: 'r2' } })
      const seen = { data: { a0: ['4.0'] }, rotationId: 'r2' }
      const last: Made = { at: 300, jar: 10, knows: [1, 3], seen }
      const all = begun(first, { ...first, at, ...more }, write, last)
      return rulesOf('snapshot', all, { thefts: [{ thief: 10, jar: 0, at: 190_000 }] })
    }
    expect(rulesAfter(101)).toEqual([])
    expect(rulesAfter(101, { knows: [1, 2] })).toContain('4 old credential')
    expect(rulesAfter(101, { uses: [{ op: 'regenerate' }] })).toContain('4 old credential')
    expect(rulesAfter(140)).toContain('4 old credential')
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
    const overtaken = { ends: [revokeAt(200.005)] }
    const onReplica = (at: number): string[] =>
      rulesOf('replica', rotated(at), overtaken, { lagMs: 10_000 })
    expect([205, 215].map(onReplica)).toEqual([[], ['4 rotationId']])
  })

  it('a sign-out by a failover that lost a rotation or a renewal, and not one that lost the beginning', () => {
    const rotation: Made = { at: 100, uses: [{ op: 'regenerate' }], writes: true }
    const lost = begun(rotation, { at: 110, knows: [1, 2], seen: missing })
    const at = (seconds: number) => ({ failovers: [{ at: 1000 * seconds, loses: 2000 }] })
    expect(rulesOf('failover', lost, at(101))).toEqual(['5 signed out'])
    expect(rulesOf('failover', lost, at(1))).toEqual([])
  })

  it('a sign-out by two rotations that the store does not have, and not by three, since a cookie names two', () => {
    const failed: Made = { at: 50, uses: [{ op: 'regenerate' }], writes: true, outcome: 'failed' }
    const rotateAt = (at: number): Made => ({ ...failed, at, outcome: 'ok' })
    const last: Made = { at: 110, knows: [1, 2, 3, 4], seen: missing }
    const failovers = [{ at: 102_000, loses: 3000 }]
    const rulesAfter = (...rotations: readonly Made[]): string[] =>
      rulesOf('failover', begun(...rotations, last), { failovers })
    expect(rulesAfter(rotateAt(100), rotateAt(101))).toEqual(['5 signed out'])
    expect(rulesAfter(failed, rotateAt(100), rotateAt(101))).toEqual([])
  })

  it('a sign-out beside a rotation that was dropped at once, and not beside one that an end met when it was tried again', () => {
    const rotation: Made = { at: 100, uses: [{ op: 'regenerate' }], writes: true }
    const rulesBeside = (faults: number): string[] => {
      const dropped = exchangeOf(rotation, 2)
      const activity = { ...dropped.activity, faults }
      const reader = exchangeOf({ at: 100.005, seen: { ...missing, status: 'superseded' } }, 3)
      const all = [...begun(), { ...dropped, activity, fate: 'dropped' as const }, reader]
      return rulesOf('outage', all)
    }
    expect(rulesBeside(0)).toEqual(['5 signed out'])
    expect(rulesBeside(1)).toEqual([])
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
    // The cookie of a session that an overlapping request has renewed is written without an event.
    const lateOnes: [Use[], string][] = [
      [[], 'session.renewed'],
      [[], 'cache.read'],
      [[LOGIN], 'session.renewed'],
    ]
    const histories = lateOnes.map(([uses, type]) => {
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
        told({ ...late, received: 60_000 }, type, 'x'),
        { ...exchangeOf({ at: 10, knows: [2], seen: { subject, print: 'y' } }, 4), aims: 'y' },
        exchangeOf({ at: 100, knows: [2], seen: { subject: null } }, 5),
      ]
    })
    expect(histories.map((exchanges) => rulesOf('memory', exchanges))).toEqual([
      [],
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
