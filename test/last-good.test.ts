import { describe, expect, it } from 'vitest'
import { LastGood, textOf } from '../src/last-good.ts'

function setUp() {
  const refused: string[] = []
  let checks = 0
  const last = new LastGood<number>(
    1,
    (answer) => {
      checks++
      const { n } = Object(answer) as { n?: unknown }
      if (typeof n !== 'number') throw new TypeError(`n must be a number, got ${typeof n}`)
      return n
    },
    (problem) => void refused.push(problem),
  )
  return { last, refused, checks: () => checks }
}

describe('LastGood', () => {
  it('checks an answer that differs from the last one, and no other', () => {
    const { last, checks } = setUp()
    for (let i = 0; i < 10; i++) expect(last.take({ n: 5, more: { deep: true } })).toBe(5)
    expect(checks()).toBe(1)
    expect(last.take({ n: 5, more: { deep: false } })).toBe(5)
    expect(checks()).toBe(2)
  })

  it('keeps the last good answer, and tells of a wrong one once', () => {
    const { last, refused } = setUp()
    last.take({ n: 2 })
    for (let i = 0; i < 5; i++) expect(last.take({ n: 'x' })).toBe(2)
    expect(refused).toEqual(['n must be a number, got string'])
    expect(last.take(undefined)).toBe(2)
    expect(last.take(undefined)).toBe(2)
    expect(refused.length).toBe(2)
    expect(last.take({ n: 3 })).toBe(3)
    expect(last.problem).toBe(undefined)
  })

  it('tells of a series of failures once, by the kind of error alone', () => {
    const { last, refused } = setUp()
    for (let i = 0; i < 5; i++) expect(last.fail('It', new RangeError('canary'))).toBe(1)
    last.fail('It', { name: 'a name\nthat breaks a line' })
    expect(refused).toEqual(['It failed (RangeError)', 'It failed'])
    // The same answer as before the failures is judged again.
    last.take({ n: 2 })
    last.fail('It', null)
    expect([last.take({ n: 2 }), last.problem]).toEqual([2, undefined])
  })

  it('refuses what has no end', () => {
    const { last, refused } = setUp()
    const cyclic: { self?: object } = {}
    cyclic.self = cyclic
    expect([last.take(cyclic), refused.length]).toEqual([1, 1])
  })

  it('notices a change of the object that it was given', () => {
    const { last } = setUp()
    const answer = { n: 2, more: { a: 1 } }
    last.take(answer)
    answer.n = 3
    expect(last.take(answer)).toBe(3)
  })
})

describe('textOf()', () => {
  const fn = (): void => {}
  it.each([
    [{ a: 1, b: { c: [fn] } }, { a: 1, b: { c: [fn] } }, true],
    [{ a: 1, b: { c: fn } }, { a: 1, b: { c: () => {} } }, false],
    [{ a: undefined }, {}, true],
    [{ a: 1 }, null, false],
    [{ a: 1 }, { a: 1, b: 2 }, false],
    [undefined, null, false],
  ])('differs where settings do, case %#', (a, b, same) => {
    expect(textOf(a) === textOf(b)).toBe(same)
  })
})
