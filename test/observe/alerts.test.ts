import { describe, expect, it } from 'vitest'
import type { SessionEvent } from '../../src/index.ts'
import {
  type Alert,
  type AlertOptions,
  type AlertRule,
  alertOn,
  breakerOpen,
  countRule,
  deferredGrowth,
  degradedShare,
  errorRate,
  invalidCookies,
  reusedCookies,
} from '../../src/observe/alerts.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createClock, createFaultyStore } from '../../src/testing/index.ts'
import { createWorld, errorOf } from '../support/sessions.ts'

/** A listener for one rule, what it notified, and a virtual clock. */
function setUp(rule: AlertRule, options: Partial<AlertOptions> = {}) {
  const clock = createClock()
  const alerts: Alert[] = []
  const listener = alertOn({ rules: [rule], notify: (alert) => alerts.push(alert), ...options })
  const tell = (event: object, times = 1): void => {
    for (let i = 0; i < times; i++) listener({ at: clock(), ...event } as SessionEvent)
  }
  const take = (): string[] =>
    alerts.splice(0).map(({ rule: name, state, value }) => `${name} ${state} ${value}`)
  return { alerts, clock, take, tell }
}

const OPENED = { type: 'session.opened', status: 'active' }
const DEGRADED = { type: 'session.opened', status: 'degraded' }
const REUSED = { type: 'session.reused', session: 'x', sinceRotation: 60 }
const DOWN = { type: 'store.unavailable', store: 'redis', code: 'ERR_STORE_UNAVAILABLE' }

describe('alertOn()', () => {
  it('notifies once when a condition begins to hold, and once when it holds no longer', () => {
    const { alerts, clock, take, tell } = setUp(reusedCookies({ threshold: 2, window: 60 }))
    tell(REUSED)
    expect(alerts).toEqual([])
    clock.advance(1)
    const since = clock()
    tell(REUSED)
    expect(alerts).toEqual([
      { rule: 'reused-cookies', state: 'firing', value: 2, threshold: 2, at: since, since },
    ])
    tell(REUSED, 5)
    expect(take().length).toBe(1)
    clock.advance(61)
    // No timer: nobody is told before something happens.
    expect(alerts).toEqual([])
    tell(OPENED)
    expect(alerts).toEqual([
      { rule: 'reused-cookies', state: 'recovered', value: 0, threshold: 2, at: clock(), since },
    ])
    tell(OPENED)
    expect(alerts.length).toBe(1)
    take()
    clock.advance(3600)
    tell(REUSED, 2)
    // Of this time, not of the first.
    expect(alerts).toMatchObject([{ state: 'firing', since: clock() }])
  })

  it('is quiet for exactly as long as it is told', () => {
    const { clock, take, tell } = setUp(reusedCookies({ window: 60 }), { quiet: 600 })
    tell(REUSED)
    clock.advance(100)
    tell(OPENED)
    take()
    clock.advanceMs(499_999)
    tell(REUSED)
    expect(take()).toEqual([])
    clock.advanceMs(1)
    tell(REUSED)
    expect(take()).toEqual(['reused-cookies firing 2'])
  })

  it('is quiet about a condition that comes and goes, and tells of it later if it still holds', () => {
    const { clock, take, tell } = setUp(reusedCookies({ window: 60 }), { quiet: 600 })
    tell(REUSED)
    expect(take()).toEqual(['reused-cookies firing 1'])
    clock.advance(70)
    tell(OPENED)
    expect(take()).toEqual(['reused-cookies recovered 0'])
    for (let i = 0; i < 9; i++) {
      clock.advance(50)
      tell(REUSED)
    }
    expect(take()).toEqual([])
    clock.advance(90)
    tell(REUSED)
    expect(take()).toEqual(['reused-cookies firing 1'])
  })

  it('tells of each condition by itself', () => {
    const alerts: string[] = []
    const rules = [reusedCookies(), errorRate({ threshold: 1, window: 60 }), breakerOpen()]
    const listener = alertOn({ rules, notify: ({ rule }) => alerts.push(rule) })
    listener({ at: 1, ...REUSED } as SessionEvent)
    listener({ at: 1, ...DOWN } as SessionEvent)
    expect(alerts).toEqual(['reused-cookies', 'error-rate'])
  })

  it('lets two alerts use one rule', () => {
    const rule = reusedCookies({ threshold: 2 })
    const [one, other] = [setUp(rule), setUp(rule)]
    one.tell(REUSED)
    other.tell(REUSED)
    expect([one.take(), other.take()]).toEqual([[], []])
  })

  it('is not harmed by a notify that throws or rejects', () => {
    for (const notify of [() => Promise.reject(new Error('late')), () => errorOut()]) {
      const { tell } = setUp(reusedCookies(), { notify })
      expect(() => tell(REUSED)).not.toThrow()
    }
  })

  it('refuses options that are missing, wrong or unknown', () => {
    const notify = () => {}
    const given: [object | undefined, RegExp][] = [
      [undefined, /rules/],
      [{ notify }, /rules.*a list of rules/],
      [{ rules: [], notify: 'mail' }, /notify.*a function/],
      [{ rules: [] }, /notify.*a function/],
      [{ rules: [{}], notify }, /rules.*a list of rules/],
      [{ rules: [null], notify }, /rules.*a list of rules/],
      [{ rules: [], notify, quiet: -1 }, /quiet/],
      [{ rules: [], notify, every: 1 }, /every/],
    ]
    for (const [options, rule] of given) expect(() => alertOn(options as never)).toThrow(rule)
    expect(() => countRule({ name: 'any' } as never)).toThrow(/threshold/)
    expect(() => countRule({ name: 5 } as never)).toThrow(/name.*a text/)
    expect(() => errorRate({ threshold: -1 })).toThrow(/threshold/)
    expect(() => errorRate({ windows: 1 } as never)).toThrow(/windows/)
    expect(() => breakerOpen({ window: 1 } as never)).toThrow(/window/)
  })
})

function errorOut(): never {
  throw new Error('broken')
}

describe('the window of a rule', () => {
  const rule = reusedCookies({ threshold: 3, window: 100 })

  it('forgets one by one, not at once', () => {
    const { clock, take, tell } = setUp(
      countRule({ name: 'any', threshold: 3, window: 100, count }),
    )
    for (let i = 0; i < 30; i++) {
      tell(REUSED)
      clock.advance(10)
    }
    // Ten in a hundred seconds.
    expect(take()).toEqual(['any firing 3'])
    clock.advance(75)
    tell(OPENED)
    expect(take()).toEqual(['any recovered 2'])
  })

  it('takes events that are a little out of order, and starts anew after a clock was set back', () => {
    const { clock, take, tell } = setUp(rule)
    tell(REUSED)
    clock.advance(-10)
    tell(REUSED, 2)
    expect(take()).toEqual(['reused-cookies firing 3'])
    clock.advance(-86_400)
    tell(OPENED)
    expect(take()).toEqual(['reused-cookies recovered 0'])
    tell(REUSED, 3)
    expect(take()).toEqual(['reused-cookies firing 3'])
  })

  it('forgets what is older and nothing else, however far apart events are', () => {
    const clock = createClock()
    const rule = countRule({ name: 'any', threshold: 1, window: 20, count })
    const valueAfter = rule.watch()
    const add = (): number => valueAfter({ at: clock(), ...REUSED } as SessionEvent)
    for (let second = 0; second < 19; second++) {
      add()
      clock.advance(1)
    }
    expect(add()).toBe(20)
    clock.advance(3)
    expect(add()).toBe(18)
    clock.advance(1)
    expect(add()).toBe(18)
    // One that comes late does not set the window back.
    clock.advance(-1)
    expect(add()).toBe(19)
    clock.advance(1)
    expect(add()).toBe(20)
  })

  const count = ({ type }: SessionEvent): number => Number(type === 'session.reused')
})

describe('breakerOpen()', () => {
  const breaker = (state: string, direction = 'read') => ({
    type: `breaker.${state}`,
    store: 'redis',
    direction,
  })

  it('fires once a breaker has been open, or half-open, for so many seconds', () => {
    const { clock, take, tell } = setUp(breakerOpen({ threshold: 60 }))
    tell(breaker('open'))
    clock.advance(30)
    tell(breaker('half-open'))
    tell(breaker('open'))
    clock.advance(29)
    tell(OPENED)
    expect(take()).toEqual([])
    clock.advance(1)
    tell(OPENED)
    expect(take()).toEqual(['breaker-open firing 60'])
    tell(breaker('closed'))
    expect(take()).toEqual(['breaker-open recovered -1'])
  })

  it('goes by the one that has been open longest', () => {
    const { clock, take, tell } = setUp(breakerOpen({ threshold: 60 }))
    tell(breaker('open'))
    clock.advance(50)
    tell(breaker('open', 'write'))
    tell(breaker('closed'))
    clock.advance(50)
    tell(OPENED)
    expect(take()).toEqual([])
    clock.advance(10)
    tell(OPENED)
    expect(take()).toEqual(['breaker-open firing 60'])
    clock.advance(10)
    tell(breaker('open'))
    tell(breaker('closed', 'write'))
    expect(take()).toEqual(['breaker-open recovered 0'])
  })

  it('fires for the first of two that are open', () => {
    const { clock, take, tell } = setUp(breakerOpen({ threshold: 60 }))
    tell(breaker('open'))
    clock.advance(30)
    tell(breaker('open', 'write'))
    clock.advance(30)
    tell(OPENED)
    expect(take()).toEqual(['breaker-open firing 60'])
  })
})

describe('degradedShare()', () => {
  it('fires at a share of what was opened, not below the minimum', () => {
    const { take, tell } = setUp(degradedShare({ threshold: 0.25, minimum: 8 }))
    tell(DEGRADED, 7)
    // Says nothing of how many were opened.
    tell(DOWN, 9)
    expect(take()).toEqual([])
    tell(OPENED, 25)
    expect(take()).toEqual([
      'degraded-share firing 0.875',
      expect.stringMatching(/^degraded-share recovered 0.24/),
    ])
  })

  it('does not divide by nothing', () => {
    const { take, tell } = setUp(degradedShare({ threshold: 0.25, minimum: 0 }))
    tell(DOWN)
    expect(take()).toEqual([])
  })
})

describe('errorRate()', () => {
  it('counts per minute what visitors noticed', () => {
    const { take, tell } = setUp(errorRate({ threshold: 10, window: 120 }))
    tell(DOWN, 17)
    tell({ type: 'session.corrupt', session: 'x', code: 'ERR_SESSION_CORRUPT' })
    tell({ type: 'cookie.too-large', session: 'x', size: 1, limit: 1 })
    tell({ ...DOWN, type: 'store.degraded' }, 9)
    expect(take()).toEqual([])
    tell(DOWN)
    expect(take()).toEqual(['error-rate firing 10'])
  })
})

describe('invalidCookies()', () => {
  const INVALID = { type: 'session.invalid', reason: 'unknown-key' }

  it('fires above what was normal in the hour before', () => {
    const { clock, take, tell } = setUp(invalidCookies({ threshold: 5, window: 300 }))
    // Ten in five minutes are normal here.
    for (let minute = 0; minute < 90; minute++) {
      tell(INVALID, 2)
      clock.advance(60)
    }
    tell(INVALID, 30)
    expect(take()).toEqual([])
    tell(INVALID, 15)
    expect(take()).toEqual([expect.stringMatching(/^invalid-cookies firing 5/)])
  })

  it('fires at the minimum where nothing is known yet, and not below', () => {
    const { take, tell } = setUp(invalidCookies({ minimum: 20 }))
    tell(INVALID, 19)
    expect(take()).toEqual([])
    tell(INVALID)
    expect(take()).toEqual(['invalid-cookies firing 20'])
  })

  it('does not take a process that has just begun for one where nothing is normal', () => {
    const { clock, take, tell } = setUp(invalidCookies({ threshold: 5, window: 300, minimum: 20 }))
    for (let minute = 0; minute < 15; minute++) {
      tell(INVALID, 3)
      clock.advance(60)
    }
    tell(INVALID, 20)
    expect(take()).toEqual([])
  })

  it('goes by the whole hour before', () => {
    const { clock, take, tell } = setUp(invalidCookies({ threshold: 5, window: 300, minimum: 20 }))
    tell(INVALID, 15)
    clock.advance(300)
    // An hour of windows, in each of which four are normal but for the last.
    for (let part = 0; part < 10; part++) {
      tell(INVALID, 4)
      clock.advance(300)
    }
    tell(INVALID, 27)
    expect(take()).toEqual([])
    tell(INVALID)
    expect(take()).toEqual([expect.stringMatching(/^invalid-cookies firing 5/)])
  })
})

describe('deferredGrowth()', () => {
  it('fires when more changes wait than are applied or dropped', () => {
    const { take, tell } = setUp(deferredGrowth({ threshold: 10 }))
    const of = (type: string, changes: number, more = {}) => ({
      type,
      changes,
      session: 'x',
      ...more,
    })
    tell(of('commit.deferred', 6))
    tell(of('commit.applied', 2))
    tell(of('commit.dropped', 1, { reason: 'conflict', deferred: true }))
    tell(of('commit.dropped', 9, { reason: 'superseded' }))
    tell(of('commit.deferred', 6))
    expect(take()).toEqual([])
    tell(of('commit.deferred', 1))
    expect(take()).toEqual(['deferred-growth firing 10'])
  })
})

describe('alertOn() as onEvent', () => {
  it('tells of an outage and its end, and quotes no secret, cookie, id, user or data', async () => {
    const clock = createClock()
    const store = createFaultyStore(createMemoryStore({ now: clock }))
    const alerts: Alert[] = []
    const rules = [
      degradedShare({ minimum: 5, window: 60 }),
      errorRate({ threshold: 1, window: 60 }),
      deferredGrowth({ threshold: 1, window: 60 }),
      invalidCookies({ threshold: 1, minimum: 1, window: 60 }),
      reusedCookies(),
    ]
    const onEvent = alertOn({ rules, notify: (alert) => alerts.push(alert) })
    const { jar, sessions, visit } = createWorld({ store, onEvent }, clock)
    const { session } = await visit((s) => {
      s.login('canary-ann')
      s.set('canary-key', 'canary-value')
    })
    store.down()
    for (let i = 0; i < 9; i++) await visit((s) => s.get('canary-key'))
    const other = await sessions.open(null)
    other.login('canary-bob')
    expect(await errorOf(() => sessions.save(other))).toMatchObject({
      code: 'ERR_STORE_UNAVAILABLE',
    })
    await sessions.open('__Host-session=canary')
    store.up()
    clock.advance(120)
    await visit((s) => s.get('canary-key'))
    expect(alerts.map(({ rule, state }) => `${rule} ${state}`)).toEqual([
      'degraded-share firing',
      'error-rate firing',
      'invalid-cookies firing',
      'degraded-share recovered',
      'error-rate recovered',
      'invalid-cookies recovered',
    ])
    const all = JSON.stringify(alerts)
    const cookie = jar.cookies()[0]?.value ?? 'none'
    for (const one of [session.id ?? 'none', cookie, 'canary']) expect(all).not.toContain(one)
  })
})
