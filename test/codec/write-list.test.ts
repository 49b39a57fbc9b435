import { describe, expect, it } from 'vitest'
import type { SessionState } from '../../src/codec/session-record.ts'
import {
  descends,
  hasWrite,
  listWrite,
  NO_TAG,
  newTag,
  withoutLast,
  writesOf,
} from '../../src/codec/write-list.ts'

/** A state after writes with these tags. */
function stateOf(...tags: string[]): SessionState {
  const empty = { counter: 0 } as SessionState
  return tags.reduce((state, tag) => listWrite(state, tag, true, 0), empty)
}

const [A, B, C, D] = ['aaaaaa', 'bbbbbb', 'cccccc', 'dddddd']

describe('the ancestors of a state in its list of writes', () => {
  it('are those whose last write it lists', () => {
    expect(descends(stateOf(A, B, C), stateOf(A, B))).toBe(true)
    expect(descends(stateOf(A, B, C), stateOf(A, B, C))).toBe(true)
    expect(descends(stateOf(A, B), stateOf(A, D))).toBe(false)
    expect(descends(stateOf(A), stateOf())).toBe(false)
  })

  it('are told though the list has forgotten what both began with', () => {
    const [older, newer] = [stateAfter(every(100, 8)), stateAfter(every(100, 11))]
    expect([descends(newer, older), descends(older, newer)]).toEqual([true, false])
  })

  it('are not told by a dropped entry, of which each looks like the other', () => {
    expect(descends(stateOf(A, NO_TAG, B), stateOf(A, C, NO_TAG))).toBe(false)
    expect(descends(stateOf(A, C, NO_TAG, B), stateOf(A, C, NO_TAG))).toBe(true)
    expect(descends(stateOf(NO_TAG), stateOf(NO_TAG))).toBe(false)
  })

  it('are not told by an entry that came twice, with another write in between', () => {
    expect(descends(stateOf(A, B, C), stateOf(A, D, A))).toBe(false)
    expect(descends(stateOf(A, D, A, B), stateOf(A, D, A))).toBe(true)
  })
})

/** The state after one write at each of these seconds; tags count from 100000. */
function stateAfter(seconds: readonly number[]): SessionState {
  const empty = { counter: 0 } as SessionState
  return seconds.reduce(
    (state, at, i) => listWrite(state, String(100_000 + i), i % 2 === 0, 1000 * at + 999),
    empty,
  )
}

const listed = (seconds: readonly number[]): string[] =>
  writesOf(stateAfter(seconds)).map(({ tag }) => tag)
const every = (step: number, count: number, first = 0): number[] =>
  Array.from({ length: count }, (_, i) => first + step * i)

describe('the list of writes', () => {
  it('has tag, counter, second and whether data changed, the oldest first', () => {
    expect(writesOf(stateAfter([0, 2047, 2048 + 63]))).toEqual([
      { tag: '100000', counter: 1, seconds: 0, changed: true },
      { tag: '100001', counter: 2, seconds: 2047, changed: false },
      { tag: '100002', counter: 3, seconds: 63, changed: true },
    ])
    expect(writesOf({ counter: 3, writes: undefined })).toEqual([])
  })

  it('is known to have a write by its tag', () => {
    expect([A, B, C].map((tag) => hasWrite(stateOf(A, B), tag!))).toEqual([true, true, false])
  })

  it('without its last write is as it was before that one', () => {
    const before = stateAfter([1, 2])
    expect(withoutLast(stateAfter([1, 2, 3]))).toEqual(before)
    expect(withoutLast({ counter: 1 } as SessionState)).toEqual({ counter: 0, writes: '' })
  })

  it('tags writes with 6 random characters', () => {
    const tags = Array.from({ length: 100 }, newTag)
    expect(tags.every((tag) => /^[\w-]{6}$/.test(tag))).toBe(true)
    expect(new Set(tags).size).toBe(100)
  })

  // At the end of the clock of 2,048 seconds ages are the same.
  it.each([0, 2000, 2040])('has the writes of 60 seconds, from second %d on', (first) => {
    // 96 seconds, one write every 4: those made less than 60 seconds before the last one.
    expect(listed(every(4, 25, first))).toEqual(every(1, 15, 100_010).map(String))
  })

  it('has eight writes, however old', () => {
    expect(listed(every(100, 30))).toEqual(every(1, 8, 100_022).map(String))
    expect(listed(every(100, 8))).toHaveLength(8)
  })

  it('has at most 128 of those writes', () => {
    // 50 seconds, four writes in each.
    expect(listed(every(0.25, 200))).toEqual(every(1, 128, 100_072).map(String))
  })

  it('has every write of the last ten seconds, however many', () => {
    expect(listed(every(0.01, 500))).toHaveLength(500)
    // The first second is ten seconds old at the last write, and no longer listed.
    expect(listed([...Array(200).fill(0), ...Array(200).fill(1), 10])).toHaveLength(201)
  })

  it('takes a write from ahead, by a clock that differs by up to 64 seconds, for a new one', () => {
    const after = (ahead: number): number => listed([...Array(20).fill(100 + ahead), 100]).length
    expect([after(0), after(63), after(64), after(65)]).toEqual([21, 21, 21, 8])
  })
})
