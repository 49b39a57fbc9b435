import { describe, expect, it } from 'vitest'
import { LAST_ID } from './generate.ts'
import type { DeviceAsk, Exchange, History, Seen } from './history.ts'
import { append, begun, exchangeOf, LOGIN, type Made, missing, revokeAt, rulesOf } from './made.ts'
import type { BoundConfig, RunConfig } from './profiles.ts'

const GUARD: BoundConfig['options'] = { enforce: 'guard', maxAge: 300 }

/** The rules that a history of bound sessions violates. */
function boundRules(
  exchanges: Exchange[],
  more: Partial<History> = {},
  options: Partial<BoundConfig['options']> = {},
  keyless: number[] = [],
  config: Partial<RunConfig> = {},
): string[] {
  const deviceBound = { options: { ...GUARD, ...options }, keyless, sharesRefresh: true }
  return rulesOf('bound', exchanges, more, { deviceBound, lagMs: 0, ...config })
}

let proofs = 0

function asks(at: number, ask: Partial<DeviceAsk>, more: Partial<Made> = {}): Made {
  const device: DeviceAsk = {
    task: 'refresh',
    key: 'k',
    proof: `proof ${proofs++}`,
    challengedAt: 1000 * at - 10,
    told: 'granted',
    gaveUp: false,
    ...ask,
  }
  return { at, seen: null, writes: true, device, ...more }
}

/** The second request: a key is registered. */
const REGISTERED: Made = asks(2, { task: 'register' })
const proven = { bound: true, key: 'k' }
const unproven = { bound: false, key: 'k' }
const rotateAt = (at: number): Made => ({
  at,
  uses: [{ op: 'regenerate' }],
  writes: true,
  seen: proven,
  holds: 2,
})
const stolenAt = (at: number) => ({ thefts: [{ thief: 10, jar: 0, at: 1000 * at }] })

describe('the model of device binding finds', () => {
  it('a copy that is proven without a bound cookie, or by one for longer than that is good', () => {
    const seenAt = (at: number, holds?: number): string[] => {
      const copy: Made = { at, jar: 10, seen: proven, ...(holds && { holds }) }
      return boundRules(begun(REGISTERED, copy), stolenAt(5))
    }
    expect([seenAt(300, 2), seenAt(20)]).toEqual([[], []])
    expect([seenAt(400, 2), seenAt(100)]).toEqual([
      ['11 bound without the device'],
      ['11 bound without the device'],
    ])
  })

  it('a session that is shown without a proof where that is enforced', () => {
    const seenWith = (enforce: 'guard' | 'writes' | 'always', more: Partial<Made> = {}): string[] =>
      boundRules(begun(REGISTERED, { at: 100, seen: unproven, ...more }), {}, { enforce })
    const write = append(100)
    expect([seenWith('guard', write), seenWith('writes')]).toEqual([[], []])
    expect([seenWith('always'), seenWith('writes', { uses: write.uses ?? [] })]).toEqual([
      ['11 not enforced'],
      ['11 not enforced'],
    ])
  })

  it('a key that is gone or another one, and not where a sign-in or a registration took it away', () => {
    const lost: Made = { at: 100, seen: { bound: null } }
    const other: Made = { at: 100, seen: { bound: false, key: 'k2' } }
    expect(boundRules(begun(REGISTERED, lost))).toEqual(['11 binding lost'])
    expect(boundRules(begun(REGISTERED, other))).toEqual(['11 another key'])
    const signIn: Made = { at: 50, uses: [LOGIN], writes: true, seen: unproven }
    const later = (seen: Partial<Seen>): Made => ({
      at: 100,
      knows: [1, 3],
      seen: { ...seen, rotationId: 'r2' },
    })
    expect(boundRules(begun(REGISTERED, signIn, later({ bound: null })))).toEqual([])
    const second = asks(60, { task: 'register', key: 'k2' })
    const renewed = later({ bound: false, key: 'k2' })
    expect(boundRules(begun(REGISTERED, signIn, second, renewed))).toEqual([])
  })

  it("a key of a copy in the place of the browser's, and not of one with the bound cookie of the proof that follows a rotation", () => {
    const takenBy = (holds: number, ...before: readonly Made[]): string[] => {
      const takeover = asks(80, { task: 'register', key: 'k2' }, { jar: 10, holds })
      return boundRules(begun(REGISTERED, ...before, takeover), stolenAt(70))
    }
    const proof = asks(60, {}, { knows: [1, 3] })
    expect(takenBy(2)).toEqual(['11 another key'])
    expect([2, 4].map((holds) => takenBy(holds, rotateAt(50), proof))).toEqual([
      ['11 another key'],
      [],
    ])
  })

  it('a second key of a browser, and not one of two at once that was sent first and answered last', () => {
    const registers = (at: number, key: string): Made => asks(at, { task: 'register', key })
    const answeredAt = (sent: number): string[] => {
      const [first, second] = [registers(sent, 'k2'), registers(52, 'k3')]
      const history = begun(REGISTERED, rotateAt(50), first, second)
      return boundRules(history.map((one) => (one.id === 4 ? { ...one, done: 53_000 } : one)))
    }
    expect([51, 52.5].map(answeredAt)).toEqual([[], ['11 another key']])
  })

  it('a proof that is applied twice, and not where a failover forgot the first time', () => {
    const twice = () => begun(REGISTERED, asks(50, { proof: 'p' }), asks(60, { proof: 'p' }))
    const failedAt = (at: number) => ({ failovers: [{ at, loses: 10_000 }] })
    expect(boundRules(twice())).toEqual(['12 proof applied twice'])
    expect(boundRules(twice(), failedAt(30_000))).toEqual(['12 proof applied twice'])
    expect(boundRules(twice(), failedAt(55_000))).toEqual([])
    expect(boundRules(begun(REGISTERED, asks(50, {}), asks(60, {})))).toEqual([])
  })

  it('a proof by a key that nobody registered, and one after the end of the session', () => {
    expect(boundRules(begun(REGISTERED, asks(50, { key: 'k9' })))).toEqual(['12 unknown key'])
    const ends = [revokeAt(40, { to: 40_010 })]
    expect(boundRules(begun(REGISTERED, asks(50, {})), { ends })).toEqual([
      '3 ended session is shown',
    ])
  })

  it('a challenge whose time is up, or that is from before a rotation', () => {
    const answeredAt = (at: number, task: DeviceAsk['task'], ...before: readonly Made[]) =>
      boundRules(begun(REGISTERED, ...before, asks(at, { task, challengedAt: 2020 })))
    expect([answeredAt(300, 'register'), answeredAt(600, 'refresh')]).toEqual([[], []])
    expect([answeredAt(310, 'register'), answeredAt(610, 'refresh')]).toEqual([
      ['12 old challenge'],
      ['12 old challenge'],
    ])
    expect(answeredAt(52, 'refresh', rotateAt(50))).toEqual([])
    expect(answeredAt(60, 'refresh', rotateAt(50))).toEqual(['12 old challenge'])
  })

  it('a bound cookie that is not believed, and not after a copy has registered its key', () => {
    const bound: Made = { at: 100, seen: unproven, holds: 2 }
    const empty: Made = { at: 100, seen: { ...missing, status: 'unproven', bound: false } }
    expect(boundRules(begun(REGISTERED, bound))).toEqual(['13 device locked out'])
    expect(boundRules(begun(REGISTERED, { ...bound, at: 310 }))).toEqual([])
    const cached = { ttl: 10, staleIfError: 0 }
    const elsewhere = (at: number): string[] =>
      boundRules(begun(REGISTERED, { ...bound, at, isolate: 1 }), {}, {}, [], { cached })
    expect([elsewhere(10), elsewhere(100)]).toEqual([[], ['13 device locked out']])
    expect(boundRules(begun(REGISTERED, { ...empty, holds: 2 }))).toEqual(['5 signed out'])
    expect(boundRules(begun(REGISTERED, empty))).toEqual([])
    const other = asks(80, { task: 'register', key: 'k2' }, { jar: 10, holds: 4 })
    const thefts = stolenAt(70)
    const proof = asks(60, {}, { knows: [1, 3] })
    const late: Made = {
      ...bound,
      knows: [1, 3],
      seen: { bound: false, key: 'k2', rotationId: 'r2' },
    }
    expect(boundRules(begun(REGISTERED, rotateAt(50), proof, other, late), thefts)).toEqual([])
  })

  it('a browser that is told to give the key of a live session up', () => {
    const told = asks(50, { told: 'refused', gaveUp: true }, { outcome: 'failed' })
    const lost = asks(2, { task: 'register', told: 'later' }, { outcome: 'failed' })
    expect(boundRules(begun(REGISTERED, told))).toEqual(['13 device locked out'])
    expect(boundRules(begun(REGISTERED, told), { ends: [revokeAt(40)] })).toEqual([])
    expect(boundRules(begun(lost, told))).toEqual([])
    const challenged = (proof: string): Made =>
      asks(50, { told: 'challenged', gaveUp: true, proof }, { outcome: 'failed' })
    const answered = (proof: string): string[] =>
      boundRules(begun(REGISTERED, asks(49, { proof: 'p' }), challenged(proof)))
    expect([answered('p'), answered('q')]).toEqual([[], ['13 device locked out']])
  })

  it('a key that is refused though its challenge is good, and not one that is late, after a rotation, beside another one or without its proof', () => {
    const refused = (at: number, challengedAt = 40_010): Made =>
      asks(
        at,
        { task: 'register', told: 'refused', key: 'k2', challengedAt },
        { outcome: 'failed', knows: [1, 2] },
      )
    const unbound = (at: number): Made => ({ ...rotateAt(at), seen: {}, holds: 0 })
    const rulesAfter = (...all: readonly Made[]): string[] => boundRules(begun(unbound(40), ...all))
    expect(rulesAfter(refused(50))).toEqual(['13 device locked out'])
    expect(rulesAfter(refused(50, -300_000))).toEqual([])
    expect(rulesAfter(unbound(45), refused(50))).toEqual([])
    const read: Made = { at: 45, knows: [1, 2], seen: { rotationId: 'r2' } }
    expect(rulesAfter(read, refused(50, 45_010))).toEqual(['13 device locked out'])
    expect(rulesAfter(read, unbound(45.005), refused(50, 45_010))).toEqual([])
    const informed: Made = { ...refused(50, 45_010), knows: [1, 2, 3] }
    const next: Made = { ...unbound(45), knows: [1, 2], seen: { rotationId: 'r2' } }
    expect(rulesAfter(next, informed)).toEqual(['13 device locked out'])
    expect(rulesAfter(next, read, informed)).toEqual([])
    const copied = (maxAge: number, knows: readonly number[]): string[] => {
      const rotationId = knows.length ? 'r3' : 'r2'
      const offer: Made = { at: 46, knows: [1, 2, ...knows], seen: { rotationId } }
      const asked: Made = { ...refused(50, 46_010), knows: [1, 2, 3] }
      const snapshot = { maxAge, staleIfError: 0 }
      return boundRules(begun(unbound(40), next, offer, asked), {}, {}, [], { snapshot })
    }
    expect([copied(2, []), copied(2, [3])]).toEqual([[], ['13 device locked out']])
    const forgetting = (at: number, holds: number): string[] => {
      const proof = asks(45, {}, { knows: [1, 3] })
      const failovers = [{ at, loses: 1000 }]
      const asked: Made = { ...refused(50), knows: [1, 2, 3], holds }
      return boundRules(begun(REGISTERED, rotateAt(40), proof, asked), { failovers })
    }
    expect([45_500, 48_000].map((at) => forgetting(at, 4))).toEqual([[], ['13 device locked out']])
    // The bound cookie that came along is that of the registration.
    expect(forgetting(48_000, 2)).toEqual([])
    expect(rulesAfter(asks(41, { task: 'register' }), refused(50))).toEqual([])
    expect(boundRules(begun(unbound(40), refused(50)), { ends: [revokeAt(45)] })).toEqual([])
  })

  it('a browser with keys that is not bound after a sign-in when everything works', () => {
    const signIn = exchangeOf({ at: 100, uses: [LOGIN], writes: true }, LAST_ID)
    const reader = exchangeOf(
      { at: 110, knows: [1, LAST_ID], seen: { rotationId: 'r2' } },
      LAST_ID + 1,
    )
    const history = () => [...begun(), signIn, reader]
    expect(boundRules(history())).toEqual(['13 device locked out'])
    expect(boundRules(history(), {}, {}, [0])).toEqual([])
  })
})
