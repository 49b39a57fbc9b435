import { describe, expect, it } from 'vitest'
import { FIRST, type Generation, nextGeneration } from '../../src/codec/generation.ts'
import { idOf, type SessionState } from '../../src/codec/session-record.ts'
import { compare, LatestKnown, relate, withCredentialOf } from '../../src/persistence/newest.ts'
import { randomBytes } from '../crypto/support.ts'

const NOW = Date.UTC(2026, 10, 23)
const key = randomBytes(16)
const SECOND = nextGeneration(FIRST, 'bbbb', NOW)
const THIRD = nextGeneration(SECOND, 'cccc', NOW)
const FOURTH = nextGeneration(THIRD, 'dddd', NOW)

const age = (generation: Generation, counter: number): SessionState =>
  ({ key, generation, counter, data: {} }) as unknown as SessionState

describe('two states of a session', () => {
  it('are ordered by the number of the generation, then by the counter', () => {
    expect(compare(age(SECOND, 1), age(FIRST, 9)) > 0).toBe(true)
    expect(compare(age(FIRST, 9), age(SECOND, 1)) < 0).toBe(true)
    expect(compare(age(FIRST, 2), age(FIRST, 1)) > 0).toBe(true)
    expect(compare(age(FIRST, 1), age(FIRST, 1))).toBe(0)
  })
})

describe('a cookie', () => {
  it('is good, ahead of the record by up to two rotations, or replaced', () => {
    expect(relate(SECOND, SECOND)).toBe('same')
    expect([relate(SECOND, FIRST), relate(THIRD, FIRST)]).toEqual(['ahead', 'ahead'])
    // Three rotations, a rotation of another one, and a record that went on.
    expect(relate(FOURTH, FIRST)).toBe('replaced')
    expect(relate(nextGeneration(FIRST, 'xxxx', NOW), SECOND)).toBe('replaced')
    expect(relate(FIRST, SECOND)).toBe('replaced')
  })
})

describe('the latest known state', () => {
  it('is the newest that was recorded, whatever came last', () => {
    const latest = new LatestKnown()
    expect(latest.isAfter(age(FIRST, 0))).toBe(false)
    latest.record(age(SECOND, 5))
    latest.record(age(SECOND, 4))
    latest.record(age(FIRST, 9))
    expect([4, 5, 6].map((counter) => latest.isAfter(age(SECOND, counter)))).toEqual([
      true,
      false,
      false,
    ])
    expect([latest.isAfter(age(FIRST, 9)), latest.isAfter(age(THIRD, 0))]).toEqual([true, false])
    expect(latest.isAfter({ ...age(FIRST, 0), key: randomBytes(16) })).toBe(false)
  })

  it('tells a rotation from a write', () => {
    const latest = new LatestKnown()
    latest.record(age(SECOND, 5))
    expect([FIRST, SECOND].map((generation) => latest.isRotated(age(generation, 0)))).toEqual([
      true,
      false,
    ])
  })

  it('is after every state once the session has ended', () => {
    const latest = new LatestKnown()
    latest.recordEnd(idOf({ key }))
    latest.record(age(FOURTH, 99))
    expect([latest.isAfter(age(FOURTH, 99)), latest.isRotated(age(FOURTH, 99))]).toEqual([
      true,
      true,
    ])
  })

  it('goes back with the store, unless more is known meanwhile', () => {
    const latest = new LatestKnown()
    const mark = (): unknown => latest.markOf(idOf({ key }))
    latest.record(age(SECOND, 5))
    const before = mark()
    latest.record(age(SECOND, 6))
    latest.recordRollback(age(FIRST, 1), before)
    expect(latest.isAfter(age(SECOND, 5))).toBe(true)
    latest.recordRollback(age(FIRST, 1), mark())
    expect([latest.isAfter(age(FIRST, 0)), latest.isAfter(age(FIRST, 1))]).toEqual([true, false])
  })
})

describe('an older state with the credential of a newer one', () => {
  it('takes the higher counter, and the key and the generation where they differ', () => {
    const newer = { key: randomBytes(16), generation: SECOND, counter: 5 }
    expect(withCredentialOf(age(FIRST, 9), newer, NOW)).toEqual({
      ...age(FIRST, 9),
      key: newer.key,
      generation: { ...SECOND, replaced: ['1.'] },
    })
    expect(withCredentialOf(age(FIRST, 1), newer, NOW).counter).toBe(5)
    const same = { ...newer, generation: { ...FIRST, rotatedAt: 7 } }
    expect(withCredentialOf(age(FIRST, 1), same, NOW)).toEqual(age(FIRST, 5))
  })

  it('is rotated now where the cookie does not say when', () => {
    const generation = { ...SECOND, rotatedAt: 0 }
    const { rotatedAt } = withCredentialOf(
      age(FIRST, 1),
      { key, generation, counter: 1 },
      NOW + 5,
    ).generation
    expect(rotatedAt).toBe(NOW + 5)
  })

  it('names that of the record first, and two in all', () => {
    const next = (generation: Generation): readonly string[] =>
      withCredentialOf(age(FIRST, 1), { key, generation, counter: 1 }, NOW).generation.replaced
    expect(next(THIRD)).toEqual(['1.', '2.bbbb'])
    expect(next(FOURTH)).toEqual(['1.', '3.cccc'])
  })
})
