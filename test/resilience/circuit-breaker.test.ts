import { describe, expect, it } from 'vitest'
import { CircuitOpenError } from '../../src/errors.ts'
import {
  type CircuitBreaker,
  type CircuitBreakerOptions,
  createCircuitBreaker,
} from '../../src/resilience/circuit-breaker.ts'

function setUp(options: CircuitBreakerOptions = {}) {
  let time = 1_000_000
  const seen: string[] = []
  const breaker = createCircuitBreaker({
    now: () => time,
    random: () => 1,
    onChange: (status) => void seen.push(status),
    ...options,
  })
  const advance = (ms: number): void => {
    time += ms
  }
  return { breaker, seen, advance, now: () => time }
}

const fail = (breaker: CircuitBreaker, times = 1): void => {
  for (let i = 0; i < times; i++) breaker.acquire().failure()
}
const succeed = (breaker: CircuitBreaker, times = 1): void => {
  for (let i = 0; i < times; i++) breaker.acquire().success()
}

function refusal(breaker: CircuitBreaker): number | undefined {
  try {
    breaker.acquire().ignore()
    return undefined
  } catch (error) {
    expect(error instanceof CircuitOpenError).toBe(true)
    return (error as CircuitOpenError).retryAfter
  }
}

describe('createCircuitBreaker()', () => {
  it('opens at the fifth failure in a row, and says for how long', () => {
    const { breaker, seen } = setUp()
    fail(breaker, 4)
    expect(breaker.status).toBe('closed')
    fail(breaker)
    expect(seen).toEqual(['open'])
    expect(refusal(breaker)).toBe(1)
  })

  it('opens when half of at least ten calls failed, though never five in a row', () => {
    const { breaker } = setUp()
    for (let i = 0; i < 4; i++) {
      succeed(breaker)
      fail(breaker)
    }
    succeed(breaker)
    expect(breaker.status).toBe('closed')
    fail(breaker)
    expect(breaker.status).toBe('open')
  })

  it('forgets what is older than its window', () => {
    const { breaker, advance } = setUp({ consecutiveFailures: 1000 })
    fail(breaker, 9)
    advance(10_000)
    fail(breaker)
    expect(breaker.status).toBe('closed')
    fail(breaker, 9)
    expect(breaker.status).toBe('open')
  })

  it('opens for 1 s, then twice as long each time, up to 30 s', () => {
    const { breaker, advance } = setUp()
    const waits: number[] = []
    fail(breaker, 5)
    for (let i = 0; i < 7; i++) {
      const wait = refusal(breaker) ?? NaN
      waits.push(wait)
      advance(wait * 1000)
      fail(breaker)
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 30, 30])
  })

  it('leaves half of that time to chance', () => {
    const { breaker } = setUp({ random: () => 0 })
    fail(breaker, 5)
    expect(refusal(breaker)).toBe(0.5)
  })

  it('lets one of a thousand calls probe, and closes when it succeeds', () => {
    const { breaker, seen, advance } = setUp()
    fail(breaker, 5)
    advance(1000)
    const probe = breaker.acquire()
    const refused = Array.from({ length: 999 }, () => refusal(breaker))
    expect(refused.every((wait) => wait === 1)).toBe(true)
    probe.success()
    expect(seen).toEqual(['open', 'half-open', 'closed'])
    fail(breaker, 4)
    expect(breaker.status).toBe('closed')
  })

  it('lets as many probe as it is told', () => {
    const { breaker, advance } = setUp({ probes: 3 })
    fail(breaker, 5)
    advance(1000)
    const [first, second, third] = [breaker.acquire(), breaker.acquire(), breaker.acquire()]
    expect(refusal(breaker)).toBe(1)
    first.ignore()
    expect(refusal(breaker)).toBe(undefined)
    second.failure()
    third.success()
    expect(breaker.status).toBe('open')
  })

  it('is not wedged by a probe that never ends', () => {
    const { breaker, advance } = setUp()
    fail(breaker, 5)
    advance(1000)
    breaker.acquire()
    advance(4999)
    expect(refusal(breaker)).toBe(0.001)
    advance(1)
    breaker.acquire().success()
    expect(breaker.status).toBe('closed')
  })

  it('ignores what calls from before it opened report later', () => {
    const { breaker, advance } = setUp()
    const [slow, slower] = [breaker.acquire(), breaker.acquire()]
    fail(breaker, 5)
    slow.success()
    expect(breaker.status).toBe('open')
    advance(1000)
    const probe = breaker.acquire()
    slower.failure()
    expect(breaker.status).toBe('half-open')
    probe.success()
    expect(breaker.status).toBe('closed')
  })

  it('counts each call once', () => {
    const { breaker } = setUp()
    const permit = breaker.acquire()
    for (let i = 0; i < 10; i++) permit.failure()
    expect(breaker.state().consecutive).toBe(1)
  })

  it('does not count throttling, and opens for Retry-After when told, up to 60 s', () => {
    const { breaker, advance } = setUp()
    for (let i = 0; i < 20; i++) breaker.acquire().failure(2)
    expect(breaker.status).toBe('closed')
    breaker.open(7)
    expect(refusal(breaker)).toBe(7)
    breaker.open(3)
    expect(refusal(breaker)).toBe(7)
    breaker.open(1e9)
    expect(refusal(breaker)).toBe(60)
    advance(60_000)
    breaker.acquire().failure(2)
    expect(refusal(breaker)).toBe(2)
  })

  it('is half-open from the moment at which the next call would probe', () => {
    const { breaker, advance } = setUp()
    fail(breaker, 5)
    advance(999)
    expect(breaker.status).toBe('open')
    advance(1)
    expect(breaker.status).toBe('half-open')
  })

  it('stays open by hand until it is closed by hand', () => {
    const { breaker, seen, advance } = setUp()
    breaker.open()
    breaker.open()
    advance(365 * 86_400_000)
    expect([breaker.status, refusal(breaker)]).toEqual(['open', 60])
    advance(365 * 86_400_000)
    expect([breaker.status, refusal(breaker)]).toEqual(['open', 60])
    breaker.close()
    expect([seen, refusal(breaker)]).toEqual([['open', 'closed'], undefined])
  })

  it.each([0, -1, NaN])('does not open for %d seconds', (seconds) => {
    const { breaker } = setUp()
    breaker.open(seconds)
    expect(breaker.status).toBe('closed')
  })

  it('opens again at the first failure after a Retry-After', () => {
    const { breaker, advance } = setUp()
    breaker.open(7)
    advance(7000)
    fail(breaker)
    expect([breaker.status, refusal(breaker)]).toEqual(['open', 1])
  })

  it('opens for as long as asked, though its clock was set back while it probed', () => {
    const { breaker, advance } = setUp()
    fail(breaker, 5)
    advance(1000)
    const probe = breaker.acquire()
    advance(-500)
    probe.failure(0.1)
    expect(refusal(breaker)).toBe(0.1)
  })

  it('counts calls at any time of its window, in ten numbers', () => {
    const { breaker, advance } = setUp({ consecutiveFailures: 1000 })
    for (let i = 0; i < 9; i++) {
      fail(breaker)
      advance(1000)
    }
    expect(breaker.status).toBe('closed')
    fail(breaker)
    expect(breaker.status).toBe('open')
    const steady = setUp()
    for (let i = 0; i < 1000; i++) {
      succeed(steady.breaker)
      steady.advance(100)
    }
    expect(steady.breaker.state().window.length).toBe(10)
  })

  it('stays closed while fewer than half of its calls fail', () => {
    const { breaker } = setUp()
    for (let i = 0; i < 100; i++) {
      succeed(breaker, 3)
      fail(breaker, 2)
    }
    expect(breaker.status).toBe('closed')
  })

  it('goes on from an exported state', () => {
    const first = setUp()
    fail(first.breaker, 5)
    const state = JSON.parse(JSON.stringify(first.breaker.state()))
    const { breaker, advance } = setUp({ state })
    expect(refusal(breaker)).toBe(1)
    advance(1000)
    fail(breaker)
    expect(refusal(breaker)).toBe(2)
    expect(state).toEqual(JSON.parse(JSON.stringify(first.breaker.state())))
  })

  it('is not kept open by a clock that was set back', () => {
    const { breaker, advance } = setUp()
    fail(breaker, 5)
    advance(-86_400_000)
    expect(refusal(breaker)).toBe(60)
    advance(60_000)
    expect(refusal(breaker)).toBe(undefined)
  })

  it('survives a listener that throws', () => {
    const { breaker } = setUp({
      onChange: () => {
        throw new Error('listener')
      },
    })
    fail(breaker, 5)
    expect(breaker.status).toBe('open')
  })

  it.each(['failureRate', 'openMs', 'probes', 'windowMs'])('refuses %s of 0', (name) => {
    expect(() => createCircuitBreaker({ [name]: 0 })).toThrow(RangeError)
  })

  it.each([
    null,
    {},
    { status: 'ajar' },
    { ...createCircuitBreaker().state(), window: null },
    'open',
  ])('refuses a state that is none, case %#', (state) => {
    const options = { state } as CircuitBreakerOptions
    expect(() => createCircuitBreaker(options)).toThrow(/"state" must be what state\(\) returned/)
  })

  it('refuses a number that is written as text', () => {
    const options = { openMs: '5' } as unknown as CircuitBreakerOptions
    expect(() => createCircuitBreaker(options)).toThrow(TypeError)
  })

  it('refuses an option that it does not know', () => {
    const misspelt = { openMS: 5 } as CircuitBreakerOptions
    expect(() => createCircuitBreaker(misspelt)).toThrow(/Unknown option "openMS"/)
  })

  it('does what a plain model does, for 20,000 random steps', () => {
    const { breaker, advance, now } = setUp({ consecutiveFailures: 1e9, windowMs: 1e12 })
    let [calls, failures, openUntil, openings] = [0, 0, 0, 0]
    let seed = 42
    const random = (): number => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
      return seed / 2 ** 32
    }
    const trip = (): void => {
      openUntil = now() + Math.min(30_000, 1000 * 2 ** openings++)
    }
    for (let step = 0; step < 20_000; step++) {
      advance(Math.floor(random() * 800))
      const failed = random() < 0.55
      const refused = now() < openUntil
      expect(refusal(breaker) !== undefined).toBe(refused)
      if (refused) continue
      if (failed) fail(breaker)
      else succeed(breaker)
      if (openUntil && failed) trip()
      else if (openUntil) [calls, failures, openUntil, openings] = [0, 0, 0, 0]
      else {
        calls++
        if (failed) failures++
        if (failed && calls >= 10 && failures >= calls / 2) trip()
      }
    }
  })
})
